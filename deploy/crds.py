#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Writes deploy/crds/: what a Kubernetes API server knows of roost's kinds, so that kubectl refuses what
roostctl refuses, in its words where a rule can say them.

    deploy/crds.py          writes the files
    deploy/crds.py --check  says which file is not what this program would write

Descriptions come from the tables of docs/resources/ and docs/KUBERNETES.md, so a field without a row there is an
error. The tables of members in cluster/ are the other truth: tests/unit/test_crds.c holds each key, type,
bound and word of them against these files. Here are the rules, which stand in C as code and there as CEL.

An API server counts the cost of a rule before it takes it, from the greatest lengths; so each text and list
has one.
"""
import copy
import json
import pathlib
import re
import sys

HERE = pathlib.Path(__file__).resolve().parent
DOCS = HERE.parent / "docs"
NAME = r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$"
SPECIAL = [  # as ipam/pool.c has them
    ("0.0.0.0/8", "unspecified addresses (0.0.0.0/8)"),
    ("127.0.0.0/8", "loopback addresses (127.0.0.0/8)"),
    ("169.254.0.0/16", "link-local addresses (169.254.0.0/16)"),
    ("224.0.0.0/4", "multicast addresses (224.0.0.0/4)"),
    ("255.255.255.255/32", "broadcast addresses (255.255.255.255/32)"),
    ("::/128", "unspecified addresses (::/128)"),
    ("::1/128", "loopback addresses (::1/128)"),
    ("fe80::/10", "link-local addresses (fe80::/10)"),
    ("ff00::/8", "multicast addresses (ff00::/8)"),
]  # IPv4-mapped addresses are none for an API server


# ---- Descriptions ----

def plain(cell):
    """Markdown as text."""
    cell = re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", cell)
    return cell.replace("`", "").replace("\\|", "|").strip()


class Page:
    """The tables of a page: what is said of each field. section: only below this heading."""

    def __init__(self, name, section=None):
        self.name, self.fields, self.used = name, {}, set()
        text = (DOCS / name).read_text()
        if section:
            text = text.split(f"\n## {section}\n")[1].split("\n## ")[0]
        else:
            text = text.split("\n", 1)[1]
        self.about = plain(" ".join(text.strip().split("\n\n")[0].split("\n")))
        for line in text.split("\n"):
            if line.startswith("| `"):
                self.row([c.strip() for c in re.split(r"(?<!\\)\|", line.strip()[1:-1])])

    def row(self, cells):
        above = ""
        for name in re.findall(r"`([^`]*)`", cells[0]):
            name = re.sub(r"^spec\.|\[\]", "", name)
            name = above + name.lstrip(".") if name.startswith(".") or "." not in name else name
            above = name.rpartition(".")[0] + "." if "." in name else ""
            default = plain(cells[2]) if len(cells) > 3 else ""
            text = plain(cells[-1]) or plain(cells[1])
            if default:
                text += f". Default: {default}"
            self.fields[name] = text[0].upper() + text[1:] + "."

    def of(self, path):
        if path not in self.fields:
            sys.exit(f"docs/{self.name} says nothing of {path}")
        self.used.add(path)
        return self.fields[path]


# ---- What a field may be ----

def rule(cel, message=None, says=None, **more):
    """A rule; message: a sentence, says: CEL that makes one."""
    r = {"rule": cel, **more}
    if message:
        r["message"] = message
    if says:
        r["messageExpression"] = says
    return r


def text(size, *rules, **more):
    return {"type": "string", "maxLength": size, **more, **({"x-kubernetes-validations": list(rules)} if rules else {})}


def words(*these):
    return {"type": "string", "enum": list(these)}


def number(least, most):
    return {"type": "integer", "format": "int64", "minimum": least, "maximum": most}


def flag():
    return {"type": "boolean"}


def only_word(word):
    """A field of Calico's with one accepted value."""
    return words(*dict.fromkeys(["", word]))


def only_number(n):
    return number(n, n)


def only_empty():
    return {"type": "array", "maxItems": 0, "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}


def ignored_list():
    """Taken and not kept."""
    return {"type": "array", "maxItems": 64, "items": {"type": "object", "x-kubernetes-preserve-unknown-fields": True}}


def items(of, most, *rules):
    return {"type": "array", "maxItems": most, "x-kubernetes-list-type": "atomic", "items": of,
            **({"x-kubernetes-validations": list(rules)} if rules else {})}


def as_cidr(of="self"):
    """CEL: a prefix, of ADDRESS/LENGTH or ADDRESS."""
    return f"cidr({of}.contains('/') ? {of} : {of} + ({of}.contains(':') ? '/128' : '/32'))"


def family(f, of):
    return f"ip.family({of}) == {f}" if f else "true"


FAMILY = {4: "an IPv4", 6: "an IPv6", 0: "an IP"}
IS_PREFIX = "(isCIDR(self) || isIP(self))"


def prefix_rules(f=0):
    cel = IS_PREFIX + (f" && self.contains(':') == {'true' if f == 6 else 'false'}" if f else "")
    return [rule(cel, says=f"'is \"' + self + '\", must be {FAMILY[f]} prefix (ADDRESS/LENGTH)'"),
            rule(f"!isCIDR(self) || cidr(self).masked() == cidr(self)",
                 says="'is ' + self + ', which has host bits'")]


def special_rules(when="true"):
    """Nothing of what hosts treat specially is in it."""
    prefixes = "[" + ", ".join(f"'{c}'" for c, _ in SPECIAL) + "]"
    names = "{" + ", ".join(f"'{c}': '{what}'" for c, what in SPECIAL) + "}"
    meets = f"cidr(s).containsCIDR({as_cidr()}) || {as_cidr()}.containsCIDR(s)"
    return [rule(f"!{IS_PREFIX} || !({when}) || !{prefixes}.exists(s, {meets})",
                 says=f"'is ' + self + ', which contains ' + {names}[{prefixes}.filter(s, {meets})[0]]")]


def host_rules(of="self"):
    """An address of a host; of: CEL that takes it out of the text, where the text has one."""
    prefixes = "[" + ", ".join(f"'{c}'" for c, _ in SPECIAL) + "]"
    names = "{" + ", ".join(f"'{c}': '{what}'" for c, what in SPECIAL) + "}"
    return [rule(f"!isIP({of}) || !{prefixes}.exists(s, cidr(s).containsIP({of}))",
                 says=f"'is ' + {of} + ', which is among the ' + "
                      f"{names}[{prefixes}.filter(s, cidr(s).containsIP({of}))[0]] + ': no host has it'")]


def prefix(f=0):
    return text(43, *prefix_rules(f))


def pool_prefix():
    return text(43, *prefix_rules(), *special_rules())


def exit_prefix():
    return text(43, *prefix_rules(), *special_rules(f"{as_cidr()}.prefixLength() >= 8"))


def service_prefixes(what):
    one = text(43, *prefix_rules(), *special_rules(),
               rule(f"!{IS_PREFIX} || {as_cidr()}.prefixLength() >= 8", says="'is ' + self + ', wider than /8'"))
    return {**items(group({"cidr": one}, needs=["cidr"]), 64,
                    rule("self.all(x, self.exists_one(y, y.cidr == x.cidr))", "has a prefix that is there twice")),
            "description": f"Prefixes of services' {what}, which nodes announce."}


def address(f):
    colon = {4: "false", 6: "true"}[f]
    return text(45, rule(f"self == '' || (isIP(self) && self.contains(':') == {colon})",
                         says=f"'is \"' + self + '\", must be {FAMILY[f]} address'"), *host_rules())


def host(f):
    colon = {4: "false", 6: "true"}[f]
    of = "self.split('/')[0]"
    return text(49, rule(f"self == '' || ({IS_PREFIX} && self.contains(':') == {colon})",
                         says=f"'is \"' + self + '\", must be {FAMILY[f]} address, with or without the length of "
                              "its subnet'"), *host_rules(of))


def mac():
    return text(17, rule(r"self == '' || (self != '00:00:00:00:00:00' && "
                         r"self.matches('^[0-9a-fA-F][02468aceACE](:[0-9a-fA-F]{2}){5}$'))",
                         says="'is \"' + self + '\", must be a MAC address like 66:3e:04:aa:bb:cc'"))


def as_number():
    good = r"self.matches('^[0-9]{1,20}([.][0-9]{1,20})?$')"
    value = ("(self.contains('.') ? (int(self.split('.')[0]) < 65536 && int(self.split('.')[1]) < 65536 ? "
             "int(self.split('.')[0]) * 65536 + int(self.split('.')[1]) : 0) : int(self))")
    return {"x-kubernetes-int-or-string": True, "maxLength": 32, "x-kubernetes-validations": [
        rule(f"type(self) != string || ({good} && {value} >= 1 && {value} <= 4294967295)",
             'must be an AS number (1 to 4294967295, or "1.2")'),
        rule("type(self) == string || (self >= 1 && self <= 4294967295)",
             "must be between 1 and 4294967295")]}


def seconds(least, most):
    good = "self.matches('^([0-9]{1,10}[hms])+$')"
    return text(64, rule(good, says="'is \"' + self + '\", must be a time in whole seconds like \"120s\" or \"2m\"'"),
                rule(f"!{good} || (duration(self) >= duration('{least}s') && duration(self) <= duration('{most}s'))",
                     says=f"'is ' + self + ', must be between {least} and {most} seconds'"))


def name(what="is not a name (a-z, 0-9, dashes and dots, 253 characters at most)", empty=True):
    none = "self == '' || " if empty else ""
    return text(253, rule(f"{none}self.matches(r'{NAME}')", says=f"'\"' + self + '\" {what}'"))


def selector_patterns():
    """The grammar of lib/selector.c without parentheses that match, and what none may end in."""
    w, key, quoted = r"[ \t]*", r"[A-Za-z0-9_./-]{1,512}", r"""("[^"]*"|'[^']*')"""
    b = r"[ \t]+"
    one = (rf"(all{w}\({w}\)|has{w}\({w}{key}{w}\)|{key}{w}[!=]={w}{quoted}"
           rf"|{key}{b}(contains|starts{b}with|ends{b}with){w}{quoted}"
           rf"|{key}{b}(in|notin|not{b}in){w}\{{{w}({quoted}{w}(,{w}{quoted}{w})*)?\}})")
    before, after = r"[ \t!(]*", r"[ \t)]*"
    whole = rf"^({w}|({before}{one}{after}(&&|\|\||$))+)$"
    return whole.replace("'", "\\x27").replace('"', "\\x22").replace(r"{1,512}", "+"), r"(&&|\|\|)[ \t]*$"


def selector(least=0, most=1023):
    """Parentheses are counted, and their order is not seen."""
    whole, ends = selector_patterns()
    count = r"self.findAll(r'\x22[^\x22]*\x22|\x27[^\x27]*\x27|[()]').filter(x, x == '{}').size()"
    t = text(most, rule(r"self.matches(r'^[\t -~]*$')", "is not a selector: not printable ASCII"),
             rule(f"self.matches(r'{whole}') && !self.matches(r'{ends}') && "
                  f"{count.format('(')} == {count.format(')')}",
                  "is not a selector: what one looks like is in docs/resources/README.md"))
    return {**t, "minLength": least} if least else t


def selector_of_rule(is_global=False):
    """The same where a rule would cost too much, as there are too many of them: a pattern."""
    whole, _ = selector_patterns()
    return text(4096, pattern=rf"{whole}|^[ \t]*global\([ \t]*\)[ \t]*$" if is_global else whole)


def password():
    return group({"text": text(80, rule(r"self.matches(r'^[ !#-\[\]-~]*$')",
                                        "must be printable ASCII without double quote and backslash"), minLength=1)},
                 needs=["text"])


def group(properties, *rules, needs=(), says=None):
    g = {"type": "object", "properties": {k: copy.deepcopy(v) for k, v in properties.items()}}
    if says:
        g["description"] = says
    if needs:
        g["required"] = list(needs)
    if rules:
        g["x-kubernetes-validations"] = list(rules)
    return g


def column(title, path, kind="string", says=None, priority=0):
    c = {"name": title, "type": kind, "jsonPath": path}
    if priority:
        c["priority"] = priority
    if says:
        c["description"] = says
    return c


AGE = column("Age", ".metadata.creationTimestamp", "date")


# ---- Kinds that people apply ----

def ippool():
    modes = ("Never", "Always", "CrossSubnet")
    fine = "(isCIDR(self.cidr) || isIP(self.cidr))"
    v4 = "!self.cidr.contains(':')"
    length = f"{as_cidr('self.cidr')}.prefixLength()"

    balancer = "has(self.allowedUses) && 'LoadBalancer' in self.allowedUses"
    of_pods = [("ipipMode", "self.ipipMode == 'Never'"), ("vxlanMode", "self.vxlanMode == 'Never'"),
               ("natOutgoing", "!self.natOutgoing"), ("disableBGPExport", "!self.disableBGPExport"),
               ("nodeSelector", "self.nodeSelector in ['', 'all()']")]

    def size(of):
        default = f"({of}.cidr.contains(':') ? 122 : 26)"
        own = f"{as_cidr(of + '.cidr')}.prefixLength()"
        return f"(has({of}.blockSize) ? {of}.blockSize : ({own} > {default} ? {own} : {default}))"

    return group({
        "cidr": pool_prefix(),
        "blockSize": number(20, 128),
        "ipipMode": words(*modes),
        "vxlanMode": words(*modes),
        "natOutgoing": flag(),
        "disabled": flag(),
        "disableBGPExport": flag(),
        "nodeSelector": selector(),
        "allowedUses": items(text(32), 64, rule(
            "self.size() == 0 || self.all(x, x == 'LoadBalancer') || "
            "(self.all(x, x in ['Workload', 'Tunnel']) && 'Workload' in self && 'Tunnel' in self)",
            "must be both Workload and Tunnel, or LoadBalancer alone: a pool is for pods and tunnels, or for services")),
        "assignmentMode": words("Automatic", "Manual"),
        "namespaceSelector": only_word("all()"),
    },
        rule(f"!has(self.blockSize) || !{v4} || self.blockSize <= 32", "blockSize must be between 20 and 32"),
        rule(f"!has(self.blockSize) || {v4} || self.blockSize >= 116", "blockSize must be between 116 and 128"),
        rule(f"!has(self.blockSize) || !{fine} || self.blockSize >= {length}",
             "blockSize means blocks that are larger than the pool itself"),
        rule("!has(self.ipipMode) || !has(self.vxlanMode) || self.ipipMode == 'Never' || self.vxlanMode == 'Never'",
             "vxlanMode cannot be used together with ipipMode: one of them must be Never"),
        rule(f"!has(self.ipipMode) || self.ipipMode == 'Never' || {v4}",
             "ipipMode must be Never: IPIP carries IPv4 only"),
        *[rule(f"!({balancer}) || !has(self.{f}) || {fits}",
               f"{f} is for pods: a pool with allowedUses [LoadBalancer] cannot have it") for f, fits in of_pods],
        rule(f"!has(self.assignmentMode) || self.assignmentMode != 'Manual' || ({balancer})",
             "assignmentMode \"Manual\" is not supported by roost, but with allowedUses [LoadBalancer]"),
        rule(f"!{fine} || {as_cidr('self.cidr')} == {as_cidr('oldSelf.cidr')}",
             "cidr cannot change: pods have addresses of it. Make another pool, disable this one and restart its pods"),
        rule(f"!{fine} || {size('self')} == {size('oldSelf')}",
             "blockSize cannot change while nodes have blocks: make another pool, disable this one and restart its pods"),
        needs=["cidr"])


def bgpconfiguration():
    selects = selector(1)
    return group({
        "asNumber": as_number(),
        "nodeToNodeMeshEnabled": flag(),
        "listenPort": number(1, 65535),
        "logSeverityScreen": words("None", "Debug", "Info", "Warning", "Error", "Fatal"),
        "nodeMeshMaxRestartTime": seconds(1, 4095),
        "nodeMeshPassword": {**password(), "description": "The TCP MD5 password of the mesh."},
        "bindMode": only_word("None"),
        "programClusterRoutes": only_word("Enabled"),
        "serviceLoadBalancerAggregation": words("Enabled", "Disabled"),
        "ipv4NormalRoutePriority": only_number(1024),
        "ipv6NormalRoutePriority": only_number(1024),
        "serviceClusterIPs": service_prefixes("cluster addresses"),
        "serviceExternalIPs": service_prefixes("external addresses"),
        "serviceLoadBalancerIPs": service_prefixes("addresses of load balancers"),
        "communities": only_empty(),
        "prefixAdvertisements": only_empty(),
        "ignoredInterfaces": only_empty(),
        "exits": items(group({
            "nodeSelector": selects,
            "cidrs": {**items(exit_prefix(), 16, rule("self.all(x, self.exists_one(y, y == x))",
                                                      "has a prefix that is there twice")), "minItems": 1},
        }, needs=["nodeSelector", "cidrs"]), 16),
        "exitBFD": group({"enabled": flag(), "intervalMs": number(20, 10000), "multiplier": number(2, 50)},
                         says="BFD on the sessions with exits."),
        "exitPort": number(1, 65535),
        "exitFallback": words("NodeDefault", "Unreachable"),
    })


def bgpconfiguration_root():
    clusterwide = ("asNumber", "nodeToNodeMeshEnabled", "nodeMeshPassword", "nodeMeshMaxRestartTime", "exits",
                   "exitBFD", "exitPort", "exitFallback", "serviceClusterIPs", "serviceExternalIPs", "serviceLoadBalancerIPs")
    return [rule("self.metadata.name == 'default' || self.metadata.name.matches(r'^node\\." + NAME[1:] + "')",
                 says="'metadata.name is \"' + self.metadata.name + '\", must be default, or node. and the name of "
                      "a node'")] + [
        rule(f"self.metadata.name == 'default' || !has(self.spec) || !has(self.spec.{f})",
             f"spec.{f} is of the whole cluster: only BGPConfiguration default has it") for f in clusterwide] + [
        rule("self.metadata.name == 'default' || !has(self.spec) || !has(self.spec.serviceLoadBalancerAggregation) || "
             "self.spec.serviceLoadBalancerAggregation != 'Disabled'",
             "spec.serviceLoadBalancerAggregation is of the whole cluster: only BGPConfiguration default has it")]


def bgppeer():
    v4 = r"^[0-9.]{7,15}:[0-9]{1,5}$"
    v6 = r"^\[[0-9a-fA-F:.]{2,45}\]:[0-9]{1,5}$"
    port = "int(self.split(':')[{}]) >= 1 && int(self.split(':')[{}]) <= 65535"
    last = "self.split(':').size() - 1"
    at = ("(self.matches(r'" + v6 + "') ? self.substring(1, self.lastIndexOf(']')) : "
          "self.matches(r'" + v4 + "') ? self.split(':')[0] : self)")
    peer = text(64,
                rule("self != ''", "is missing: peers are given by address, one for each BGPPeer"),
                rule(f"self == '' || (isIP({at}) && (!self.matches(r'{v4}') && !self.matches(r'{v6}') || "
                     f"{port.format(last, last)}) && (!self.startsWith('[') || {at}.contains(':')))",
                     says="'is \"' + self + '\", must be ADDRESS, IPV4:PORT or [IPV6]:PORT'"),
                *host_rules(at))
    six = "self.peerIP.indexOf(':') != self.peerIP.lastIndexOf(':')"
    return group({
        "peerIP": peer,
        "asNumber": as_number(),
        "node": name(),
        "nodeSelector": selector(),
        "password": {**password(), "description": "The TCP MD5 password of the session."},
        "keepaliveTime": seconds(1, 21845),
        "maxRestartTime": seconds(1, 4095),
        "ttlSecurity": number(0, 255),
        "keepOriginalNextHop": flag(),
        "filters": items(text(253, rule(f"self.matches(r'{NAME}')",
                                        says="'is \"' + self + '\", must be the name of a BGPFilter'")), 8),
        "peerSelector": only_word(""),
        "sourceAddress": only_word("UseNodeIP"),
        "nextHopMode": only_word("Auto"),
        "reversePeering": only_word("Auto"),
        "numAllowedLocalASNumbers": only_number(0),
        "exits": items(exit_prefix(), 16, rule("self.all(x, self.exists_one(y, y == x))",
                                               "has a prefix that is there twice")),
        "bfd": flag(),
    },
        rule("!has(self.node) || !has(self.nodeSelector) || self.node == '' || self.nodeSelector == ''",
             "nodeSelector cannot be used together with node"),
        rule(f"!has(self.exits) || self.exits.all(x, x.contains(':') == ({six}))",
             "exits are not of the family of peerIP: a peer brings routes of its own family"),
        needs=["peerIP", "asNumber"])


def bgpfilter():
    def rules(f, says):
        bits = 32 if f == 4 else 128
        fine = "(isCIDR(self.cidr) || isIP(self.cidr))"
        length = f"(has(self.cidr) && {fine} ? {as_cidr('self.cidr')}.prefixLength() : 0)"
        inside = f"has(self.cidr) && has(self.matchOperator) && self.matchOperator in ['In', 'NotIn']"
        lengths = "has(self.prefixLength)"
        least = f"(has(self.prefixLength.min) ? self.prefixLength.min : {length})"
        return items(group({
            "action": words("Reject", "Accept"),
            "cidr": prefix(f),
            "matchOperator": words("Equal", "NotEqual", "In", "NotIn"),
            "prefixLength": group({"min": number(0, bits), "max": number(0, bits)},
                                  says="The lengths that count as inside of cidr."),
        },
            rule("has(self.cidr) == has(self.matchOperator)", "cidr and matchOperator come together"),
            rule(f"!{lengths} || ({inside})", "prefixLength needs a cidr, and In or NotIn as matchOperator"),
            rule(f"!{lengths} || !has(self.prefixLength.min) || self.prefixLength.min >= {length}",
                 f"prefixLength.min must be between the length of cidr and {bits}"),
            rule(f"!{lengths} || !has(self.prefixLength.max) || self.prefixLength.max >= {least}",
                 f"prefixLength.max must be between min, or the length of cidr, and {bits}"),
            needs=["action"]), 64)
    return group({"importV4": rules(4, ""), "importV6": rules(6, ""), "exportV4": rules(4, ""), "exportV6": rules(6, "")})


def ipreservation():
    return group({"reservedCIDRs": items(prefix(), 64)})


def ipamconfiguration():
    return group({
        "maxBlocksPerHost": number(0, 2147483647),
        "ipCooldownSeconds": number(0, 86400),
        "strictAffinity": flag(),
        "autoAllocateBlocks": {"type": "boolean", "enum": [True]},
        "kubeVirtVMAddressPersistence": only_word("Disabled"),
    })


def roostnode():
    cluster_id = text(15, rule("self == '' || (isIP(self) && !self.contains(':') && self != '0.0.0.0')",
                               says="'is \"' + self + '\", must be four numbers like 244.0.0.1'"))
    return group({
        "bgp": group({
            "asNumber": as_number(),
            "ipv4Address": host(4),
            "ipv6Address": host(6),
            "ipv4IPIPTunnelAddr": address(4),
            "routeReflectorClusterID": cluster_id,
        }, says="What BGP and other nodes know of it."),
        "ipv4VXLANTunnelAddr": address(4),
        "vxlanTunnelMACAddr": mac(),
        "ipv6VXLANTunnelAddr": address(6),
        "vxlanTunnelMACAddrV6": mac(),
        "drain": flag(),
        "orchRefs": ignored_list(),
        "addresses": ignored_list(),
    })


# ---- Network policies. What a rule says that is not known here stays in the object: dropped, a rule that allows
# would allow more than was meant. deploy/policy.yaml refuses it, and agents give it the safe meaning. There may be
# so many rules that patterns say what CEL says elsewhere. ----

V4 = r"(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])(\.(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])){3}"
V6 = (r"(([0-9a-fA-F]{1,4}:){7}[0-9a-fA-F]{1,4}|([0-9a-fA-F]{1,4}:){1,7}:|:(:[0-9a-fA-F]{1,4}){1,7}|::|" +
      "|".join(rf"([0-9a-fA-F]{{1,4}}:){{1,{n}}}(:[0-9a-fA-F]{{1,4}}){{1,{7 - n}}}" for n in range(1, 7)) + ")")
PREFIX = rf"^({V4}(/(3[0-2]|[12]?[0-9]))?|{V6}(/(12[0-8]|1[01][0-9]|[1-9]?[0-9]))?)$"
NUMBER = r"(6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4})"
PORT_NAME = r"[A-Za-z0-9-]*[A-Za-z][A-Za-z0-9-]*"


def open_group(properties, *rules, **more):
    return {**group(properties, *rules, **more), "x-kubernetes-preserve-unknown-fields": True}


def number_or_text(least, most, pattern, size=32):
    return {"x-kubernetes-int-or-string": True, "minimum": least, "maximum": most, "maxLength": size, "pattern": pattern}


def any_number(says=None):
    return {"type": "number", **({"description": says} if says else {})}


def prefixes(most):
    return items(text(43, pattern=PREFIX), most)


def policy_rules():
    accounts = open_group({"names": items(text(253, pattern=NAME), 256), "selector": selector_of_rule()})
    protocol = number_or_text(1, 255, "^(?i:TCP|UDP|SCTP|ICMP|ICMPv6|UDPLite)$")
    icmp = open_group({"type": number(0, 254), "code": number(0, 255)},
                      rule("!has(self.code) || has(self.type)", "code needs a type"))

    def end(names):
        ports = items(number_or_text(0, 65535, rf"^({NUMBER}(:{NUMBER})?{'|' + PORT_NAME if names else ''})$"), 1024)
        return open_group({
            "nets": prefixes(4096), "notNets": prefixes(4096), "selector": selector_of_rule(),
            "notSelector": selector_of_rule(), "namespaceSelector": selector_of_rule(True), "ports": ports,
            "notPorts": ports, "serviceAccounts": accounts})

    has_ports = " || ".join(f"(has(self.{e}) && has(self.{e}.{p}) && self.{e}.{p}.size() > 0)"
                            for e in ("source", "destination") for p in ("ports", "notPorts"))

    def is_protocol(*names):
        return ("has(self.protocol) && (type(self.protocol) == string ? self.protocol.upperAscii() in "
                f"[{', '.join(repr(n.upper()) for n, _ in names)}] : self.protocol in [{', '.join(n for _, n in names)}])")

    ports = is_protocol(("TCP", "6"), ("UDP", "17"), ("SCTP", "132"))
    messages = is_protocol(("ICMP", "1"), ("ICMPv6", "58"))
    return items(open_group({
        "action": words("Allow", "Deny", "Pass", "Log"),
        "metadata": {"type": "object", "x-kubernetes-preserve-unknown-fields": True},
        "ipVersion": {"type": "integer", "enum": [4, 6]},
        "protocol": protocol, "notProtocol": protocol, "icmp": icmp, "notICMP": icmp,
        "source": end(False), "destination": end(True),
    },
        rule(f"!({has_ports}) || ({ports})", "ports and notPorts need protocol TCP, UDP or SCTP"),
        rule(f"(!has(self.icmp) && !has(self.notICMP)) || ({messages})", "icmp and notICMP need protocol ICMP or ICMPv6"),
        needs=["action"]), 1024)


def staged_action():
    return words("Set", "Delete")


def calico_policy(clusterwide, staged):
    no = {"type": "boolean", "enum": [False]}
    return group({
        "tier": name(),
        "order": any_number(),
        "selector": selector(most=4096),
        **({"namespaceSelector": selector(most=4096)} if clusterwide else {}),
        "serviceAccountSelector": selector(most=4096),
        "types": items(words("Ingress", "Egress"), 2),
        "ingress": policy_rules(),
        "egress": policy_rules(),
        **({"doNotTrack": no, "preDNAT": no, "applyOnForward": flag()} if clusterwide else {}),
        "performanceHints": items(text(64), 16),
        **({"stagedAction": staged_action()} if staged else {}),
    })


def label_selector():
    def says(schema, words):
        return {**schema, "description": words}

    return open_group({
        "matchLabels": {"type": "object", "maxProperties": 256, "additionalProperties": text(63)},
        "matchExpressions": items(open_group({
            "key": says(text(317), "The label."),
            "operator": says(words("In", "NotIn", "Exists", "DoesNotExist"), "What is asked of it."),
            "values": says(items(text(63), 256), "For In and NotIn."),
        }, needs=["key", "operator"]), 256)})


def kubernetes_policy():
    block = open_group({"cidr": text(43, pattern=PREFIX), "except": prefixes(4096)}, needs=["cidr"])
    peer = open_group({"podSelector": label_selector(), "namespaceSelector": label_selector(), "ipBlock": block},
                      rule("has(self.ipBlock) != (has(self.podSelector) || has(self.namespaceSelector))",
                           "must have ipBlock, or selectors, and not both"))
    port = open_group({"protocol": words("TCP", "UDP", "SCTP"), "port": number_or_text(1, 65535, f"^{PORT_NAME}$", 15),
                       "endPort": number(1, 65535)},
                      rule("!has(self.endPort) || (has(self.port) && type(self.port) == int && self.endPort >= self.port)",
                           "endPort goes with a number in port, and is that or more"))

    def rules(peers):
        return items(open_group({peers: items(peer, 128), "ports": items(port, 128)}), 128)

    return group({
        "podSelector": label_selector(),
        "policyTypes": items(words("Ingress", "Egress"), 2),
        "ingress": rules("from"),
        "egress": rules("to"),
        "stagedAction": staged_action(),
    })


def network_set():
    return group({"nets": prefixes(65536)})


def tier():
    return group({"order": any_number(), "defaultAction": words("Deny", "Pass")})


def tier_root():
    own = ("default", "kube-admin", "kube-baseline")
    return [rule(f"!(self.metadata.name in [{', '.join(repr(n) for n in own)}])",
                 says="'metadata.name is ' + self.metadata.name + ', a tier that is always there as docs/POLICY.md says'")]


def namespaced_root():
    """Both names stand in one key of the store (store/kube/table.c)."""
    return [rule("self.metadata.name.size() <= 189", "metadata.name has more than 189 characters")]


# ---- Kinds that agents write. A later version's agent may have further members: they are kept. ----

def machine(properties, needs=()):
    return {**group(properties, needs=needs), "x-kubernetes-preserve-unknown-fields": True}


def ipblock():
    return machine({
        "node": {**name("is no name", empty=False), "x-kubernetes-validations": [
            rule(f"self.matches(r'{NAME}')", says="'\"' + self + '\" is no name'"),
            rule("self == oldSelf", "cannot change: a block is returned, and claimed by the other node")]},
        "cidr": text(43, *prefix_rules()),
        "state": words("owned", "quarantined", "pending"),
        "freeAfterLoans": flag(),
        "since": text(64),
        "nonce": text(64),
    }, needs=["node"])


def iploan():
    def fixed(needed):
        return {**name(needed, empty=False), "x-kubernetes-validations": [
            rule(f"self.matches(r'{NAME}')", says="'\"' + self + '\" is no name'"),
            rule("self == oldSelf", "cannot change: a loan ends, and another one begins")]}
    return machine({
        "borrower": fixed("is no name"), "lender": fixed("is no name"),
        "address": text(45, rule("isIP(self)", says="'\"' + self + '\" is no IP address'")),
        "state": words("asked", "refused", "lent", "used", "quarantined"),
        "instead": text(45, rule("self == '' || isIP(self)", says="'\"' + self + '\" is no IP address'")),
        "since": text(64),
        "nonce": text(64),
    }, needs=["borrower", "lender", "state"])


def nodestatus():
    count = {"type": "integer", "format": "int64", "minimum": 0}
    down = machine({"peer": text(64), "node": text(256), "since": text(64), "bird": text(1024), "reason": text(1024)})
    block = machine({"cidr": text(43), "pool": text(43), "used": count, "cooling": count, "reserved": count,
                     "quarantined": count, "free": count, "draining": flag()})
    small = number(0, 4294967295)
    return machine({
        "installation": text(64), "instance": text(64), "boot": text(64), "machine": text(128),
        "nodeUid": text(64), "namespace": text(64), "host": text(256), "heartbeat": text(64), "heartbeatSeconds": number(1, 300),
        "stopped": flag(), "version": text(64), "bird": text(1024), "store": text(1024), "exits": text(1024),
        "peersUp": small, "peers": small, "peersDown": items(down, 4096), "tunnels": small, "tunnels6": small,
        "problems": items(text(4096), 4096), "problemCount": small, "addressesUsed": count, "addressesFree": count,
        "blocks": items(block, 65536),
    })


# ---- Files ----

PAGES = {}  # of kinds that have one together


class Kind:
    def __init__(self, kind, plural, short, page, spec, columns, root=(), selectable=(), section=None, needs_spec=False,
                 namespaced=False, judged=False):
        """judged: agents say in its status what they make of it."""
        self.kind, self.plural, self.short, self.spec, self.columns = kind, plural, short, spec, columns
        self.root, self.selectable, self.needs_spec = list(root), selectable, needs_spec
        self.namespaced, self.judged = namespaced, judged
        self.page = PAGES.setdefault((page, section), Page(page, section))

    def describe(self, schema, path, rows):
        """Fills in descriptions."""
        for key, child in schema.get("properties", {}).items():
            here = f"{path}{key}"
            if "description" not in child:
                child["description"] = self.page.of(here if rows is None else key)
            inner = child.get("items", child)
            below = None
            if self.kind == "BGPFilter":  # one table for all rules
                below = True
                self.describe(inner, "prefixLength." if key == "prefixLength" else "", None)
            elif self.judged and key in ("ingress", "egress"):  # the same for both
                self.describe(inner, "", None)
            else:
                self.describe(inner, f"{here}.", below)

    def crd(self):
        spec = self.spec
        self.describe(spec, "", None)
        spec = {"description": "What people say about it." if not self.selectable else "What agents say about it.", **spec}
        meta = {"metadata": {"type": "object"}} if self.root else {}
        schema = {"description": self.page.about, **group({
            "apiVersion": {"type": "string"}, "kind": {"type": "string"},
            **({"metadata": {"type": "object"}}), "spec": spec, **({"status": status()} if self.judged else {})}, *self.root,
            needs=["spec"] if self.needs_spec else [])}
        version = {"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": schema},
                   "additionalPrinterColumns": self.columns}
        if self.judged:
            version["subresources"] = {"status": {}}
        if self.selectable:
            version["selectableFields"] = [{"jsonPath": p} for p in self.selectable]
        return {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
                "metadata": {"name": f"{self.plural}.roost.io", "labels": {"app.kubernetes.io/part-of": "roost"}},
                "spec": {"group": "roost.io", "scope": "Namespaced" if self.namespaced else "Cluster",
                         "names": {"kind": self.kind, "listKind": self.kind + "List", "plural": self.plural,
                                   "singular": self.kind.lower(), "shortNames": self.short, "categories": ["roost"]},
                         "versions": [version]}}


def status():
    """What agents make of an object: conditions as those of Kubernetes' own kinds."""
    says = {"type": "Whose judgement it is: roost.io/Accepted.", "status": "True: enforced as it is written.",
            "observedGeneration": "Of the object that was judged.", "lastTransitionTime": "When status changed.",
            "reason": "One word.", "message": "What is not served, and what holds instead."}
    condition = group({
        "type": text(316), "status": words("True", "False", "Unknown"), 
        "observedGeneration": {"type": "integer", "format": "int64", "minimum": 0},
        "lastTransitionTime": {"type": "string", "format": "date-time"}, "reason": text(1024), "message": text(32768),
    }, needs=["type", "status", "lastTransitionTime", "reason", "message"])
    for key, field in condition["properties"].items():
        field["description"] = says[key]
    return group({"conditions": {
        "type": "array", "maxItems": 64, "items": condition, "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"], "description": "What those say who enforce it."}}, says="What agents say about it.")


def kinds():
    default = [rule("self.metadata.name == 'default'",
                    says="'metadata.name is \"' + self.metadata.name + '\", must be default'")]
    yield Kind("IPPool", "ippools", ["rpool"], "resources/ippool.md", ippool(), [
        column("CIDR", ".spec.cidr"), column("Block size", ".spec.blockSize", "integer"),
        column("IPIP", ".spec.ipipMode"), column("VXLAN", ".spec.vxlanMode"),
        column("NAT", ".spec.natOutgoing", "boolean"), column("Disabled", ".spec.disabled", "boolean"),
        column("Nodes", ".spec.nodeSelector", priority=1), AGE], needs_spec=True)
    yield Kind("RoostNode", "roostnodes", ["rnode"], "resources/node.md", roostnode(), [
        column("IPv4", ".spec.bgp.ipv4Address"), column("IPv6", ".spec.bgp.ipv6Address"),
        column("AS", ".spec.bgp.asNumber"), column("Drain", ".spec.drain", "boolean"),
        column("VXLAN", ".spec.ipv4VXLANTunnelAddr", priority=1),
        column("IPIP", ".spec.bgp.ipv4IPIPTunnelAddr", priority=1), AGE])
    yield Kind("BGPConfiguration", "bgpconfigurations", ["rbgp"], "resources/bgpconfiguration.md", bgpconfiguration(), [
        column("AS", ".spec.asNumber"), column("Mesh", ".spec.nodeToNodeMeshEnabled", "boolean"),
        column("Port", ".spec.listenPort", "integer"), AGE], root=bgpconfiguration_root())
    yield Kind("BGPPeer", "bgppeers", ["rpeer"], "resources/bgppeer.md", bgppeer(), [
        column("Peer", ".spec.peerIP"), column("AS", ".spec.asNumber"), column("Node", ".spec.node"),
        column("Nodes", ".spec.nodeSelector"), column("BFD", ".spec.bfd", "boolean", priority=1), AGE],
        needs_spec=True)
    yield Kind("BGPFilter", "bgpfilters", ["rfilter"], "resources/bgpfilter.md", bgpfilter(), [AGE])
    yield Kind("IPReservation", "ipreservations", ["rres"], "resources/ipreservation.md", ipreservation(), [
        column("Reserved", ".spec.reservedCIDRs"), AGE])
    yield Kind("IPAMConfiguration", "ipamconfigurations", ["ripam"], "resources/ipamconfiguration.md",
               ipamconfiguration(), [column("Blocks per node", ".spec.maxBlocksPerHost", "integer"),
                                     column("Cooldown", ".spec.ipCooldownSeconds", "integer"), AGE], root=default)
    yield from policy_kinds()
    yield Kind("IPBlock", "ipblocks", ["rblock"], "KUBERNETES.md", ipblock(), [
        column("CIDR", ".spec.cidr"), column("Node", ".spec.node"), column("State", ".spec.state"), AGE],
        root=[rule("!has(self.spec.cidr) || self.metadata.name == "
                   "self.spec.cidr.replace('.', '-').replace(':', '-').replace('/', '-')",
                   "metadata.name is not that of spec.cidr: it is the prefix with dashes for dots, colons and the slash")],
        selectable=[".spec.node", ".spec.state"], section="IPBlock", needs_spec=True)
    yield Kind("IPLoan", "iploans", ["rloan"], "KUBERNETES.md", iploan(), [
        column("Address", ".spec.address"), column("Borrower", ".spec.borrower"),
        column("Lender", ".spec.lender"), column("State", ".spec.state"), AGE],
        root=[rule("!has(self.spec.address) || self.metadata.name == self.spec.borrower + '.' + "
                   "self.spec.address.replace('.', '-').replace(':', '-') + "
                   "(self.spec.address.contains(':') ? '-128' : '-32')",
                   "metadata.name is not that of spec.borrower and spec.address: NODE.ADDRESS-LENGTH with dashes in "
                   "the address")],
        selectable=[".spec.borrower", ".spec.lender", ".spec.state"], section="IPLoan", needs_spec=True)
    yield Kind("NodeStatus", "nodestatuses", ["rstatus"], "KUBERNETES.md", nodestatus(), [
        column("Version", ".spec.version"), column("BIRD", ".spec.bird"),
        column("Peers", ".spec.peers", "integer"), column("Up", ".spec.peersUp", "integer"),
        column("Used", ".spec.addressesUsed", "integer", "addresses that pods and tunnels have"),
        column("Free", ".spec.addressesFree", "integer", "addresses that new pods can get at once"),
        column("Problems", ".spec.problemCount", "integer"),
        column("Heartbeat", ".spec.heartbeat", "date"), column("Problem", ".spec.problems[0]", priority=1), AGE],
        section="NodeStatus")


def policy_kinds():
    accepted = column("Accepted", '.status.conditions[?(@.type=="roost.io/Accepted")].status', says="enforced as written")
    order, own_tier = column("Order", ".spec.order", "number"), column("Tier", ".spec.tier")
    yield Kind("Tier", "tiers", ["rtier"], "resources/tier.md", tier(), [
        order, column("Default", ".spec.defaultAction"), accepted, AGE], root=tier_root(), judged=True)
    for staged, short in ((False, ""), (True, "s")):
        kind, plural = ("Staged", "staged") if staged else ("", "")
        for clusterwide, g in ((True, "g"), (False, "")):
            where = {"namespaced": not clusterwide, "root": () if clusterwide else namespaced_root()}
            yield Kind(f"{kind}{'Global' if clusterwide else ''}NetworkPolicy",
                       f"{plural}{'global' if clusterwide else ''}networkpolicies", [f"r{short}{g}np"],
                       "resources/networkpolicy.md", calico_policy(clusterwide, staged),
                       [own_tier, order, column("Selector", ".spec.selector"), accepted, AGE], judged=True, **where)
    yield Kind("StagedKubernetesNetworkPolicy", "stagedkubernetesnetworkpolicies", ["rsknp"],
               "resources/stagedkubernetesnetworkpolicy.md", kubernetes_policy(), [accepted, AGE], judged=True,
               namespaced=True, root=namespaced_root())
    for kind, plural, short, namespaced in (("GlobalNetworkSet", "globalnetworksets", "rgns", False),
                                            ("NetworkSet", "networksets", "rns", True)):
        yield Kind(kind, plural, [short], "resources/networkset.md", network_set(), [accepted, AGE], judged=True,
                   namespaced=namespaced, root=namespaced_root() if namespaced else ())


def scalar(value):
    if not isinstance(value, str):
        return json.dumps(value)
    if re.fullmatch(r"[A-Za-z.][\w./() -]*[\w/)]|[A-Za-z]", value) and value.lower() not in (
            "true", "false", "null", "yes", "no", "on", "off", "y", "n"):
        return value
    return f"'{value}'" if "'" not in value else json.dumps(value, ensure_ascii=False)


def lines(value, indent=0):
    """YAML, block style."""
    pad = "  " * indent
    if isinstance(value, dict) and value:
        for key, v in value.items():
            if isinstance(v, (dict, list)) and v:
                yield f"{pad}{scalar(key)}:"
                yield from lines(v, indent + (0 if isinstance(v, list) else 1))
            else:
                yield f"{pad}{scalar(key)}: {'{}' if v == {} else '[]' if v == [] else scalar(v)}"
    else:
        for v in value:
            if isinstance(v, (dict, list)) and v:
                inner = list(lines(v, indent + 1))
                yield f"{pad}- {inner[0].lstrip()}"
                yield from inner[1:]
            else:
                yield f"{pad}- {scalar(v)}"


def main():
    check = sys.argv[1:] == ["--check"]
    wrong = []
    for kind in kinds():
        crd = kind.crd()
        path = HERE / "crds" / f"{kind.plural}.yaml"
        text = ("# SPDX-License-Identifier: Apache-2.0\n# Written by deploy/crds.py.\n" + "\n".join(lines(crd)) + "\n")
        if check and (not path.exists() or path.read_text() != text):
            wrong.append(str(path))
        elif not check:
            path.write_text(text)
    for page in PAGES.values():
        missing = set(page.fields) - page.used - {"metadata.labels", "metadata.annotations"}
        if missing:
            sys.exit(f"docs/{page.name} speaks of {', '.join(sorted(missing))}, which no kind of it has")
    if wrong:
        sys.exit(f"not as deploy/crds.py writes it: {', '.join(wrong)}")


if __name__ == "__main__":
    main()
