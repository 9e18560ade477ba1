# SPDX-License-Identifier: Apache-2.0
"""A store that comes back without what it held: empty, as another one, as it was some time ago. Pods
that run keep every packet, pods start and stop while the node has free addresses, each node says what
is missing, and all is one story again when the documents are back or an operator says so."""
import json
import os
import re
import shutil

import pytest

import lab
import lab
from lab import Cluster, PROGRAMS, equal, step, true, until, until_it_passes
from outage_test import pods_come_and_go, settled, started, traffic_goes_on

pytestmark = pytest.mark.needs(*PROGRAMS)


def problem(node, *words):
    """The problem of its status that has these words, or None."""
    return next((p for p in node.status().get("problems", [])
                 if all(w in p for w in words)), None)


def blocks_of(cluster):
    return [{f: node.blackholes(f) for f in cluster.families} for node in cluster.nodes]


def all_say(cluster, *words):
    for node in cluster.nodes:
        said = until(lambda n=node: problem(n, *words), f"{node} to say {words}")
    step(said)
    return said


def nobody_says(cluster, *words):
    for node in cluster.nodes:
        until(lambda n=node: n.status() and not problem(n, *words), f"{node} to have nothing of {words}")


def waits(cluster, *words):
    """Everything is as it was, and says so."""
    before = blocks_of(cluster)
    all_say(cluster, *words)
    pods_come_and_go(cluster)
    cluster.matrix()
    equal(blocks_of(cluster), before, "the blocks while the documents are missing")


def test_an_etcd_that_comes_back_empty_takes_nothing_from_pods():
    with Cluster(encap="vxlan-cross-subnet", store="etcd") as c:
        started(c)
        blocks = blocks_of(c)
        with traffic_goes_on(c, "etcd came back empty"):
            c.store.empty()
            waits(c, "went back from revision", "has no IPPool", "roostctl store accept")
            node = c.nodes[0]
            node.agent.stop()
            node.agent.start()
            until(lambda: problem(node, "has no IPPool"), "a fresh agent to say it, too")
            c.matrix()
            c.apply(*c.manifest())
            nobody_says(c, "all stays as it is")
            settled(c)
        equal(blocks_of(c), blocks, "the blocks after it all")
        true(re.search(r"over: etcd:http://\S+ went back", c.nodes[1].agent.said()),
             "the log to say that it is over", c.nodes[1].agent.said())


def test_another_etcd_is_not_used_and_the_old_one_is_at_once():
    with Cluster(encap="none", store="etcd", nodes=2, subnets=1) as c:
        started(c)
        backup = c.store.backup()
        until_it_passes(c.wait_converged, "the cluster to go on")
        blocks = blocks_of(c)
        with traffic_goes_on(c, "another etcd"):
            c.store.empty(token="another")
            waits(c, "is another store (id ")
            ids = re.search(r"\(id ([0-9a-f]+), was ([0-9a-f]+)\)",
                            problem(c.nodes[0], "is another store"))
            true(ids[1] != ids[2], "the two ids to differ", ids)
            c.store.restore(backup)
            nobody_says(c, "all stays as it is")
            settled(c)
        equal(blocks_of(c), blocks, "the blocks after it all")


def test_documents_that_are_deleted_all_at_once_take_nothing_from_pods():
    """The same etcd, which tells the agents of it as of any deletion."""
    with Cluster(encap="vxlan", store="etcd", families=(4,), nodes=2) as c:
        started(c)
        with traffic_goes_on(c, "all documents deleted"):
            c.store.raw("deleterange", key=b"/roost/", range_end=b"/roost0")
            waits(c, "lost documents", "has no IPPool")
            c.apply(*c.manifest())
            nobody_says(c, "all stays as it is")
            settled(c)


def test_an_older_state_of_etcd_is_completed_by_the_agents():
    """Blocks that were claimed since, and a node that joined since."""
    with Cluster(encap="none", store="etcd", subnets=1, families=(4,), block=30, start=False,
                 settings={"headroom": 1}) as c:
        c.store.start()
        c.apply(*c.manifest())
        for node in c.nodes[:2]:
            node.start()
            until(node.ready, f"{node} to be ready")
        backup = c.store.backup()
        c.nodes[2].start()
        for node in c.nodes:
            until(node.ready, f"{node} to be ready")
            for _ in range(5):
                until(lambda n=node: n.try_add(n.new_pod()).status == 0, "ADD to work")
            for pod in node.pods.values():
                c.echo.serve(pod.path)
        c.wait_converged()
        blocks = blocks_of(c)
        with traffic_goes_on(c, "etcd as it was some time ago"):
            c.store.restore(backup)
            until(lambda: all("node3" in n.ctl("get", "nodes") for n in c.nodes), "node3 to be back")
            nobody_says(c, "went back")
            settled(c)
        for now, then in zip(blocks_of(c), blocks):
            true(set(now[4]) >= {b for b in then[4]}, "every block in use", (now, then))


def test_a_node_that_does_not_come_back_needs_an_operators_word():
    with Cluster(encap="none", store="etcd", subnets=1, families=(4,)) as c:
        started(c)
        gone, stay = c.nodes[2], c.nodes[:2]
        gone.agent.kill()
        c.store.empty()
        c.apply(*c.manifest())
        for node in stay:
            step(until(lambda n=node: problem(n, "lacks nodes node3"), f"{node} to miss node3"))
        c.matrix()  # the missing one's pods are reached, as before
        done = gone.ctl("store", "accept", ok=False)
        equal(done.returncode, 1, "the status without an agent")
        for node in stay:
            node.ctl("store", "accept")
        for node in stay:
            until(lambda n=node: n.status() and not problem(n, "lacks nodes"), f"{node} to go on")
            until(lambda n=node: len(n.sessions()) == 1, f"{node} to forget node3")
        done = stay[0].ctl("store", "accept", ok=False)
        equal(done.returncode, 1, "the status when nothing waits")
        true("nothing waits" in done.stderr, "why", done.stderr)
        c.matrix(stay)


def test_an_embedded_store_that_was_removed_takes_nothing_from_pods():
    with Cluster(encap="vxlan", families=(4,), nodes=2) as c:
        started(c)
        blocks = blocks_of(c)
        with traffic_goes_on(c, "a new embedded store"):
            for node in c.nodes:
                node.agent.stop()
            shutil.rmtree(c.store.url.removeprefix("file:"))
            for node in c.nodes:
                node.agent.start()
            waits(c, "is another store (id ", "has no IPPool")
            c.apply(*c.manifest())
            nobody_says(c, "all stays as it is")
            settled(c)
        equal(blocks_of(c), blocks, "the blocks after it all")


def test_an_embedded_store_that_is_replaced_under_its_agents_takes_nothing_from_pods():
    with Cluster(encap="vxlan", families=(4,), nodes=2) as c:
        started(c)
        folder = c.store.url.removeprefix("file:")
        with traffic_goes_on(c, "another embedded store"):
            other = f"{c.dir}/other"
            c.nodes[0].ctl("--store", f"file:{other}", "apply", "-f", "-", stdin=json.dumps(
                lab.resource("IPAMConfiguration", "default", ipCooldownSeconds=7)))
            os.rename(f"{other}/store.mdb", f"{folder}/store.mdb")
            waits(c, "is another store (id ", "has no IPPool")
            c.apply(*c.manifest())
            nobody_says(c, "all stays as it is")
            settled(c)


def test_a_new_etcd_that_is_ahead_of_what_a_watch_told_is_found_out():
    """By the status document, which changes all the time; pools and blocks were told long ago."""
    with Cluster(encap="none", store="etcd", subnets=1, families=(4,), nodes=2) as c:
        started(c)

        def revision():
            return int(c.store.raw("range", key=b"/roost/x")["header"]["revision"])

        then = revision()
        until(lambda: revision() > then + 30, "heartbeats to be written")
        with traffic_goes_on(c, "a new etcd"):
            for node in c.nodes:
                node.agent.freeze()
            c.store.empty()
            while revision() < then + 10:
                c.store.raw("put", key=b"/others/x", value=b"x")
            for node in c.nodes:
                node.agent.thaw()
            waits(c, "went back from revision", "has no IPPool")
            c.apply(*c.manifest())
            nobody_says(c, "all stays as it is")
            settled(c)


@pytest.mark.parametrize("what", ["resources/nodes/", "blocks/"])
def test_documents_of_one_kind_that_are_deleted_are_entered_again(what):
    with Cluster(encap="vxlan", store="etcd", families=(4,), nodes=3) as c:
        started(c)
        blocks = blocks_of(c)
        with traffic_goes_on(c, f"all of {what} deleted"):
            key = f"/roost/{what}".encode()
            c.store.raw("deleterange", key=key, range_end=key[:-1] + b"0")
            until(lambda: int(c.store.raw("range", key=key, range_end=key[:-1] + b"0",
                                          count_only=True).get("count", 0)) >= 3, "them to be back")
            nobody_says(c, "lost documents")
            settled(c)
        equal(blocks_of(c), blocks, "the blocks after it all")
