# SPDX-License-Identifier: Apache-2.0
"""NetworkPolicies and ClusterNetworkPolicies of a real API server, between pods of two nodes. Nodes and pods are
those of the laboratory of tests/cluster; what kubelets write, the stories write."""
import contextlib

import pytest

import controlplane
import lab
from controlplane import ControlPlane
from lab import Cluster, true, until
from enforcement_test import allowed, connection, denied, is_in_force, table, talks
from rights_test import bound_account

pytestmark = [pytest.mark.needs(*lab.PROGRAMS, *controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]
MERGE = "application/merge-patch+json"
PODS = "/api/v1/namespaces/lab/pods"
POLICIES = "/apis/networking.k8s.io/v1/namespaces/lab/networkpolicies"


class Laboratory:
    def __init__(self):
        self.stack = contextlib.ExitStack()
        self.c = self.stack.enter_context(Cluster(2, store="etcd", subnets=1, nat=True, start=False))
        try:
            self.c.router.ip(f"addr add {controlplane.ADDRESS}/32 dev lo")
            self.k = self.stack.enter_context(ControlPlane(ns=self.c.router))
            self.k.kubectl("create", "namespace", "roost-system")
            self.k.kubectl("create", "namespace", "lab")
            self.k.kubectl("create", "serviceaccount", "default", "-n", "lab")
            self.k.kubectl("apply", *(w for f in ("crds", "rbac.yaml", "policy.yaml")
                                      for w in ("-f", f"{lab.ROOT}/deploy/{f}")))
            self.c.store.start()
            self.c.apply(*self.c.manifest())
            for node in self.c.nodes:
                self.k.must("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node",
                                                      "metadata": {"name": node.name}})
                node.configure(kubernetes=bound_account(self.k, node.name))
                node.start()
            self.c.started()
        except BaseException:
            self.stack.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.stack.__exit__(*what)

    def logs(self):
        return self.k.logs()

    def announce(self, node, name, **labels):
        """The API's Pod, before its ADD."""
        self.k.must("POST", PODS, {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
            "spec": {"nodeName": node.name, "containers": [
                {"name": "c", "image": "c", "ports": [{"name": "echo", "containerPort": 7777}]}]}})

    def add(self, node, name, **labels):
        """A pod as kubelet starts it: its ADD, then its status."""
        self.announce(node, name, **labels)
        return self.start(node, name)

    def start(self, node, name):
        pod = node.add_pod(name)
        self.tell(pod)
        return pod

    def tell(self, pod):
        self.k.must("PATCH", f"{PODS}/{pod.name}/status", {"status": {
            "phase": "Running", "podIP": pod.ip(4), "podIPs": [{"ip": pod.ip(4)}, {"ip": pod.ip(6)}]}}, kind=MERGE)

    def relabel(self, pod, **labels):
        self.k.must("PATCH", f"{PODS}/{pod.name}", {"metadata": {"labels": labels}}, kind=MERGE)

    def policy(self, name, **spec):
        self.k.must("POST", POLICIES, {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                                       "metadata": {"name": name}, "spec": spec})


@pytest.fixture(scope="module")
def l():
    with Laboratory() as l:
        a, b = l.c.nodes
        l.c.web = l.add(a, "web", app="web")
        l.c.clients = [l.add(n, f"client-{n}", role="client") for n in (a, b)]
        l.c.strangers = [l.add(n, f"stranger-{n}") for n in (a, b)]
        yield l


@pytest.fixture
def rules(l):
    yield l
    for item in l.k.must("GET", POLICIES)["items"]:
        l.k.must("DELETE", f"{POLICIES}/{item['metadata']['name']}")
    for node in l.c.nodes:
        until(lambda n=node: not table(n), f"no table on {node} without a policy")


ONLY_CLIENTS = {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [{
    "from": [{"podSelector": {"matchLabels": {"role": "client"}}}],
    "ports": [{"protocol": "TCP", "port": "echo"}]}]}


def test_a_policy_denies_and_allows_between_pods_of_two_nodes(rules):
    rules.policy("web", **ONLY_CLIENTS)
    is_in_force(rules.c)


def test_a_label_is_all_that_it_takes(rules):
    stranger = rules.c.strangers[1]
    rules.policy("web", **ONLY_CLIENTS)
    is_in_force(rules.c)
    rules.relabel(stranger, role="client")
    allowed(stranger, rules.c.web)
    rules.relabel(stranger, role=None)
    denied(stranger, rules.c.web)


def test_egress_is_judged_where_the_pod_is(rules):
    stranger = rules.c.strangers[1]
    rules.policy("stay", podSelector={}, policyTypes=["Egress"])
    for pod in rules.c.strangers + rules.c.clients:
        denied(pod, rules.c.web)
    true(table(stranger.node), "rules on the node of the sender")


def test_a_pod_under_a_policy_is_closed_from_its_first_packet(rules):
    """The agent stands still while the pod starts; a packet that comes in is none that it may have."""
    rules.policy("all", podSelector={}, policyTypes=["Ingress"])
    for pod in rules.c.clients:
        denied(pod, rules.c.web)
    node = rules.c.nodes[0]
    node.agent.freeze()
    try:
        rules.announce(node, "late", role="client")
        late = node.add_pod("late")
        denied(rules.c.clients[1], late)
    finally:
        node.agent.thaw()
    rules.tell(late)
    denied(rules.c.clients[1], late)
    rules.policy("late", podSelector={"matchLabels": {"role": "client"}}, ingress=[{}])
    allowed(rules.c.clients[0], late)
    node.del_pod(late)
    rules.k.must("DELETE", f"{PODS}/late?gracePeriodSeconds=0")


def test_a_connection_ends_with_a_policy(rules):
    stranger = rules.c.strangers[1]
    with connection(stranger, rules.c.web) as s:
        true(talks(s), "the connection to work")
        rules.policy("web", **ONLY_CLIENTS)
        until(lambda: not talks(s), "the connection to be cut")
        rules.relabel(stranger, role="client")
        until(lambda: talks(s), "the connection to live on")
    rules.relabel(stranger, role=None)


def test_the_api_may_be_away(rules):
    rules.policy("web", **ONLY_CLIENTS)
    is_in_force(rules.c)
    rules.k.apiserver.kill()
    try:
        for node in rules.c.nodes:
            node.agent.kill()
            node.agent.start()
            until(node.status, f"the agent of {node} to answer")
        is_in_force(rules.c)
    finally:
        rules.k.start()
    is_in_force(rules.c)
