# SPDX-License-Identifier: Apache-2.0
"""Uplinks that not every kernel has: a bond, a VLAN, a VRF; beside them a bridge.

    tests/vm/run --load ipip --load bonding --load 8021q --load vrf \\
        python3 -m pytest tests/vm/uplinks_test.py
"""
import os

import pytest

from lab import Cluster, DEVICE, IPIP, PROGRAMS, equal, step, until, until_it_passes

HAS = ("ip link add bond0 type bond && ip link add eth0 type veth peer name far && "
       "ip link add link eth0 name eth0.7 type vlan id 7 && ip link add mgmt type vrf table 10")
pytestmark = [pytest.mark.needs(*PROGRAMS), pytest.mark.skipif(
    os.system(f"unshare -n sh -c '{HAS}' >/dev/null 2>&1") != 0,
    reason="this kernel has no bonds, VLANs or VRFs")]


def says(node, *words):
    return next((p for p in node.status().get("problems", []) if all(w in p for w in words)), None)


def has_address(node, how):
    """Whether the agent finds the node's address so."""
    node.configure(address={"ipv4": how, "ipv6": "none"})
    node.agent.stop()
    node.agent.start()
    expected = f"{node.ip(4)}/24"
    until(lambda: node.status().get("address", {}).get("ipv4", "") == expected,
          f"{how} to find {expected} on {node}")


def test_a_bond_a_vlan_and_a_bridge():
    """Each way of carrying packets, the MTU of pods, a strict reverse path check, a dead port."""
    with Cluster(encap="none", tor=True, families=(4,), uplinks=("bond0", "eth0.7", "br-ex")) as c:
        c.started()
        for node in c.nodes:
            node.ns.set_sysctl(f"ipv4/conf/{node.uplink}/rp_filter", 1)
        step(f"{c.matrix()} probes passed")
        for encap, mtu in (("vxlan-cross-subnet", 1450), ("ipip", 1480)):
            c.encap = encap
            c.apply(*c.manifest())
            c.wait_converged()
            for node in c.nodes:  # packets to another node's own address have no tunnel
                node.ns.set_sysctl(f"ipv4/conf/{node.uplink}/rp_filter", 1)
                until(lambda n=node: says(n, f"dropped by {n.uplink}, whose rp_filter is 1"),
                      f"the strict check of {node.uplink} to be named")
                node.ns.set_sysctl(f"ipv4/conf/{node.uplink}/rp_filter", 2)
            with c.pinger() as pinger:
                pinger.goes_on()
            pinger.lost_nothing()
            step(f"{encap}: {pinger.sent()} pings between all pods, none lost")
            for node in c.nodes:
                pod = node.add_pod()
                equal(pod.ns.link("eth0")["mtu"], mtu, f"the MTU of a pod of {node}")
                device = IPIP if encap == "ipip" else DEVICE[4]
                equal(node.ns.link(device)["mtu"], mtu, f"the MTU of {device} of {node}")
                node.del_pod(pod)
                node.consistent()
                until(lambda n=node: n.status().get("problems") == [], f"{node} to be content")
        bond = c.nodes[0]
        with c.pinger() as pinger:
            bond.ns.ip("link set eth0 down")
            pinger.goes_on()
            until(lambda: bond.ns.link("eth0")["operstate"] == "DOWN", "a port to be down")
            pinger.goes_on()
        step(f"a port of the bond died: {c.matrix(outside=False)} probes passed")
        for node in c.nodes:
            for how in (f"interface={node.uplink}", f"can-reach=10.1.{node.subnet}.1"):
                has_address(node, how)


def test_an_uplink_in_a_vrf_is_named_and_served_when_it_is_out():
    with Cluster(encap="vxlan", nodes=2, subnets=1, families=(4,)) as c:
        c.started()
        node = c.nodes[0]
        address = node.ip(4)
        node.ns.ip("link add mgmt type vrf table 10", "link set mgmt up",
                   "link set eth0 master mgmt", "route add default via 10.1.1.1 vrf mgmt")
        step(until(lambda: says(node, f"{address} is on eth0 in the VRF mgmt"), "it to be named"))
        for how in ("interface=eth0", "cidr=10.1.1.0/24", address):
            node.configure(address={"ipv4": how, "ipv6": "none"})
            node.agent.stop()
            node.agent.start()
            until(lambda h=how: says(node, f"{h}: {address} is on eth0 in the VRF mgmt"),
                  f"{how} to be refused")
        node.ns.ip("link set eth0 nomaster", f"addr replace {address}/24 dev eth0",
                   "route replace default via 10.1.1.1")
        until_it_passes(lambda: equal(node.status().get("problems"), [], "problems"),
                        "the node to be content")
        c.wait_converged()
        step(f"{c.matrix()} probes passed")
