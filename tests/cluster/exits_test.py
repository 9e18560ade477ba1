# SPDX-License-Identifier: Apache-2.0
"""Pods leave the cluster by exits: nodes that a label makes exits, and outside routers.

Four nodes, two that pods run on and two exits. Every exit keeps a set of the flows that it forwards to
the host outside (an nftables set of source address and port), so a test sees which exit each
flow takes, how they are shared out, and that none of them changes its way.

EXITS_ENCAP: one encapsulation for all stories, instead of each story's own. EXITS_BFD_MS: the
interval of BFD, for a machine that is slow.
"""
import json
import os
import socket
import time

import pytest

import lab
import traffic
from lab import Cluster, Failed, PROGRAMS, equal, resource, step, true, until, until_it_passes

pytestmark = pytest.mark.needs(*PROGRAMS)

TABLE = 8266
BFD_MS = int(os.environ.get("EXITS_BFD_MS", 0))
FLOWS = 64
COUNT = """
table inet count {
  set flows4 { type ipv4_addr . inet_service; flags dynamic; size 65535; }
  set flows6 { type ipv6_addr . inet_service; flags dynamic; size 65535; }
  chain forward { type filter hook forward priority 0;
    ip daddr %s udp dport %d add @flows4 { ip saddr . udp sport }
    ip6 daddr %s udp dport %d add @flows6 { ip6 saddr . udp sport }
  }
}
""" % (lab.OUTSIDE4, traffic.PORT, lab.OUTSIDE6, traffic.PORT)


class Exits:
    """A cluster whose last two nodes can be exits."""

    def __init__(self, cluster):
        self.c = cluster
        self.workers, self.exits = cluster.nodes[:2], cluster.nodes[2:]
        cluster.wait_ready()
        self.pods = [w.add_pod() for w in self.workers for _ in range(2)]
        cluster.wait_converged()
        self.defaults = {n: self._own_default(n) for n in cluster.nodes}
        for node in self.exits:
            self.watch(node)
        self.configure(exits=[{"nodeSelector": "has(exit)", "cidrs": ["0.0.0.0/0", "::/0"]}])

    def configure(self, **spec):
        if BFD_MS:
            spec["exitBFD"] = {"intervalMs": BFD_MS}
        self.c.apply(resource("BGPConfiguration", "default", **spec))

    @staticmethod
    def _own_default(node):
        return {f: node.run("ip", f"-{f}", "route", "show", "default").replace(" linkdown", "")
                for f in node.cluster.families}

    @staticmethod
    def watch(node):
        node.run("nft", "-f", "-", stdin=COUNT)

    def label(self, node, on=True):
        """Makes a node an exit, or takes that away."""
        found = node.ask("get", "node", node.name)
        document = (found["items"][0] if "items" in found else found)
        labels = document["metadata"].setdefault("labels", {})
        labels.pop("exit", None)
        if on:
            labels["exit"] = "yes"
        self.c.apply(document)

    def paths(self, node, family):
        """The next hops of the default route in the table of exits."""
        for route in node.ns.ask(f"-{family} route show table {TABLE}"):
            if route["dst"] == "default":
                return [(h["gateway"] if "gateway" in h else h["via"]["host"], h["dev"])
                        for h in route.get("nexthops", [route])] if route.get("type", "unicast") == "unicast" else []
        return []

    def wait_paths(self, number, nodes=None):
        for node in nodes or self.workers:
            for family in self.c.families:
                until(lambda n=node, f=family: len(self.paths(n, f)) == number,
                      f"{node} to have {number} IPv{family} exits")

    def on(self):
        for node in self.exits:
            self.label(node)
        self.wait_paths(len(self.exits))

    def forget(self):
        for node in self.exits:
            for f in self.c.families:
                node.run("nft", "flush", "set", "inet", "count", f"flows{f}")

    def seen(self, node, family):
        """The flows that a node forwarded since forget()."""
        found = json.loads(node.run("nft", "-j", "list", "set", "inet", "count", f"flows{family}"))
        elements = found["nftables"][1]["set"].get("elem", [])
        return {tuple((e["elem"]["val"] if "elem" in e else e)["concat"]) for e in elements}

    def sent(self, family, rounds=3, expect_source=True):
        """Many UDP flows of every pod to the host outside, each with some packets. Gives them."""
        flows, sockets = set(), []
        target = self.c.outside.ip(family)
        for pod in self.pods:
            for _ in range(FLOWS // len(self.pods)):
                s = traffic.open_socket(pod.path, target, socket.SOCK_DGRAM)
                s.settimeout(traffic.PROBE_S)
                s.connect((target, traffic.PORT))
                sockets.append((pod, s))
                flows.add((pod.ip(family), s.getsockname()[1]))
        try:
            for _ in range(rounds):
                for _, s in sockets:
                    s.send(b"x")
                for pod, s in sockets:
                    source = s.recv(64).decode()
                    if expect_source:
                        equal(source, pod.ip(family), f"the source of {pod} that is seen outside")
        except OSError as e:
            raise Failed(f"expected an answer from outside over IPv{family}, saw {e}") from None
        finally:
            for _, s in sockets:
                s.close()
        return flows

    def shares(self, expected, expect_source=True):
        """Flows go by these exits alone, each has a good part of them, and no flow has two ways.
        Asked again where it is not so: on a busy machine BFD may take an exit for dead."""
        until_it_passes(lambda: self._shares(expected, expect_source), "flows to be shared out")

    def _shares(self, expected, expect_source):
        for family in self.c.families:
            self.forget()
            flows = self.sent(family, expect_source=expect_source)
            seen = {n: self.seen(n, family) for n in self.exits}
            if expect_source:
                seen = {n: s & flows for n, s in seen.items()}
            counts = {n.name: len(s) for n, s in seen.items()}
            step(f"IPv{family}: of {len(flows)} flows {counts}")
            equal(sum(counts.values()), len(flows), f"IPv{family} flows over all exits (once each)")
            for node in self.exits:
                if node not in expected:
                    equal(counts[node.name], 0, f"flows by {node}, which is no exit")
                elif len(expected) > 1:
                    true(counts[node.name] >= len(flows) // (5 * len(expected)),
                         f"{node} to have its share", counts)

    def untouched(self):
        """Nodes keep their own default route, and none is there by BGP."""
        for node, before in self.defaults.items():
            equal(self._own_default(node), before, f"the default routes of {node} in the main table:")

    def rules(self, node, family=4):
        """The rules of ours, as ip shows them."""
        return [(r["priority"], r["src"] + "/" + str(r["srclen"]), r["table"],
                 r.get("suppress_prefixlen"))
                for r in node.ns.ask(f"-{family} rule show") if r.get("protocol") in ("82", "roost")]

    def pinger(self):
        return traffic.Pinger({f"{p} to outside IPv{f}": (p.path, self.c.outside.ip(f))
                               for p in self.pods for f in self.c.families})


def cluster(encap, **more):
    encap = os.environ.get("EXITS_ENCAP", encap)
    encap6 = "vxlan" if encap.startswith("ipip") else None  # IPIP carries IPv4 only
    return Cluster(nodes=4, encap=encap, encap6=encap6, subnets=1 if encap == "none" else 2,
                   tor=True, **more)


def said(x):
    """What people see of exits."""
    for w in x.workers:
        true("0.0.0.0/0 by 2 paths" in w.status_text(), f"paths in the status of {w}", w.status_text())
        equal(w.status()["exits"]["isExitTo"], [], f"what {w} is an exit to")
    for e in x.exits:
        equal(e.status()["exits"], {"isExitTo": ["0.0.0.0/0", "::/0"], "used": False, "routes": []},
              f"exits in the status of {e}")
    until(lambda: "0.0.0.0/0 by 2 paths" in x.exits[0].ctl("node", "show", x.workers[0].name),
          "paths in node show")


def story_of_exits(encap):
    with cluster(encap) as c:
        x = Exits(c)
        for w in x.workers:
            equal(x.rules(w), [], "rules before there is any exit")
        x.label(x.exits[0])
        x.wait_paths(1)
        x.shares(x.exits[:1])
        with x.pinger() as pinger:
            pinger.goes_on()
            x.label(x.exits[1])
            x.wait_paths(2)
            pinger.goes_on(50)
        pinger.lost_nothing()
        step(f"an exit added: {pinger.sent()} pings, none lost; one multipath route on each node")
        for w in x.workers:
            equal(x.rules(w), [(8266, lab.POOL4, "main", 0), (8267, lab.POOL4, str(TABLE), None)],
                  f"the rules of {w}")
            equal(len(x.rules(w, 6)), 2, f"IPv6 rules of {w}")
            for f in (4, 6):
                equal(w.run("cat", f"/proc/sys/net/ipv{f}/fib_multipath_hash_policy").strip(), "1",
                      "the hash policy")
        for e in x.exits:
            equal(x.rules(e), [], f"rules of {e}, whose own pods leave by its default route")
        x.shares(x.exits)
        x.untouched()
        said(x)
        # What is not a pod's does not go by exits.
        x.forget()
        for w in x.workers:
            traffic.udp(w.path, c.outside.ip(4))
        equal([len(x.seen(e, 4)) for e in x.exits], [0, 0], "flows of the nodes themselves by exits")
        if not BFD_MS:  # which takes long on a slow machine
            c.matrix()
            step("and everything else is as it was")

        with x.pinger() as pinger:
            pinger.goes_on()
            x.exits[1].ctl("node", "drain", x.exits[1].name)
            x.wait_paths(1)
            pinger.goes_on(50)
        pinger.lost_nothing()
        if c.encap.startswith("vxlan"):
            true(x.exits[1].ns.link(lab.DEVICE[4]), "the tunnel of a drained exit, which has no pods, to "
                 "stand for a while")
        step(f"drained an exit: {pinger.sent()} pings, none lost")
        x.shares(x.exits[:1])
        with x.pinger() as pinger:
            pinger.goes_on()
            x.exits[1].ctl("node", "undrain", x.exits[1].name)
            x.wait_paths(2)
            pinger.goes_on()
            x.label(x.exits[0], False)
            x.wait_paths(1)
            pinger.goes_on(50)
        pinger.lost_nothing()
        step(f"undrained, and the other one's label taken away: {pinger.sent()} pings, none lost")
        x.shares(x.exits[1:])
        x.label(x.exits[0])
        x.wait_paths(2)
        x.shares(x.exits)
        if c.encap == "vxlan-cross-subnet":
            the_tunnel_is_changed(c, x)


def the_tunnel_is_changed(c, x):
    """From near exits in the clear to all of them through the tunnel."""
    worker = x.workers[0]
    equal({dev for _, dev in x.paths(worker, 4)}, {"eth0", lab.DEVICE[4]}, "ways to exits")
    with x.pinger() as pinger:
        pinger.goes_on()
        c.encap = "vxlan"
        c.apply(*c.manifest())
        until(lambda: {dev for _, dev in x.paths(worker, 4)} == {lab.DEVICE[4]},
              "every exit to be behind the tunnel")
        c.wait_converged()
        pinger.goes_on(50)
    pinger.lost_nothing()
    step(f"near exits through the tunnel, too: {pinger.sent()} pings, none lost")
    x.shares(x.exits)


def story_of_failures(encap):
    with cluster(encap) as c:
        x = Exits(c)
        x.on()
        for w in x.workers:
            until(lambda n=w: all(n.sessions().values()), f"all sessions of {w} to be up")
        before = {(w, f): sorted(x.paths(w, f)) for w in x.workers for f in c.families}
        with x.pinger() as pinger:
            for w in x.workers:
                pinger.goes_on()
                w.bird.kill()
                pinger.goes_on(100)
                w.start_bird()
                until(lambda n=w: n.sessions() and all(n.sessions().values()), f"sessions of {w}")
                until(lambda n=w: "Waiting for" not in "\n".join(n.birdc("show status")),
                      "the end of the graceful restart")
                until(lambda: {(n, f): sorted(x.paths(n, f)) for n, f in before} == before,
                      "the same exits as before")
            pinger.goes_on(100)
        pinger.lost_nothing()
        step(f"the nodes' BIRDs killed and started again: {pinger.sent()} pings, none lost")

        with x.pinger() as pinger:
            pinger.goes_on()
            x.exits[0].bird.kill()
            x.wait_paths(1)
            pinger.goes_on(50)
            x.exits[0].start_bird()
            x.wait_paths(2)
            pinger.goes_on(50)
        pinger.lost_nothing()
        step(f"an exit's BIRD killed and started again: {pinger.sent()} pings, none lost")

        with x.pinger() as pinger:
            pinger.goes_on()
            began = time.monotonic()
            c.router.ip(f"link set to-{x.exits[1].name} down")
            x.wait_paths(1)
            step(f"an exit's link cut: out of every path after {time.monotonic() - began:.2f} s")
            pinger.goes_on(50)
        gap = max(f.gap for f in pinger.flows)
        step(f"the longest time without an answer was {gap:.2f} s")
        x.shares(x.exits[:1])
        x.untouched()
        c.router.ip(f"link set to-{x.exits[1].name} up")
        x.wait_paths(2)
        x.shares(x.exits)

        # An exit that has nowhere to go to is none.
        x.exits[0].ns.ip("route del default")
        until(lambda: len(x.paths(x.workers[0], 4)) == 1, "one IPv4 exit to be left")
        true("no default route of its own" in x.exits[0].status_text(), "a sentence about it",
             x.exits[0].status_text())
        until(lambda: len(x.paths(x.workers[0], 6)) == 2, "IPv6 exits, which still have one")


def test_exits_without_a_tunnel():
    story_of_exits("none")


def test_exits_near_and_through_vxlan():
    story_of_exits("vxlan-cross-subnet")


def test_failures_without_a_tunnel():
    story_of_failures("none")


def test_failures_through_vxlan():
    story_of_failures("vxlan")


def test_without_any_exit_left_pods_leave_by_their_node_or_not_at_all():
    with cluster("none") as c:
        x = Exits(c)
        x.on()
        pod = x.pods[0]
        for e in x.exits:
            x.label(e, False)
        x.wait_paths(0)
        for f in c.families:
            equal(traffic.udp(pod.path, c.outside.ip(f)), pod.ip(f), "the source outside")
        for w in x.workers:
            until(lambda n=w: x.rules(n) == [] and x.rules(n, 6) == [], f"no rules on {w}")
            equal(w.ns.ask(f"-4 route show table {TABLE}"), [], "the table of exits")
        step("by their own node")
        x.configure(exitFallback="Unreachable", exits=[
            {"nodeSelector": "has(exit)", "cidrs": ["0.0.0.0/0", "::/0"]}])
        for f in c.families:
            until(lambda f=f: not traffic.answers(pod.path, c.outside.ip(f)), "pods to be held back")
        c.matrix(outside=False)
        step("not at all")
        x.on()
        x.shares(x.exits)
        with x.pinger() as pinger:
            pinger.goes_on()
            x.exits[0].ctl("node", "drain", x.exits[0].name)
            x.wait_paths(1)
            pinger.goes_on(50)
        pinger.lost_nothing()
        # What somebody takes away comes back, and a foreign rule is nobody's business here.
        w = x.workers[0]
        before = x.rules(w)
        w.ns.ip("rule del pref 8267", "rule add from 198.51.100.0/24 lookup 77 pref 8266")
        until(lambda: x.rules(w) == before, "our rule to be back")
        x.configure()
        until(lambda: x.rules(w) == [], "our rules to go")
        true("198.51.100.0/24" in w.run("ip", "rule"), "the foreign rule to stay")


def test_an_outside_router_is_an_exit_for_the_nodes_that_say_so():
    with cluster("none", families=(4,)) as c:
        x = Exits(c)
        x.on()
        worker, other = x.workers
        c.router_says(["0.0.0.0/0", "172.16.0.0/16"])
        until(lambda: c.heard(worker, "0.0.0.0/0"), "the router's default to be heard")
        x.wait_paths(2)  # while nobody takes the router's
        peer = next(d for d in c.manifest() if d["metadata"]["name"] == f"router-{worker.name}-4")
        peer["spec"] |= {"exits": ["0.0.0.0/0"], "bfd": False}
        c.apply(peer)
        until(lambda: x.paths(worker, 4) == [("10.1.1.1", "eth0")],
              "the router to be the exit, before nodes that are")
        x.wait_paths(2, [other])
        inside = {r["dst"] for r in worker.ns.ask(f"-4 route show table {TABLE}")}
        equal(inside, {"default", "172.16.0.0/16"}, "what the router gave")
        true("172.16.0.0/16" not in worker.run("ip", "route"), "the main table to have none of it")
        x.untouched()
        x.forget()
        pod = x.pods[0]
        equal(traffic.udp(pod.path, c.outside.ip(4)), pod.ip4, "the source outside")
        equal([len(x.seen(e, 4)) for e in x.exits], [0, 0], "flows by exit nodes")
        c.router_says([])
        until(lambda: len(x.paths(worker, 4)) == 2, "the exit nodes to be back")


def test_nat_outgoing_is_the_pods_nodes_and_in_tunnels_the_exits_too():
    """Without a tunnel the world sees the pod's node; in a tunnel the node translates to its
    tunnel's address, which is a pool's, and the exit translates once more."""
    for encap in ("none", "vxlan"):
        with cluster(encap, nat=True) as c:
            x = Exits(c)
            x.on()
            x.shares(x.exits, expect_source=False)
            pod = x.pods[0]
            for f in c.families:
                seen = {traffic.udp(pod.path, c.outside.ip(f)) for _ in range(16)}
                expected = {pod.node.ip(f)} if c.encap == "none" else {e.ip(f) for e in x.exits}
                true(seen <= expected, f"sources among {expected}", seen)
