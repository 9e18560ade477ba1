# SPDX-License-Identifier: Apache-2.0
"""Nodes that fight for the last addresses of a pool while everything fails at random: agents are killed and
stopped, the store is killed, stopped and cut off, calls die half way, nodes are drained and removed, the pool
is disabled. They borrow single addresses of each other all the time. A history of who was given what says whether an address ever had two pods; in the end everything
comes back, and the whole pool can be given out again.

    with Cluster(store="etcd", **race.CLUSTER) as c:
        c.apply(*race.resources())
        race.run(c, seed=None, minutes=1)
"""
import json
import random
import subprocess
import threading
import time

import lab
from lab import BIN, Failed, equal, resource, step, true, until
from namespaces import inside

NODES = 4
POOL, BLOCK, SIZE = "100.66.0.0/27", 30, 32  # eight blocks of four addresses
PODS = 10  # that a node wants at most; all of them want more than there is


class History:
    """Who has which address, by the answers of calls: from the end of its ADD to the beginning of its DEL."""

    def __init__(self):
        self._lock = threading.Lock()
        self._has, self.faults, self.given = {}, [], 0

    def gives(self, address, pod):
        with self._lock:
            self.given += 1
            if address in self._has:
                self.faults.append(f"{address} was given to {pod} while {self._has[address]} had it")
            self._has[address] = pod

    def takes(self, address):
        with self._lock:
            self._has.pop(address, None)

    def whole(self):
        if self.faults:
            raise Failed("\n".join(["expected each address to have one pod, saw:", *self.faults[:10]]))


class Runtime(threading.Thread):
    """Starts and stops pods of one node, and kills some calls half way."""

    def __init__(self, node, history, seed):
        super().__init__(daemon=True)
        self.node, self.history, self.random = node, history, random.Random(seed)
        self.halt = threading.Event()
        self.pods, self.trouble = [], None

    def run(self):
        try:
            while not self.halt.is_set():
                if self.pods and (len(self.pods) >= PODS or self.random.random() < 0.4):
                    self.delete(self.random.choice(self.pods))
                else:
                    self.add()
                self.halt.wait(self.random.uniform(0, 0.1))
        except Exception as e:  # told by who joins
            self.trouble = e

    def add(self):
        pod = self.node.new_pod()
        self.pods.append(pod)
        if self.random.random() < 0.1:
            self.kill_add(pod, self.random.uniform(0, 0.03))
            return
        answer = self.node.call("ADD", pod)
        if answer.status:
            self.delete(pod)
            return
        pod.result = answer.json()
        self.history.gives(pod.ip4, f"{pod} of {self.node}")

    def kill_add(self, pod, after_s):
        """Nobody hears which address it was, if any: DEL has to know."""
        conf = {"cniVersion": "1.0.0", "name": "roost", "type": "roost", "stateDir": self.node.state,
                "ipam": {"type": "roost-ipam"}}
        env = {"CNI_COMMAND": "ADD", "CNI_PATH": BIN, "PATH": "/nonexistent", "CNI_CONTAINERID": pod.container,
               "CNI_NETNS": pod.path, "CNI_IFNAME": "eth0"}
        with inside(self.node.path):
            call = subprocess.Popen([f"{BIN}/roost"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
                                    stderr=subprocess.DEVNULL, env=env, cwd="/")
        call.stdin.write(json.dumps(conf).encode())
        call.stdin.close()
        self.halt.wait(after_s)
        call.kill()
        call.wait()

    def delete(self, pod):
        self.pods.remove(pod)
        if pod.result:
            self.history.takes(pod.ip4)
        self.node.call("DEL", pod).ok(f"DEL of {pod}")
        self.node.cluster.drop(pod.ns)

    def end(self):
        self.halt.set()
        self.join()
        if self.trouble:
            raise self.trouble
        for pod in list(self.pods):
            self.delete(pod)


class Faults:
    """What happens to the cluster, in an order that the seed gives. Each mends itself."""

    def __init__(self, cluster, seed):
        self.c, self.random = cluster, random.Random(seed)
        self.all = [self.kill_agent, self.stop_agent, self.cut_node, self.drain, self.disable_pool, self.remove_node,
                    *(self.store_away for _ in cluster.store.outages())]
        self.seen = {}

    def one(self):
        fault = self.random.choice(self.all)
        self.seen[fault.__name__] = self.seen.get(fault.__name__, 0) + 1
        fault(self.random.choice(self.c.nodes))
        time.sleep(self.random.uniform(0, 1.5))

    def pause(self, most_s=2.0):
        time.sleep(self.random.uniform(0, most_s))

    def kill_agent(self, node):
        node.agent.kill()
        self.pause()
        node.agent.start()

    def stop_agent(self, node):
        node.agent.freeze()
        self.pause()
        node.agent.thaw()

    def cut_node(self, node):
        node.ns.ip(f"link set {node.uplink} down")
        self.pause()
        node.ns.ip(f"link set {node.uplink} up", f"route replace default via 10.1.{node.subnet}.1")

    def store_away(self, _):
        with self.random.choice(self.c.store.outages())():
            self.pause(3)

    def drain(self, node):
        self.c.nodes[0].ctl("node", "drain", node.name, ok=False)
        self.pause()
        self.undrain(node)

    def undrain(self, node):
        until(lambda: self.c.nodes[0].ctl("node", "undrain", node.name, ok=False).returncode == 0,
              f"{node} to be undrained")

    def disable_pool(self, _):
        self.c.apply(pool(disabled=True))
        self.pause()
        self.c.apply(pool())

    def remove_node(self, node):
        """One whose agent is dead, or only sleeps long enough to seem so; it comes back meanwhile or later."""
        sleeps = self.random.random() < 0.5
        if sleeps:
            node.agent.freeze()
        else:
            node.agent.kill()
        other = next(n for n in self.c.nodes if n is not node)
        until(lambda: other.ctl("node", "remove", node.name, "--force", ok=False).returncode == 0,
              f"{node} to be removed")
        self.pause(1)
        if sleeps:
            node.agent.thaw()
        else:
            node.agent.start()
        until(node.agent.running, f"the agent of {node} to run")


def pool(**more):
    return resource("IPPool", "pool4", cidr=POOL, blockSize=BLOCK, ipipMode="Never", vxlanMode="Never", **more)


# Of a lab.Cluster, which is given resources() then.
CLUSTER = {"nodes": NODES, "encap": "none", "subnets": 1, "families": (4,), "pools": False,
           "settings": {"idleBlockSeconds": 1, "headroom": 0}}


def resources():
    return pool(), resource("IPAMConfiguration", "default", ipCooldownSeconds=1)


def blocks(c):
    """{key: text}"""
    return lab.documents(c, "blocks/")


def everything_comes_back(c):
    """No address is in use, no loan, and no block: nothing was lost to a node that does not know of it."""
    for node in c.nodes:
        until(lambda n=node: n.used() == {}, f"no address of {node} to be in use")
        until(lambda n=node: c.nodes[0].ctl("node", "drain", n.name, ok=False).returncode == 0, f"{node} to drain")
    until(lambda: lab.documents(c, "loans/") == {}, "all loans to end")
    until(lambda: blocks(c) == {}, "all blocks to come back")
    for node in c.nodes:
        Faults(c, 0).undrain(node)


def all_can_be_given(node):
    """The pool is whole: one node alone can have every address of it."""
    until(node.ready, f"STATUS of {node} to be good")
    for _ in range(SIZE):
        until(lambda: node.try_add(node.new_pod()).status == 0, f"address {len(node.pods) + 1} of {SIZE} to be given")
    equal(len({p.ip4 for p in node.pods.values()}), SIZE, "each address once in")
    for pod in list(node.pods.values()):
        node.del_pod(pod)


def run(c, seed, minutes):
    """The race over a cluster that was started. Failed: an address had two pods, or something was lost."""
    seed = seed or random.SystemRandom().randrange(1 << 32)
    until_s = time.monotonic() + minutes * 60
    step(f"--seed {seed}")
    history = History()
    c.wait_ready()
    runtimes = [Runtime(n, history, f"{seed} {n.name}") for n in c.nodes]
    faults = Faults(c, seed)
    for r in runtimes:
        r.start()
    try:
        while time.monotonic() < until_s and not history.faults and not any(r.trouble for r in runtimes):
            faults.one()
    finally:
        for r in runtimes:
            r.halt.set()
    for r in runtimes:
        r.end()
    history.whole()
    step(f"{history.given} addresses given, {faults.seen}")
    everything_comes_back(c)
    all_can_be_given(c.nodes[0])
    true(history.given > 50, "enough addresses to be given", history.given)
    lent = sum(open(n.agent.log, errors="replace").read().count("is used from now on, on loan") for n in c.nodes)
    true(lent > 0, "some of them to be on loan", lent)
