# SPDX-License-Identifier: Apache-2.0
"""The lists of the documentation, run by libcni 1.3 with the plugins that Debian ships.

libcni 1.3 is what containerd 2 and CRI-O speak through: it chooses the newest version of
`cniVersions`, asks every plugin of a list for STATUS, and calls GC. cnitool is its command
(fetch_cnitool.py builds it). A list that a newcomer copies must work with it as it stands.
"""
import json
import os
import re

import pytest

import e2e
from e2e import Failed, ROUTER4, expect, expect_in
from fetch_cnitool import CNITOOL, ROOT

pytestmark = pytest.mark.needs(CNITOOL, "iptables", "ping", "nsenter")

PAGES = ("README.md", "docs/INSTALL.md", "docs/CNI.md")
POOLS = [{"cidr": e2e.POOL4}, {"cidr": e2e.POOL6}]
PORTS = {"portMappings": [{"hostPort": 8081, "containerPort": 80, "protocol": "tcp"}]}


def documented():
    """{where: list} of every configuration list in the documentation."""
    found = {}
    for page in PAGES:
        with open(f"{ROOT}/{page}") as f:
            blocks = re.findall(r"^(?:```json|cat > \S+ <<'X')\n(\{.*?^\})$", f.read(), re.M | re.S)
        for i, block in enumerate(blocks):
            if '"plugins"' in block:
                found[f"{page}-{i + 1}"] = json.loads(block)
    return found


LISTS = documented()


class CniTool:
    def __init__(self, node):
        self.node = node
        self.pods = []

    def use(self, network):
        self.network = network
        self.node.install(network)

    def pod(self, name):
        e2e.run("ip", "netns", "add", name)
        e2e.run("ip", "-n", name, "link", "set", "lo", "up")
        self.pods.append(name)
        return name

    def attempt(self, verb, pod):
        """Debian's portmap cannot check a port of one family where both have iptables; who calls
        CHECK (CRI-O) gives it no ports."""
        chained = len(self.network["plugins"]) > 1
        env = {"CNI_PATH": self.node.cni_bin, "NETCONFPATH": self.node.net_d,
               "CAP_ARGS": json.dumps({} if verb == "check" and chained else PORTS)}
        return self.node.attempt(CNITOOL, verb, self.network["name"], f"/run/netns/{pod}", env=env)

    def __call__(self, verb, pod):
        done = self.attempt(verb, pod)
        if done.returncode:
            raise Failed(f"cnitool {verb}: {(done.stderr or done.stdout).strip()}")
        return json.loads(done.stdout) if verb == "add" else None

    def direct(self, verb, pod):
        """A call past libcni, as of another runtime on this node."""
        conf = dict(self.network["plugins"][0], name=self.network["name"], cniVersion="1.0.0")
        env = {"CNI_COMMAND": verb, "CNI_CONTAINERID": pod, "CNI_IFNAME": "eth0",
               "CNI_NETNS": f"/run/netns/{pod}", "CNI_PATH": self.node.cni_bin}
        e2e.expect(f"{verb} of {pod}", 0, self.node.attempt(
            self.node.cni_bin + "/roost", stdin=json.dumps(conf), env=env).returncode)

    def remove_all(self):
        for name in self.pods:
            if os.path.exists(f"/run/netns/{name}"):
                self("del", name)
                self.direct("DEL", name)
                e2e.run("ip", "netns", "del", name)
        self.pods = []


@pytest.fixture(scope="module")
def driver():
    return CniTool(e2e.Node())


@pytest.fixture
def tool(driver):
    with e2e.audited(driver):
        yield driver


def runnable(tool, network):
    """A documented list, with pools where they come from an agent, and this node's state folder."""
    network = json.loads(json.dumps(network))
    roost = network["plugins"][0]
    roost["stateDir"] = tool.node.state
    roost["ipam"]["pools"] = POOLS
    return network


def test_no_list_of_the_documentation_needs_another_plugin():
    types = {tuple(p["type"] for p in one["plugins"]) for one in LISTS.values()}
    expect("kinds of lists", {("roost",)}, types)


def with_portmap():
    """What was documented before host ports were roost's own."""
    one = json.loads(json.dumps(LISTS["README.md-1"]))
    del one["plugins"][0]["capabilities"]["portMappings"]
    one["cniVersions"].remove("1.1.0")
    one["plugins"].append({"type": "portmap", "capabilities": {"portMappings": True}, "snat": True})
    return one


@pytest.mark.parametrize("where", [*sorted(LISTS), "with portmap"])
def test_a_documented_list_works_in_every_verb(tool, where):
    network = LISTS[where] if where in LISTS else with_portmap()
    tool.use(runnable(tool, network))
    pod = tool.pod("p1")
    tool("status", pod)
    result = tool("add", pod)
    e2e.run(*e2e.in_netns(pod, "ping", "-c", "1", "-W", "3", ROUTER4))
    tool("check", pod)
    tool("status", pod)
    expect("version", max(network["cniVersions"]), result["cniVersion"])
    tool("del", pod)
    expect("allocations", [], tool.node.allocations())
    tool("gc", pod)


def test_gc_of_cnitool_spares_pods_of_another_runtime(tool):
    network = runnable(tool, LISTS["docs/CNI.md-1"])
    expect_in("versions", "1.1.0", network["cniVersions"])
    tool.use(network)
    mine, other, dead = (tool.pod(name) for name in ("p1", "p2", "p3"))
    tool("add", mine)
    tool.direct("ADD", other)
    tool.direct("ADD", dead)
    e2e.run("ip", "netns", "del", dead)
    e2e.eventually("the dead pod's link is gone", lambda: len(links(tool)) == 2)
    tool("gc", mine)
    owners = {a["containerID"] for a in tool.node.allocations()}
    expect("owners after gc", {other}, owners)  # libcni itself deletes what is in its cache
    e2e.run(*e2e.in_netns(other, "ping", "-c", "1", "-W", "3", ROUTER4))


def links(tool):
    found = json.loads(tool.node.run("ip", "-j", "link", "show"))
    return [one for one in found if one["ifname"].startswith("roost")]
