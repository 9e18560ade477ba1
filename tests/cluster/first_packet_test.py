# SPDX-License-Identifier: Apache-2.0
"""The first packet: pods under a policy that denies everything start at full speed, while the agent lives, is
stopped, slowed, killed, and killed again and again; a prober sends to their addresses before anybody has them, and
from them before they have an interface, a thousand times a second. Nothing may arrive on either side.

ROOST_FIRST_PACKET_PODS says how many pods (docs/POLICY.md has the figures of 1,000)."""
import contextlib
import ipaddress
import json
import os
import socket
import subprocess
import threading
import time

import pytest

import traffic
from enforcement_test import SOON_S, add, delete, labels, policy, put
from lab import BIN, Cluster, FAMILIES, HANG_S, PROGRAMS, equal, inside, step, true, until
from roostlab import at_once

pytestmark = pytest.mark.needs(*PROGRAMS)

PODS = int(os.environ.get("ROOST_FIRST_PACKET_PODS", 100))
AT_ONCE = 4 if PODS <= 100 else 8
TURNS = 20  # of the prober for each pod that is there
# All pods of the machine share the kernel's table of 1,024 neighbours, in which one that sends by IPv6 has two.
SENDERS6 = 200


class Prober:
    """tests/cluster/prober.c"""

    def __init__(self):
        self._process = subprocess.Popen([f"{BIN}/../tests/cluster/prober"], text=True, stdin=subprocess.PIPE,
                                         stdout=subprocess.PIPE)

    def tell(self, *words):
        self._process.stdin.write(" ".join(words) + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()

    def send(self, place, addresses):
        equal(self.tell("send", place.path, *addresses), "ok", "the prober's answer")

    def stop(self, *places):
        for place in places:
            equal(self.tell("stop", place.path), "ok", "the prober's answer")

    def count(self, place):
        """Turns, and datagrams that were sent."""
        return [int(n) for n in self.tell("count", place.path).split()]

    def wait(self, place, turns=TURNS):
        begin = self.count(place)[0]
        until(lambda: self.count(place)[0] >= begin + turns, "the prober to have its turns")

    def close(self):
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()
        self._process.stdout.close()


def received(place):
    """Datagrams of UDP that came there, for a socket or not."""
    with inside(place.path):
        with open("/proc/thread-self/net/snmp") as f:
            names, values = [line.split()[1:] for line in f if line.startswith("Udp:")]
        with open("/proc/thread-self/net/snmp6") as f:
            six = dict(line.split() for line in f)
    four = dict(zip(names, values))
    return sum(int(found[prefix + name]) for found, prefix in ((four, ""), (six, "Udp6"))
               for name in ("InDatagrams", "NoPorts", "InErrors"))


def denied(node):
    """Packets that were dropped, for whatever reason."""
    found = json.loads(node.run("nft", "-j", "list", "counters", "table", "inet", "roost-policy"))["nftables"]
    named = [x["counter"] for x in found if "counter" in x]
    return sum(x["packets"] for x in named if x["name"] in ("pending", "cut") or x["name"].startswith("d_"))


def both(place):
    return [place.ip(f) for f in FAMILIES]


class Start:
    """Pods that start while everybody sends to them, and they to everybody."""

    def __init__(self, c, prober, peers):
        self.c, self.node, self.prober, self.peers = c, c.nodes[0], prober, peers
        self.pods, self.senders6 = [], 0

    def next_addresses(self, n):
        """Those that the next pods get, as the node gives the lowest one that nobody ever had."""
        last = {f: max((ipaddress.ip_address(p.ip(f)) for p in self.node.pods.values()), default=None) for f in FAMILIES}
        return [str(last[f] + i) for f in FAMILIES for i in range(1, n + 1)]

    def some(self, n, namespace="lab"):
        pods = [self.node.new_pod() for _ in range(n)]
        window = self.next_addresses(n)
        for place in self.peers:
            self.prober.send(place, window)
        for pod in pods:
            pod.namespace = namespace
            four_only = self.senders6 >= SENDERS6
            self.senders6 += not four_only
            self.prober.send(pod, [p.ip(4) for p in self.peers] if four_only else
                             [a for p in self.peers for a in both(p)])
        for answer in at_once([lambda p=p: self.node.try_add(p) for p in pods]):
            true(not answer.status, "ADD to succeed", answer)
        self.prober.wait(pods[-1])
        for pod in pods:
            equal([a for a in both(pod) if a not in window], [], "addresses that nobody sent to")
            true(self.prober.count(pod)[1] > 0, f"{pod} to have sent something")
        self.prober.stop(*pods, *self.peers)
        self.pods += pods
        return pods

    def many(self, n):
        while n > 0:
            self.some(min(n, AT_ONCE))
            n -= AT_ONCE

    def leaks(self):
        """{place: datagrams} that should not be."""
        found = {str(p): received(p) for p in self.pods + self.peers}
        return {name: n for name, n in found.items() if n}


@contextlib.contextmanager
def again_and_again(act):
    """In a thread of its own."""
    ended = threading.Event()

    def run():
        while not ended.is_set():
            act()
    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join(HANG_S)


@contextlib.contextmanager
def stopped(agent):
    agent.freeze()
    yield
    agent.thaw()


def slowed(agent):
    """It runs a sixth of the time."""
    def act():
        agent.freeze()
        time.sleep(0.05)
        agent.thaw()
        time.sleep(0.01)
    return again_and_again(act)


@contextlib.contextmanager
def killed(agent):
    agent.kill()
    yield
    agent.start()


def restarted(agent):
    def act():
        agent.kill()
        agent.start()
        time.sleep(0.2)
    return again_and_again(act)


MODES = {"alive": contextlib.nullcontext, "stopped": stopped, "slowed": slowed, "killed": killed, "restarted": restarted}


def deny(namespace="lab"):
    return policy("deny", namespace=namespace, selector="all()", types=["Ingress", "Egress"])


def is_in_force(node):
    until(lambda: "1 in the cluster, in force" in node.status_text(), f"the status of {node} to say so")


@contextlib.contextmanager
def cluster(store="file"):
    """One node, whose pods the host outside can reach."""
    with Cluster(nodes=1, subnets=1, nat=True, block=22, store=store,
                 settings={"trustLastBlocks": True}) as c, contextlib.closing(Prober()) as prober:
        node = c.nodes[0]
        c.started()
        c.router.ip(*(f"route add {pool} via {node.ip(f)}" for f, pool in ((4, "100.66.0.0/16"), (6, "fd66::/48"))))
        yield c, node, prober


def open_pod(node, name):
    pod = node.new_pod(name)
    pod.namespace = "open"
    answer = node.try_add(pod)
    true(not answer.status, f"ADD of {pod} to succeed", answer)
    return pod


def test_no_packet_passes_before_a_pods_policies_are_there():
    with cluster() as (c, node, prober):
        start = Start(c, prober, [c.outside, open_pod(node, "peer")])
        before = {str(p): received(p) for p in start.peers}
        put(c, deny())
        is_in_force(node)
        for name, mode in MODES.items():
            with mode(node.agent):
                start.many(PODS // len(MODES))
            step(f"{len(start.pods)} pods, the last ones with an agent that is {name}")
            equal({n: k for n, k in start.leaks().items() if k != before.get(n)}, {}, "datagrams that came through")
        node.agent.must_run()
        is_in_force(node)
        true(denied(node) > PODS, "the prober to have met pods that were closed", denied(node))
        equal({n: k for n, k in start.leaks().items() if k != before.get(n)}, {}, "datagrams that came through")
        # The prober would have come through: nothing of this is true without the policy.
        delete(c, deny())
        pod = start.pods[-1]
        for source, target in ((c.outside, pod), (pod, c.outside), (start.peers[1], pod)):
            seen = received(target)
            prober.send(source, both(target))
            until(lambda t=target, n=seen: received(t) > n, f"datagrams from {source} to {target} without a policy")
            prober.stop(source)


@pytest.mark.parametrize("away", [False, True], ids=["store at hand", "store away"])
def test_after_a_reboot_pods_are_closed_before_the_agent_knows_of_policies(away):
    with cluster("etcd" if away else "file") as (c, node, prober):
        put(c, deny())
        is_in_force(node)
        pod = node.add_pod()
        until(lambda: os.path.exists(f"{node.data}/policy.json"), "the agent to keep what is closed")
        addresses = [str(ipaddress.ip_address(a) + i) for a in both(pod) for i in range(-2, 6)]
        node.reboot()
        if away:
            c.store.kill()
        before = received(c.outside)
        prober.send(c.outside, addresses)
        pods = [node.new_pod() for _ in range(4)]
        for pod in pods:
            prober.send(pod, both(c.outside))

        def begin(pod):
            until(lambda: not node.try_add(pod).status, f"ADD of {pod} to succeed")
        node.start()
        at_once([lambda p=p: begin(p) for p in pods])
        prober.wait(c.outside)
        equal({str(p): received(p) for p in pods}, {str(p): 0 for p in pods}, "datagrams that came to pods")
        equal(received(c.outside), before, "datagrams that came from pods")
        for pod in pods:
            true(set(both(pod)) <= set(addresses), "addresses that were sent to", both(pod))


# ---- an address that becomes another pod's ----

def role(name, *addresses):
    """args of the network configuration."""
    found = labels(role=name)
    found["cni"]["ips"] = list(addresses)
    return found


def pod_of_role(node, name, *addresses):
    pod = node.new_pod()
    answer = node.try_add(pod, args=role(name, *addresses))
    true(not answer.status, f"ADD of {pod} to succeed", answer)
    return pod


def servers(name):
    """All pods of the namespace are isolated, but those of a role."""
    allow = [{"action": "Allow"}]
    return policy("servers", selector=f"role == '{name}'", types=["Ingress", "Egress"], order=1, ingress=allow,
                  egress=allow)


class Client:
    """A host outside that talks with a pod by UDP from one socket, and does not stop when the pod ends."""

    def __init__(self, c, address):
        self.target = (address, traffic.PORT)
        self.socket = traffic.open_socket(c.outside.path, address, socket.SOCK_DGRAM)
        self.socket.settimeout(SOON_S)
        self.socket.bind(("::" if ":" in address else "0.0.0.0", 0))
        self.port = self.socket.getsockname()[1]

    def talks(self):
        """Whether it is answered."""
        self.socket.sendto(b"x", self.target)
        with contextlib.suppress(TimeoutError, socket.timeout):
            return bool(self.socket.recv(100))
        return False

    def send(self):
        self.socket.sendto(b"x", self.target)
        time.sleep(0.001)

    def drain(self):
        """What came."""
        n = 0
        self.socket.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.recv(100)
                n += 1
        self.socket.settimeout(SOON_S)
        return n


UNASKED = 20


def answer_unasked(pod, client, address):
    """Packets of the pod that look as if they belonged to the client's connection."""
    with traffic.open_socket(pod.path, address, socket.SOCK_DGRAM) as s:
        s.bind((pod.ip(6 if ":" in address else 4), traffic.PORT))
        for _ in range(UNASKED):
            s.sendto(b"x", (address, client.port))


@pytest.mark.parametrize("mode", ["alive", "stopped"])
def test_a_pod_inherits_no_connection_with_its_address(mode):
    with cluster() as (c, node, _):
        put(c, deny())
        put(c, servers("server"))
        until(lambda: "2 in the cluster, in force" in node.status_text(), "both policies to be in force")
        for turn in range(3):
            server = pod_of_role(node, "server")
            addresses = both(server)
            c.echo.serve(server.path)
            clients = [Client(c, a) for a in addresses]
            for client in clients:
                until(client.talks, f"the server to answer at {client.target}")
            with MODES[mode](node.agent), contextlib.ExitStack() as sending:
                for client in clients:
                    sending.enter_context(again_and_again(client.send))
                node.del_pod(server)
                heir = pod_of_role(node, "other", *addresses)
                equal(both(heir), addresses, "the addresses of the one before")
                begin = denied(node)
                until(lambda n=begin: denied(node) >= n + 50, "the clients to be denied")
                equal(received(heir), 0, "datagrams that came through the connection of the one before")
            begin = denied(node)
            for client, address in zip(clients, both(c.outside)):
                client.drain()
                answer_unasked(heir, client, address)
            until(lambda n=begin: denied(node) >= n + 2 * UNASKED, "the pod's own packets to be denied")
            equal([client.drain() for client in clients], [0, 0], "datagrams that came from the pod")
            step(f"turn {turn}: nothing was inherited")
            node.del_pod(heir)
            for client in clients:
                client.socket.close()
