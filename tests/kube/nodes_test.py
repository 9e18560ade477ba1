# SPDX-License-Identifier: Apache-2.0
"""Nodes are Kubernetes' nodes: an agent takes name, labels and addresses of its own Node and tells it when the
network is there; nodes that are deleted give their blocks back, and addresses whose pod is gone are released.

The laboratory is that of tests/cluster; the API server has an address at its router. The objects that kubelets
write are written by the stories."""
import json
import shutil
import types

import pytest

import controlplane
import lab
from agents import Laboratory
from lab import equal, resource, true, until
from rights_test import bound_account

pytestmark = [pytest.mark.needs(*lab.PROGRAMS, *controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]
TAINT = {"key": "roost.io/not-ready", "effect": "NoSchedule"}
OTHER_TAINT = {"key": "example.com/mine", "effect": "NoSchedule"}
STRATEGIC, MERGE = "application/strategic-merge-patch+json", "application/merge-patch+json"
POD = "/api/v1/namespaces/lab/pods"


class Kubernetes(Laboratory):
    """Nodes as a cloud registers them, and agents that take their addresses of them."""

    def __init__(self, nodes=2, store="etcd", **settings):
        self.settings = settings
        super().__init__(nodes, store, [resource("IPAMConfiguration", "default", ipCooldownSeconds=0)], encap="vxlan")

    def configure(self, node, **settings):
        del node.settings["address"]
        super().configure(node, **self.settings, **settings)

    def add_node(self, node, **labels):
        """What kubelet registers, and a cloud's controller says beside it."""
        self.k.must("POST", "/api/v1/nodes", {
            "apiVersion": "v1", "kind": "Node",
            "metadata": {"name": node.name, "labels": {"kubernetes.io/hostname": node.name, **labels}},
            "spec": {"taints": [TAINT, OTHER_TAINT]}})
        self.set_addresses(node, *node.address.values())
        self.set_unavailable(node)

    def patch(self, node, what, kind=STRATEGIC, status=False):
        self.k.must("PATCH", f"/api/v1/nodes/{node.name}" + ("/status" if status else ""), what, kind=kind)

    def set_addresses(self, node, *addresses):
        self.patch(node, {"status": {"addresses": [{"type": "Hostname", "address": node.name},
                                                   *({"type": "InternalIP", "address": a} for a in addresses)]}},
                   kind=MERGE, status=True)

    def set_unavailable(self, node):
        self.patch(node, {"status": {"conditions": [
            {"type": "NetworkUnavailable", "status": "True", "reason": "NoRouteCreated", "message": "a cloud",
             "lastTransitionTime": "2026-01-01T00:00:00Z", "lastHeartbeatTime": "2026-01-01T00:00:00Z"}]}}, status=True)

    def node(self, node):
        return self.k.must("GET", f"/api/v1/nodes/{node.name}")

    def network(self, node):
        """The condition, as (status, reason)."""
        found = [c for c in self.node(node)["status"].get("conditions", []) if c["type"] == "NetworkUnavailable"]
        return (found[0]["status"], found[0]["reason"]) if found else None

    def is_ready(self, node):
        return self.network(node) == ("False", "RoostIsReady")

    def started(self):
        """All nodes, ready; the first of them looks after those that are deleted."""
        for node in self.c.nodes:
            node.start()
            until(lambda node=node: self.is_ready(node), f"{node} to say that its network is there")
            until(lambda: "looks after deleted nodes" in self.c.nodes[0].agent.said(), "the Lease to be taken")
        return self.c.nodes

    def delete(self, node):
        self.k.must("DELETE", f"/api/v1/nodes/{node.name}")

    def add_pod(self, node, name):
        """A pod that the API and the node have."""
        self.k.must("POST", POD, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
                                  "spec": {"nodeName": node.name, "containers": [{"name": "c", "image": "none"}]}})
        return node.add_pod(name)


def document(node, name=None):
    return json.loads(node.ctl("get", "node", (name or node).name, "-o", "json"))


def labels(node):
    return document(node)["metadata"]["labels"]


def problems(node):
    return node.status().get("problems", [])


def has_problem(node, *words):
    return any(all(w in p for w in words) for p in problems(node))


def blocks_of(node):
    """Those that the cluster store says are a node's."""
    documents = lab.documents(node.cluster, "blocks/")
    return sorted(key for key, text in documents.items() if json.loads(text)["node"] == node.name)


STORES = pytest.mark.parametrize("store", ("etcd", "kube"))


def test_a_node_is_what_its_node_says_and_says_when_its_network_is_there():
    with Kubernetes() as x:
        one, two = x.started()
        until(lambda: TAINT not in x.node(one)["spec"]["taints"], "the taint of roost to be gone")
        true(OTHER_TAINT in x.node(one)["spec"]["taints"], "the taint of others to be there", x.node(one)["spec"])
        equal(document(one)["spec"]["bgp"]["ipv4Address"], f"{one.ip(4)}/24", "the address of the node")
        equal(document(one)["spec"]["bgp"]["ipv6Address"], f"{one.ip(6)}/64", "the IPv6 address of the node")

        x.k.kubectl("label", "node", one.name, "rack=r7")
        until(lambda: labels(one).get("rack") == "r7", "the label of Kubernetes in roost's document")
        one.ctl("apply", "-f", "-", stdin=json.dumps(
            {"apiVersion": "projectcalico.org/v3", "kind": "Node",
             "metadata": {"name": one.name, "labels": {**labels(one), "people": "said"}}, "spec": {}}))
        x.k.kubectl("label", "node", one.name, "rack-", "zone=z1")
        until(lambda: labels(one).get("zone") == "z1" and "rack" not in labels(one), "the labels to follow")
        equal(labels(one).get("people"), "said", "the label that people set in roost's document")

        x.set_unavailable(one)
        until(lambda: x.is_ready(one), "somebody else's word to be replaced")
        version = x.node(one)["metadata"]["resourceVersion"]
        one.sync()
        x.k.kubectl("label", "node", two.name, "marker=1")
        until(lambda: labels(two).get("marker") == "1", "the marker")
        equal(x.node(one)["metadata"]["resourceVersion"], version, "the version of a Node of which nothing changed")


def test_an_internal_address_that_no_link_has_is_said_and_the_next_one_is_taken():
    with Kubernetes(nodes=1) as x:
        one, = x.c.nodes
        x.set_addresses(one, "10.99.0.1")
        one.start()
        until(lambda: has_problem(one, "10.99.0.1", "--node-ip"), "the address to be named")
        equal(x.network(one), ("True", "NoRouteCreated"), "the condition of a node without an address")
        x.set_addresses(one, "10.99.0.1", one.ip(4))
        until(lambda: x.is_ready(one), "the node to be ready")
        until(lambda: document(one)["spec"]["bgp"].get("ipv4Address") == f"{one.ip(4)}/24", "the second address")
        true(not has_problem(one, "10.99.0.1"), "no word of it any more", problems(one))


def test_a_node_that_is_not_registered_yet_waits_for_it():
    with Kubernetes(nodes=1) as x:
        one, = x.c.nodes
        x.delete(one)
        one.start()
        until(lambda: has_problem(one, f"there is no Node {one.name}"), "the Node to be missed")
        x.add_node(one)
        until(lambda: x.is_ready(one), "the node to be ready")
        until(lambda: not has_problem(one, "there is no Node"), "the problem to be over")


def test_a_status_that_is_older_than_its_node_makes_no_other_machine():
    """An agent that started before its Node was registered has not written that Node's uid yet."""
    with Kubernetes(nodes=3, store="kube", deletedNodeSeconds=900) as x:
        one, two, three = x.c.nodes
        one.start()
        until(lambda: "looks after deleted nodes" in one.agent.said(), "the Lease to be taken")
        x.delete(two)
        for node in (two, three):
            node.start()
        until(lambda: x.is_ready(three), f"{three} to be ready")
        until(lambda: has_problem(two, f"there is no Node {two.name}"), "the Node to be missed")
        two.agent.freeze()
        x.add_node(two)
        x.delete(three)  # seen and looked at behind it
        until(lambda: f"node {three.name} was deleted in Kubernetes" in one.agent.said(), "the deleted node to be seen")
        two.agent.thaw()
        until(lambda: x.is_ready(two), "the node to be ready")
        true("is another machine" not in one.agent.said(), "no other machine", one.agent.said())


def test_cordon_stops_the_claims_for_headroom_alone():
    with Kubernetes(nodes=1) as x:
        one, = x.c.nodes
        for family, size in ((4, 29), (6, 125)):
            name = next(p["metadata"]["name"] for p in x.c.manifest() if p["kind"] == "IPPool"
                        and (":" in p["spec"]["cidr"]) == (family == 6))
            one.ctl("delete", "ippool", name)
            x.c.apply(resource("IPPool", f"small{family}", cidr={4: "100.70.0.0/24", 6: "fd70::/116"}[family], blockSize=size))
        one.configure(headroom=3)
        x.started()
        x.k.kubectl("cordon", one.name)
        until(lambda: x.node(one)["spec"].get("unschedulable"), "the cordon")
        count = len(blocks_of(one))
        pods = [one.add_pod() for _ in range(7)]
        x.k.kubectl("label", "node", one.name, "marker=1")
        until(lambda: labels(one).get("marker") == "1", "the marker")
        one.sync()
        equal(len(blocks_of(one)), count, "the number of blocks of the cordoned node")
        true(one.ready(), "STATUS to be good")
        pods.append(one.add_pod())
        until(lambda: len(blocks_of(one)) > count, "blocks for pods that come nevertheless")
        pods.append(one.add_pod())
        x.k.kubectl("uncordon", one.name)
        for pod in pods:
            one.del_pod(pod)


@STORES
def test_a_deleted_node_gives_its_blocks_back_when_its_agent_is_silent(store):
    with Kubernetes(nodes=3, store=store, deletedNodeSeconds=2) as x:
        one, two, three = x.started()
        three.add_pod()
        until(lambda: blocks_of(three), "blocks of the third node")
        x.delete(three)
        until(lambda: any(has_problem(n, three.name, "was deleted in Kubernetes", "lives") for n in (one, two)),
              "the node that lives to be named")
        until(lambda: has_problem(three, f"there is no Node {three.name}"), "its own agent to say so")
        true(blocks_of(three), "the blocks of a node that lives to be its own")
        three.agent.kill()
        until(lambda: not blocks_of(three), "the blocks of the deleted node to be free")
        until(lambda: three.name not in one.ctl("node", "list"), "the node to be gone from the store")
        true(blocks_of(one) and blocks_of(two), "blocks of the nodes that live")
        x.add_node(three)
        three.agent.start()
        until(lambda: x.is_ready(three), "the node to be ready when it is registered again")


def test_a_deleted_lenders_block_waits_for_its_loans_and_is_free_then():
    with Kubernetes(nodes=3, store="kube", deletedNodeSeconds=2, headroom=0) as x:
        one, two, three = x.c.nodes
        for pool in x.c.manifest():
            if pool["kind"] == "IPPool":
                one.ctl("delete", "ippool", pool["metadata"]["name"])
        x.c.apply(resource("IPPool", "small4", cidr="100.70.0.0/28", blockSize=29),
                  resource("IPPool", "small6", cidr="fd70::/124", blockSize=125))

        def all_of(what):
            return [json.loads(text) for text in lab.documents(x.c, what).values()]

        two.start()  # so that the lender is not the one that looks after deleted nodes
        until(lambda: "looks after deleted nodes" in two.agent.said(), "the Lease to be taken")
        for node in (one, two, three):
            if node is not two:
                node.start()
            pod = node.new_pod()
            until(lambda node=node, pod=pod: node.try_add(pod).status == 0, f"{node} to start a pod")
        until(lambda: len(used := [d for d in all_of("loans/") if d["state"] == "used"]) == 2 and used, "the third node to borrow")
        lender = one
        lent = {d["address"] for d in all_of("loans/") if d["lender"] == lender.name}
        true(lent, "the node that has not the Lease to lend", all_of("loans/"))
        lender.agent.kill()
        x.delete(lender)
        until(lambda: [d for d in all_of("blocks/") if d.get("freeAfterLoans")], "the block with loans to be quarantined")
        until(lambda: "but 2 in which other nodes use addresses" in two.agent.said(), "the reason to be said")
        until(lambda: not [d for d in all_of("blocks/") if d["node"] == lender.name and not d.get("freeAfterLoans")],
              "its other blocks to be free")
        true(lent <= {d["address"] for d in all_of("loans/") if d["state"] == "used"}, "its loans to go on")
        three.agent.kill()
        x.delete(three)
        until(lambda: not [d for d in all_of("loans/") if d["borrower"] == three.name], "the loans of a borrower that is gone, too, to end")
        until(lambda: not blocks_of(lender), "the block to be free when nobody uses an address of it", seconds=180)


@STORES
def test_another_machine_under_the_name_gets_it_when_the_first_is_silent(store):
    with Kubernetes(nodes=2, store=store, deletedNodeSeconds=900) as x:
        one, two = x.started()
        two.reboot()
        shutil.rmtree(two.data)
        x.delete(two)
        x.add_node(two)
        two.start()
        until(lambda: has_problem(two, "is another machine"), "the second machine to wait")
        true(blocks_of(two), "the blocks of the first to be there yet")
        until(lambda: x.is_ready(two), "the second machine to have the name")
        until(lambda: two.blackholes(4) and two.blackholes(6), "a block of each family")
        two.add_pod()
        one.add_pod()
        x.c.wait_converged()
        x.c.matrix()


LEASE = "/apis/coordination.k8s.io/v1/namespaces/roost-system/leases/roost-controller"
GONE = "roost.io/deleted-nodes"


def test_an_agent_that_stops_leaves_the_lease_and_the_next_one_goes_on_with_the_wait():
    with Kubernetes(nodes=3, store="kube", deletedNodeSeconds=900) as x:
        one, two, three = x.started()
        two.agent.stop()
        three.agent.kill()
        x.delete(three)
        until(lambda: f"node {three.name} was deleted in Kubernetes: it is removed in" in one.agent.said(),
              "the wait to be said")
        one.agent.stop()
        lease = x.k.must("GET", LEASE)
        equal(lease["spec"].get("holderIdentity", ""), "", "the holder of the Lease")
        gone = json.loads(lease["metadata"]["annotations"][GONE])
        equal([g["node"] for g in gone], [three.name], "the nodes that it saw gone")
        true(gone[0]["uid"], "the uid that the node had", gone)

        x.k.must("PATCH", LEASE, {"metadata": {"annotations": {GONE: json.dumps([{**gone[0], "seconds": 890}])}}}, kind=MERGE)
        two.agent.start()
        until(lambda: "looks after deleted nodes" in two.agent.said(), "the Lease to be taken at once")
        until(lambda: not blocks_of(three), "the blocks of the deleted node to be free")
        until(lambda: three.name not in two.ctl("node", "list"), "the node to be gone from the store")


def test_a_leaked_address_is_released_when_the_api_and_the_kernel_miss_its_pod():
    with Kubernetes(nodes=1, leakedAddressSeconds=2) as x:
        one, = x.started()
        kept, forced, leaked = (x.add_pod(one, name) for name in ("kept", "forced", "leaked"))
        one.ns.ip(f"link del {leaked.host_link()}")
        one.sync()
        for name in ("forced", "leaked"):
            x.k.must("DELETE", f"{POD}/{name}?gracePeriodSeconds=0")
        until(lambda: leaked.container not in one.used().values(), "the leaked addresses to be released")
        true({kept.container, forced.container} <= set(one.used().values()), "the pods that live to have theirs", one.used())
        true("pod lab/leaked is gone from Kubernetes" in one.agent.said(), "the release to be said", one.agent.said()[-800:])
        one.pods.pop("leaked")
        one.consistent()


def test_the_api_server_away_stops_nothing():
    with Kubernetes(nodes=1, leakedAddressSeconds=1, deletedNodeSeconds=1) as x:
        one, = x.started()
        x.k.apiserver.kill()
        pod = one.add_pod()
        until(lambda: has_problem(one, "Kubernetes: "), "the API server to be missed")
        other = one.add_pod()
        one.del_pod(pod)
        true(blocks_of(one), "its blocks")
        x.k.start()
        until(lambda: not has_problem(one, "Kubernetes: "), "the API server to be found again")
        one.del_pod(other)


def test_a_problem_that_lasts_becomes_an_event_of_the_node():
    with Kubernetes(1) as cluster:
        node, k = cluster.c.nodes[0], cluster.k
        node.start()
        cluster.c.wait_ready()

        def events(reason):
            return [e for e in k.list("/api/v1/namespaces/default/events") if e["reason"] == reason]

        node.bird.stop()
        until(lambda: events("RoostProblem"), "an Event of the problem", seconds=120)
        event = events("RoostProblem")[0]
        equal((event["type"], event["involvedObject"]["name"], event["source"]["component"]), ("Warning", node.name, "roostd"),
              "the Event")
        true("RoostProblem" in k.kubectl("describe", "node", node.name), "kubectl describe node to show it")
        node.start_bird()
        until(lambda: any(e["message"] == event["message"] for e in events("RoostProblemOver")), "the end of it", seconds=120)


def test_a_right_that_is_missing_is_named():
    with Kubernetes(nodes=1) as x:
        one, = x.c.nodes
        role = x.k.must("GET", "/apis/rbac.authorization.k8s.io/v1/clusterroles/roostd")
        rules = [r for r in role["rules"] if "nodes/status" not in r["resources"]]
        x.k.must("PATCH", "/apis/rbac.authorization.k8s.io/v1/clusterroles/roostd", {"rules": rules}, kind=MERGE)
        one.start()
        until(lambda: has_problem(one, "patch nodes/status", "lacks the right"), "the missing right to be named")
        x.k.must("PATCH", "/apis/rbac.authorization.k8s.io/v1/clusterroles/roostd", {"rules": role["rules"]}, kind=MERGE)
        until(lambda: x.is_ready(one), "the node to be ready")


def test_a_machine_whose_node_is_renamed_goes_on_as_it_was_and_is_a_new_node_after_its_reboot():
    with Kubernetes(nodes=2, deletedNodeSeconds=2) as x:
        one, two = x.started()
        x.c.started()
        before = blocks_of(two)
        moved = types.SimpleNamespace(name="moved", address=two.address, cluster=two.cluster)
        x.delete(two)
        two.agent.stop()
        x.add_node(moved)
        two.configure(node=moved.name, kubernetes=bound_account(x.k, moved.name))
        two.agent.start()
        until(lambda: has_problem(two, f"this machine was {two.name}", f"not as {moved.name}"), "the agent to say what it is")
        until(lambda: has_problem(one, f"node {two.name} was deleted in Kubernetes", "lives"), "the others to see it alive")
        equal(blocks_of(two), before, "the blocks of the name that pods are reached by")
        x.c.matrix()
        true(not x.is_ready(moved), "the new Node not to be ready", x.network(moved))

        two.reboot()
        two.start()
        until(lambda: x.is_ready(moved), "the new Node to be ready")
        until(lambda: blocks_of(moved) and not blocks_of(two), "the blocks of the old name to be free")
        two.add_pod()
        x.c.wait_converged()
        x.c.matrix()
