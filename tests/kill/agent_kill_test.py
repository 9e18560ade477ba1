# SPDX-License-Identifier: Apache-2.0
"""Blocks change hands while their agents are killed.

A claim, a return, the taking back of a quarantined block, and the removal of a node by force are
each traced once. Then they are made again and again, and each time strace kills roostd (or
roostctl) at another system call of that trace: among those that change what others see, a sample
of every kind (call and file), chosen anew in each run. ROOST_SEED=N chooses as an earlier run did; how
processes meet is never the same, so neither is the exact moment.

Right after the kill nothing may be wrong: what a node announces is its own in the store, nobody
gives addresses of a block that is not its own. Then the agent is
started again, and everything must come to agree: store, node states, kernels, BIRDs, the files
that survive a reboot. There is one block for two nodes in most of it, so that a block that is
forgotten by all, or kept by two, cannot hide.
"""
import collections
import contextlib
import hashlib
import ipaddress
import json
import os
import random
import re
import shutil
import subprocess
import time

import pytest

import lab
from lab import Cluster, Failed, PROGRAMS, equal, inside, step, true, until

pytestmark = pytest.mark.needs(*PROGRAMS)

SEED = os.environ.setdefault("ROOST_SEED", str(random.randrange(1 << 32)))
POINTS = int(os.environ.get("ROOST_POINTS", "12"))  # of each story
QUIET_S = 1.2      # one heartbeat: what is not reached by then is not reached
BLOCK = "100.66.0.0/28"
CALLS = ("pwrite64,pwritev,pwritev2,write,writev,fdatasync,fsync,msync,ftruncate,sendto,sendmsg,"
         "rename,renameat,renameat2,unlink,unlinkat,symlink,symlinkat,linkat,mkdir,mkdirat,"
         "utimensat,fchmod,fchown,bind,connect")
DECISIVE = re.compile(r"/data/?(blocks\.json|$)|/store/|/state/node-|/roost-bird\.conf")
Point = collections.namedtuple("Point", "call k line")


# ---- points ----

def points_of(path):
    """Calls of a trace that matter, grouped by what they do to which file."""
    groups = collections.defaultdict(list)
    seen = collections.Counter()
    with open(path, errors="replace") as f:
        for line in f:
            match = re.match(r"(?:\d+ +)?((\w+)\((.*))", line)
            if not match:
                continue
            call = match[2]
            seen[call] += 1
            if re.search(r"= -1 E(EXIST|NOENT) ", line):
                continue  # it changed nothing
            target = re.match(r'\d+<([^>]*)', match[3]) or re.search(r'"([^"]*)"', match[3])
            target = re.sub(r"\d+", "N", target[1] if target else "")
            if not target.startswith("pipe:") and not target.endswith(".log"):
                groups[call, target].append(Point(call, seen[call], match[1].strip()[:100]))
    return groups


def sample(groups, story, count):
    """Two thirds are of the files in which a block changes hands, whatever call; the rest is of
    every kind in turn. What is chosen depends on the seed and on what calls there are, not on how
    this run's calls met."""
    def rank(*what):
        return hashlib.sha256(repr((SEED, story, *what)).encode()).digest()
    decisive, queues = [], []
    for kind, points in sorted(groups.items(), key=lambda item: rank(item[0])):
        ranked = sorted((rank(kind, n), point) for n, point in enumerate(points))
        if DECISIVE.search(kind[1]):
            decisive += ranked
        else:
            queues.append([point for _, point in ranked])
    chosen = [point for _, point in sorted(decisive)[:count * 2 // 3]]
    while queues and len(chosen) < count:
        queues = [q for q in queues if q]
        chosen += [q.pop(0) for q in queues]
    return chosen[:count]


def tracer(trace):
    return ["-y", "-e", f"trace={CALLS}", "-o", trace]


def killer(point):
    return ["-e", f"trace={point.call}", "-e", f"inject={point.call}:signal=KILL:when={point.k}",
            "-o", "/dev/null"]


@contextlib.contextmanager
def traced_start(node, how):
    """The agent is started under strace, which is its grandchild: the agent is what can be waited
    for."""
    node.agent.wrapper = ["strace", "-D", "-f", "-q", *how]
    node.agent.start()
    yield
    node.agent.wrapper = node.wrapper


@contextlib.contextmanager
def traced_from_now(node, how):
    pid = node.agent._popen.pid
    strace = subprocess.Popen(["strace", "-f", "-q", *how, "-p", str(pid)],
                              stderr=subprocess.DEVNULL)
    try:
        def attached():
            """Or dead already: the point may come at once."""
            try:
                with open(f"/proc/{pid}/status") as f:
                    text = f.read()
            except FileNotFoundError:
                return True
            return "State:\tZ" in text or not re.search(r"TracerPid:\s+0\n", text)
        until(attached, "strace to attach")
        yield
    finally:
        strace.terminate()
        strace.wait()


# ---- what is known of blocks ----

def cidr(key):
    return "/".join(key.rsplit("/", 1)[1].rsplit("-", 1))


def stored(cluster):
    """{block: (node, state)}."""
    found = {}
    for key, value in lab.documents(cluster, "blocks/").items():
        document = json.loads(value)
        found[cidr(key)] = (document["node"], document["state"])
    return found


def states(node):
    """{block: state} of the node state."""
    if not os.path.isdir(node.state):
        return {}
    return {b["cidr"]: b["state"] for p in node.ask("ipam", "show")["pools"] for b in p["blocks"]}


def held(node):
    return set(states(node))


def giving(node):
    """The blocks that an ADD may have addresses of."""
    return {b for b, state in states(node).items() if state == "owned"}


def remembered(node):
    try:
        with open(f"{node.data}/blocks.json") as f:
            return {b["cidr"] for b in json.load(f)["blocks"]}
    except FileNotFoundError:
        return set()


def in_order(cluster):
    """What holds at every moment. Looked at from the last that learns of a block to the first, as
    the other agent may be getting one meanwhile."""
    for node in cluster.nodes:
        said, had, gives, kept = node.announced(), held(node), giving(node), remembered(node)
        owned = {b for b, (n, state) in stored(cluster).items() if n == node.name and state != "pending"}
        for some, what, more, whose in (
                (said, "announces", had, "in its state"),
                (gives, "gives addresses of", kept, "in the file that survives a reboot"),
                (kept, "remembers", owned, "its own in the store"),
                (said, "announces", owned, "its own in the store"),
                (gives, "gives addresses of", owned, "its own in the store")):
            true(some <= more, f"every block that {node} {what} to be {whose}",
                 (sorted(some), sorted(more)))


def tries_add(node):
    """ADD works, on a block of the node's own, or says that it does not."""
    pod = node.new_pod()
    answer = node.call("ADD", pod)
    if answer.status:
        answer.refused(11)
    else:
        address = ipaddress.ip_address(answer.json()["ips"][0]["address"].split("/")[0])
        owner = [n for b, (n, _) in stored(node.cluster).items()
                 if address in ipaddress.ip_network(b)]
        equal(owner, [node.name], f"the owners of {address}, which {node} gave:")
    node.call("DEL", pod).ok("DEL")
    node.cluster.drop(pod.ns)
    return answer.status == 0


def agree(cluster):
    """Everything says the same."""
    store = stored(cluster)
    for node in cluster.nodes:
        node.agent.must_run()
        own = {b for b, (n, _) in store.items() if n == node.name}
        states = {s for n, s in store.values() if n == node.name}
        equal(held(node), own, f"the blocks in the state of {node}")
        true(states <= {"owned"}, f"blocks of {node} to be owned", states)
        equal(set(node.blackholes()), own, f"blackholes of {node}")
        equal(node.announced(), own, f"what {node} announces")
        equal(remembered(node), own, f"what survives a reboot of {node}")
        blocks = until(node.status, f"the agent of {node} to answer")["blocks"]
        equal({(b["cidr"], b["state"]) for b in blocks}, {(b, "owned") for b in own},
              f"what the agent of {node} says")
    return store


# ---- stories ----

@contextlib.contextmanager
def two_nodes():
    """One block, two nodes that want one; nothing is started."""
    with Cluster(nodes=2, encap="none", subnets=1, families=(4,), pools=False, start=False,
                 settings={"headroom": 1, "idleBlockSeconds": 1}) as c:
        c.apply(c.pool("small", BLOCK, 28),
                lab.resource("IPAMConfiguration", "default", ipCooldownSeconds=0, strictAffinity=True))
        for node in c.nodes:
            node.bird.start()
        until(lambda: all(n.birdc("show status") for n in c.nodes), "BIRDs to answer")
        yield c


def has_block(node):
    return node.announced() == {BLOCK} and node.blackholes() == [BLOCK]


class Claim:
    """The first start of a node."""

    @staticmethod
    def act(c, how):
        with traced_start(c.nodes[0], how):
            yield lambda: has_block(c.nodes[0])

    @staticmethod
    def end(c, number):
        """The other node comes before or after."""
        for node in c.nodes[::1 if number % 2 else -1]:
            if not node.agent.running():
                node.agent.start()
            until(lambda n=node: n.status().get("bird", {}).get("loaded"), f"{node} to be ready")
        until(lambda: set(agree(c)) == {BLOCK}, "everything to agree on an owner")


class Return:
    """A drained node gives back what the other one wants."""

    @staticmethod
    def act(c, how):
        first, other = c.nodes
        first.agent.start()
        until(lambda: has_block(first), "a block")
        other.agent.start()
        until(other.status, "the other agent")
        with traced_from_now(first, how):
            first.ctl("node", "drain", first.name)
            yield lambda: has_block(other) and not held(first)

    @staticmethod
    def end(c, _):
        first, other = c.nodes
        if not first.agent.running():
            first.agent.start()
        until(lambda: agree(c) == {BLOCK: (other.name, "owned")}, "the block to be the other's")
        until(lambda: tries_add(other), "ADD of the other node")
        true(not tries_add(first), "no pod on a drained node", None)


class TakeBack:
    """A node that was removed by force comes back, with a pod."""

    @staticmethod
    def act(c, how):
        first, other = c.nodes
        first.agent.start()
        until(lambda: has_block(first) and first.ready(),
              "a block")
        first.add_pod()
        first.agent.kill()
        c.store.delete("status/node1")  # a dead agent's last words; it would be some seconds yet
        other.ctl("node", "remove", first.name, "--force")
        equal(stored(c), {BLOCK: (first.name, "quarantined")}, "the block of the removed node")
        other.agent.start()
        with traced_start(first, how):
            yield lambda: has_block(first) and stored(c)[BLOCK][1] == "owned"

    @staticmethod
    def end(c, _):
        first = c.nodes[0]
        if not first.agent.running():
            first.agent.start()
        until(lambda: agree(c) == {BLOCK: (first.name, "owned")}, "the block to be its own again")
        first.consistent()
        until(lambda: tries_add(first), "ADD")


def killed(story, number, point):
    """Whether the point was reached."""
    with two_nodes() as c:
        first = c.nodes[0]
        course = story.act(c, killer(point))
        done = next(course)
        quiet = []
        def over():
            if not first.agent.running():
                return True
            if not quiet and done():
                quiet.append(time.monotonic() + QUIET_S)
            return quiet and time.monotonic() > quiet[0]
        until(over, "the kill or the end")
        hit = not first.agent.running()
        first.agent.kill()
        next(course, None)
        in_order(c)
        tries_add(first)
        in_order(c)
        story.end(c, number)
    return hit


def baseline(story):
    with two_nodes() as c:
        trace = f"{c.dir}/trace"
        course = story.act(c, tracer(trace))
        done = next(course)
        until(done, "the end of a plain run")
        until(lambda: c.nodes[0].status().get("bird", {}).get("loaded"), "a loaded BIRD")
        c.nodes[0].agent.kill()
        next(course, None)
        story.end(c, 0)
        return points_of(trace)


def kill_all(name, groups, attempt, count=POINTS):
    """attempt(number, point) at each chosen point."""
    points = sample(groups, name, count)
    missed, faults = [], []
    for number, point in enumerate(points):
        try:
            if not attempt(number, point):
                missed.append(f"{point.call} {point.k}")
        except Failed as e:
            faults.append(f"killed at {point.call} number {point.k}, {point.line}\n        {e}")
    step(f"seed {SEED}: {len(points)} of {sum(map(len, groups.values()))} points of "
         f"{len(groups)} kinds; not reached again: {', '.join(missed) or 'none'}")
    true(len(points) >= min(count, 5), "points to kill at", groups.keys())
    if faults:
        raise Failed(f"{len(faults)} points failed:\n    " + "\n    ".join(faults))
    true(len(missed) <= len(points) // 3, "most points to be reached", missed)


def run(story):
    kill_all(story.__name__, baseline(story), lambda n, p: killed(story, n, p))


# ---- BIRD has the last word ----

def sees_no_return(c):
    """However often the agent looks: the drained block stays its own, and nothing is given of it."""
    first, other = c.nodes
    for _ in range(10):
        first.sync()
        true(first.status(), "the agent to answer")
        equal(stored(c), {BLOCK: (first.name, "owned")}, "the block")
    equal(states(first), {BLOCK: "draining"}, "the block in the node state")
    true(not tries_add(first) and not tries_add(other), "no address of the block", None)


def test_a_block_goes_back_only_when_bird_says_that_it_runs_without_it():
    """A BIRD that is frozen, dead, or in a graceful restart (its peers keep its old routes) may
    still lead packets for the block to this node."""
    with two_nodes() as c:
        first, other = c.nodes
        first.agent.start()
        until(lambda: has_block(first), "a block")
        other.agent.start()
        until(lambda: all(n.sessions().values() and n.sessions() for n in c.nodes), "the session")
        first.bird.freeze()
        first.ctl("node", "drain", first.name)
        until(lambda: states(first) == {BLOCK: "draining"}, "the block to be drained")
        sees_no_return(c)
        step("not while BIRD is frozen")
        first.bird.kill()
        until(lambda: not first.status()["bird"]["up"], "the agent to miss BIRD")
        sees_no_return(c)
        step("not while it is dead")
        other.bird.freeze()
        first.bird.start()
        until(lambda: first.status()["bird"]["recovering"], "BIRD to be in a graceful restart")
        sees_no_return(c)
        step("not while it recovers")
        other.bird.thaw()
        until(lambda: has_block(other) and not held(first), "the other to have the block")
        equal(agree(c), {BLOCK: (other.name, "owned")}, "the blocks")


def test_an_agent_that_is_killed_while_it_claims_a_block_leaves_it_with_one_owner():
    run(Claim)


def test_an_agent_that_is_killed_while_it_returns_a_block_leaves_it_to_the_next():
    run(Return)


def test_an_agent_that_is_killed_while_it_takes_a_block_back_has_it_in_the_end():
    run(TakeBack)


# ---- roostctl node remove ----

def remove(node, *flags, how=()):
    argv = ["strace", "-f", "-q", *how] if how else []
    argv += [f"{lab.BIN}/roostctl", "--store", node.cluster.store.url, "node", "remove", node.name,
             *flags]
    with inside(node.path):
        return subprocess.run(argv, capture_output=True, text=True, timeout=lab.HANG_S)


def removal(*flags):
    """A node with more blocks than one transaction takes. What a kill leaves has no Node document
    before anything is taken, and the same command again finishes it."""
    freed = "--powered-off" in flags
    with Cluster(nodes=1, encap="none", subnets=1, families=(4,), pools=False, start=False,
                 settings={"headroom": 150}) as c:
        node = c.nodes[0]
        c.apply(c.pool("small", "100.66.0.0/24", 30))
        node.start()
        until(lambda: len(node.announced()) >= 36, "many blocks")
        before = until(lambda: agree(c), "everything to agree")
        node.agent.kill()
        c.store.delete("status/node1")
        path = c.store.url.removeprefix("file:")
        shutil.copytree(path, f"{c.dir}/saved")
        def restore():
            shutil.rmtree(path)
            shutil.copytree(f"{c.dir}/saved", path)
        def finished():
            equal(stored(c), {} if freed else {b: (n, "quarantined")
                                               for b, (n, _) in before.items()}, "the blocks")
            true(not any(k.endswith("/node1") for k in lab.documents(c)), "no document of the node",
                 None)
        def attempt(_, point):
            restore()
            hit = remove(node, *flags, how=killer(point)).returncode == -9
            left = stored(c)
            if "resources/nodes/node1" in lab.documents(c):
                equal(left, before, "the blocks of a node that is still there")
            again = remove(node, *flags)
            # Nothing is left of a node that is removed entirely, its name included.
            if not (freed and not left and again.returncode == 1 and "no node" in again.stderr):
                true(again.returncode == 0, "the second removal to finish", again.stderr)
            finished()
            return hit
        equal(remove(node, *flags, how=tracer(f"{c.dir}/trace")).returncode, 0, "the status")
        finished()
        kill_all(" ".join(flags), points_of(f"{c.dir}/trace"), attempt,
                 POINTS * 2 // 3)  # there are few of them
        node.agent.start()
        until(lambda: agree(c).keys() >= (set() if freed else before.keys()) and
              len(agree(c)) >= 36, "the node to have its blocks again when it comes back")


def test_a_removal_by_force_that_is_killed_is_finished_by_the_next():
    removal("--force")


def test_a_removal_of_a_node_that_is_powered_off_that_is_killed_is_finished_by_the_next():
    removal("--force", "--powered-off")
