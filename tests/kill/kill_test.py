# SPDX-License-Identifier: Apache-2.0
"""The kill matrix: whatever system call it dies at, nothing is left and the next pod starts.

A plain run under strace lists the system calls of a request. Then the request is made once for
each of them and killed there (strace counts calls by name, so a point is "the third sendto").
What must hold afterwards is written in the stories below: after a killed ADD comes DEL, sometimes
GC instead, and then no link, pod route, allocation, file or anything in the pod's namespace may
be left, and nothing of a neighbour that lives all the time may be missing; the next ADD must
work. A killed DEL is followed by DEL, a killed GC by GC. Beside an agent (its lock is held here) DEL
marks links for the agent to delete; whoever comes next, with the agent or after its end, must find
nothing in the way, and what is marked goes with the agent's next look or without it.

SIGKILL hits before the call is made; what a call has done is seen by the kill at the next one.
KILL_SAMPLE=N takes every Nth point only.

Each worker has a private machine (tests/bench/sandbox.py), where hosts and pods are network
namespaces; a host is used for many points, but made anew for each point of a first ADD, in which
roost makes its state. Nothing here depends on time, except that a request that hangs fails.
"""

import collections
import concurrent.futures
import contextlib
import functools
import os

import pytest

from hosts import FAULTS, Host, enter_machine, inject, new_host, points_of, trace
from roostlab import Failed

pytestmark = pytest.mark.needs("strace", "ip")

WORKERS = 6
SAMPLE = int(os.environ.get("KILL_SAMPLE", 1))
GC_EVERY = 5  # points of ADD that are followed by GC instead of DEL


# Running a request under strace.

def kill_at(point):
    return inject(point, "signal=KILL")


# The stories. Each gets a host and a point, and raises Failed when a promise is broken.

def next_pod_works(host, plugin="roost", binary=None):
    host.audit()
    host.must_add(plugin, binary)
    host.must("DEL", plugin, binary)
    host.audit()


def killed_add(host, point, **who):
    hit = host.call("ADD", wrapper=kill_at(point), **who).returncode == -9
    use_gc = point.nth % GC_EVERY == GC_EVERY - 1
    host.must("GC" if use_gc else "DEL", **who)
    next_pod_works(host, **who)
    return hit


def killed_del(host, point, **who):
    host.must_add(who.get("plugin", "roost"), who.get("binary"))
    hit = host.call("DEL", wrapper=kill_at(point), **who).returncode == -9
    host.must("DEL", **who)
    next_pod_works(host, **who)
    return hit


def killed_gc(host, point):
    host.must_add("roost", None)
    hit = host.call("GC", wrapper=kill_at(point)).returncode == -9
    host.must("GC")
    next_pod_works(host)
    return hit


def killed_del_beside_agent(host, point):
    host.must_add("roost", None)
    with host.agent():
        hit = host.call("DEL", wrapper=kill_at(point)).returncode == -9
        if point.nth % 2:
            host.must("DEL")
            host.reap()
    if point.nth % 2 == 0:
        host.must("DEL")  # the agent ended: this one deletes
    next_pod_works(host)
    return hit


def killed_add_beside_agent(host, point):
    """The pod's interface is still there, marked by a DEL."""
    with host.agent():
        host.must_add("roost", None)
        host.must("DEL")
        hit = host.call("ADD", wrapper=kill_at(point)).returncode == -9
        host.must("GC" if point.nth % GC_EVERY == GC_EVERY - 1 else "DEL")
        host.reap()
    next_pod_works(host)
    return hit


# Host ports and limits of bandwidth: elements of nf_tables, a device, flows that are forgotten.
WISHES = {"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"},
                           {"hostPort": 5353, "containerPort": 53, "protocol": "udp"}],
          "bandwidth": {"ingressRate": 8000000, "ingressBurst": 800000, "egressRate": 8000000, "egressBurst": 800000}}


IPAM = dict(plugin="ptp", binary="roost-ipam")

# name: (what is done at each point, the verb that is traced, by whom, on a host of its own?)
STORIES = {
    "first ADD": (killed_add, "ADD", {}, True),
    "ADD": (killed_add, "ADD", {}, False),
    "DEL": (killed_del, "DEL", {}, False),
    "GC": (killed_gc, "GC", {}, False),
    "ADD with wishes": (killed_add, "ADD", {}, False),
    "DEL with wishes": (killed_del, "DEL", {}, False),
    "GC with wishes": (killed_gc, "GC", {}, False),
    "DEL beside an agent": (killed_del_beside_agent, "DEL", {}, False),
    "ADD beside an agent": (killed_add_beside_agent, "ADD", {}, False),
    "roost-ipam first ADD": (functools.partial(killed_add, **IPAM), "ADD", IPAM, True),
    "roost-ipam ADD": (functools.partial(killed_add, **IPAM), "ADD", IPAM, False),
    "roost-ipam DEL": (functools.partial(killed_del, **IPAM), "DEL", IPAM, False),
}


# Workers: each process enters its own machine once, and keeps a host for each story.

@functools.cache
def settled_host(story):
    host = Host()
    host.wishes = WISHES if story.endswith("with wishes") else {}
    with beside(story, host):
        host.settle(**STORIES[story][2])
    host.reap()
    return host


def beside(story, host):
    return host.agent() if story.endswith("beside an agent") else contextlib.nullcontext()


def host_for(story):
    if STORIES[story][3]:
        return new_host()
    return contextlib.nullcontext(settled_host(story))


def enumerate_points(story):
    _, verb, who, _ = STORIES[story]
    with host_for(story) as host, beside(story, host):
        if verb != "ADD" or story == "ADD beside an agent":
            host.must_add(who.get("plugin", "roost"), who.get("binary"))
        if story == "ADD beside an agent":
            host.must("DEL")
        lines = trace(host, verb, **who)
        if verb == "ADD":
            host.must("DEL", **who)
        host.reap()
    return points_of(story, lines)


def try_point(point):
    """(was it hit, what is wrong). A host that showed a fault is not used again."""
    try:
        with host_for(point.story) as host:
            return STORIES[point.story][0](host, point), None
    except FAULTS as e:
        settled_host.cache_clear()
        return True, str(e)


@pytest.fixture(scope="module")
def pool():
    with concurrent.futures.ProcessPoolExecutor(WORKERS, initializer=enter_machine) as pool:
        yield pool


@pytest.mark.parametrize("story", STORIES)
def test_a_kill_at_any_call_leaves_nothing(pool, story):
    points = pool.submit(enumerate_points, story).result()[::SAMPLE]
    assert points
    faults, missed = [], collections.Counter()
    for point, (hit, fault) in zip(points, pool.map(try_point, points)):
        if fault:
            faults.append(f"{point.call} number {point.k}: {point.line}\n    {fault}")
        elif not hit:
            missed[point.call] += 1
    print(f"{len(points)} points; not reached again: {dict(missed) or 'none'}")
    if faults:
        raise Failed(f"of {len(points)} points {len(faults)} failed:\n" + "\n".join(faults))
    assert missed.total() <= len(points) // 10
