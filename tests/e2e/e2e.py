# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: a node, its neighbour, stories, and the look for leftovers.

The network that a test stands in:

    pod --- roostXXXXXXXX [ node ] eth0 ------- node0 [ router ]
                          192.0.2.2/24   MTU 1400   192.0.2.1/24
                          2001:db8::2/64            2001:db8::1/64

The node is what a host is to a runtime. It has a default route, and does not forward before roost
turns that on. The router stands for the rest of the world; it knows the way back to the pods, so
that what arrives there carries the pod's own address. Both are network namespaces in a world that
ends with the test (tests/world.py).

A story gets the test's runtime, uses it as a person would, and says with expect() what must be seen.
audited() removes its pods afterwards, and looks for what roost may never leave behind: links, pod
routes, allocations, files. Blackholes of blocks and the table of anti-spoofing rules belong to the
node and stay. What an earlier story left is not held against a later one.

ROOST_BIN is the folder of the executables under test.
"""
import contextlib
import json
import os
import re
import shutil
import subprocess
import tempfile
import time

PROTOCOL = "82"
MTU = 1400
NODE4, NODE6 = "192.0.2.2", "2001:db8::2"
ROUTER4, ROUTER6 = "192.0.2.1", "2001:db8::1"
POOL4, POOL6 = "10.66.0.0/16", "fd66::/64"
OTHER4 = "10.67.0.0/16"
VERSIONS = ["0.3.1", "0.4.0", "1.0.0"]  # what Debian's plugins know
CAPABILITIES = {"portMappings": True, "bandwidth": True, "ips": True, "mac": True, "dns": True,
                "io.kubernetes.cri.pod-annotations": True}
STATE_FILES = r"(lock|wiring\.lock|node-[0-9a-f-]+\.mdb(-lock)?)$"

_ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
_BIN = os.path.abspath(os.environ.get("ROOST_BIN", f"{_ROOT}/build/release/bin"))
_UNDER_TEST = ("roost", "roost-ipam", "roostctl")
_REFERENCE_PLUGINS = "/usr/lib/cni"


# --- Saying what is expected ----------------------------------------------------------------------

class Failed(AssertionError):
    """What was expected and what was seen, in one line."""


def expect(what, expected, seen):
    __tracebackhide__ = True
    if expected != seen:
        raise Failed(f"{what}: expected {expected!r}, saw {seen!r}")


def expect_in(what, part, whole):
    __tracebackhide__ = True
    if part not in whole:
        raise Failed(f"{what}: expected to find {part!r} in {whole!r}")


def eventually(what, question, seconds=20):
    """Asks until the answer is true: for what a runtime does in the background."""
    end = time.monotonic() + seconds
    while not (answer := question()):
        if time.monotonic() > end:
            raise Failed(f"{what}: did not happen in {seconds} s")
        time.sleep(0.05)
    return answer


# --- Running programs -----------------------------------------------------------------------------

def run(*argv, timeout=60, env=None, stdin=None):
    """The program's standard output; Failed, with its last words, when it does not exit with 0."""
    done = attempt(*argv, timeout=timeout, env=env, stdin=stdin)
    if done.returncode != 0:
        words = (done.stderr.strip() or done.stdout.strip())[-600:]
        raise Failed(f"`{' '.join(argv)}` exits {done.returncode}: {words}")
    return done.stdout


def attempt(*argv, timeout=60, env=None, stdin=None):
    """Like run(), for a program that may fail: gives returncode, stdout and stderr."""
    try:
        return subprocess.run(argv, capture_output=True, text=True, timeout=timeout, input=stdin,
                              env=dict(os.environ, **(env or {})))
    except subprocess.TimeoutExpired:
        raise Failed(f"`{' '.join(argv)}` is not done after {timeout} s") from None


def in_netns(name, *argv):
    """The words that run argv in a namespace. `ip netns exec` would hide the cgroups below /sys."""
    return ["nsenter", f"--net=/run/netns/{name}", *argv]


# --- The node -------------------------------------------------------------------------------------

class Node:
    """The namespaces, the folders a runtime is configured with, and roost's state on this node."""

    def __init__(self):
        self.scratch = tempfile.mkdtemp(prefix="roost-e2e-")
        self.cni_bin = self._folder("bin")
        self.net_d = self._folder("net.d")
        self.state = self.scratch + "/state"
        self._install_plugins()
        self._make_router()

    def _folder(self, name):
        path = f"{self.scratch}/{name}"
        os.makedirs(path)
        return path

    def _install_plugins(self):
        """Copies of what is under test: it may be built anew while a test runs."""
        for name in os.listdir(_REFERENCE_PLUGINS):
            os.symlink(f"{_REFERENCE_PLUGINS}/{name}", f"{self.cni_bin}/{name}")
        for name in _UNDER_TEST:
            shutil.copy(f"{_BIN}/{name}", self.cni_bin)

    def _make_router(self):
        run("ip", "netns", "add", "node")
        run("ip", "netns", "add", "router")
        run("ip", "link", "add", "eth0", "mtu", str(MTU), "netns", "node", "type", "veth",
            "peer", "name", "node0", "mtu", str(MTU), "netns", "router")
        for name, link, v4, v6 in (("node", "eth0", NODE4, NODE6),
                                   ("router", "node0", ROUTER4, ROUTER6)):
            ip = lambda *words, ns=name: run("ip", "-n", ns, *words)
            ip("addr", "add", v4 + "/24", "dev", link)
            ip("addr", "add", v6 + "/64", "dev", link, "nodad")
            ip("link", "set", "lo", "up")
            ip("link", "set", link, "up")
        run("ip", "-n", "node", "route", "add", "default", "via", ROUTER4)
        run("ip", "-n", "node", "route", "add", "default", "via", ROUTER6)
        self.run("sysctl", "-qw", "net.ipv4.ip_forward=0", "net.ipv6.conf.all.forwarding=0")
        for pool in (POOL4, OTHER4):
            run("ip", "-n", "router", "route", "add", pool, "via", NODE4)
        run("ip", "-n", "router", "route", "add", POOL6, "via", NODE6)

    def run(self, *argv, **more):
        return run(*in_netns("node", *argv), **more)

    def attempt(self, *argv, **more):
        return attempt(*in_netns("node", *argv), **more)

    def roostctl(self, *words):
        return self.attempt(self.cni_bin + "/roostctl", "--state-dir", self.state, "-o", "json",
                            *words)

    def network(self, name, *pools, chained=(), version="1.0.0"):
        """A configuration list: roost with these pools, then what else is chained."""
        roost = {"type": "roost", "stateDir": self.state, "capabilities": CAPABILITIES,
                 "ipam": {"type": "roost-ipam", "pools": [{"cidr": p} for p in pools]}}
        return {"cniVersion": version, "cniVersions": VERSIONS, "name": name,
                "plugins": [roost, *chained]}

    def install(self, conflist, order=10):
        """Written beside its place and renamed, for containerd reads a file only when moved in."""
        path = f"{self.net_d}/{order}-{conflist['name']}.conflist"
        with open(path + ".new", "w") as file:
            json.dump(conflist, file, indent=2)
        os.rename(path + ".new", path)
        return path

    def allocations(self, state="used"):
        if not os.path.isdir(self.state):
            return []
        done = self.roostctl("ipam", "list")
        expect("what roostctl says beside its list", (0, ""), (done.returncode, done.stderr))
        return [a for a in json.loads(done.stdout) if a["state"] == state]

    def disagreements(self):
        """What roost's own check says when state and kernel differ: one sentence or none."""
        if not os.path.isdir(self.state):
            return []
        done = self.roostctl("ipam", "check")
        return [f"roostctl ipam check: {done.stdout}{done.stderr}"] if done.returncode else []

    def allocation(self, address):
        owners = [a for a in self.allocations() if a["address"] == address]
        expect(f"number of allocations of {address}", 1, len(owners))
        return owners[0]


# --- What may not be left -------------------------------------------------------------------------

def audit(node):
    """Everything found that belongs to a pod, as a set of sentences."""
    return {*_links(node), *_pod_routes(node), *_allocations(node), *_files(node),
            *_port_rules(node), *node.disagreements()}


@contextlib.contextmanager
def audited(runtime):
    """Around each story."""
    before = audit(runtime.node)
    yield runtime
    runtime.remove_all()
    left = audit(runtime.node) - before
    if left:
        raise Failed("left behind: " + ", ".join(sorted(left)))


def _links(node):
    for link in json.loads(node.run("ip", "-j", "-details", "link")):
        if link["ifname"].startswith("roost"):
            yield f"link {link['ifname']}"


def _pod_routes(node):
    for family in ("-4", "-6"):
        table = node.run("ip", "-j", "-N", family, "route", "show", "table", "all",
                         "proto", PROTOCOL)
        for route in json.loads(table or "[]"):
            # Numbers, not names, because of -N: 6 is blackhole in rtnetlink.
            if str(route.get("type", "unicast")) not in ("blackhole", "6"):
                yield f"route {route['dst']} dev {route.get('dev')}"


def _allocations(node):
    for entry in node.allocations():
        yield f"allocation {entry['address']} of {entry['containerID']} {entry['interface']}"


def _files(node):
    """Files of ours are few and have known names; libcni caches one file per attachment."""
    for folder, expected in ((node.state, STATE_FILES), ("/var/lib/cni/results", r"$")):
        if os.path.isdir(folder):
            for name in os.listdir(folder):
                if not re.match(expected, name):
                    yield f"file {folder}/{name}"


def _port_rules(node):
    """portmap leaves a container's chain when it is not called, or not told enough, at DEL."""
    for chain in re.findall(r"-N (CNI-DN-\S+)", node.run("iptables", "-t", "nat", "-S")):
        yield f"chain {chain}"
    for pod in set(re.findall(r'comment "([^"]*)"', node.run("nft", "list", "ruleset"))):
        yield f"host ports of {pod}"


# --- A web server in a pod, and its client --------------------------------------------------------

PAGE = "a page from a pod"
_CURL_REFUSED = 7
_APPLETS = ("sh", "sleep", "ip", "ping", "nc", "httpd", "cat")


def busybox_root(scratch):
    """A tar archive of a root file system: busybox, and one page for its httpd in /www."""
    root = scratch + "/root"
    for name in ("bin", "www", "etc", "proc", "sys", "dev", "tmp"):
        os.makedirs(f"{root}/{name}")
    shutil.copy(shutil.which("busybox"), root + "/bin/busybox")
    for name in _APPLETS:
        os.symlink("busybox", f"{root}/bin/{name}")
    with open(root + "/www/index.html", "w") as file:
        file.write(PAGE + "\n")
    run("tar", "-C", root, "-cf", root + ".tar", ".")
    return root + ".tar"


def page_from(where, url):
    """What a web client in a network namespace of ours gets.

    A server that has just started may not listen yet; so a refused connection is tried again.
    """
    def ask():
        done = attempt(*in_netns(where, "curl", "-sS", "-g", "--max-time", "10", url))
        return None if done.returncode == _CURL_REFUSED else done
    done = eventually(f"a connection from the {where} to {url}", ask, seconds=10)
    return (done.stdout or done.stderr).strip()
