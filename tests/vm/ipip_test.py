# SPDX-License-Identifier: Apache-2.0
"""IPIP on a kernel that has it: `tests/vm/run --load ipip python3 -m pytest tests/vm/ipip_test.py`.

Three nodes as everywhere (tests/cluster/lab.py). IPIP carries IPv4; IPv6 pods of these clusters
are routed without a tunnel, by a router that learns their blocks by BGP."""
import difflib
import json
import os
import pathlib
import socket
import struct

import pytest

import lab
import restart_test
import traffic
from lab import Cluster, IPIP, Place, PROGRAMS, equal, inside, step, true, until

pytestmark = pytest.mark.needs(*PROGRAMS)

GOLDEN = pathlib.Path(__file__).parents[1] / "data/route-n"


def says(node, *words):
    return next((p for p in node.status().get("problems", []) if all(w in p for w in words)), None)


# ---- what people read ----

# The reference's nodes, in the order of their addresses, and the block of each.
REFERENCE = {"node1": "100.93.26.0/26", "node2": "100.66.33.192/26", "node3": "100.77.83.128/26"}


def test_route_n_reads_as_in_the_reference_deployment():
    """Node 10.1.86.203 with block 100.66.33.192/26, .202 and .204: the very lines."""
    with Cluster(encap="ipip", families=(4,), lans=(86,), first=202, pools=False,
                 start=False) as c:
        c.store.start()
        c.apply(*(c.pool(f"of-{node}", block, 26,
                         nodeSelector=f'kubernetes.io/hostname == "{node}"')
                  for node, block in REFERENCE.items()))
        for node in c.nodes:
            node.start()
        for node in c.nodes:  # before a pod, which comes after it in the block
            until(lambda n=node: n.ends(4), f"an address of {IPIP} on {node}")
        c.started()
        for node in c.nodes:
            seen = node.run("route", "-n")
            expected = (GOLDEN / node.name).read_text()
            if os.environ.get("GOLDEN_SHOW"):
                print(seen)
            true(seen == expected, f"route -n of {node} as in {GOLDEN}/{node.name}",
                 "\n" + "".join(difflib.unified_diff(expected.splitlines(True),
                                                     seen.splitlines(True))))
            for block, route in node.bird_routes(4).items():
                equal((route["dev"], route["flags"]), (IPIP, ["onlink"]), f"the route to {block}")
        c.matrix()


# ---- every pod reaches every pod ----

def test_through_ipip_always():
    with Cluster(encap="ipip", tor=True) as c:
        c.started()
        step(f"{c.matrix()} probes passed")
        pods = [next(iter(n.pods.values())) for n in c.nodes]
        equal({p.ns.link("eth0")["mtu"] for p in pods}, {1480}, "MTUs of pods")
        pods[0].ns.run("ping", "-n", "-c", "1", "-W", "10", "-M", "do", "-s", "1452", pods[1].ip4)
        for node in c.nodes:
            node.consistent()
            link = node.ns.link(IPIP)
            equal((link["ifalias"], link["mtu"]), ("roost: IPIP", 1480), f"{IPIP} of {node}")
            equal(len(node.ends(4)), 1, f"addresses of {IPIP} on {node}")
            spec = node.ask("get", "node", node.name)["spec"]
            equal(spec["bgp"]["ipv4IPIPTunnelAddr"], *node.ends(4), "the Node document's address")
        equal({n["name"]: n["pods"] for n in c.nodes[0].ask("node", "list")},
              {n.name: 1 for n in c.nodes}, "the numbers of pods, tunnels left out")


def test_birds_that_restart_together_lose_nothing_through_ipip():
    with Cluster(encap="ipip", nodes=2, families=(4,)) as c:
        c.started()
        restart_test.restarted_together(
            c, (restart_test.crash_at_once, restart_test.stop_and_start_at_once))


def briefly(file):
    """A pod a node, and nothing waited for; without portmap, which takes very long in emulation."""
    file.update(pods=1, settleSeconds=1)
    for host in file["nodes"]:
        path = f"{host['confDir']}/10-roost.conflist"
        with open(path) as f:
            conf = json.load(f)
        conf["plugins"] = [p for p in conf["plugins"] if p["type"] == "roost"]
        with open(path, "w") as f:
            json.dump(conf, f)


def test_conformance_passes_and_names_who_drops_protocol_4():
    with Cluster(encap="ipip", families=(4,), nat=True) as c:
        c.wait_ready()
        c.wait_converged()
        step(f"{c.conformance(edit=briefly)['summary']['ok']} checks passed")
        c.router.run("nft", "add table inet broken; add chain inet broken x { type filter hook "
                     "forward priority 0; }; add rule inet broken x ip protocol 4 drop")
        done = c.conformance("-o", "json", ok=False, edit=briefly)
        bad = [k for k in json.loads(done.stdout)["checks"] if k["verdict"] == "failed"]
        causes = {k.get("cause", "") for k in bad}
        true(any("protocol 4 (IPIP) leaves node1 and does not arrive at node2" in x for x in causes),
             "the cause", causes)
        true(all("node2" in k["check"] for k in bad), "nodes of one subnet to be well",
             [k["check"] for k in bad if "node2" not in k["check"]])
        step(next(x for x in causes if x))


def test_through_ipip_between_subnets_and_nobody_else_gets_in():
    with Cluster(encap="ipip-cross-subnet", tor=True, store="etcd") as c:
        c.started()
        step(f"{c.matrix()} probes passed")
        pod = next(iter(c.nodes[0].pods.values()))
        far = next(iter(c.nodes[1].pods.values()))
        true(gets_in(c.nodes[1], c.nodes[0], far, pod), "a node's packet in protocol 4 to get in")
        for stranger in (c.outside, Place("router", c.router, {})):
            for address in (c.nodes[0].ip(4), *c.nodes[0].ends(4)):
                true(not gets_in(stranger, c.nodes[0], far, pod, address),
                     f"protocol 4 from {stranger} to {address} to be dropped")
        step("only nodes get in")
        c.matrix()


def gets_in(sender, node, source, target, address=None):
    """Whether a UDP packet that claims to be of one pod reaches another in protocol 4 from there, to
    an address of the node."""
    with inside(target.path):
        listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    listener.bind(("0.0.0.0", 0))
    listener.settimeout(2)
    datagram = struct.pack("!4H", 999, listener.getsockname()[1], 8 + 4, 0) + b"evil"
    inner = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 0, 0, 64, 17, 0,
                        socket.inet_aton(source.ip4), socket.inet_aton(target.ip4))
    inner = inner[:10] + checksum(inner) + inner[12:]
    with inside(sender.path):
        raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, 4)
    with raw, listener:
        for _ in range(3):
            raw.sendto(inner + datagram, (address or node.ip(4), 0))
        try:
            return listener.recv(100) == b"evil"
        except TimeoutError:
            return False


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return struct.pack("!H", ~total & 0xffff)


# ---- changes ----

def test_modes_change_while_pods_talk():
    """IPIP to VXLAN to none and back. What is lost is measured and said (docs/ROUTING.md)."""
    with Cluster(encap="ipip", encap6="none", tor=True) as c:
        c.started()
        a, b = (next(iter(n.pods.values())) for n in (c.nodes[0], c.nodes[1]))
        stream = traffic.Stream(a.path, b.ip4)
        for encap in ("vxlan", "none", "ipip-cross-subnet", "ipip"):
            with c.pinger() as pinger:
                pinger.goes_on()
                c.encap = encap
                c.apply(*c.manifest())
                c.wait_converged()
                until(lambda: not says(c.nodes[0], ""), "no problem")
                pinger.goes_on()
            stream.still_works()
            step(f"to {encap}: {pinger.sent()} pings; lost: {'; '.join(pinger.losses()) or 'none'}")
            pinger.lost_nothing()
        stream.close()
        c.encap = "none"
        c.apply(*c.manifest())
        c.wait_converged()
        until(lambda: all(not n.ends(4) for n in c.nodes), "no tunnel address anywhere")
        for node in c.nodes:
            link = node.ns.link(IPIP)
            true("UP" not in link["flags"] and not link.get("ifalias"),
                 f"{IPIP} as the kernel made it", link)
            true("roost-tunnels" not in node.run("nft", "list", "tables"), "no table of ours")
            node.consistent()


def test_what_it_hangs_on_is_followed():
    with Cluster(encap="ipip", families=(4,), nodes=2, subnets=1) as c:
        c.started()
        here, there = c.nodes
        here.ns.ip("link set eth0 mtu 1400")
        until(lambda: here.ns.link(IPIP)["mtu"] == 1380, "the MTU to follow the uplink's")
        end = here.ends(4)
        here.ns.ip("addr del 10.1.1.11/24 dev eth0", "addr add 10.1.1.77/24 dev eth0",
                   "route add default via 10.1.1.1")
        here.address[4] = "10.1.1.77"
        c.wait_converged()
        equal(here.ends(4), end, f"the address of {IPIP}")
        c.matrix()
        step("the node's address and its uplink's MTU are followed")
        here.ns.ip(f"addr flush dev {IPIP}", f"link set {IPIP} down")
        until(lambda: here.ends(4) == end and "UP" in here.ns.link(IPIP)["flags"],
              f"{IPIP} to be mended")
        here.ns.run("nft", "delete", "table", "inet", "roost-tunnels")
        here.sync()
        until(lambda: "roost-tunnels" in here.run("nft", "list", "tables"), "the table again")
        c.wait_converged()
        c.matrix()


def test_a_source_that_other_nodes_do_not_know_is_named():
    """The kernel takes the first address of the subnet, the cluster knows the node by the second."""
    with Cluster(encap="ipip", families=(4,), nodes=2, subnets=1, start=False) as c:
        here, there = c.nodes
        here.ns.ip("addr add 10.1.1.88/24 dev eth0")
        here.configure(address={"ipv4": "cidr=10.1.1.88/32", "ipv6": "none"})
        here.address[4] = "10.1.1.88"
        c.store.start()
        c.apply(*c.manifest())
        for node in c.nodes:
            node.start()
        c.started()
        here.sync()
        step("status: " + until(lambda: says(here, "leave with the source 10.1.1.11"),
                                "status to name the source"))
        a, b = (next(iter(n.pods.values())) for n in c.nodes)
        true(not traffic.answers(a.path, b.ip4), "no answer")
        here.ns.ip("route change 10.1.1.0/24 dev eth0 proto kernel scope link src 10.1.1.88")
        here.sync()
        until(lambda: not says(here, "leave with the source"), "status to be content")
        c.matrix()


def test_a_tunl0_of_somebody_else_is_named_and_left_alone():
    with Cluster(encap="ipip", families=(4,), nodes=2, subnets=1, start=False) as c:
        here, there = c.nodes
        here.ns.ip(f"addr add 192.168.77.1/24 dev {IPIP}", f"link set {IPIP} up",
                   "link add mine type ipip local 10.1.1.11 remote 192.0.2.10", "link set mine up",
                   "addr add 192.168.78.1/24 dev mine")
        before = here.ns.ask(f"addr show dev {IPIP}")
        c.store.start()
        c.apply(*c.manifest())
        for node in c.nodes:
            node.start()
        step("status: " + until(lambda: says(here, f"device {IPIP} is not ours"),
                                "status to name it"))
        pod = here.add_pod()
        traffic.icmp(pod.path, here.add_pod().ip4)
        equal(here.ns.ask(f"addr show dev {IPIP}"), before, f"{IPIP} as it was")
        true("roost-tunnels" not in here.run("nft", "list", "tables"),
             "its packets to be nobody's business")
        here.ns.ip(f"link set {IPIP} down", f"addr flush dev {IPIP}")
        here.sync()
        there.add_pod()
        c.wait_converged()
        c.matrix()
        true("192.0.2.10" in here.run("nft", "list", "table", "inet", "roost-tunnels"),
             "the far end of somebody else's tunnel to be let in")
        true(not says(here, IPIP), "no problem any more")
