# SPDX-License-Identifier: Apache-2.0
"""IPVS beside roost, as docs/IPVS.md has it: a virtual service on a node's address, two pods on
different nodes as masqueraded real servers, reached from every node, every pod and the host outside,
in every way of carrying packets between nodes. Needs a kernel with IPVS:

    tests/vm/run --load ipip --load ip_vs --load ip_vs_rr python3 -m pytest tests/vm/ipvs_test.py
"""
import collections
import os
import re

import pytest

import lab
import traffic
from lab import Cluster, PROGRAMS, ROOT, equal, step, true

pytestmark = [pytest.mark.needs(*PROGRAMS), pytest.mark.skipif(
    os.system("ipvsadm -Ln >/dev/null 2>&1") != 0, reason="this kernel has no IPVS")]

PAGE = f"{ROOT}/docs/IPVS.md"
SERVICE, REAL = 32000, 8080
ROUNDS = 3


def commands(number, **values):
    """A block of commands of the page, with other values for its assignments and addresses."""
    with open(PAGE) as f:
        text = re.findall(r"```sh\n(.*?)```", f.read(), re.S)[number]
    for name, value in values.items():
        text, count = re.subn(rf"\b{name}=\S+", f"{name}={value}", text)
        equal(count, 1, f"assignments of {name} in the page's commands")
    return "set -e\n" + text


class Served:
    """A cluster with the service on its first node."""

    def __init__(self, cluster):
        self.cluster = cluster
        cluster.wait_ready()
        self.here, self.there = cluster.nodes[0].add_pod(), cluster.nodes[1].add_pod()
        self.clients = [n.add_pod() for n in cluster.nodes]
        cluster.wait_converged()
        self.echo = traffic.Echo(REAL, named=True)
        for pod in (self.here, self.there):
            self.echo.serve(pod.path)
        self.node = cluster.nodes[0]
        self.node.run("sh", "-c", commands(0, NODE=self.node.ip(4), PORT=SERVICE,
                                           POD1=f"{self.here.ip4}:{REAL}",
                                           POD2=f"{self.there.ip4}:{REAL}"))

    def call(self, client):
        """(source that the pod saw, pod's address) of each of some connections."""
        return [tuple(traffic.tcp(client.path, self.node.ip(4), SERVICE).split())
                for _ in range(2 * ROUNDS)]

    def close(self):
        for pod in (self.here, self.there):
            self.echo.leave(pod.path)
        self.echo.close()

    def source(self, client):
        """What a pod of the service's own node sees of a client."""
        if isinstance(client, lab.Pod):
            leaves = client.node is not self.node and self.cluster.nat
            return {client.node.ip(4)} if leaves else {client.ip(4)}
        return {client.ip(4)}

    def own(self):
        """What a pod elsewhere sees: the node's address on the link that leads there."""
        through = {r.get("dev") for b in self.cluster.nodes[1].blackholes()
                   for r in [self.node.bird_routes()[b]]}
        return {self.node.ip(4)} if through == {"eth0"} else {self.tunnel_address(through)}

    def tunnel_address(self, devices):
        (device,) = devices
        return next(a["local"] for l in self.node.ns.ask(f"addr show dev {device}")
                    for a in l["addr_info"] if a["family"] == "inet")


def a_pod_calls_itself(s):
    """With the page's rule for it; it reaches the other pod in any case."""
    s.node.run("sh", "-c", commands(1).replace("100.66.33.193", s.here.ip4))
    pods = collections.Counter(pod for _, pod in s.call(s.here))
    equal(pods, {s.here.ip4: ROUNDS, s.there.ip4: ROUNDS}, "pods that answered one of them")


def everybody_is_served(c):
    s = Served(c)
    try:
        for client in [*c.nodes, c.outside, *s.clients]:
            seen = s.call(client)
            pods = collections.Counter(pod for _, pod in seen)
            equal(pods, {s.here.ip4: ROUNDS, s.there.ip4: ROUNDS},
                  f"pods that answered {client}, round robin")
            near = {source for source, pod in seen if pod == s.here.ip4}
            far = {source for source, pod in seen if pod == s.there.ip4}
            true(near <= s.source(client), f"the source {s.source(client)} of {client} on the same "
                 "node", near)
            equal(far, s.own(), f"the source of {client} on the other node")
        step(f"every client reached both pods {ROUNDS} times; remote pods saw {s.own()}")
        a_pod_calls_itself(s)
        c.matrix()
    finally:
        s.close()


def test_without_a_tunnel():
    with Cluster(encap="none", tor=True, families=(4,)) as c:
        everybody_is_served(c)


def test_through_vxlan_always():
    with Cluster(encap="vxlan", families=(4,), nat=True) as c:
        everybody_is_served(c)


def test_through_vxlan_between_subnets():
    with Cluster(encap="vxlan-cross-subnet", families=(4,)) as c:
        everybody_is_served(c)


def test_through_ipip_always():
    with Cluster(encap="ipip", families=(4,)) as c:
        everybody_is_served(c)


def test_through_ipip_between_subnets():
    with Cluster(encap="ipip-cross-subnet", families=(4,), nat=True) as c:
        everybody_is_served(c)


def test_a_pod_cannot_answer_with_the_services_address():
    """Which is what tunnelling (-i) asks of it. It could, but for the check of what pods send."""
    with Cluster(encap="none", families=(4,), nodes=2, subnets=1) as c:
        c.wait_ready()
        node, other = c.nodes
        pod = other.add_pod()
        c.wait_converged()
        service = "10.1.1.99"  # the node's own is the tunnel's source, so no pod can have that
        node.ns.ip(f"addr add {service}/32 dev lo")
        pod.ns.ip("link set tunl0 up", f"addr add {service}/32 dev lo")
        for name in ("all", "tunl0", "eth0"):
            pod.ns.set_sysctl(f"ipv4/conf/{name}/rp_filter", 0)
        server = traffic.Echo(SERVICE)
        server.serve(pod.path)
        try:
            node.run("ipvsadm", "-A", "-t", f"{service}:{SERVICE}", "-s", "rr")
            node.run("ipvsadm", "-a", "-t", f"{service}:{SERVICE}", "-r", f"{pod.ip4}:{SERVICE}",
                     "-i")

            def answer():
                try:
                    return traffic.tcp(c.outside.path, service, SERVICE)
                except OSError:
                    return None
            equal(answer(), None, "an answer")
            other.agent.stop()  # it would put right what follows
            for name in ("all", pod.host_link()):
                other.ns.set_sysctl(f"ipv4/conf/{name}/rp_filter", 0)
            equal(answer(), None, "an answer without the reverse path check")
            other.run("nft", "delete table inet roost")
            equal(answer(), c.outside.ip(4), "the answer without the anti-spoofing rule")
        finally:
            server.leave(pod.path)
            server.close()
