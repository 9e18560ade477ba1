# SPDX-License-Identifier: Apache-2.0
"""The laboratory itself: its instruments show a fault when there is one.

No agent and no BIRD run here. Each node has pools given in place, and routes are made by hand.
"""
import os

import pytest

import traffic
from lab import Cluster, Failed, PROGRAMS, equal, true

pytestmark = pytest.mark.needs(*PROGRAMS)


def blocks(node):
    found = {4: f"100.66.{node.number}.0/26", 6: f"fd66::{node.number}:0/122"}
    return {f: b for f, b in found.items() if f in node.cluster.families}


def by_hand(cluster):
    """Pods with addresses of a block that is each node's own, and routes between them."""
    for node in cluster.nodes:
        pools = [{"cidr": b, "blockSize": int(b.split("/")[1])} for b in blocks(node).values()]
        call = node.call
        node.call = lambda verb, pod, call=call, pools=pools, **more: call(
            verb, pod, ipam={"type": "roost-ipam", "pools": pools})
        node.add_pod()
        node.add_pod()
    for node in cluster.nodes:
        for family in cluster.families:
            cluster.router.ip(f"route add {blocks(node)[family]} via {node.ip(family)}")
            for other in cluster.nodes:
                if other is not node:
                    gateway = cluster.gateway(node, other, family)
                    node.ns.ip(f"route add {blocks(other)[family]} via {gateway} proto bird")


def raises(function, *words):
    try:
        function()
    except Failed as e:
        for word in words:
            true(word in str(e), f"{word!r} in the complaint", str(e))
        return
    raise Failed(f"expected a complaint with {words}, saw none")


def test_every_instrument_shows_a_cut_route():
    with Cluster(encap="none", start=False) as c:
        by_hand(c)
        c.converged()
        c.matrix(outside=True)
        here, there = c.nodes[0], c.nodes[1]
        pod, peer = next(iter(here.pods.values())), next(iter(there.pods.values()))
        stream = traffic.Stream(pod.path, peer.ip(4))
        with c.pinger() as pinger:
            pinger.goes_on()
            stream.still_works()
        pinger.lost_nothing()

        with c.pinger() as pinger:
            here.ns.ip(f"route replace blackhole {blocks(there)[4]}")
            pinger.goes_on()
        raises(pinger.lost_nothing, f"{pod} to {peer} IPv4")
        raises(c.converged, "BIRD's IPv4 routes of node1")
        true(not traffic.answers(pod.path, peer.ip(4)), "no answer over a cut route")
        stream.close()

        here.ns.ip(f"route del blackhole {blocks(there)[4]}",
                   f"route add {blocks(there)[4]} via {c.gateway(here, there, 4)} proto bird")
        c.converged()
        c.matrix(outside=True)


def test_a_changed_source_address_is_seen():
    with Cluster(nodes=2, encap="none", start=False, families=(4,)) as c:
        by_hand(c)
        c.matrix(outside=True)
        c.nodes[0].run("nft", "add table ip t; add chain ip t c { type nat hook postrouting "
                       "priority 100; }; add rule ip t c oif eth0 masquerade")
        raises(c.matrix, "the source was 10.1.1.11")


def test_etcd_of_three_members_starts_stops_and_thaws():
    with Cluster(nodes=1, store="etcd3", start=False) as c:
        c.store.start()
        c.store.put(b"x", b"{}")
        c.store.freeze()
        c.store.thaw()
        c.store.kill()
        true(not c.store.members[0].running(), "a killed member not to run")
        c.store.start()
        true(c.store.raw("range", key=b"/roost/x").get("kvs"), "the document to be there")


def test_a_rebooted_node_has_another_boot_id_and_no_pods():
    with Cluster(nodes=2, encap="none", start=False) as c:
        by_hand(c)
        node = c.nodes[1]
        before = set(os.listdir(node.state))
        node.reboot()
        equal(node.host_links(), [], "links of pods after the boot")
        node.add_pod()
        after = set(os.listdir(node.state))
        with open(f"{node.dir}/boot_id") as f:
            boot = f.read().strip()
        true(f"node-{boot}.mdb" in after, "the state of the new boot", after)
        true(f"node-{boot}.mdb" not in before, "another boot", before)
        c.matrix([node])
