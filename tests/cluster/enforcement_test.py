# SPDX-License-Identifier: Apache-2.0
"""Network policy without Kubernetes: Calico's kinds in the cluster store, labels that CNI was told, two nodes. What
a policy forbids and allows between nodes, with the agent dead, the store away, and the table taken away."""
import contextlib
import json
import socket

import pytest

import traffic
from lab import Cluster, PROGRAMS, documents, equal, inside, resource, step, true, until

pytestmark = pytest.mark.needs(*PROGRAMS)
TABLE = "inet roost-policy"
SOON_S = 0.7 * traffic.SLOW  # what is allowed answers sooner


def labels(**pairs):
    return {"cni": {"labels": [{"key": k, "value": v} for k, v in pairs.items()]}}


def add(node, name, **pairs):
    """A pod with labels, which answers probes."""
    pod = node.new_pod(name)
    answer = node.try_add(pod, args=labels(**pairs))
    true(not answer.status, f"ADD of {pod} to succeed", answer)
    node.cluster.echo.serve(pod.path)
    return pod


def reaches(a, b, family=4, port=traffic.PORT):
    """Whether a connection from a to b comes to be, soon."""
    target = b.ip(family)
    with traffic.open_socket(a.path, target, socket.SOCK_STREAM) as s:
        s.settimeout(SOON_S)
        try:
            s.connect((target, port))
            return True
        except (TimeoutError, socket.timeout):
            return False


def connection(a, b):
    """One that is up, and greeted."""
    s = traffic.open_socket(a.path, b.ip(4), socket.SOCK_STREAM)
    s.settimeout(traffic.PROBE_S)
    s.connect((b.ip(4), traffic.PORT))
    s.recv(100)
    s.settimeout(SOON_S)
    return s


def talks(s):
    """Whether what is sent comes back. What was sent in vain comes later, with what follows."""
    with contextlib.suppress(TimeoutError, socket.timeout):
        s.send(b"x")
        return bool(s.recv(4096))
    return False


def allowed(a, b):
    for family in (4, 6):
        until(lambda f=family: reaches(a, b, f), f"{a} to reach {b} by IPv{family}")


def denied(a, b):
    for family in (4, 6):
        until(lambda f=family: not reaches(a, b, f), f"{a} not to reach {b} by IPv{family}")


def policy(name="web", namespace="lab", kind="NetworkPolicy", **spec):
    document = resource(kind, name, **spec)
    if namespace:
        document["metadata"]["namespace"] = namespace
    return document


def only_clients(**more):
    """Of web's pods: only clients may come in, to the echo's port."""
    return policy(selector="app == 'web'", types=["Ingress"], ingress=[{
        "action": "Allow", "protocol": "TCP", "source": {"selector": "role == 'client'"},
        "destination": {"ports": [traffic.PORT]}}], **more)


def key_of(document):
    name = document["metadata"]["name"]
    namespace = document["metadata"].get("namespace")
    plural = {"NetworkPolicy": "networkpolicies", "GlobalNetworkPolicy": "globalnetworkpolicies",
              "StagedNetworkPolicy": "stagednetworkpolicies"}[document["kind"]]
    return f"resources/{plural}/{namespace}.{name}" if namespace else f"resources/{plural}/{name}"


def put(c, document):
    c.store.put(key_of(document).encode(), json.dumps(document).encode())


def delete(c, document):
    c.store.delete(key_of(document).encode())


def endpoints(c):
    """Names of pods that the store has documents of."""
    with inside(c.nodes[0].path):
        return {json.loads(text)["metadata"]["name"] for text in documents(c, "endpoints/").values()}


def table(node):
    return node.run("nft", "list", "table", *TABLE.split(), check=False)


@contextlib.contextmanager
def cluster(store="etcd"):
    """Two nodes; web on the first one, a client and a stranger on each."""
    with Cluster(nodes=2, subnets=1, nat=True, store=store) as c:
        c.started()
        a, b = c.nodes
        c.web = add(a, "web", app="web")
        c.clients = [add(n, f"client-{n}", role="client") for n in (a, b)]
        c.strangers = [add(n, f"stranger-{n}") for n in (a, b)]
        yield c


def take_away(node):
    """Somebody does so; the agent puts it back."""
    for words in (["delete", "table", *TABLE.split()], ["flush", "table", *TABLE.split()], ["flush", "ruleset"]):
        before = node.status()["policy"]["replaced"]
        node.run("nft", *words)
        until(lambda b=before: node.status()["policy"]["replaced"] > b, f"the agent to see nft {' '.join(words)}")
        step(f"nft {' '.join(words)}: mended")


def is_in_force(c):
    for pod in c.clients:
        allowed(pod, c.web)
    for pod in c.strangers:
        denied(pod, c.web)


@pytest.mark.parametrize("store", ["file", "etcd"])
def test_a_policy_denies_and_allows_between_nodes(store):
    with cluster(store) as c:
        for pod in c.strangers + c.clients:
            allowed(pod, c.web)
        true(not table(c.nodes[0]), "no table while there is no policy")
        equal(endpoints(c), set(), "documents of pods without a policy")
        put(c, only_clients())
        is_in_force(c)
        step("clients come in, strangers do not")
        for node in c.nodes:
            until(lambda n=node: "1 in the cluster, in force" in n.status_text(), f"the status of {node} to say so")
            equal(node.status()["problems"], [], f"problems of {node}")
        pods = {pod.name for node in c.nodes for pod in node.pods.values()}
        until(lambda: endpoints(c) == pods, "a document for each pod")
        for node in c.nodes:
            true(c.web.node is node or "web" not in (table(node) or ""), "chains on the pod's own node alone")
        late = add(c.nodes[1], "late", role="client")
        allowed(late, c.web)
        c.nodes[1].del_pod(late)
        again = add(c.nodes[1], "late")
        denied(again, c.web)
        step("a pod is judged by its own labels, not by those of the one before")
        until(lambda: reaches(c.web.node, c.web), "the node itself to reach its pod")
        delete(c, only_clients())
        for pod in c.strangers + [again]:
            allowed(pod, c.web)
        until(lambda: not table(c.nodes[0]), "the table to go with the last policy")


def test_rules_stay_while_the_agent_is_dead():
    with cluster() as c:
        put(c, only_clients())
        is_in_force(c)
        node = c.web.node
        node.agent.kill()
        is_in_force(c)
        newcomer = add(node, "newcomer", app="web")
        for pod in c.clients + c.strangers:
            denied(pod, newcomer)
        step("without an agent rules stay, and a new pod is closed")
        node.agent.start()
        for pod in c.clients:
            allowed(pod, newcomer)
        for pod in c.strangers:
            denied(pod, newcomer)
        is_in_force(c)


def test_rules_stay_while_the_store_and_bird_are_away():
    """And a table that somebody takes away meanwhile is back, by what is known."""
    with cluster() as c:
        put(c, only_clients())
        is_in_force(c)
        c.store.kill()
        node = c.web.node
        node.bird.kill()
        take_away(node)
        own = [pod for pod in c.clients + c.strangers if pod.node is node]
        for pod in own:
            (allowed if pod in c.clients else denied)(pod, c.web)
        step("back without the store, and without BIRD")
        node.bird.start()
        node.agent.kill()
        node.agent.start()
        until(node.status, f"the agent of {node} to answer")
        is_in_force(c)
        c.store.start()
        is_in_force(c)


def test_what_is_denied_is_counted_and_told():
    with cluster() as c:
        put(c, only_clients())
        is_in_force(c)
        node, stranger = c.web.node, c.strangers[1]

        def figures():
            [row] = node.ask("policy", "list")["policies"]
            return row["counters"]

        for pod in c.clients:
            allowed(pod, c.web)
        before = figures()
        true(before["allowed"]["packets"] >= 4, "two clients to be counted by both families", before)
        [isolated] = before["isolated"]
        equal((isolated["way"], isolated["policies"]), ("in", ["Calico NetworkPolicy lab/web"]), "what isolates")
        denied(stranger, c.web)
        until(lambda: figures()["isolated"][0]["packets"] > isolated["packets"], "the counter to rise")
        told = {("in", stranger.ip(f), f"lab/{c.web.name}", f"{traffic.PORT}/TCP", "Calico NetworkPolicy lab/web", True) for f in (4, 6)}

        def entries():
            return {(e["way"], e["source"], e["destinationPod"], e["port"], e["by"], e["isolated"])
                    for e in node.ask("policy", "denied")["denied"] if e["sourcePod"] == f"lab/{stranger.name}"}

        until(lambda: entries() == told, "the stranger to be told of, by both families")
        equal([e for n in c.nodes if n is not node for e in n.ask("policy", "denied")["denied"]], [], "entries elsewhere")
        node.agent.kill()
        node.agent.start()
        is_in_force(c)
        after = figures()
        equal(after["isolated"][0]["since"], isolated["since"], "since when it counts, over a restart")
        true(after["allowed"]["packets"] > before["allowed"]["packets"], "counters to go on", (before, after))


def test_a_table_that_somebody_takes_away_is_back():
    with cluster() as c:
        put(c, only_clients())
        is_in_force(c)
        node = c.web.node
        for words in (["delete", "table", *TABLE.split()], ["flush", "table", *TABLE.split()], ["flush", "ruleset"]):
            before = node.status()["policy"]["replaced"]
            node.run("nft", *words)
            until(lambda b=before: node.status()["policy"]["replaced"] > b, f"the agent to see nft {' '.join(words)}")
            is_in_force(c)
            step(f"nft {' '.join(words)}: mended")


def test_connections_end_with_a_policy_and_live_on_without_it():
    with cluster() as c:
        for stranger in c.strangers:
            with connection(stranger, c.web) as s:
                true(talks(s), "the connection to work before there is a policy")
                put(c, only_clients())
                denied(stranger, c.web)
                until(lambda: not talks(s), "the connection to be cut")
                step("cut")
                delete(c, only_clients())
                until(lambda: talks(s), "the connection to live on")


def test_what_a_staged_policy_would_deny_is_told():
    """At the latest with the next look at connections; an agent that starts looks at once."""
    with cluster() as c:
        stranger, node = c.strangers[1], c.web.node
        with connection(stranger, c.web) as s, connection(c.clients[0], c.web) as allowed_one:
            put(c, only_clients(kind="StagedNetworkPolicy"))
            node.agent.kill()
            node.agent.start()
            entries = until(lambda: node.ask("policy", "denied", "--staged")["denied"], "the stranger to be told of", seconds=120)
            equal([(e["way"], e["sourcePod"], e["destinationPod"], e["port"], e["by"]) for e in entries],
                  [("in", f"lab/{stranger.name}", f"lab/{c.web.name}", f"{traffic.PORT}/TCP", "StagedNetworkPolicy lab/web")],
                  "what it would deny")
            true(talks(s) and talks(allowed_one), "both to work on")
            true(not table(node), "no table for a staged policy")
            equal(node.ask("policy", "denied")["denied"], [], "what is denied")


def test_a_removed_node_takes_its_pods_along():
    with cluster() as c:
        put(c, only_clients())
        is_in_force(c)
        stays, goes = c.nodes
        until(lambda: endpoints(c) == {p.name for n in c.nodes for p in n.pods.values()}, "a document for each pod")
        goes.agent.stop()
        stays.ctl("node", "remove", goes.name, "--force", "--powered-off")
        equal(endpoints(c), {pod.name for pod in stays.pods.values()}, "documents of pods")
        for pod in c.clients:
            (allowed if pod.node is stays else denied)(pod, c.web)
