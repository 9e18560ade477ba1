# SPDX-License-Identifier: Apache-2.0
"""IPv4 and IPv6 between nodes: both over one BGP session, each carried as its own pool says, nodes
that have one of them only, and what it costs when a node gets or loses one."""

import pytest

import traffic
from lab import Cluster, PROGRAMS, equal, resource, step, true, until, until_it_passes

pytestmark = pytest.mark.needs(*PROGRAMS)


def works(cluster, pods=1):
    cluster.started(pods)
    for node in cluster.nodes:
        until(lambda n=node: cluster.sessions_up(n), f"the sessions of {node} to be up")
    step(f"{cluster.matrix()} probes passed")
    step(f"{cluster.conformance()['summary']['ok']} checks of conformance passed")
    for node in cluster.nodes:
        node.consistent()


def session(node, other, family=4):
    """Its name in BIRD."""
    return "roost_" + other.ip(family).replace(".", "_").replace(":", "_")


def since(node):
    """{session: when it came to its state, in seconds of the day}; BIRD computes that anew for each
    answer, by two clocks, so a millisecond more or less is the same."""
    found = {}
    for line in node.birdc("show protocols"):
        words = line.split()
        if len(words) > 4 and words[1] == "BGP":
            hours, minutes, seconds = words[4].split(":")
            found[words[0]] = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
    return pytest.approx(found, abs=0.005)


def test_one_session_carries_both_families():
    with Cluster(encap="vxlan-cross-subnet") as c:
        works(c, 2)
        for node in c.nodes:
            equal(set(node.sessions()), {session(node, o) for o in c.nodes if o is not node},
                  f"the sessions of {node}")
            until(lambda n=node: f"up, {len(c.nodes) - 1} of {len(c.nodes) - 1} peers"
                  in n.status_text(), f"the count in the status of {node}")


def test_an_ipv4_pool_through_vxlan_and_an_ipv6_pool_without_a_tunnel():
    with Cluster(encap="vxlan", encap6="none", tor=True) as c:
        works(c, 2)
        for node in c.nodes:
            true(not node.ns.link("vxlan.roost6"), f"no IPv6 tunnel on {node}")
        with c.pinger() as pinger:
            pinger.goes_on()
            c.encap = "vxlan-cross-subnet"
            c.apply(*c.manifest())
            c.wait_converged()
            pinger.goes_on()
        pinger.lost_nothing()
        step(f"the mode of IPv4 switched: {pinger.sent()} pings, none lost")
        c.matrix()


def test_a_cluster_without_ipv4():
    with Cluster(encap="vxlan-cross-subnet", families=(6,)) as c:
        works(c, 2)
        with c.pinger() as pinger:
            for node in c.nodes:
                node.bird.kill()
                node.start_bird()
                for other in c.nodes:
                    until(lambda o=other: c.sessions_up(o), f"the sessions of {other} to be up")
            pinger.goes_on()
        pinger.lost_nothing()
        step(f"every BIRD killed: {pinger.sent()} pings, none lost")


def test_nodes_of_different_families():
    """Two nodes with both, one with IPv4 only, one with IPv6 only: each pair shares what it can."""
    with Cluster(encap="vxlan-cross-subnet", nodes=4, node_families={2: (4,), 3: (6,)}) as c:
        works(c)
        both, four, six, far = c.nodes
        equal(set(both.sessions()), {session(both, four), session(both, six, 6), session(both, far)},
              f"the sessions of {both}")
        equal(set(six.sessions()), {session(six, both, 6), session(six, far, 6)},
              f"the sessions of {six}")
        for node, family in ((four, 6), (six, 4)):
            until(lambda n=node, f=family: f"this node has no IPv{f} address" in n.status_text(),
                  f"{node} to say what it lacks")
        with c.pinger() as pinger:
            for node in c.nodes:
                node.bird.kill()
                node.start_bird()
                for other in c.nodes:
                    until(lambda o=other: c.sessions_up(o), f"the sessions of {other} to be up")
            pinger.goes_on()
        pinger.lost_nothing()
        step(f"every BIRD killed: {pinger.sent()} pings, none lost")


def test_a_node_gets_and_loses_ipv6_without_a_lost_ipv4_packet():
    with Cluster(encap="vxlan-cross-subnet", node_families={2: (4,)}) as c:
        works(c)
        node = c.nodes[1]
        before = [since(n) for n in c.nodes]
        stream = traffic.Stream(next(iter(c.nodes[0].pods.values())).path,
                                next(iter(node.pods.values())).ip4)
        with c.pinger() as pinger:
            pinger.goes_on()
            node.address[6] = "fd00:2::12"
            node.ns.ip("addr add fe80::12/64 dev eth0 nodad", "addr add fd00:2::12/64 dev eth0 nodad",
                       "route add default via fd00:2::1")
            c.wait_converged()
            step(f"{node} has IPv6: {c.matrix()} probes passed")
            node.ns.ip("addr del fd00:2::12/64 dev eth0")
            del node.address[6]
            def gone():
                for other in c.nodes:
                    if other is not node:
                        lost = set(node.blackholes(6)) & set(other.bird_routes(6))
                        equal(lost, set(), f"IPv6 routes of {other} to {node}")
            until_it_passes(gone, f"the IPv6 routes to {node} to go")
            pinger.goes_on()
            stream.still_works()
        stream.close()
        pinger.lost_nothing()
        equal([since(n).expected for n in c.nodes], before, "the sessions, and since when they stand")
        step(f"{pinger.sent()} pings, none lost, no session restarted")


def test_a_route_reflector_passes_both_families_on():
    """One session between each node and the reflector, none between the others."""
    with Cluster(encap="vxlan-cross-subnet") as c:
        c.started()
        c.reflect()
        for node in c.nodes:
            until(lambda n=node: c.sessions_up(n), f"a session of {node} with the reflector alone")
        c.wait_converged()
        step(f"{c.matrix()} probes passed")
