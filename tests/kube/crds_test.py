# SPDX-License-Identifier: Apache-2.0
"""An API server with deploy/crds/ refuses what roostctl refuses and takes what roostctl takes. The documents
are those that the tests of roostctl's reader have (documents.py), and below; where the two differ on purpose,
the difference stands here with its reason, and in docs/KUBERNETES.md."""
import json
import os
import subprocess

import pytest

import controlplane
import documents
from lab import Failed, equal, true, until
from roostlab import BIN

pytestmark = [pytest.mark.needs(*controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]
PLURALS = {"IPPool": "ippools", "RoostNode": "roostnodes", "BGPConfiguration": "bgpconfigurations",
           "BGPPeer": "bgppeers", "BGPFilter": "bgpfilters", "IPReservation": "ipreservations",
           "IPAMConfiguration": "ipamconfigurations", "IPBlock": "ipblocks",
           "IPLoan": "iploans", "NodeStatus": "nodestatuses",
           **{kind: f"{kind.lower()[:-1]}ies" if kind.endswith("y") else f"{kind.lower()}s" for kind in (
               "Tier", "GlobalNetworkPolicy", "NetworkPolicy", "GlobalNetworkSet", "NetworkSet",
               "StagedGlobalNetworkPolicy", "StagedNetworkPolicy", "StagedKubernetesNetworkPolicy")}}
STRICT = "?fieldValidation=Strict"
# A folder's document that kubectl refuses and roostctl takes: what an export carries as status.
EXPORTS_WITH_STATUS = {"calicoctl_export_node[0]", "kubectl_export_ippool[0]"}

NAMESPACE_LEFT_OUT = {"policies[4]"}  # a namespace of a kind that has none: the server drops it


def collection(kind, namespace=None):
    return f"/apis/roost.io/v1/{f'namespaces/{namespace}/' if namespace else ''}{PLURALS[kind]}"


def document(kind, spec, name="default", **metadata):
    return {"apiVersion": "roost.io/v1", "kind": kind, "metadata": {"name": name, **metadata}, "spec": spec}


@pytest.fixture(scope="module")
def k(plane):
    plane.kubectl("apply", "-f", f"{documents.ROOT}/deploy/crds")
    plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "-l",
                  "app.kubernetes.io/part-of=roost")
    plane.kubectl("apply", "-f", f"{documents.ROOT}/deploy/policy.yaml")  # what no definition can say
    plane.kubectl("create", "namespace", "shop")
    until(lambda: judged(plane, policy({**ALLOW, "http": {}})) and not judged(plane, pool()), "the policies to be in force")
    return plane


def judged(k, doc):
    """What the API server says against a document; None: nothing."""
    namespace = doc["metadata"].get("namespace") if doc["kind"] in NAMESPACED else None
    status, answer = k.ask("POST", f"{collection(doc['kind'], namespace)}{STRICT}&dryRun=All", doc)
    if status == 201:
        return None
    if status not in (400, 422) and "namespaces " not in answer["message"]:
        raise Failed(f"expected a document to be judged, saw {status}: {answer}")
    return answer["message"]


def test_fields_are_judged_as_roostctl_judges_them(k):
    seen, wrong = 0, []
    for kind, spec, sentence in documents.table():
        said = judged(k, documents.for_kube(document(kind, spec)))
        seen += 1
        if (said is None) != (sentence is None):
            wrong.append(f"{kind} {spec}: roostctl: {sentence}; the API server: {said}")
    equal(wrong, [], "the differences")
    true(seen > 150, f"the table of test_resource.c to be found, saw {seen} rows")


def test_documents_are_judged_as_roostctl_judges_them(k):
    seen, wrong = 0, []
    for name, doc, refused in documents.folders():
        if not isinstance(doc, dict) or "kind" not in doc or documents.for_kube(doc)["kind"] not in PLURALS:
            continue  # the envelope of another kind
        if name in NAMESPACE_LEFT_OUT or doc.get("apiVersion", "").startswith("networking.k8s.io"):
            continue  # the latter: Kubernetes' own kind of the same name
        said = judged(k, documents.for_kube(doc))
        seen += 1
        if (said is not None) != (refused or name in EXPORTS_WITH_STATUS):
            wrong.append(f"{name}: roostctl: {'refused' if refused else 'taken'}; the API server: {said}")
        if name in EXPORTS_WITH_STATUS:
            true('unknown field "status"' in said, f"status to be refused, saw {said}")
    equal(wrong, [], "the differences")
    true(seen > 20, f"folders to be found, saw {seen} documents")


def by_roostctl(doc, folder):
    """What roostctl says against a document; None: nothing."""
    doc = {**doc, "apiVersion": "projectcalico.org/v3", "kind": doc["kind"].replace("RoostNode", "Node")}
    env = {"PATH": os.environ["PATH"], "ROOST_STORE": f"file:{folder}"}
    done = subprocess.run([f"{BIN}/roostctl", "apply", "-f", "-"], input=json.dumps(doc), env=env, text=True,
                          capture_output=True, timeout=30)
    return None if done.returncode == 0 else done.stderr


POOL = {"cidr": "10.65.0.0/16"}
RULE = {"action": "Accept", "cidr": "10.0.0.0/8", "matchOperator": "In"}
PEER = {"peerIP": "10.0.0.9", "asNumber": 1}
EXIT = {"nodeSelector": "has(x)", "cidrs": ["0.0.0.0/0"]}


def pool(**spec):
    return document("IPPool", {**POOL, **spec})


def peer(**spec):
    return document("BGPPeer", {**PEER, **spec})


def rules(*entries, to="importV4"):
    return document("BGPFilter", {to: list(entries)})


def bgp(name="default", **spec):
    return document("BGPConfiguration", spec, name=name)


def node(spec=None, **more):
    return document("RoostNode", spec or {}, **more)


def selects(text):
    return pool(nodeSelector=text)


ALLOW = {"action": "Allow"}
NAMESPACED = ("NetworkPolicy", "NetworkSet", "StagedNetworkPolicy", "StagedKubernetesNetworkPolicy")


def policy(*rules, kind="NetworkPolicy", **spec):
    return document(kind, {**({"ingress": list(rules)} if rules else {}), **spec}, name="web",
                    **({"namespace": "shop"} if kind in NAMESPACED else {}))


def of_all(*rules, **spec):
    return policy(*rules, kind="GlobalNetworkPolicy", **spec)


def from_(**end):
    return policy({**ALLOW, "source": end})


def to(**end):
    return policy({**ALLOW, "protocol": "TCP", "destination": end})


def kubernetes(*rules, **spec):
    return policy(*rules, kind="StagedKubernetesNetworkPolicy", **spec)


def set_of(*nets, kind="GlobalNetworkSet"):
    return document(kind, {"nets": list(nets)}, name="web", **({"namespace": "shop"} if kind in NAMESPACED else {}))


POLICIES_TAKEN = [
    policy(), policy(selector="app == 'web'", order=1.5, types=["Ingress", "Egress"]), of_all(namespaceSelector="has(x)"),
    policy(egress=[{"action": a} for a in ("Allow", "Deny", "Pass", "Log")]), policy(serviceAccountSelector="a == 'b'"),
    *(policy({**ALLOW, "protocol": p, "notProtocol": p}) for p in ("tcp", "ICMPv6", "udplite", 1, 255)),
    *(to(ports=[p]) for p in (0, 65535, "80", "80:90", "0:65535", "http", "1a")), to(notPorts=["http"]),
    policy({**ALLOW, "protocol": 17, "source": {"ports": ["1:2"]}}), from_(ports=[]), from_(nets=[]),
    from_(nets=["10.0.0.1", "10.0.0.1/8", "::/0", "2001:db8::1", "1:2:3:4:5:6:7:8/128", "1::8", "1:2:3:4:5:6:7::"]),
    from_(namespaceSelector="global()", selector="has(x)"), from_(notSelector="!has(a) || (b in {'c'})"),
    from_(serviceAccounts={"names": ["default"], "selector": "x == 'y'"}), from_(selector="a starts with 'b'"),
    policy({**ALLOW, "protocol": "ICMP", "icmp": {"type": 8, "code": 0}, "notICMP": {"type": 254}}),
    policy({**ALLOW, "ipVersion": 6, "metadata": {"annotations": {"a": "b"}}}),
    of_all(doNotTrack=False, preDNAT=False, applyOnForward=True), policy(kind="StagedNetworkPolicy", stagedAction="Delete"),
    policy(ALLOW, kind="StagedGlobalNetworkPolicy"), kubernetes(podSelector={}, policyTypes=["Egress"]),
    kubernetes({"from": [{"podSelector": {"matchLabels": {"a": "b"}}, "namespaceSelector": {}}],
                "ports": [{"port": "http"}, {"protocol": "UDP", "port": 1, "endPort": 2}, {}]}),
    kubernetes({"from": [{"ipBlock": {"cidr": "10.0.0.0/8", "except": ["10.1.0.0/16"]}}]}),
    set_of(), set_of("10.0.0.0/8", "::1"), set_of("10.0.0.1/8", kind="NetworkSet"), document("Tier", {}, name="a"),
    document("Tier", {"order": 0.5, "defaultAction": "Pass"}, name="a"),
]
POLICIES_REFUSED = [
    policy({}), policy({"action": "allow"}), policy({**ALLOW, "http": {}}), from_(services={"name": "a", "namespace": "b"}),
    policy(selector="a ="), policy(selector="has(a"), policy(tier="A"), policy(order="1"),
    policy(types=["Both"]), policy(namespaceSelector="all()", kind="GlobalNetworkPolicy", doNotTrack=True), of_all(preDNAT=True),
    *(policy({**ALLOW, "protocol": p}) for p in ("GRE", 0, 256, "tcp ")), policy({**ALLOW, "ipVersion": 5}),
    *(to(ports=[p]) for p in (-1, 65536, "65536", "80:", "80:65536", "a.b", "")), policy({**ALLOW, "destination": {"ports": [80]}}),
    policy({**ALLOW, "protocol": "ICMP", "source": {"notPorts": [1]}}), from_(nets=["10.0.0.0/33"]), from_(nets=["a"]),
    policy({**ALLOW, "protocol": "TCP", "source": {"ports": ["http"]}}), from_(nets=["1.2.3"]), from_(notNets=[":::"]),
    from_(nets=["2001:db8::/129"]), from_(nets=["1:2:3:4:5:6:7:8:9"]), from_(nets=["01.2.3.4"]), from_(selector="a =="),
    from_(selector="global()"), from_(serviceAccounts={"names": ["A"]}), from_(serviceAccounts={"selector": "x"}),
    policy({**ALLOW, "icmp": {"type": 8}}), policy({**ALLOW, "protocol": "ICMP", "icmp": {"type": 255}}),
    policy({**ALLOW, "protocol": "ICMP", "icmp": {"code": 0}}), policy(kind="StagedNetworkPolicy", stagedAction="Learn"),
    kubernetes({"from": [{"ipBlock": {"cidr": "10.0.0.0/8"}, "podSelector": {}}]}), kubernetes({"from": [{}]}),
    kubernetes({"ports": [{"endPort": 5}]}), kubernetes({"ports": [{"port": 5, "endPort": 4}]}), kubernetes({"ports": [{"port": 0}]}),
    kubernetes({"ports": [{"protocol": "ICMP"}]}), kubernetes({"from": [{"ipBlock": {"cidr": "x"}}]}),
    set_of("x"), set_of("10.0.0.0/33", kind="NetworkSet"), document("Tier", {"defaultAction": "Allow"}, name="a"),
    document("Tier", {}, name="kube-admin"), document("Tier", {"order": "1"}, name="a"),
]
TAKEN = [
    pool(cidr="fd00::/64", blockSize=116), pool(cidr="10.1.2.3"), pool(cidr="FD00::/64", vxlanMode="Always"),
    pool(cidr="10.1.2.3/32"), pool(natOutgoing=None),
    *map(selects, ["", " ", "all()", "!has(a)", "! (a == 'x' && b != \"y\") || all ( )", "a in {}",
                   "a in { 'x','y' }", "a not in {'x'}", "a notin {'('}", "k contains ')'",
                   "k starts with 'a' && k ends  with 'b'", "has == 'x'", "in in {'x'}", "(((a == '\"')))",
                   "a.b/c-d_e == ''", "a\t==\t'x'", "x" * 512 + " == 'a'"]),
    peer(keepaliveTime="5h55m", node="a--b.c"),
    peer(asNumber=4294967295, ttlSecurity=255, password={"text": " "}),
    peer(peerIP="[2001:db8::2]:65535", exits=["::/0"], nodeSelector="", node="a"),
    rules({**RULE, "prefixLength": {"min": 8}}, {**RULE, "prefixLength": {}}),
    rules(*[{**RULE, "cidr": "::/0", "prefixLength": {"min": 1, "max": 128}}] * 64, to="exportV6"),
    bgp("node.a-b.c", listenPort=1),
    bgp(exits=[{**EXIT, "cidrs": ["0.0.0.0/1", "10.0.0.0/8", "192.0.2.1"]}] * 16),
    document("IPReservation", {"reservedCIDRs": ["10.0.0.1", "fd00::1", "::/0", "0.0.0.0/0"]}),
    document("IPReservation", {}),
    node(name="a." + "b" * 200, labels={"kubernetes.io/hostname": "a", "x": ""}),
    node({"bgp": {"ipv6Address": "fd00::1/64", "ipv4Address": "", "asNumber": "65535.0"}}),
]
REFUSED = [
    pool(cidr="fd00::/64", blockSize=115), pool(cidr="fd00::/64", ipipMode="Always"), pool(cidr="::/0"),
    pool(ipipMode="Always", vxlanMode="CrossSubnet"), pool(cidr="10.65.0.0/28", blockSize=26),
    pool(cidr="::ffff:1.2.3.0/120"), pool(cidr="10.0.0.0/8 "), pool(cidr="fe80::1%eth0/128"), pool(cidr=""),
    pool(cidr="128.0.0.0/1"), pool(blockSize=26.5), pool(blockSize=2 ** 40),
    *map(selects, ["a", "a ==", "a == x", "a = 'x'", "has()", "has(a", "has(a))", "(a == 'x'", "a == 'x')",
                   "&& has(a)", "has(a) &&", "has(a) || ", "has(a) has(b)", "a in {'x'", "a in {'x',}", "a in 'x'",
                   "global()", "a == 'x\"", "a contains x", "all", "kcontains 'x'", "has(a) & has(b)", "a not 'x'",
                   "x" * 1024, "ä == 'x'", "a == 'x' \n"]),
    peer(node="a", nodeSelector="all()"), peer(asNumber=2 ** 32), peer(peerIP="127.0.0.1:179"),
    peer(peerIP="[fe80::1]:179"), peer(password={"text": "x" * 81}), peer(password={"text": ""}),
    peer(exits=["10.0.0.0/8", "10.0.0.0/8"]), peer(keepaliveTime="1h1x"), peer(asNumber="99999999999999999999"),
    peer(exits=["0.0.0.0/8"]),
    rules({**RULE, "prefixLength": {"min": 7}}), rules({**RULE, "prefixLength": {"min": 20, "max": 19}}),
    rules({**RULE, "prefixLength": {"max": 33}}),
    rules({**RULE, "matchOperator": "Equal", "prefixLength": {"min": 9}}), rules(*[RULE] * 65),
    rules({"action": "Accept", "prefixLength": {}}),
    bgp("other"), bgp("node"), bgp("node.a", asNumber=1), bgp("node.a", exits=[]), bgp(exits=[EXIT] * 17),
    bgp(exits=[{**EXIT, "nodeSelector": ""}]),
    document("IPAMConfiguration", {}, name="other"), document("IPReservation", {"reservedCIDRs": ["10.0.0.0"] * 65}),
    node({"bgp": {"ipv4IPIPTunnelAddr": "0.0.0.0"}}), node({"ipv6VXLANTunnelAddr": "1.2.3.4"}),
    node({"vxlanTunnelMACAddr": "00:00:00:00:00:00"}), node({"vxlanTunnelMACAddr": "66-3e-04-aa-bb-cc"}),
    node({"bgp": {"ipv4Address": "10.0.0.1/33"}}), node({"bgp": {"routeReflectorClusterID": "0.0.0.0"}}),
    node(name="Big"), node(labels={"x": "a b"}),
]
# roostctl takes it, the API server does not; and the reverse.
ONLY_ROOSTCTL = {
    "a label's value that ends in a dash": node(labels={"x": "a-"}),
    "a policy that selects no pod": policy(selector="global()"),
    "an IPv4-mapped prefix": document("IPReservation", {"reservedCIDRs": ["::ffff:1.2.3.0/120"]}),
}
ONLY_KUBERNETES = {
    "parentheses in a wrong order": selects("a == 'x') && (b == 'y'"),
    "33 parentheses": selects("(" * 33 + "all()" + ")" * 33),
    "a range of ports that ends before it begins": to(ports=["90:80"]),
    "a rule's selector whose parentheses do not match": from_(selector="(has(a)"),
    "257 labels": node(labels={f"x{i}": "" for i in range(257)}),
}


def test_both_judge_alike(k, tmp_path):
    wrong = []
    for i, (doc, taken) in enumerate([(d, True) for d in TAKEN + POLICIES_TAKEN] +
                                     [(d, False) for d in REFUSED + POLICIES_REFUSED]):
        theirs, ours = judged(k, doc), by_roostctl(doc, tmp_path / str(i))
        if (theirs is None) != taken or (ours is None) != taken:
            wrong.append(f"{json.dumps(doc)[:200]}: roostctl: {ours}; the API server: {theirs}")
    equal(wrong, [], "the differences")


def test_differences_are_those_that_are_known(k, tmp_path):
    for only, documented in ((True, ONLY_ROOSTCTL), (False, ONLY_KUBERNETES)):
        for reason, doc in documented.items():
            equal((by_roostctl(doc, tmp_path / reason.replace(" ", "-")) is None, judged(k, doc) is None),
                  (only, not only), f"whether roostctl and the API server take {reason}")


def change(k, before, after):
    """What is said when one spec becomes another; None: nothing."""
    path = f"{collection(before['kind'])}/{before['metadata']['name']}"
    version = k.must("POST", collection(before["kind"]), before)["metadata"]["resourceVersion"]
    after["metadata"]["resourceVersion"] = version
    try:
        status, answer = k.ask("PUT", path + STRICT, after)
        return None if status == 200 else answer["message"]
    finally:
        k.must("DELETE", path)


def test_a_pool_does_not_move(k):
    for now, said in ((pool(cidr="10.66.0.0/16"), "cidr cannot change"), (pool(cidr="10.65.0.0/17"), "cidr cannot change"),
                      (pool(blockSize=27), "blockSize cannot change"), (pool(blockSize=26), None),
                      (pool(disabled=True, vxlanMode="Always"), None)):
        answer = change(k, pool(), now)
        true(answer is None if said is None else answer and said in answer,
             f"{now['spec']} to be answered with {said}, saw {answer}")
    equal(change(k, pool(cidr="fd00:0::/64"), pool(cidr="fd00::/64", blockSize=122)), None,
          "the answer to another spelling of the same prefix")


def block(name, **spec):
    return document("IPBlock", {"node": "n1", "state": "owned", **spec}, name=name)


def test_a_block_is_what_its_name_says_and_stays_with_its_node(k):
    for doc, taken in ((block("10-65-0-0-26", cidr="10.65.0.0/26"), True), (block("fd00--40-122", cidr="fd00::40/122"), True),
                       (block("10-65-0-0-26", cidr="10.65.0.64/26"), False), (block("10-65-0-1-26", cidr="10.65.0.1/26"), False),
                       (block("10-65-0-0-26", state="free"), False), (block("10-65-0-0-26", node=""), False)):
        equal(judged(k, doc) is None, taken, f"whether the API server takes {doc}")
    true("cannot change" in (change(k, block("10-65-3-0-26"), block("10-65-3-0-26", node="n2")) or ""),
         "another node to be refused")
    equal(change(k, block("10-65-3-0-26"), block("10-65-3-0-26", state="quarantined")), None, "the answer to another state")


def loan(name, **spec):
    return document("IPLoan", {"borrower": "n2", "lender": "n1", "state": "used", **spec}, name=name)


def test_a_loan_is_what_its_name_says_and_stays_with_its_nodes(k):
    for doc, taken in ((loan("n2.10-65-0-5-32", address="10.65.0.5"), True), (loan("n2.fd00---128", address="fd00::"), True),
                       (loan("n2.10-65-0-5-32", address="10.65.0.6"), False), (loan("n3.10-65-0-5-32", address="10.65.0.5"), False),
                       (loan("n2.10-65-0-5-32", state="owned"), False), (loan("n2.10-65-0-5-32", lender=""), False)):
        equal(judged(k, doc) is None, taken, f"whether the API server takes {doc}")
    name = "n2.10-65-3-5-32"
    for field in ("borrower", "lender"):
        true("cannot change" in (change(k, loan(name), loan(name, **{field: "n7"})) or ""), f"another {field} to be refused")
    equal(change(k, loan(name, state="asked"), loan(name, state="lent")), None, "the answer to another state")


def test_kubectl_names_the_field_and_the_reason(k):
    for doc, said in ((pool(cidr="10.65.0.1/16"),
                       'spec.cidr: Invalid value: "10.65.0.1/16": is 10.65.0.1/16, which has host bits'),
                      (pool(ipip={}), 'unknown field "spec.ipip"')):
        done = k.kubectl("apply", "-f", "-", stdin=json.dumps(doc), ok=False)
        true(done.returncode and said in done.stderr, f"kubectl to say {said}, saw {done.stderr}")


def test_columns_show_what_people_look_for(k):
    k.apply(document("IPPool", {**POOL, "blockSize": 26, "vxlanMode": "CrossSubnet", "natOutgoing": True}, name="shown"),
            node({"bgp": {"ipv4Address": "192.0.2.1/24", "asNumber": 64513}, "drain": True}, name="n1"),
            document("IPBlock", {"node": "n1", "cidr": "10.65.0.64/26", "state": "owned"}, name="10-65-0-64-26"),
            document("IPBlock", {"node": "n2", "cidr": "10.65.0.128/26", "state": "owned"}, name="10-65-0-128-26"),
            document("IPLoan", {"borrower": "n2", "lender": "n1", "address": "10.65.0.65", "state": "used"}, name="n2.10-65-0-65-32"),
            document("NodeStatus", {"version": "1.2", "bird": "up", "problemCount": 3, "addressesUsed": 7,
                                    "addressesFree": 57, "peers": 2, "peersUp": 1,
                                    "heartbeat": "2026-01-01T00:00:00Z", "further": {"x": 1}}, name="n1"))
    for words, row in ((("ippools",), ["shown", "10.65.0.0/16", "26", "CrossSubnet", "true"]),
                       (("rnode",), ["n1", "192.0.2.1/24", "64513", "true"]),
                       (("ipblocks", "--field-selector", "spec.node=n1"), ["10-65-0-64-26", "10.65.0.64/26", "n1", "owned"]),
                       (("iploans",), ["n2.10-65-0-65-32", "10.65.0.65", "n2", "n1", "used"]),
                       (("nodestatuses",), ["n1", "1.2", "up", "2", "1", "7", "57", "3"])):
        lines = k.kubectl("get", *words, "--no-headers").splitlines()
        equal([line.split()[:len(row)] for line in lines], [row], f"what kubectl get {words[0]} prints")
    whole = k.kubectl("get", "roost", "-o", "name").split()
    equal(sorted(whole), ["ipblock.roost.io/10-65-0-128-26", "ipblock.roost.io/10-65-0-64-26", "iploan.roost.io/n2.10-65-0-65-32",
                          "ippool.roost.io/shown", "nodestatus.roost.io/n1", "roostnode.roost.io/n1"], "what kubectl get roost prints")
    equal(k.must("GET", f"{collection('NodeStatus')}/n1")["spec"]["further"], {"x": 1},
          "what the agent of a later version adds")


def test_kubernetes_own_policies_keep_their_name(k):
    k.apply({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "own", "namespace": "shop"},
             "spec": {"podSelector": {}}}, {**policy(ALLOW), "metadata": {"name": "ours", "namespace": "shop"}})
    for words in ("networkpolicies", "networkpolicy", "netpol"):
        equal(k.kubectl("-n", "shop", "get", words, "-o", "name").split(), ["networkpolicy.networking.k8s.io/own"],
              f"what kubectl get {words} prints")
    for words in ("networkpolicies.roost.io", "rnp"):
        equal(k.kubectl("-n", "shop", "get", words, "-o", "name").split(), ["networkpolicy.roost.io/ours"],
              f"what kubectl get {words} prints")


def test_a_tier_is_for_who_may_change_it(k):
    k.kubectl("apply", "-f", f"{documents.ROOT}/deploy/namespace.yaml", "-f", f"{documents.ROOT}/deploy/rbac.yaml")
    k.kubectl("create", "clusterrole", "writes", "--verb=create,update,get", "--resource=networkpolicies.roost.io")
    k.kubectl("-n", "shop", "create", "rolebinding", "anna", "--clusterrole=writes", "--user=anna")
    anna = k.config("anna")

    def asked(**spec):
        return k.ask("POST", f"{collection('NetworkPolicy', 'shop')}?dryRun=All", policy(ALLOW, **spec), config=anna)

    until(lambda: asked()[0] == 201, "the right to be there")
    status, answer = asked(tier="security")
    true(status == 403 and "may update tiers.roost.io security" in answer["message"], f"the tier to be refused, saw {answer}")
    k.kubectl("create", "clusterrole", "tier", "--verb=update", "--resource=tiers.roost.io", "--resource-name=security")
    k.kubectl("create", "clusterrolebinding", "anna", "--clusterrole=tier", "--user=anna")
    until(lambda: asked(tier="security")[0] == 201, "the tier to be taken")


def test_kubectl_explains_a_field_as_its_page_does(k):
    said = " ".join(k.kubectl("explain", "ippools.spec.blockSize").split())
    true("Length of a block's prefix: 20 to 32" in said, f"the words of docs/resources/ippool.md, saw {said}")
