# SPDX-License-Identifier: Apache-2.0
"""BGP sessions that are down: each end says with whom, since when, and what it saw of it, in roostctl
status and node list; the problem comes after the hold time, and is over when the session is up.

node2 has the higher address, so it connects, and node1 waits for it."""
import contextlib
import re
import socket

import pytest

from lab import Cluster, PROGRAMS, equal, inside, resource, step, true, until

pytestmark = pytest.mark.needs(*PROGRAMS)
PORT = 179
AS = 64512
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def peering(here, there, **more):
    """A BGPPeer of one node for the other one, with the shortest hold time that there is: 3 s."""
    return resource("BGPPeer", f"{here}-{there}", node=here.name, peerIP=there.ip(4), keepaliveTime="1s",
                    **{"asNumber": AS, **more})


def is_peered(node):
    """The mesh's session, which is up for a moment longer, has gone."""
    return all(name.startswith("roost_peer_") for name in node.sessions())


@contextlib.contextmanager
def cluster(**more):
    """Two nodes whose session has a hold time of 3 s at both ends; more: keys of node1's side."""
    with Cluster(nodes=2, subnets=1) as c:
        first, second = c.nodes
        c.started()
        c.apply(peering(first, second), peering(second, first))
        until(lambda: all(is_peered(n) and c.sessions_up(n) for n in c.nodes), "the session to be up")
        until(lambda: not any(map(downs, c.nodes)), "nobody to have a session that is down")
        if more:
            c.apply(peering(first, second, **more))
        yield c


def downs(node):
    return node.status()["bird"]["peersDown"]


def says(node, *words):
    """The problem of a session that has all these words."""
    return next((p for p in node.status().get("problems", [])
                 if p.startswith("BGP session with ") and all(w in p for w in words)), None)


def both_say(cluster, *sides):
    """sides: for each node the words of BIRD's reason, and words of the sentence."""
    for node, (bird, *words) in zip(cluster.nodes, sides):
        other = next(n for n in cluster.nodes if n is not node)
        told = until(lambda n=node, w=words: says(n, *w), f"{node} to say {words}")
        true(re.match(rf"BGP session with {other} \({re.escape(other.ip(4))}\) down since {TIME}: ", told),
             "with whom, and since when", told)
        step(f"{node}: {told}")
        seen = until(lambda n=node, b=bird: [d for d in downs(n) if d["bird"] == b],
                     f"BIRD's own words to be {bird!r} on {node}, not {downs(node)}")[0]
        equal((seen["peer"], seen["node"]), (other.ip(4), other.name), "the peer")
        true(f"peer down     {other} ({other.ip(4)}) since {seen['since']}: {bird}" in
             node.status_text(), "a line for people", node.status_text())
    is_in_node_list(cluster, [bird for bird, *_ in sides])


def is_in_node_list(cluster, birds):
    def listed():
        rows = {n["name"]: [d["bird"] for d in n["peersDown"]] for n in cluster.nodes[0].ask("node", "list")}
        return rows == {n.name: [b] for n, b in zip(cluster.nodes, birds)}
    until(listed, f"node list to have {birds}")
    text = cluster.nodes[0].ctl("node", "list")
    for node, other, bird in zip(cluster.nodes, reversed(cluster.nodes), birds):
        true(re.search(rf"^{node} .*no session with {other} since {TIME}: {re.escape(bird)}", text, re.M),
             f"a note at {node}", text)
        true(re.search(rf"^peer down +{other} \({re.escape(other.ip(4))}\) since {TIME}: {re.escape(bird)}",
                       cluster.nodes[0].ctl("node", "show", node.name), re.M), f"a line of node show {node}")


def is_over(cluster):
    """Everywhere, by itself, and said once."""
    for node in cluster.nodes:
        until(lambda n=node: n.status()["problems"] == [] and downs(n) == [] and cluster.sessions_up(n),
              f"{node} to have no problem any more")
        over = re.findall(r"over: (BGP session with .*? down since \S+):", node.agent.said())
        equal(len(over), len(set(over)), f"each problem of {node} to be over once")
        true(over, f"the log of {node} to say that it is over", node.agent.said()[-800:])
    until(lambda: all(n["peersDown"] == [] for n in cluster.nodes[0].ask("node", "list")),
          "node list to be clean")


# ---- each reason ----

def test_a_wrong_as_number_is_told_at_both_ends():
    with cluster(asNumber=64999) as c:
        first, second = c.nodes
        both_say(c, ("BGP Error: Bad peer AS", 'this node sent "Bad peer AS"', "another AS number than 64999"),
                 ("Received: Bad peer AS", 'the peer sent "Bad peer AS"',
                  "it expects another AS number of this node than 64512"))
        c.apply(peering(first, second))
        is_over(c)


def test_passwords_that_differ_are_told_where_the_kernel_drops_segments():
    with cluster(password={"text": "one"}) as c:
        first, second = c.nodes
        for theirs in ({}, {"password": {"text": "another"}}):
            c.apply(peering(second, first, **theirs))
            until(lambda: says(first, "the passwords differ"), "node1 to say that the passwords differ")
            until(lambda: says(second, f"its TCP port {PORT} does not answer", "or another password"),
                  "node2 to say that it gets no answer")
        step(says(first))
        step(says(second))
        c.apply(peering(second, first, password={"text": "one"}))
        is_over(c)


def listener(node):
    """Another program on BGP's port."""
    with inside(node.path):
        s = socket.socket()
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(("0.0.0.0", PORT))
        s.listen()
        return s


@pytest.mark.parametrize("where", [0, 1])
def test_a_port_that_another_program_has_is_named_and_tried_again(where):
    """At once, as nothing comes of waiting; when the port is free BIRD gets it without anybody's help."""
    with cluster() as c:
        node, other = c.nodes[where], c.nodes[1 - where]
        node.bird.kill()
        with contextlib.closing(listener(node)):
            node.start_bird()
            until(lambda: says(node, f"BIRD on this node cannot listen on TCP port {PORT}"),
                  f"{node} to name the port")
            until(lambda: says(other), f"{other} to say that the session is down")
            step(says(node))
            step(says(other))
            true(downs(node)[0]["bird"] == "Error: No listening socket", "BIRD's words", downs(node))
            if where == 0:  # the other one connects to what is no BIRD
                until(lambda: says(other, f"TCP port {PORT} there takes connections and speaks no BGP") or
                      says(other, "Connection"), "node2 to say what it meets there")
        is_over(c)


def test_a_bird_that_does_not_run_is_told_by_the_other_end():
    with cluster() as c:
        first, second = c.nodes
        first.bird.kill()
        until(lambda: says(second, f"nothing listens on TCP port {PORT} there (Connection refused)"),
              "node2 to say that nothing listens")
        step(says(second))
        equal([p for p in first.status()["problems"] if p.startswith("BGP")], [],
              "problems of sessions without a BIRD")
        first.start_bird()
        until(lambda: not says(second), "node2 to be well again")
        second.bird.kill()
        told = until(lambda: says(first, "it has not connected to this node"), "node1 to wait")
        step(told)
        second.start_bird()
        is_over(c)


def test_a_silent_peer_is_told_by_the_hold_timer():
    with cluster() as c:
        first, second = c.nodes
        second.bird.freeze()
        told = until(lambda: says(first, 'ended by this node\'s "Hold timer expired"',
                                  "it has not connected to this node"), "node1 to name the hold timer")
        step(told)
        second.bird.thaw()
        until(lambda: not says(first), "node1 to be well again")
        c.router.ip(f"link set to-{first} down")
        second.ns.ip("neigh flush dev eth0")  # else the kernel believes in it for half a minute
        told = until(lambda: says(second, "No route to host"), "node2 to have no route")
        step(told)
        c.router.ip(f"link set to-{first} up")
        is_over(c)


def test_a_young_session_is_no_problem_yet():
    """The mesh has a hold time of 30 s: until then the session is shown, and is no problem."""
    with Cluster(nodes=2, subnets=1) as c:
        c.started()
        first, second = c.nodes
        until(lambda: downs(second) == [], "the session to be up")
        first.bird.kill()
        seen = until(lambda: downs(second), "the session to be shown")
        equal(second.status()["problems"], [], "problems")
        true(f"peer down     {first} ({first.ip(4)}) since {seen[0]['since']}: " in second.status_text(),
             "a line for people", second.status_text())
        first.start_bird()
        until(lambda: downs(second) == [], "the session to be up")


def test_another_protocol_that_is_down_is_a_problem():
    with Cluster(nodes=1, subnets=1) as c:
        c.started()
        node = c.nodes[0]
        node.birdc("disable roost_kernel4")
        until(lambda: [p for p in node.status()["problems"] if "BIRD's protocol roost_kernel4 is not up" in p],
              "the protocol to be named")
        node.birdc("enable roost_kernel4")
        until(lambda: node.status()["problems"] == [], "no problem any more")
