# SPDX-License-Identifier: Apache-2.0
"""Agents whose store is the API, each with the token of its pod and no further right than deploy/ gives: a
cluster comes up, and whatever else is written into that API disturbs no pod."""
import contextlib

import pytest

import controlplane
import lab
from agents import Api, plane, use
from strange_test import ROOST, fill
from lab import Cluster, equal, resource, true, until

GUARD = "/apis/admissionregistration.k8s.io/v1/validatingadmissionpolicybindings/roost-pools-in-use"
pytestmark = [pytest.mark.needs(*lab.PROGRAMS, *controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]


@contextlib.contextmanager
def agents(nodes, lenient=False):
    """A cluster whose agents keep their documents in an API server that the router has."""
    with Cluster(nodes, encap="vxlan", start=False) as c, plane(c, lenient) as k:
        c.store = Api(c, k)
        for node in c.nodes:
            k.must("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name}})
            use(k, node, kubernetes="none")
        c.apply(*c.manifest(), resource("IPAMConfiguration", "default", ipCooldownSeconds=0))
        for node in c.nodes:
            node.start()
        c.started()
        yield c, k


def blocks(k):
    """Who owns which, of those that are blocks of a node of ours."""
    specs = {b["metadata"]["name"]: b.get("spec") for b in k.list(f"{ROOST}/ipblocks")}
    return {name: s["node"] for name, s in specs.items() if isinstance(s, dict) and str(s["node"]).startswith("node")}


def test_agents_with_no_further_rights_make_a_cluster():
    with agents(2) as (c, k):
        c.matrix()
        equal(set(blocks(k).values()), {n.name for n in c.nodes}, "the nodes that own blocks")
        line = k.kubectl("get", "nodestatuses", "--no-headers").splitlines()[0].split()
        equal((line[0], line[2]), (c.nodes[0].name, "up"), "what kubectl get nodestatuses prints")
        for node in c.nodes:
            true("forbidden" not in node.agent.said(), f"no request of {node} to be forbidden, saw {node.agent.said()}")
        one, other = c.nodes
        other.agent.stop()
        other.bird.stop()
        one.ctl("node", "remove", other.name, "--force", "--powered-off")
        equal(set(blocks(k).values()), {one.name}, "the nodes that own blocks after a removal")


def names_one(node):
    return any("ippools/" in p for p in node.status()["problems"])


def test_strange_objects_disturb_nobody():
    with agents(2, lenient=True) as (c, k):
        own = blocks(k)
        bad = fill(k, node="zz")
        one = c.nodes[0]
        until(lambda: names_one(one), f"{one} to name a document")
        one.add_pod()
        c.matrix()
        for node in c.nodes:
            node.agent.must_run()
        true(own.items() <= blocks(k).items(), f"blocks to stay with their nodes, saw {blocks(k)}")
        # What nobody can read is in nobody's way. Others say that they are the pool that has the blocks: the guard of
        # such pools is taken away first.
        unread = {"number", "unknown"}
        for name in unread:
            k.must("DELETE", f"{ROOST}/ippools/{name}")
        k.must("DELETE", GUARD)
        for name in set(bad) - unread:
            until(lambda name=name: k.ask("DELETE", f"{ROOST}/ippools/{name}")[0] in (200, 404), f"{name} to go")
        until(lambda: not names_one(one), "the problems to be over")
