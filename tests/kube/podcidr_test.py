# SPDX-License-Identifier: Apache-2.0
"""podCIDR mode against a real API server: an agent takes the addresses that Kubernetes gave its Node, tells
the others of itself by an annotation, and needs neither roost's kinds nor rights to write them."""
import contextlib
import ipaddress
import json
import os
import subprocess
import sys

import pytest

import controlplane
import lab
from lab import BIN, Cluster, Process, equal, true, until, until_it_passes
from namespaces import inside

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "../store"))
import storelab

pytestmark = [pytest.mark.needs(*lab.PROGRAMS, *controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]
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
    text = plane.must("GET", f"{NODES}/{name}")["metadata"].get("annotations", {}).get("roost.io/node")
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


def test_what_is_meant_for_a_node_does_not_get_to_the_next_one_of_its_name(plane, nodes):
    """What the driver's patch relies on: it says the uid that it knows (tests/unit/test_podcidr.c)."""
    nodes(node("n1"))
    before = plane.must("GET", f"{NODES}/n1")["metadata"]["uid"]
    plane.must("DELETE", f"{NODES}/n1")
    nodes(node("n1"))
    patch = {"metadata": {"uid": before, "annotations": {"roost.io/node": "{}"}}}
    status, answer = plane.ask("PATCH", f"{NODES}/n1", patch, kind="application/merge-patch+json")
    true(status in (409, 422), f"the API server to refuse it, saw {status}: {answer}")
    equal(told(plane, "n1"), None, "what the new Node tells:")


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


# ---- a cluster of three nodes ----

RANGES = {4: "10.244.{}.0/26", 6: "fd44:{}::/64"}
SIZES = {4: 29, 6: 122}  # a podCIDR of IPv4 is 8 blocks
ADDRESSES = 64


class Three:
    """Three nodes that have the podCIDRs of their Nodes, and an API server at their router."""

    def __init__(self, encap, subnets=2):
        self.stack = contextlib.ExitStack()
        self.c = self.stack.enter_context(Cluster(3, encap=encap, subnets=subnets, start=False))
        try:
            self.c.router.ip(f"addr add {controlplane.ADDRESS}/32 dev lo")
            self.k = self.stack.enter_context(controlplane.ControlPlane(ns=self.c.router))
            self.k.apply(*RIGHTS)
            self.c.store.url = f"kube-podcidr:{self.k.config('podcidr')}"
            with open(f"{self.c.dir}/pools.json", "w", encoding="utf8") as f:
                json.dump([self.c.pool("pool4", "10.244.0.0/16", SIZES[4]), self.c.pool("pool6", "fd44::/16", SIZES[6])], f)
            for n in self.c.nodes:
                self.k.must("POST", NODES, node(n.name, *(r.format(n.number) for r in RANGES.values())))
                n.configure(store=self.c.store.url, firstPools=f"{self.c.dir}/pools.json", kubernetes="none")
                n.start()
        except BaseException:
            self.stack.close()
            raise

    def __enter__(self):
        return self.c, self.k

    def __exit__(self, *what):
        self.stack.__exit__(*what)


@pytest.mark.parametrize("encap, subnets", (("vxlan", 2), ("none", 1), ("vxlan-cross-subnet", 2)))
def test_pods_of_three_nodes_talk(encap, subnets):
    with Three(encap, subnets) as (c, _):
        c.started()
        for n in c.nodes:
            for family in c.families:
                own = ipaddress.ip_network(RANGES[family].format(n.number))
                true(all(ipaddress.ip_network(b).subnet_of(own) for b in n.blackholes(family)),
                     f"the IPv{family} blocks of {n} to be of its podCIDR", n.blackholes(family))
        c.matrix()


def test_all_addresses_of_a_podcidr_are_given():
    with Three("vxlan") as (c, _):
        c.started()
        one, other = c.nodes[:2]
        while not (refused := one.try_add(one.new_pod())).status:
            pass
        refused.refused(11, "this node has no free IPv4 address", "8 blocks", f"{ADDRESSES} addresses used")
        used = {a for a in one.used() if ":" not in a}
        equal(used, {str(a) for a in ipaddress.ip_network(RANGES[4].format(1))}, "the addresses in use:")
        equal(len(one.blackholes(4)), ADDRESSES // 8, "blocks")
        c.wait_converged()
        with inside(other.path):
            for pod in one.pods.values():
                subprocess.run(["ping", "-c", "1", "-W", "5", pod.ip4], check=True, stdout=subprocess.DEVNULL)
        one.del_pod(one.pods[next(iter(one.pods))])
        one.add_pod()


def test_a_node_that_gets_another_podcidr_keeps_its_pods_until_people_say_so():
    with Three("vxlan") as (c, k):
        c.started()
        one, *others = c.nodes
        k.must("DELETE", f"{NODES}/{one.name}")
        k.must("POST", NODES, node(one.name, "10.244.99.0/26", "fd44:99::/64"))
        until(lambda: "lacks block" in one.status_text(), "the agent to say that its blocks are not in the store")
        pod = one.add_pod()
        true(pod.ip4.startswith("10.244.1."), "pods to start in the addresses that the node had", pod.ip4)
        one.ctl("store", "accept")
        until(lambda: len([b for b in one.blackholes(4) if b.startswith("10.244.99.")]) == ADDRESSES // 8, "the new blocks")
        true(one.add_pod().ip4.startswith("10.244."), "a pod to start")
        until_it_passes(c.matrix, "old and new pods to talk")
        one.reboot()
        one.start()
        until(one.ready, f"{one} to be ready after its reboot")
        one.add_pod()
        until(lambda: all(b.startswith("10.244.99.") for b in one.blackholes(4)), "the old blocks to be gone")
        until_it_passes(c.matrix, "its pods to talk")
