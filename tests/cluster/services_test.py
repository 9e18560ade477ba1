# SPDX-License-Identifier: Apache-2.0
"""Prefixes of services: every node announces them to the router outside, no node to another one or to its own
kernel; sessions stay as they are, a restart of roostd or of BIRD withdraws nothing."""
import json
import re
import socket

import pytest

from lab import OUTSIDE4, Cluster, PROGRAMS, birdc, equal, inside, resource, true, until, until_it_passes

pytestmark = pytest.mark.needs(*PROGRAMS)
CLUSTER, EXTERNAL, SIX = "10.96.0.0/16", "203.0.113.0/24", "fd96::/112"
EXCLUDE = "node.kubernetes.io/exclude-from-external-load-balancers"


def services(cluster=(CLUSTER, SIX), external=(EXTERNAL,), **more):
    return resource("BGPConfiguration", "default", serviceClusterIPs=[{"cidr": c} for c in cluster],
                    serviceExternalIPs=[{"cidr": c} for c in external], **more)


def ways(c, destination):
    """The nodes through which the router sends packets for a prefix, by their numbers."""
    family = 6 if ":" in destination else 4
    found = set()
    for route in c.router.ask(f"-{family} route show exact {destination} proto 12"):
        hops = [h.get("gateway") for h in route.get("nexthops", [route])]
        found |= {n.name for n in c.nodes for h in hops if family in n.families and h == n.ip(family)}
    return found


def known(c, destination):
    """The nodes that the router hears a prefix from, whether it uses the route or not."""
    lines = birdc(f"{c.dir}/router-bird.ctl", f"show route {destination}") or []
    return {m[1] for m in (re.search(r"\[(node\d+)_[46] ", line) for line in lines) if m}


def everywhere(c, *destinations):
    names = {n.name for n in c.nodes}
    for d in destinations:
        equal(known(c, d), names, f"who announces {d}")


def since(node):
    """When each BGP session came up."""
    return {w[0]: w[4] for w in map(str.split, node.birdc("show protocols")) if len(w) > 4 and w[1] == "BGP"}


def test_prefixes_go_to_the_router_and_nowhere_else():
    with Cluster(nodes=2, tor=True, encap="none") as c:
        c.started()
        until(lambda: all(c.sessions_up(n) for n in c.nodes), "the sessions to be up")
        began = {n.name: since(n) for n in c.nodes}
        c.apply(services())
        until_it_passes(lambda: everywhere(c, CLUSTER, EXTERNAL, SIX), "the router to hear of the prefixes")
        for node in c.nodes:
            for family, prefix in ((4, CLUSTER), (4, EXTERNAL), (6, SIX)):
                equal(node.ns.ask(f"-{family} route show {prefix}"), [], f"the kernel's route of {node} to {prefix}")
            others = [s for s in node.sessions() if "peer" not in s]
            for session in others:
                lines = node.birdc(f"show route protocol {session}")
                true(not any(CLUSTER in l or EXTERNAL in l for l in lines), "the mesh to bring no prefix", lines)
        c.converged()
        c.apply(services(external=("198.51.100.0/24",)))
        until_it_passes(lambda: everywhere(c, "198.51.100.0/24"), "the other prefix to be announced")
        until(lambda: not known(c, EXTERNAL), "the former one to be withdrawn")
        equal({n.name: since(n) for n in c.nodes}, began, "when the sessions came up")


def test_a_node_with_the_label_announces_none():
    with Cluster(nodes=2, tor=True, encap="none", families=(4,)) as c:
        first, second = c.nodes
        c.started()
        c.apply(services(cluster=(CLUSTER,)))
        until_it_passes(lambda: everywhere(c, CLUSTER), "both to announce the prefix")
        document = json.loads(first.ctl("get", "node", first.name, "-o", "json"))
        document["metadata"]["labels"][EXCLUDE] = ""
        c.apply(document)
        until(lambda: known(c, CLUSTER) == {second.name}, "the node with the label to withdraw it")
        until_it_passes(c.converged, "pods' routes to stay")


def test_a_router_s_own_route_inside_a_prefix_is_not_believed():
    with Cluster(nodes=2, tor=True, encap="none", families=(4,)) as c:
        c.started()
        accept = {"action": "Accept", "matchOperator": "In", "cidr": "203.0.0.0/8"}
        peers = [p for p in c.manifest() if p["kind"] == "BGPPeer"]
        for p in peers:
            p["spec"]["filters"] = ["all"]
        c.apply(resource("BGPFilter", "all", importV4=[accept]), *peers, services(cluster=(CLUSTER,)))
        until_it_passes(lambda: everywhere(c, EXTERNAL), "the prefix to be announced")
        c.router_says(["203.0.113.9/32", "203.0.114.0/24"])
        node = c.nodes[0]
        until(lambda: "203.0.114.0/24" in node.bird_routes(), "what a filter accepts to be in the kernel")
        true(c.heard(node, "203.0.113.9/32"), "the other one to be told, too")
        true("203.0.113.9" not in node.bird_routes(), "an address of a service not to be in the kernel")
        equal([l for l in node.birdc("show route 203.0.113.9/32 all") if "roost_peer" in l], [],
              "a route to it that came from the router")


def test_a_pool_for_services_gives_pods_nothing():
    with Cluster(nodes=1, families=(4,)) as c:
        c.started()
        c.apply(resource("IPPool", "a-public", cidr="192.0.2.128/25", allowedUses=["LoadBalancer"]))
        c.apply(resource("IPPool", "pool4", cidr="100.66.0.0/16", blockSize=c.block, disabled=True))
        node = c.nodes[0]
        pod = node.new_pod()
        until(lambda: node.try_add(pod).status, "no pool to give an address")
        row = next(l for l in node.ctl("get", "ippool").splitlines() if l.startswith("a-public"))
        true(row.endswith("services"), "the pool to be for services", row)


def test_restarts_withdraw_nothing():
    """The router counts: BIRD's own log of it says when a route went."""
    with Cluster(nodes=2, tor=True, encap="none", families=(4,)) as c:
        c.started()
        c.apply(services(cluster=(CLUSTER,)))
        until_it_passes(lambda: everywhere(c, CLUSTER), "the prefix to be announced")
        until(lambda: ways(c, CLUSTER), "the router to use it")
        for node in c.nodes:
            node.agent.kill()
            node.agent.start()
            until(lambda n=node: n.status().get("bird", {}).get("up"), f"{node} to have its BIRD again")
            everywhere(c, CLUSTER)
            node.bird.kill()
            node.start_bird()
            true(ways(c, CLUSTER), "the router to have the route meanwhile")
            until_it_passes(lambda: everywhere(c, CLUSTER), "both to announce it again")


# What a node's proxy does with a packet for a service: another address before it is routed, nothing else.
PROXY = """add table ip proxy
add chain ip proxy in { type nat hook prerouting priority dstnat; }
add rule ip proxy in ip daddr 203.0.113.5 tcp dport 80 dnat to %s:8080
"""


@pytest.mark.parametrize("encap", ["none", "vxlan"])
def test_a_client_outside_reaches_a_pod_and_is_seen_as_itself(encap):
    """With strict source checks, outgoing NAT and our rules against spoofed sources in its way."""
    with Cluster(nodes=2, tor=True, encap=encap, families=(4,), nat=True) as c:
        first, second = c.nodes
        for node in c.nodes:
            for scope in ("all", "default", "eth0"):
                node.ns.set_sysctl(f"ipv4/conf/{scope}/rp_filter", 1)
        c.started()
        pod = next(iter(first.pods.values()))
        first.run("nft", PROXY % pod.ip4)
        document = json.loads(second.ctl("get", "node", second.name, "-o", "json"))
        document["metadata"]["labels"][EXCLUDE] = "true"
        c.apply(document, services(cluster=(CLUSTER,)))
        until(lambda: ways(c, EXTERNAL) == {first.name}, "the router to use the one node")
        with inside(pod.path):
            server = socket.create_server(("", 8080))
        with inside(c.outside.path):
            client = socket.create_connection(("203.0.113.5", 80), timeout=20)
        with server, client:
            connection, peer = server.accept()
            connection.sendall(b"there")
            equal((peer[0], client.recv(5)), (OUTSIDE4, b"there"), "whom the pod sees, and the answer")
