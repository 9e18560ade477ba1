# SPDX-License-Identifier: Apache-2.0
"""Every pod reaches every pod, in each way of carrying packets between nodes, over both stores.

Three nodes, two in one subnet, one in another, so that each mode shows its near and its far side:

    none                 near: the node's address; far: the router, which learns blocks by BGP
    vxlan                every node through VXLAN
    vxlan-cross-subnet   near: the node's address; far: VXLAN
    static               as above, without any BGP session
"""
import ipaddress

import pytest

import lab
import traffic
from lab import (Cluster, DEVICE, Failed, FAMILIES, PROGRAMS, equal, resource, step, true, until,
                 until_it_passes)

pytestmark = pytest.mark.needs(*PROGRAMS)


def works(cluster):
    """From nothing to every pod reaching every pod."""
    cluster.fill(2)
    step("pods started")
    cluster.wait_converged()
    step("routes are right")
    step(f"{cluster.matrix()} probes passed")
    step(f"{cluster.conformance()['summary']['ok']} checks of conformance passed")
    for node in cluster.nodes:
        node.consistent()
        reads_as_people_expect(node)
        owned_by_us(node)


def reads_as_people_expect(node):
    """`route -n` has a line of each other node's block and of each block and pod of ours."""
    lines = {}
    for line in node.run("route", "-n").splitlines()[2:]:
        words = line.split()
        lines[f"{words[0]}/{ipaddress.ip_network('0.0.0.0/' + words[2]).prefixlen}"] = words
    for block, route in node.bird_routes(4).items():
        true(block in lines, f"{block} in route -n of {node}", lines)
        equal((lines[block][1], lines[block][3], lines[block][7]),
              (route["gateway"], "UG", route["dev"]), f"the line of {block}:")
    for block in node.blackholes(4):
        true(block in lines, f"{block} in route -n of {node}", lines)
        equal(lines[block][7], "*", f"the device of the blackhole {block}")
    for pod in node.pods.values():
        line = lines.get(f"{pod.ip4}/32")
        true(line, f"a line for {pod.ip4} in route -n of {node}", lines)
        equal((line[3], line[7]), ("UH", pod.host_link()), f"the line of {pod.ip4}:")


def owned_by_us(node):
    """Every route says who owns it: but for the operator's and the kernel's, BIRD or roost."""
    known = {"kernel", "boot", "bird", "82", "roost", "static", "ra"}
    for family in FAMILIES:
        for route in node.ns.ask(f"-{family} route show"):
            owner = route.get("protocol", "boot")
            true(owner in known, f"an owner among {sorted(known)}", route)
            inside_pools = route["dst"] != "default" and any(
                ipaddress.ip_network(route["dst"]).overlaps(ipaddress.ip_network(p))
                for p in (lab.POOL4, lab.POOL6)
                if (":" in p) == (family == 6))
            if inside_pools and not route.get("dev", "").startswith("vxlan"):
                true(owner in ("bird", "82", "roost"), "BIRD or roost to own it", route)


def pod_mtu(pod):
    return pod.ns.link("eth0")["mtu"]


def test_without_a_tunnel_over_the_embedded_store():
    with Cluster(encap="none", tor=True) as c:
        works(c)
        equal({pod_mtu(p) for n in c.nodes for p in n.pods.values()}, {1500}, "MTUs of pods")
        true(not c.nodes[0].ns.link(DEVICE[4]), "no VXLAN device where nobody asked for it")


def test_without_a_tunnel_over_etcd():
    with Cluster(encap="none", tor=True, store="etcd3") as c:
        works(c)


def test_a_bridge_is_an_uplink():
    with Cluster(encap="vxlan-cross-subnet", uplinks=("br-ex", "eth0")) as c:
        works(c)


def test_addresses_without_a_subnet():
    """Machines of clouds have /32 and /128 addresses, and a gateway in no subnet of theirs."""
    with Cluster(encap="none", tor=True, bare=True) as c:
        works(c)
        for encap in ("vxlan-cross-subnet", "vxlan", "none"):
            c.encap = encap
            c.apply(*c.manifest())
            c.wait_converged()
            step(f"{encap}: {c.matrix(outside=True)} probes passed")


def test_addresses_without_a_subnet_and_without_bgp():
    with Cluster(encap="vxlan-cross-subnet", bare=True, static=True) as c:
        works(c)


def forwarded(node):
    """{family: packets that the node forwarded}."""
    v4 = node.run("cat", "/proc/net/snmp").splitlines()
    header, values = (line.split() for line in v4 if line.startswith("Ip:"))
    v6 = dict(line.split() for line in node.run("cat", "/proc/net/snmp6").splitlines())
    return {4: int(values[header.index("ForwDatagrams")]), 6: int(v6["Ip6OutForwDatagrams"])}


def test_blocks_of_one_address():
    """Pods are reached, and what is sent to an idle address ends at the node that owns it."""
    with Cluster(encap="none", tor=True, nodes=2, subnets=1, block=32) as c:
        c.started(2)
        step(f"{c.matrix()} probes passed")
        step(f"{c.conformance()['summary']['ok']} checks of conformance passed")
        node = c.nodes[0]
        node.consistent()
        pod = next(iter(node.pods.values()))
        addresses = {f: pod.ip(f) for f in c.families}
        node.del_pod(pod)
        c.wait_converged()  # the router still leads here: the node owns the block
        for family, address in addresses.items():
            before = forwarded(node)[family]
            true(not c.outside.ns.pings(address), f"nobody to answer at {address}")
            true(forwarded(node)[family] - before < 8, f"no packet to {address} to go round and "
                 "round between node and router", forwarded(node)[family] - before)
            true(address in node.blackholes(family), f"a blackhole for {address}")
        node.add_pod()
        c.encap = "vxlan"  # whose own addresses are of such blocks, too
        c.apply(*c.manifest())
        c.wait_converged()
        step(f"vxlan: {c.matrix()} probes passed")
        step(f"{c.conformance()['summary']['ok']} checks of conformance passed")
        for node in c.nodes:
            node.consistent()
            equal(node.status().get("problems"), [], f"problems of {node}")


def test_through_vxlan_always_with_nat_over_the_embedded_store():
    with Cluster(encap="vxlan", nat=True) as c:
        works(c)
        mtu_follows(c)


def mtu_follows(c):
    """A pod's MTU is the uplink's less the overhead: 50 bytes, 70 where the outer packet is IPv6;
    and that much really passes."""
    here, there = c.nodes[0], c.nodes[1]
    a, b = next(iter(here.pods.values())), next(iter(there.pods.values()))
    mtu = pod_mtu(a)
    true(mtu in (1450, 1430), "an MTU of 1430 or 1450", mtu)
    a.ns.run("ping", "-n", "-c", "1", "-W", "5", "-M", "do", "-s", str(mtu - 28), b.ip4)
    a.ns.run("ping", "-n", "-c", "1", "-W", "5", "-M", "do", "-s", str(mtu - 48), b.ip(6))

    here.ns.ip("link set eth0 mtu 1400")
    def follows():
        equal(here.ns.link(DEVICE[4])["mtu"], 1350, "the MTU of the VXLAN device")
        pod = here.add_pod()
        try:
            equal(pod_mtu(pod), mtu - 100, "the MTU of a new pod")
        finally:
            here.del_pod(pod)
    until_it_passes(follows, "the MTU to follow the uplink's")
    step("the MTU follows")


def test_through_vxlan_between_subnets_over_etcd():
    with Cluster(encap="vxlan-cross-subnet", store="etcd") as c:
        works(c)


def test_static_routes_without_bgp():
    with Cluster(encap="vxlan-cross-subnet", static=True, nat=True) as c:
        works(c)
        for node in c.nodes:
            equal(node.sessions(), {}, f"BGP sessions of {node}")


def test_the_mesh_switched_off_means_static_routes():
    with Cluster(encap="vxlan", families=(4,), nodes=2) as c:
        c.apply(resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False))
        works(c)
        def no_sessions():
            equal([n.sessions() for n in c.nodes], [{}, {}], "BGP sessions")
        until_it_passes(no_sessions, "no BGP session")
        c.matrix()


def test_switching_the_encapsulation_loses_nothing():
    with Cluster(encap="vxlan-cross-subnet", tor=True) as c:
        c.started()
        a, b = (next(iter(n.pods.values())) for n in (c.nodes[0], c.nodes[1]))
        stream = traffic.Stream(a.path, b.ip4)
        for encap in ("vxlan", "vxlan-cross-subnet", "none", "vxlan", "none", "vxlan-cross-subnet"):
            with c.pinger() as pinger:
                pinger.goes_on()
                c.encap = encap
                c.apply(*c.manifest())
                c.wait_converged()
                pinger.goes_on()
            pinger.lost_nothing()
            stream.still_works()
            step(f"{encap}: {pinger.sent()} pings, none lost")
        stream.close()
        c.matrix()


def test_nat_outgoing_is_the_pools_choice():
    """The host outside sees the node's address with natOutgoing, the pod's without."""
    with Cluster(encap="none", tor=True, nat=True, nodes=2) as c:
        c.started()
        c.matrix()
        step("translated")
        c.nat = False
        c.apply(*c.manifest())
        def untranslated(pod):
            for family in FAMILIES:
                try:
                    seen = traffic.udp(pod.path, c.outside.ip(family))
                except OSError as e:
                    raise Failed(f"no answer from outside: {e}") from None
                equal(seen, pod.ip(family), "the source that the host outside sees")
        for node in c.nodes:  # an agent follows sooner than another one
            pod = next(iter(node.pods.values()))
            until_it_passes(lambda p=pod: untranslated(p), f"the own address of {pod} outside")
        c.matrix()
        for node in c.nodes:
            true("roost-nat" not in node.run("nft", "list", "tables"),
                 "no table of ours where no pool asks for NAT")
