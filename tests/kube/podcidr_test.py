# SPDX-License-Identifier: Apache-2.0
"""podCIDR mode against a real API server: an agent takes the addresses that Kubernetes gave its Node, tells
the others of itself by an annotation, and needs neither roost's kinds nor rights to write them."""
import json
import os
import subprocess
import sys

import pytest

import controlplane
from lab import BIN, Process, equal, true, until
from namespaces import inside

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../store"))
import storelab

pytestmark = [pytest.mark.needs(*controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]
NODES = "/api/v1/nodes"
POOLS = [{"apiVersion": "roost.io/v1", "kind": "IPPool", "metadata": {"name": "default"},
          "spec": {"cidr": "10.244.0.0/16", "blockSize": 24, "vxlanMode": "Always", "natOutgoing": True}}]
RIGHTS = [{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "podcidr"},
           "rules": [{"apiGroups": [""], "resources": ["nodes"], "verbs": ["get", "list", "watch", "patch"]},
                     {"apiGroups": [""], "resources": ["namespaces"], "verbs": ["get"]}]},
          {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
           "metadata": {"name": "podcidr"},
           "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "podcidr"},
           "subjects": [{"kind": "User", "name": "podcidr", "apiGroup": "rbac.authorization.k8s.io"}]}]


def node(name, *ranges, **annotations):
    spec = {"podCIDR": ranges[0], "podCIDRs": list(ranges)} if ranges else {}
    return {"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "annotations": annotations},
            "spec": spec}


def told(plane, name):
    """What the agent of a Node tells the others; None: nothing yet."""
    text = plane.must("GET", f"{NODES}/{name}")["metadata"]["annotations"].get("roost.io/node")
    return text and json.loads(text)


@pytest.fixture
def nodes(plane):
    """A function that makes Nodes; they are deleted afterwards."""
    def make(*objects):
        for o in objects:
            plane.must("POST", NODES, o)

    yield make
    plane.must("DELETE", NODES)


@pytest.fixture
def pools(tmp_path):
    path = tmp_path / "pools.json"
    path.write_text(json.dumps(POOLS))
    return str(path)


class Agent:
    """roostd of node n1 in the namespace of the control plane."""

    def __init__(self, plane, folder, pools):
        self.plane, self.folder = plane, folder
        self.conf = f"{folder}/roostd.json"
        with open(self.conf, "w", encoding="utf8") as f:
            json.dump({"node": "n1", "store": f"kube-podcidr:{plane.config('podcidr')}", "firstPools": pools,
                       "kubernetes": "none", "dataDir": f"{folder}/data", "stateDirs": [f"{folder}/state"],
                       "socket": f"{folder}/agent.sock", "address": {"ipv4": plane.address},
                       "bird": {"file": f"{folder}/bird.conf", "socket": f"{folder}/bird.ctl",
                                "include": f"{folder}/bird.d"}}, f)
        self.process = Process("roostd", plane.ns, f"{folder}/roostd.log",
                               [f"{BIN}/roostd", "--config", self.conf])
        self.process.start()

    def ctl(self, *words):
        with inside(self.plane.path):
            done = subprocess.run([f"{BIN}/roostctl", "--config", self.conf, *words], capture_output=True,
                                  text=True, timeout=60, check=False)
        return done.stdout + done.stderr


@pytest.fixture
def agent(plane, tmp_path, pools):
    """A function: starts it."""
    begun = []

    def begin():
        begun.append(Agent(plane, str(tmp_path), pools))
        return begun[-1]

    plane.apply(*RIGHTS)
    os.makedirs(tmp_path / "bird.d")
    yield begin
    for a in begun:
        a.process.kill()


def test_the_store_is_what_kubernetes_says_of_its_nodes(plane, nodes, pools):
    plane.apply(*RIGHTS)
    nodes(node("n1", "10.244.1.0/24"), node("n2", "10.244.2.0/24", **{"roost.io/node": '{"bgp":{}}'}))
    with inside(plane.path):
        tool = storelab.Tool(f"kube-podcidr:{plane.config('podcidr')}", pools=pools)
    watch = tool.watch()
    told = []
    while not told or told[-1][0] != "CURRENT":
        told.append(tool.event(watch))
    equal([key for _, key, _ in told[1:-1]],
          ["blocks/10.244.1.0-24", "blocks/10.244.2.0-24", "resources/ipamconfigurations/default",
           "resources/ippools/default", "resources/nodes/n2"], "the documents")
    plane.must("DELETE", f"{NODES}/n2")
    equal(sorted(tool.event(watch)[:2] for _ in range(2)),
          [("DELETE", "blocks/10.244.2.0-24"), ("DELETE", "resources/nodes/n2")], "what goes with a Node")
    refused = tool.put("resources/ippools/other", "{}", revision=0)
    true("pools are those of" in refused["what"], f"the refusal: {refused}")
    tool.close()


def test_an_agent_has_the_addresses_of_its_node_and_tells_the_others(plane, nodes, agent):
    nodes(node("n1", "10.244.1.0/24"), node("n2", "10.244.2.0/24"))
    a = agent()
    until(lambda: "10.244.1.0/24" in a.ctl("ipam", "show"), "the node state to have the block")
    true("10.244.2.0/24" not in a.ctl("ipam", "show"), "the other's block not to be there")
    # The address is written first, the tunnel's end when the agent has given itself one.
    seen = until(lambda: (t := told(plane, "n1")) and t.get("vxlanTunnelMACAddr") and t, "the end of a tunnel")
    equal(seen["bgp"]["ipv4Address"].split("/")[0], plane.address, "the address that the others are told")
    true("created" not in a.ctl("apply", "-f", "/dev/null"), "nothing to be written")


def test_a_node_without_a_range_is_said_and_one_that_changes_is_followed(plane, nodes, agent):
    nodes(node("n1"))
    a = agent()
    until(lambda: "Node n1 has no podCIDR of IPv4" in a.ctl("status"), "the reason to be told")
    plane.must("PATCH", f"{NODES}/n1", {"spec": {"podCIDR": "10.244.7.0/24", "podCIDRs": ["10.244.7.0/24"]}},
               kind="application/merge-patch+json")
    until(lambda: "10.244.7.0/24" in a.ctl("ipam", "show"), "the block")
    until(lambda: "has no podCIDR" not in a.ctl("status"), "the problem to end")
    # A Node that was made anew has another range.
    plane.must("DELETE", f"{NODES}/n1")
    nodes(node("n1", "10.244.8.0/24"))
    until(lambda: "lacks block 10.244.7.0/24" in a.ctl("status"), "the change to be told")
    true("10.244.7.0/24" in a.ctl("ipam", "show"), "the addresses of pods that may run to stay")
    a.ctl("store", "accept")
    until(lambda: "10.244.8.0/24" in a.ctl("ipam", "show"), "the new block")
