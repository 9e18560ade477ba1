# SPDX-License-Identifier: Apache-2.0
"""Everything down: the store, the agent, BIRD, and all three. Pods that run keep every connection
without one lost ping, pods start and stop while the node has free addresses, and afterwards
everything tells one story."""
import contextlib
import os

import pytest

import traffic
from lab import Cluster, PROGRAMS, equal, step, true, until, until_it_passes

pytestmark = pytest.mark.needs(*PROGRAMS)


@contextlib.contextmanager
def traffic_goes_on(cluster, what):
    """Pings and a TCP connection through whatever happens in the block."""
    pods = [next(iter(n.pods.values())) for n in cluster.nodes]
    stream = traffic.Stream(pods[0].path, pods[1].ip4)
    with cluster.pinger(pods) as pinger:
        pinger.goes_on()
        yield pinger
        pinger.goes_on()
        stream.still_works()
    stream.close()
    pinger.lost_nothing()
    step(f"{what}: {pinger.sent()} pings, none lost")


def started(cluster):
    cluster.started(2)
    cluster.matrix()


def pods_come_and_go(cluster, times=3):
    """New pods on every node: wired, reachable on the node, removed again."""
    for node in cluster.nodes:
        old = next(iter(node.pods.values()))
        for _ in range(times):
            pod = node.add_pod()
            for family in cluster.families:
                traffic.icmp(old.path, pod.ip(family))
            node.del_pod(pod)
        # One comes to stay, one of the old ones goes.
        node.del_pod(list(node.pods.values())[1])
        node.add_pod()


def settled(cluster):
    """Consistent, converged, and every pair reachable."""
    for node in cluster.nodes:
        until_it_passes(node.consistent, f"{node} to be consistent")
    cluster.wait_converged()
    cluster.matrix()


def store_outages(c):
    for name, down, up in (("stopped", c.store.stop, c.store.start),
                           ("frozen", c.store.freeze, c.store.thaw)):
        with traffic_goes_on(c, f"etcd {name}"):
            down()
            pods_come_and_go(c)
            for node in c.nodes:
                node.agent.must_run()
            if name == "stopped":
                true(c.nodes[0].ctl("get", "ippool", ok=False).returncode == 1,
                     "roostctl to say that the store is away")
                until(lambda: "store" in c.nodes[0].status_text().lower(), "status to name the store")
            up()
            until(c.store.healthy, "etcd to be healthy")
        settled(c)
    # A watch that slept through a compaction finds its way again.
    frozen = c.nodes[2].agent
    frozen.freeze()
    for n in range(20):
        c.store.put(b"resources/ippools/other", b'{"n":%d}' % n)
    c.store.delete(b"resources/ippools/other")
    revision = c.store.raw("range", key=b"/roost/x")["header"]["revision"]
    c.store.raw("compaction", revision=revision, physical=True)
    frozen.thaw()
    until(c.nodes[2].ready, "the frozen agent to be back")
    settled(c)
    step("compacted under a sleeping watch")


def test_the_store_is_away_and_nobody_notices():
    with Cluster(store="etcd3", encap="vxlan-cross-subnet") as c:
        started(c)
        with traffic_goes_on(c, "one member of three killed"):
            c.store.members[0].kill()
            pods_come_and_go(c, 1)
            c.apply(c.pool("more", "100.77.0.0/24", 26))
            c.store.members[0].start()
            until(c.store.healthy, "etcd to be healthy")
        store_outages(c)


def test_an_outage_of_three_members_is_one_problem_that_begins_once_and_ends_once():
    """Whichever member is asked, and whatever became of a change that was under way."""
    with Cluster(nodes=1, store="etcd3", encap="none", families=(4,)) as c:
        node = c.nodes[0]
        until(node.ready, "the node to be ready")

        def lines():
            return [line.split(": ", 2)[2] for line in node.agent.said().splitlines()
                    if "etcd at" in line or "cluster store" in line]

        def goes(down, up, why):
            seen = set()

            def through_all_members():
                seen.update(p for p in node.status().get("problems", []) if "etcd at" in p)
                since = node.status().get("store", {}).get("sinceSeconds") or 0
                return since > 8  # all are asked many times meanwhile

            down()
            until(through_all_members, "the outage to last")
            equal(len(seen), 1, f"sentences of one outage, {seen}:")
            true(why in next(iter(seen)), f"{why!r} in it", seen)
            up()
            until(lambda: node.status() and not node.status()["problems"], "it to be over")
            said = lines()
            equal(len(said), 2, f"lines of the log about one outage, {said}:")
            equal(said[1], f"over: {said[0]}", "the second one:")
            step(said[0])

        goes(c.store.stop, c.store.start, "Connection refused (nor can the other endpoints)")
        node.agent.stop()
        node.agent.start()
        until(node.ready, "the node to be ready")
        until(lambda: node.status() and not node.status()["problems"], "no problem")
        goes(c.store.freeze, c.store.thaw, "no answer within 2000 ms (nor can the other")


def test_agents_die_and_come_back():
    with Cluster(store="etcd", encap="vxlan-cross-subnet") as c:
        started(c)
        with traffic_goes_on(c, "every agent killed"):
            for node in c.nodes:
                node.agent.kill()
            pods_come_and_go(c)
            for node in c.nodes:
                node.agent.start()
            for node in c.nodes:
                until(node.status, f"the agent of {node} to answer")
        settled(c)
        with traffic_goes_on(c, "every agent frozen"):
            for node in c.nodes:
                node.agent.freeze()
            pods_come_and_go(c, 1)
            for node in c.nodes:
                node.agent.thaw()
        settled(c)


def test_birds_die_and_come_back():
    with Cluster(encap="vxlan-cross-subnet") as c:
        started(c)
        with traffic_goes_on(c, "every BIRD killed, one after the other"):
            for node in c.nodes:
                node.bird.kill()
                pods_come_and_go(c, 1)
                node.start_bird()
                until(lambda n=node: c.sessions_up(n), f"the sessions of {node} to be up")
        settled(c)


def test_all_of_it_is_away_at_once():
    with Cluster(store="etcd", encap="vxlan-cross-subnet") as c:
        started(c)
        with traffic_goes_on(c, "store, agents and BIRDs killed"):
            c.store.kill()
            for node in c.nodes:
                node.agent.kill()
                node.bird.kill()
            pods_come_and_go(c)
            c.matrix()
        c.store.start()
        for node in c.nodes:
            node.start()
        # BIRDs that restart all at once do not wait for each other's routes (RFC 4724, section 4.1):
        # only after that the routes are what they will be.
        for node in c.nodes:
            until(node.status, f"the agent of {node} to answer")
            until(lambda n=node: c.sessions_up(n), f"the sessions of {node} to be up")
        settled(c)


def test_a_full_node_without_its_agent_says_what_to_do():
    """Free addresses last as long as they last; then ADD says why not, and works again later."""
    with Cluster(nodes=1, store="etcd", encap="none", subnets=1, families=(4,), block=30,
                 settings={"headroom": 2}) as c:
        node = c.nodes[0]
        until(node.ready, "the node to be ready")
        node.add_pod()
        node.agent.kill()
        refusal = None
        for _ in range(40):
            pod = node.new_pod()
            answer = node.try_add(pod)
            if answer.status:
                refusal = answer.refused(11)
                break
        true(refusal, "an ADD to be refused in the end")
        step(f"after {len(node.pods)} pods: {refusal['msg']}; {refusal.get('details', '')}")
        node.call("STATUS", None, "1.1.0").ok("STATUS while pods are well")
        node.agent.start()
        until(lambda: node.call("ADD", pod).status == 0, "ADD to work with an agent again")
        node.call("DEL", pod).ok("DEL")
        until(lambda: len(node.host_links()) == len(node.pods), "the marked link to be deleted")
        node.consistent()
