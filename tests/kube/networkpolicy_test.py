# SPDX-License-Identifier: Apache-2.0
"""NetworkPolicies of a real API server, between pods of two nodes."""
import pytest

import controlplane
import lab
from lab import equal, true, until
from policylab import PODS, Policies
from enforcement_test import allowed, connection, denied, is_in_force, table, talks

pytestmark = [pytest.mark.needs(*lab.PROGRAMS, *controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]
POLICIES = "/apis/networking.k8s.io/v1/namespaces/lab/networkpolicies"


class NetworkPolicies(Policies):
    def policy(self, name, **spec):
        self.k.must("POST", POLICIES, {"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy",
                                       "metadata": {"name": name}, "spec": spec})


@pytest.fixture(scope="module")
def l():
    with NetworkPolicies() as l:
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


def test_what_is_denied_is_an_event_of_the_pod(rules):
    """A client, as the pods of the other stories may have all the Events that a pod gets."""
    k, client, stranger = rules.k, rules.c.clients[0], rules.c.strangers[1]
    pod = k.must("GET", f"{PODS}/{client.name}")

    def told():
        return [e for e in k.list("/api/v1/namespaces/lab/events")
                if e["reason"] == "PolicyDenied" and e["involvedObject"].get("uid") == pod["metadata"]["uid"]]

    allowed(stranger, client)
    rules.policy("noted", podSelector={"matchLabels": {"role": "client"}})
    denied(stranger, client)
    until(lambda: any(stranger.ip(4) in e["message"] and "isolated by NetworkPolicy lab/noted" in e["message"] for e in told()),
          "an Event of the pod that says who and why")
    for event in told():
        true(event["message"].startswith("denied "), "it to say what happened", event)
        equal((event["type"], event["reportingInstance"], event["involvedObject"]["name"]),
              ("Warning", client.node.name, client.name), "what the Event is of")
        true(event["count"] >= 1, "packets to be counted", event)
    true(len(told()) <= 8, "few Events of a pod", told())
    equal(client.node.status()["problems"], [], "problems of the node")


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
