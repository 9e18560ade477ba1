# SPDX-License-Identifier: Apache-2.0
"""Policies in Calico's words as objects of the API, and ClusterNetworkPolicies of the definition that
sigs.k8s.io/network-policy-api publishes, over real packets between two nodes. The store is the API server."""
import json
import subprocess

import pytest

import binaries
import controlplane
import lab
from enforcement_test import allowed, denied, is_in_force, table
from lab import BIN, equal, true, until
from namespaces import inside
from policylab import Policies
from store_test import define
from traffic import PORT

pytestmark = [pytest.mark.needs(*lab.PROGRAMS, *controlplane.PROGRAMS),
              pytest.mark.built(*controlplane.BUILT, "clusternetworkpolicies.yaml")]
OURS = ("tiers", "globalnetworkpolicies", "networkpolicies", "globalnetworksets", "networksets",
        "stagedglobalnetworkpolicies", "stagednetworkpolicies", "stagedkubernetesnetworkpolicies")
CLUSTER = "clusternetworkpolicies.policy.networking.k8s.io"
CLIENT, STRANGER = "role == 'client'", "!has(role) && !has(app)"


def ours(kind, name, namespace=None, labels=None, **spec):
    metadata = {"name": name, **({"namespace": namespace} if namespace else {}), **({"labels": labels} if labels else {})}
    return {"apiVersion": "roost.io/v1", "kind": kind, "metadata": metadata, "spec": spec}


def ingress(action, source, **more):
    return {"action": action, "source": {"selector": source}, **more}


def subject(**labels):
    return {"pods": {"namespaceSelector": {}, "podSelector": {"matchLabels": labels}}}


def cluster_policy(name, tier, priority, *rules, direction="ingress", of=None):
    return {"apiVersion": "policy.networking.k8s.io/v1alpha2", "kind": "ClusterNetworkPolicy", "metadata": {"name": name},
            "spec": {"tier": tier, "priority": priority, "subject": of or subject(app="web"), direction: list(rules)}}


def tcp(**port):
    return [{"tcp": {"destinationPort": port}}]


@pytest.fixture(scope="module")
def l():
    with Policies(store="kube") as l:
        l.k.kubectl("apply", "-f", binaries.path("clusternetworkpolicies.yaml"))
        until(lambda: l.k.ask("GET", "/apis/policy.networking.k8s.io/v1alpha2/clusternetworkpolicies")[0] == 200,
              "ClusterNetworkPolicies to be served")
        yield l


@pytest.fixture
def rules(l):
    yield l
    l.k.kubectl("delete", "networkpolicies.networking.k8s.io", "--all", "-n", "lab")
    for kind in (CLUSTER, *(f"{o}.roost.io" for o in OURS)):
        l.k.kubectl("delete", kind, "--all", *(["-n", "lab"] if "network" in kind else []))
    for node in l.c.nodes:
        until(lambda n=node: not table(n), f"no table on {node} without a policy")


def ctl(l, *words, stdin=None):
    with inside(l.k.path):
        return subprocess.run([f"{BIN}/roostctl", *words, "--store", f"kube:{l.k.admin}", "--socket", "/nowhere"],
                              input=stdin, capture_output=True, text=True, timeout=60, check=False)


ONLY_CLIENTS = ours("NetworkPolicy", "web", "lab", selector="app == 'web'", types=["Ingress"], ingress=[{
    "action": "Allow", "protocol": "TCP", "source": {"selector": CLIENT}, "destination": {"ports": ["echo"]}}])


def test_a_policy_of_a_namespace_is_enforced_whoever_writes_it(rules):
    rules.k.apply(ONLY_CLIENTS)
    is_in_force(rules.c)
    true("lab.web" in ctl(rules, "get", "networkpolicies").stdout, "roostctl to show it")
    done = ctl(rules, "apply", "-f", "-", stdin=json.dumps(ONLY_CLIENTS))
    true("unchanged" in done.stdout, "roostctl to see the same", done)
    true(ctl(rules, "delete", "networkpolicy", "lab.web").returncode == 0, "roostctl to delete it")
    allowed(rules.c.strangers[1], rules.c.web)
    equal(rules.k.kubectl("-n", "lab", "get", "networkpolicies.roost.io", "-o", "name"), "", "what kubectl shows")
    done = ctl(rules, "apply", "-f", "-", stdin=json.dumps(ONLY_CLIENTS))
    equal(done.returncode, 0, f"roostctl's status: {done.stderr}")
    is_in_force(rules.c)


def test_a_policy_for_a_namespace_that_is_not_there_is_refused_by_its_name(rules):
    lost = {**ONLY_CLIENTS, "metadata": {"name": "web", "namespace": "nowhere"}}
    done = ctl(rules, "apply", "-f", "-", stdin=json.dumps(lost))
    true(done.returncode == 1 and 'namespaces "nowhere" not found' in done.stderr, "the namespace to be named", done)


def test_tiers_and_sets_decide_before_the_policies_of_a_namespace(rules):
    stranger, client = rules.c.strangers[1], rules.c.clients[1]
    rules.k.apply(ours("Tier", "security", order=10),
                  ours("GlobalNetworkSet", "bad", labels={"who": "bad"}, nets=[client.ip(4), client.ip(6)]),
                  ours("NetworkSet", "worse", "lab", labels={"who": "worse"}, nets=[]),
                  ours("GlobalNetworkPolicy", "security", tier="security", selector="app == 'web'", types=["Ingress"], ingress=[
                      ingress("Deny", "who in {'bad', 'worse'}"), {"action": "Pass"}]),
                  ONLY_CLIENTS)
    denied(client, rules.c.web)
    allowed(rules.c.clients[0], rules.c.web)
    denied(stranger, rules.c.web)
    rules.k.apply(ours("GlobalNetworkSet", "bad", labels={"who": "good"}, nets=[client.ip(4), client.ip(6)]))
    is_in_force(rules.c)


def test_a_global_policy_is_in_force_in_all_namespaces_that_it_selects(rules):
    rules.k.apply(ours("GlobalNetworkPolicy", "strangers", namespaceSelector="kubernetes.io/metadata.name == 'lab'",
                       selector="app == 'web'", ingress=[ingress("Deny", STRANGER), {"action": "Allow"}]))
    is_in_force(rules.c)
    rules.k.kubectl("patch", "rgnp", "strangers", "--type=merge", "-p", '{"spec":{"namespaceSelector":"has(other)"}}')
    allowed(rules.c.strangers[1], rules.c.web)


def test_a_staged_policy_is_told_and_not_enforced(rules):
    rules.k.apply(ours("StagedNetworkPolicy", "web", "lab", selector="app == 'web'", types=["Ingress"]),
                  ours("StagedGlobalNetworkPolicy", "all", types=["Egress"]),
                  ours("StagedKubernetesNetworkPolicy", "all", "lab", podSelector={}))
    listed = ctl(rules, "policy", "list").stdout
    true(listed.lower().count("staged") >= 3, "three staged policies to be listed", listed)
    stranger = rules.c.strangers[1]
    allowed(stranger, rules.c.web)
    for words, status in (((), 0), (("--staged",), 1)):
        done = ctl(rules, "policy", "explain", f"lab/{stranger.name}", "lab/web", str(PORT), *words)
        equal(done.returncode, status, f"the verdict with {words}: {done}")


def test_an_admin_policy_is_judged_before_those_of_namespaces_and_a_baseline_behind_them(rules):
    client, stranger = rules.c.clients[1], rules.c.strangers[1]
    rules.k.apply(cluster_policy("deny", "Admin", 10, {"name": "no", "action": "Deny", "from": [subject(role="client")]}))
    denied(client, rules.c.web)
    allowed(stranger, rules.c.web)
    rules.k.apply(cluster_policy("pass", "Admin", 5, {"name": "next", "action": "Pass", "from": [subject(role="client")]}))
    allowed(client, rules.c.web)
    rules.k.apply(cluster_policy("base", "Baseline", 0, {"name": "no", "action": "Deny", "from": [{"namespaces": {}}]}))
    for pod in (client, stranger):
        denied(pod, rules.c.web)
    rules.k.apply({"apiVersion": "networking.k8s.io/v1", "kind": "NetworkPolicy", "metadata": {"name": "web", "namespace": "lab"},
                   "spec": {"podSelector": {"matchLabels": {"app": "web"}}, "ingress": [
                       {"from": [{"podSelector": {"matchLabels": {"role": "client"}}}]}]}})
    is_in_force(rules.c)
    rules.k.kubectl("delete", CLUSTER, "base")
    is_in_force(rules.c)


def test_an_admin_policy_accepts_what_a_namespace_denies(rules):
    stranger = rules.c.strangers[1]
    rules.k.apply(ONLY_CLIENTS)
    is_in_force(rules.c)
    rules.k.apply(cluster_policy("ports", "Admin", 1, {"name": "echo", "action": "Accept", "from": [{"namespaces": {}}],
                                                       "protocols": tcp(number=PORT)}))
    allowed(stranger, rules.c.web)
    rules.k.apply(cluster_policy("ports", "Admin", 1, {"name": "other", "action": "Accept", "from": [{"namespaces": {}}],
                                                       "protocols": tcp(range={"start": PORT + 1, "end": PORT + 9})}))
    denied(stranger, rules.c.web)
    rules.k.apply(cluster_policy("ports", "Admin", 1, {"name": "echo", "action": "Accept", "from": [{"namespaces": {}}],
                                                       "protocols": [{"destinationNamedPort": "echo"}]}))
    allowed(stranger, rules.c.web)


def test_an_admin_policy_denies_networks(rules):
    web, stranger = rules.c.web, rules.c.strangers[1]
    rules.k.apply(cluster_policy("nets", "Admin", 1, {"name": "no", "action": "Deny", "to": [
        {"networks": [f"{web.ip(4)}/32", f"{web.ip(6)}/128"]}]}, direction="egress",
        of={"namespaces": {"matchLabels": {"kubernetes.io/metadata.name": "lab"}}}))
    denied(stranger, web)
    allowed(stranger, rules.c.clients[0])


def accepted(k, *words):
    """(status, reason, generation) of the condition; None: there is none."""
    conditions = json.loads(k.kubectl("get", *words, "-o", "json")).get("status", {}).get("conditions", [])
    found = [c for c in conditions if c["type"] == "roost.io/Accepted"]
    return (found[0]["status"], found[0]["reason"], found[0]["observedGeneration"]) if found else None


def test_each_object_says_what_becomes_of_it_and_is_written_once(rules):
    k = rules.k
    nodes = cluster_policy("nodes", "Admin", 7, {"name": "n", "action": "Accept", "to": [{"nodes": {}}]}, direction="egress")
    k.apply(ONLY_CLIENTS, nodes, cluster_policy("plain", "Admin", 8, {"name": "p", "action": "Pass", "from": [{"namespaces": {}}]}),
            ours("Tier", "security", order=10), ours("NetworkSet", "nets", "lab", nets=["192.0.2.0/24"]),
            ours("StagedNetworkPolicy", "web", "lab"))
    good = [("networkpolicies.roost.io", "web", "-n", "lab"), (CLUSTER, "plain"), ("tiers.roost.io", "security"),
            ("networksets.roost.io", "nets", "-n", "lab"), ("stagednetworkpolicies.roost.io", "web", "-n", "lab")]
    for words in good:
        until(lambda w=words: accepted(k, *w) == ("True", "AsWritten", 1), f"{words[0]} {words[1]} to say that it is taken")
    until(lambda: accepted(k, CLUSTER, "nodes") == ("False", "NotServed", 1), "the peer that is not served to be said")
    true("nodes is not served" in k.kubectl("get", CLUSTER, "nodes", "-o", "yaml"), "the field to be named")
    until(lambda: any("nodes is not served" in p for p in rules.c.nodes[1].status().get("problems", [])), "the agents to say it")

    before = [k.kubectl("get", *w, "-o", "jsonpath={.metadata.resourceVersion}") for w in good]
    holder = next(n for n in rules.c.nodes if "looks after deleted nodes" in n.agent.said())
    holder.agent.stop()
    other = next(n for n in rules.c.nodes if n is not holder)
    k.must("DELETE", "/apis/coordination.k8s.io/v1/namespaces/roost-system/leases/roost-controller")
    other.agent.stop()
    other.agent.start()
    k.kubectl("patch", "rnp", "web", "-n", "lab", "--type=merge", "-p", '{"spec":{"order":5}}')
    until(lambda: accepted(k, *good[0]) == ("True", "AsWritten", 2), "the next agent to say it of the next generation")
    equal([k.kubectl("get", *w, "-o", "jsonpath={.metadata.resourceVersion}") for w in good[1:]], before[1:],
          "the versions of objects of which nothing changed")
    holder.agent.start()
    k.kubectl("delete", CLUSTER, "nodes")
    until(lambda: not any("nodes is not served" in p for p in other.status().get("problems", [])), "the problem to be over")


def test_a_definition_that_is_deleted_takes_its_policies_along_and_is_found_again(rules):
    rules.k.apply(ONLY_CLIENTS)
    is_in_force(rules.c)
    rules.k.kubectl("delete", "crd", "networkpolicies.roost.io", "tiers.roost.io")
    allowed(rules.c.strangers[1], rules.c.web)
    for node in rules.c.nodes:
        equal([p for p in node.status().get("problems", []) if "API server" in p], [], f"problems of {node}")
    define(rules.k)
    rules.k.apply(ONLY_CLIENTS)
    is_in_force(rules.c)
