# SPDX-License-Identifier: Apache-2.0
"""Hosts and pods made of network namespaces, and CNI calls into them.

Tests run in a world of their own (tests/world.py): whatever they make (namespaces are bind mounts
below /run/netns, as runtimes make them; state folders below /run/lab) exists nowhere else, and the
kernel takes it back when they end, however they end.

A test gets a Lab: a fresh host namespace with an uplink to a router, its own state folder, and the
calls a runtime would make. Whoever calls enters a namespace with setns() and starts its processes
from there.

Every ADD that succeeds is read as strictly as the strictest runtime reads it, and every refusal
must be one JSON document with exit status 1; so those rules need no tests of their own.
"""

import collections
import concurrent.futures
import contextlib
import ipaddress
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, f"{ROOT}/tests")
import namespaces
from namespaces import inside

BIN = os.path.abspath(os.environ.get("ROOST_BIN") or f"{ROOT}/build/release/bin")
CNI_DIR = "/usr/lib/cni"  # Debian's reference plugins
WORK = "/run/lab"
SLOW = int(os.environ.get("ROOST_SLOW", 1))  # how many times slower than a real machine this one is
WAIT_S = 20 * SLOW  # for packets and for the kernel's own timers; only a fault gets there
HANG_S = 60 * SLOW  # no call may take that long; only a fault of ours gets there

VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"]
GATEWAY4 = "169.254.1.1"
GATEWAY6 = "fe80::ecee:eeff:feee:eeee"
HOST_MAC = "ee:ee:ee:ee:ee:ee"
PROTOCOL = "82"


class Failed(AssertionError):
    """Something is not as it must be; the text says what was expected and what was seen."""


# ---- namespaces ----

def run(*argv, stdin="", check=True, **more):
    """A program's standard output; check: it must end well."""
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=HANG_S, **more)
    if check and done.returncode:
        raise Failed(f"expected success of {' '.join(argv)}, saw status {done.returncode}: "
                     f"{done.stderr.strip()}")
    return done.stdout


class Namespace:
    """A network namespace that is mounted at self.path."""

    def __init__(self, name):
        self.name = name
        self.path = f"/run/netns/{name}"
        namespaces.make(self.path)

    def remove(self):
        """Ends the namespace, as far as nobody else holds it; the path is gone."""
        if os.path.exists(self.path):
            namespaces.unmount(self.path)
            os.unlink(self.path)

    def run(self, *argv, **more):
        with inside(self.path):
            return run(*argv, **more)

    def ip(self, *lines):
        """Commands of ip(8), one a string; all must succeed."""
        self.run("ip", "-batch", "-", stdin="\n".join(lines) + "\n")

    def ask(self, words):
        """The JSON answer of one ip command: ask("-6 route show")."""
        text = self.run("ip", "-j", "-d", *words.split())
        return json.loads(text) if text.strip() else []

    def link(self, name):
        """A link as ip shows it, or None."""
        return next((l for l in self.ask("link show") if l.get("ifname") == name), None)

    def routes(self, words="show"):
        """Routes of both families of the main table as a sorted list of short texts."""
        found = self.ask("-4 route " + words) + self.ask("-6 route " + words)
        return sorted(_short_route(r) for r in found if r.get("protocol") != "kernel")

    def addresses(self, dev):
        """The addresses of a device with their prefix lengths, sorted."""
        for link in self.ask(f"addr show dev {dev}"):
            return sorted(f"{a['local']}/{a['prefixlen']}" for a in link["addr_info"])
        return []

    def get_sysctl(self, name):
        with inside(self.path), open(f"/proc/sys/net/{name}") as f:
            return f.read().strip()

    def set_sysctl(self, name, value):
        with inside(self.path), open(f"/proc/sys/net/{name}", "w") as f:
            f.write(str(value))

    def pings(self, address, *options):
        """Whether address answers."""
        with inside(self.path):
            done = subprocess.run(["ping", "-n", "-c", "1", "-W", "2", *options, address],
                                  capture_output=True, timeout=HANG_S)
        return done.returncode == 0


def _steady(line):
    """A line of ip's JSON without what the kernel itself settles in the moments after ADD: the
    pod's own link-local address with its routes, and the operational state of links."""
    kept = []
    for item in json.loads(line):
        if item.get("protocol") == "kernel" and "dst" in item:
            continue
        item["addr_info"] = [a for a in item.get("addr_info", [])
                             if a["scope"] != "link" or a["local"] == GATEWAY6]
        item["flags"] = sorted(set(item.get("flags", [])) - {"NO-CARRIER", "LOWER_UP"})
        item.pop("operstate", None)
        kept.append(item)
    return json.dumps(kept)


def _short_route(r):
    words = [r["dst"]]
    if r.get("type", "unicast") != "unicast":
        words.insert(0, r["type"])
    for key, word in (("gateway", "via"), ("dev", "dev"), ("protocol", "proto")):
        if r.get(key) and not (key == "dev" and r.get("type") == "blackhole"):
            words += [word, r[key]]
    if r.get("scope") == "link":
        words += ["scope", "link"]
    return " ".join(words)


# ---- answers ----

class Answer:
    """What a CNI executable said."""

    def __init__(self, done):
        self.status = done.returncode
        self.out = done.stdout.decode(errors="replace")
        self.err = done.stderr.decode(errors="replace")

    def __str__(self):
        text = " ".join((self.out or self.err).split())
        return f"exit {self.status} with {text[:300]!r}"

    def json(self):
        """The one document on stdout."""
        try:
            return json.loads(self.out)
        except ValueError:
            raise Failed(f"expected one JSON document on stdout, saw {self}") from None

    def ok(self, what="the call"):
        """Success without a word, as of every verb but ADD and VERSION."""
        if self.status != 0 or self.out:
            raise Failed(f"expected {what} to succeed silently, saw {self}")
        return self

    def refused(self, codes, *words, version=None):
        """One error document with this code (or one of them) that has all the words. version:
        what its cniVersion must be; False for reference plugins, which leave it out."""
        if self.status != 1:
            raise Failed(f"expected exit 1 with an error of code {codes}, saw {self}")
        doc = self.json()
        unknown = set(doc) - {"cniVersion", "code", "msg", "details"}
        if unknown or not isinstance(doc.get("msg"), str) or not doc["msg"]:
            raise Failed(f"expected cniVersion, code, msg and details, saw {self}")
        versions = [version] if version else VERSIONS
        if version is not False and doc.get("cniVersion") not in versions:
            raise Failed(f"expected cniVersion {version or 'in the error'}, saw {self}")
        if doc["code"] not in ((codes,) if isinstance(codes, int) else codes):
            raise Failed(f"expected code {codes}, saw {self}")
        text = doc["msg"] + "; " + doc.get("details", "")
        for word in words:
            if word.lower() not in text.lower():
                raise Failed(f"expected {word!r} in the error, saw {text!r}")
        if "not found" in text or "no such file or directory" in text:
            raise Failed(f"expected no words that runtimes take for success, saw {text!r}")
        return doc


def equal(seen, expected, what):
    __tracebackhide__ = True
    if seen != expected:
        raise Failed(f"expected {what} {expected!r}, saw {seen!r}")


def true(condition, expected, seen=None):
    __tracebackhide__ = True
    if not condition:
        raise Failed(f"expected {expected}" + ("" if seen is None else f", saw {seen!r}"))


_TOP = {"cniVersion", "interfaces", "ips", "routes", "dns"}
_INTERFACE = {"name", "mac", "sandbox"}
_DNS = {"nameservers", "domain", "search", "options"}


def _only(doc, keys, where):
    if not isinstance(doc, dict) or set(doc) - set(keys):
        raise Failed(f"expected only {sorted(keys)} in {where}, saw {doc!r}")


def _address(text, prefix):
    try:
        found = ipaddress.ip_interface(text) if prefix else ipaddress.ip_address(text)
    except ValueError:
        found = None
    if found is None or ("/" in text) != prefix:
        raise Failed(f"expected an address{' with prefix length' if prefix else ''}, saw {text!r}")
    if str(found) != text:
        raise Failed(f"expected the canonical {found}, saw {text!r}")


def _check_route(route, version):
    more = {"mtu", "advmss", "priority", "table", "scope"} if version == "1.1.0" else set()
    _only(route, {"dst", "gw"} | more, "a route")
    _address(route["dst"], True)
    if "gw" in route:
        _address(route["gw"], False)


def _check_old(doc, version):
    _only(doc, {"cniVersion", "ip4", "ip6", "dns"}, "the result")
    true("ip4" in doc or "ip6" in doc, "ip4 or ip6", doc)
    for key in ("ip4", "ip6"):
        if key not in doc:
            continue
        _only(doc[key], {"ip", "gateway", "routes"}, key)
        _address(doc[key]["ip"], True)
        if "gateway" in doc[key]:
            _address(doc[key]["gateway"], False)
        for route in doc[key].get("routes", []):
            _check_route(route, version)


def _check_lists(doc, version, ipam):
    _only(doc, _TOP, "the result")
    interfaces = doc.get("interfaces", [])
    true(bool(interfaces) != ipam, "interfaces from a main plugin alone", doc)
    more = {"mtu", "socketPath", "pciID"} if version == "1.1.0" else set()
    for interface in interfaces:
        _only(interface, _INTERFACE | more, "an interface")
        true(re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", interface.get("mac", "")),
             "a MAC in lower case", interface)
    for ip in doc.get("ips", []):
        _only(ip, {"address", "gateway", "interface"} | ({"version"} if version < "1" else set()),
              "an address")
        _address(ip["address"], True)
        if "gateway" in ip:
            _address(ip["gateway"], False)
        if version < "1":
            equal(ip.get("version"), "6" if ":" in ip["address"] else "4", "ips[].version")
        true(("interface" in ip) != ipam and ip.get("interface", 0) < max(1, len(interfaces)),
             "an index of an interface", ip)
    for route in doc.get("routes", []):
        _check_route(route, version)


def check_result(doc, version, ipam=False):
    """Reads a result as a strict consumer of this version does."""
    equal(doc.get("cniVersion"), version, "the result's cniVersion")
    if version in ("0.1.0", "0.2.0"):
        _check_old(doc, version)
    else:
        _check_lists(doc, version, ipam)
    if "dns" in doc:
        _only(doc["dns"], _DNS, "dns")

    def empty(value):
        return value == [] or value == "" or value is None
    for name, value in doc.items():
        true(not empty(value), f"no empty {name}", value)


# ---- a host ----

Pod = collections.namedtuple("Pod", "ns path container ifname")


class Lab:
    """A host, its router, its pods and its state."""

    _serial = itertools.count(1)

    def __init__(self, uplink=True):
        self.number = next(Lab._serial)
        self.dir = f"{WORK}/{self.number}"
        self.state = f"{self.dir}/state"
        os.makedirs(self.dir)
        self._namespaces = []
        self.host = self.namespace("host")
        self.host.ip("link set lo up")
        self.router = None
        if uplink:
            self._add_uplink()
        self._pods = itertools.count(1)

    def namespace(self, name):
        ns = Namespace(f"{name}-{self.number}")
        self._namespaces.append(ns)
        return ns

    def _add_uplink(self):
        self.router = self.namespace("router")
        self.host.ip(f"link add uplink type veth peer name port netns {self.router.name}",
                     "link set uplink addrgenmode none", "link set uplink up",
                     "addr add 10.99.0.2/24 dev uplink",
                     "addr add fd99::2/64 dev uplink nodad",
                     "addr add fe80::2/64 dev uplink nodad")
        self.router.ip("link set lo up", "link set port addrgenmode none", "link set port up",
                       "addr add 10.99.0.1/24 dev port", "addr add fd99::1/64 dev port nodad",
                       "addr add fe80::1/64 dev port nodad",
                       "route add 10.66.0.0/16 via 10.99.0.2", "route add fd66::/48 via fd99::2")
        self.host.ip("route add default via 10.99.0.1", "route add default via fd99::1")

    def close(self):
        for ns in self._namespaces:
            ns.remove()
        shutil.rmtree(self.dir, ignore_errors=True)

    def pod(self, container=None, ifname="eth0"):
        """A pod's namespace and names; nothing is wired yet."""
        number = next(self._pods)
        ns = self.namespace(f"pod{number}")
        return Pod(ns, ns.path, container or f"container-{number}", ifname)

    # ---- configurations ----

    def conf(self, version="1.0.0", pools=("10.66.0.0/24", "fd66::/120"), name="net", **more):
        """A network configuration; pools are CIDRs or objects. More keys replace ours."""
        return {"cniVersion": version, "name": name, "type": "roost", "stateDir": self.state,
                "ipam": self.ipam(pools), **more}

    def ipam(self, pools=("10.66.0.0/24",), **more):
        pools = [p if isinstance(p, dict) else {"cidr": p} for p in pools]
        return {"type": "roost-ipam", "stateDir": self.state, "pools": pools, **more}

    # ---- calls ----

    def call(self, verb, conf, pod=None, plugin="roost", wrapper=(), folder=None, cwd="/",
             stdout=subprocess.PIPE, timeout=HANG_S, **env):
        """One call of a CNI executable. conf: a document, text or bytes. env: CNI_ARGS="..."; a
        value of None leaves the variable out."""
        variables = {"CNI_COMMAND": verb, "CNI_CONTAINERID": pod.container if pod else None,
                     "CNI_NETNS": pod.path if pod else None,
                     "CNI_IFNAME": pod.ifname if pod else None, "CNI_ARGS": "",
                     "CNI_PATH": f"{BIN}:{CNI_DIR}", **env}
        ours = plugin.startswith("roost")
        variables.setdefault(
            "PATH", "/nonexistent" if ours and not wrapper else "/usr/sbin:/usr/bin")
        folder = folder or (BIN if ours else CNI_DIR)
        if isinstance(conf, dict):
            conf = json.dumps(conf)
        if isinstance(conf, str):
            conf = conf.encode()
        with inside(self.host.path):
            done = subprocess.run([*wrapper, f"{folder}/{plugin}"], input=conf, stdout=stdout,
                                  stderr=subprocess.PIPE, timeout=timeout, cwd=cwd,
                                  env={k: v for k, v in variables.items() if v is not None})
        if stdout != subprocess.PIPE:
            done.stdout = b""
        return Answer(done)

    def add(self, pod, conf=None, **more):
        """ADD must succeed; its result, checked."""
        conf = conf or self.conf()
        answer = self.call("ADD", conf, pod, **more)
        if answer.status != 0:
            raise Failed(f"expected ADD to succeed, saw {answer}")
        doc = answer.json()
        check_result(doc, conf.get("cniVersion") or "0.1.0", more.get("plugin") == "roost-ipam")
        return doc

    def delete(self, pod, conf=None, **more):
        """DEL must succeed."""
        return self.call("DEL", conf or self.conf(), pod, **more).ok("DEL")

    def check(self, pod, result, conf=None, **more):
        """The answer of CHECK."""
        conf = dict(conf or self.conf(result["cniVersion"]), prevResult=result)
        return self.call("CHECK", conf, pod, **more)

    def gc(self, valid, conf=None, **more):
        """GC must succeed; valid: pods, None for null."""
        if valid is not None:
            valid = [{"containerID": p.container, "ifname": p.ifname} for p in valid]
        conf = dict(conf or self.conf(), cniVersion="1.1.0", **{"cni.dev/valid-attachments": valid})
        return self.call("GC", conf, **more).ok("GC")

    def chain(self, pod, confs, version="0.4.0", **env):
        """ADD of a whole list, in order; the final result."""
        result = None
        for conf in confs:
            result = self.chained("ADD", pod, conf, result, version, **env).json()
        return result

    def chained(self, verb, pod, conf, result, version="0.4.0", **env):
        """One plugin of a list; an error raises."""
        conf = dict(conf, cniVersion=version, name=conf.get("name", "net"))
        if result:
            conf["prevResult"] = result
        answer = self.call(verb, conf, pod, plugin=conf["type"], **env)
        if answer.status:
            raise Failed(f"expected {verb} of {conf['type']} to succeed, saw {answer}")
        return answer

    # ---- looks ----

    def ctl(self, *words, state=None):
        """The JSON answer of a roostctl query, or None when there is no state."""
        with inside(self.host.path):
            done = subprocess.run([f"{BIN}/roostctl", "--state-dir", state or self.state, "-o",
                                   "json", *words], capture_output=True, timeout=HANG_S)
        answer = Answer(done)
        if answer.status:
            if not os.path.exists(state or self.state):
                return None
            raise Failed(f"expected roostctl {' '.join(words)} to answer, saw {answer}")
        return answer.json()

    def records(self, state=None):
        """What the node state has: {address: entry} without the moving parts."""
        entries = self.ctl("ipam", "list", state=state) or []
        found = {e["address"]: e for e in entries}
        equal(len(found), len(entries), "each address once in the list of")
        return found

    def used(self, state=None):
        """{address: container} of the addresses in use."""
        return {a: e["containerID"] for a, e in self.records(state).items() if e["state"] == "used"}

    def in_state(self, what, state=None):
        """The addresses in a state, sorted."""
        return sorted((a for a, e in self.records(state).items() if e["state"] == what),
                      key=lambda a: (":" in a, int(ipaddress.ip_address(a))))

    def host_links(self):
        """Names of the host ends of pods."""
        return sorted(l["ifname"] for l in self.host.ask("link show")
                      if l.get("address") == HOST_MAC)

    def pod_routes(self):
        """{address: device} of the host's routes to pods."""
        found = self.host.ask("-4 route show proto 82") + self.host.ask("-6 route show proto 82")
        return {r["dst"]: r["dev"] for r in found if r.get("type") != "blackhole"}

    def blackholes(self):
        found = self.host.ask("-4 route show proto 82") + self.host.ask("-6 route show proto 82")
        return sorted(r["dst"] for r in found if r.get("type") == "blackhole")

    def snapshot(self, *pods):
        """Everything that a refused call must leave alone, by name."""
        seen = {}
        for ns in [self.host] + [p.ns for p in pods]:
            text = ns.run("ip", "-j", "-d", "-batch", "-", stdin=(
                "link show\naddr show\nroute show table all\nrule show\n"
                "neigh show nud permanent\n"))
            seen[f"{ns.name}: kernel"] = "\n".join(_steady(line) for line in text.splitlines())
        seen["nft"] = re.sub(r"packets \d+ bytes \d+", "", self.host.run("nft", "list", "ruleset"))
        seen["sysctl"] = [self.host.get_sysctl(n) for n in
                          ("ipv4/ip_forward", "ipv6/conf/all/forwarding")]
        seen["records"] = {a: (e["state"], e["containerID"]) for a, e in self.records().items()}
        return seen

    def unchanged(self, before, *pods):
        """Compares with an earlier snapshot."""
        after = self.snapshot(*pods)
        for name, value in before.items():
            if after[name] != value:
                raise Failed(f"expected {name} unchanged, saw {_difference(value, after[name])}")

    def nothing_left(self, *pods):
        """No link, pod route or allocation, and nothing in the pods."""
        equal(self.host_links(), [], "host links")
        equal(self.pod_routes(), {}, "pod routes")
        equal(self.used(), {}, "used addresses")
        for pod in pods:
            if os.path.exists(pod.path):
                equal(pod.ns.link(pod.ifname), None, f"{pod.ifname} in the pod")

    def consistent(self):
        """Records of pods, host routes and host links tell the same story."""
        used, routes = set(self.used()), self.pod_routes()
        equal(set(routes), used, "host routes for the used addresses")
        equal(sorted(set(routes.values())), self.host_links(), "host links of the routes")


def _difference(before, after):
    a, b = str(before), str(after)
    same = len(os.path.commonprefix([a, b]))
    return f"...{a[max(0, same - 60):same + 120]!r} become ...{b[max(0, same - 60):same + 120]!r}"


def script(path, text):
    """An executable shell script, for plugins that are made up."""
    with open(path, "w") as f:
        f.write("#!/bin/sh\n" + text)
    os.chmod(path, 0o755)
    return path


def at_once(jobs):
    """Runs functions in threads, all started together; their results."""
    with concurrent.futures.ThreadPoolExecutor(len(jobs)) as pool:
        return [f.result() for f in [pool.submit(job) for job in jobs]]


def wait_for(question, what):
    """Asks until the answer is yes, for at most WAIT_S."""
    end = time.monotonic() + WAIT_S
    while not question():
        if time.monotonic() > end:
            raise Failed(f"expected {what}, saw nothing of it")
        time.sleep(0.02)


class Cases:
    """Collects the failures of many small cases within one test."""

    SHOWN = 8

    def __init__(self):
        self.failures = []
        self.count = 0

    @contextlib.contextmanager
    def case(self, name):
        self.count += 1
        try:
            yield
        except (Failed, OSError, LookupError, ValueError, subprocess.SubprocessError) as e:
            self.failures.append(f"[{name}] {e}")

    def done(self):
        if self.failures:
            shown = self.failures[:Cases.SHOWN]
            if len(shown) < len(self.failures):
                shown.append(f"and {len(self.failures) - len(shown)} more")
            raise Failed(f"expected all of {self.count} cases to hold, saw:\n      "
                         + "\n      ".join(shown))
