#!/usr/bin/python3
"""How fast a cluster is, and what a large one costs a node.

    cluster_bench.py [--quick] [--bin DIR] [--only PARTS] [--disk DIR] [-o FILE]

The parts:

    pods    ADD and DEL of one pod, by turns on hosts that differ in where their pools and blocks
            come from: in place (no agent), from a file: store, from etcd; with and without a
            live agent. And whether an ADD ever speaks to the network.
    routes  from a node's wish for a block until the other two nodes of a cluster route it: three
            nodes with a BIRD and a roostd each (tests/cluster/lab.py), both stores.
    claims  how many blocks eight nodes claim in a second of one etcd, and how often they collide.
    scale   thousands of nodes and blocks as documents: the agent's computing alone (scale.c), then
            a real agent with a real BIRD, both stores; 100,000 foreign routes in its kernel.

Ratios of figures of one run are what counts. --quick makes small samples and ends with 1 when a
figure is missing or a ratio is absurd; no time is compared with a constant. Everything runs in a
world of its own (tests/world.py) and ends with it. etcd's data is in memory, unless --disk
names a folder: then claims are measured there, too.
"""

import json
import os
import re
import signal
import statistics
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, f"{ROOT}/tests", f"{ROOT}/tests/cluster"]
sys.dont_write_bytecode = True
import bench
import cluster_report as report
import frame
import sandbox
from machine import Machine, Trouble, until

WORK = bench.WORK
MODES = ("mesh", "reflector", "static", "mesh-vxlan", "reflector-vxlan", "static-vxlan")
POOL = "100.66.0.0/16"

FULL = dict(pods=200, dels=100, claims=100, routes=60, stores=("file", "etcd"), idle_s=20,
            nodes=5000, blocks=20000, rounds=51, modes=MODES, real=("mesh", "reflector", "static",
                                                                    "static-vxlan"),
            etcd_real=("reflector",), syncs=20, foreign=100000, quiet_s=6)
QUICK = dict(pods=20, dels=20, claims=10, routes=5, stores=("file",), idle_s=1,
             nodes=500, blocks=2000, rounds=25, modes=("mesh", "static-vxlan"), real=("static",),
             etcd_real=(), syncs=5, foreign=2000, quiet_s=1)


def say(text):
    print(f"cluster_bench: {text}", file=sys.stderr, flush=True)


def spread(values):
    """Median, 90th and 95th percentile, and the number of samples."""
    values = sorted(values)
    last = len(values) - 1
    return {"n": len(values), "p50": round(statistics.median(values), 3),
            "p90": round(values[min(last, int(len(values) * 0.9))], 3),
            "p95": round(values[min(last, int(len(values) * 0.95))], 3)}


def resource(kind, name, **spec):
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": name},
            "spec": spec}


# ---- pods ----

class ClusterHost(bench.Cni):
    """A host whose pools come from an agent, beside bench.py's hosts with pools in place."""

    def __init__(self, name, args, store):
        folder = f"{WORK}/nodes/{name}"
        config = {"type": "roost", "stateDir": f"{folder}/state", "ipam": {"type": "roost-ipam"}}
        super().__init__(name, f"{args.bin}/roost", {"v4": config}, name)
        self.machine = Machine(self.netns, folder, args.bin)
        if store == "etcd":
            self.machine.start_etcd(f"{folder}/etcd")
        self.machine.apply(resource("IPPool", "bench", cidr=POOL, blockSize=20))
        self.machine.start_agent()
        self.machine.settle(bird=False)


def settle(hosts):
    """Until no link is left that an agent has to delete."""
    bare = len(sandbox.HOST_LINKS)
    for h in hosts:
        if isinstance(h, ClusterHost):
            until(lambda m=h.machine: m.links() <= bare, "marked links to go")


def in_windows(b, hosts, samples):
    """ADDs of all hosts by turns, then DELs, then quiet: nobody's ADD waits for another's DEL."""
    times = {(h.name, verb): [] for h in hosts for verb in ("ADD", "DEL")}
    for start in range(0, samples, bench.WINDOW):
        pods = range(min(bench.WINDOW, samples - start))
        for verb in ("ADD", "DEL"):
            plan = [h.line(verb, h.spares[i], "v4") for h in b.in_turn(hosts) for i in pods]
            for name, _, us, _ in b.run(plan)[0]:
                times[name, verb].append(us / 1e3)
        settle(hosts)
    return times


def many_dels(b, host, count):
    """DELs one after another, as many as there are pods; and how long links stay after the last."""
    pods = host.make_pods(count)
    bare = len(sandbox.HOST_LINKS)
    m = host.machine
    b.run([host.line("ADD", p, "v4") for p in pods])
    answers, wall_us = b.run([host.line("DEL", p, "v4") for p in pods])
    ended = time.perf_counter()
    until(lambda: m.links() <= bare, "the links of deleted pods to go")
    left_ms = (time.perf_counter() - ended) * 1e3
    for p in pods:
        sandbox.remove_namespace(p.netns)
    return {**spread([us / 1e3 for _, _, us, _ in answers]), "all_ms": round(wall_us / 1e3, 2),
            "links_gone_ms": round(left_ms, 2)}


def network_calls(host):
    """System calls of one ADD that reach for a socket, other than netlink."""
    pod = host.spares[0]
    env, stdin, argv = host.request("ADD", pod, "v4")
    trace = f"{WORK}/trace-{host.name}"
    with sandbox.inside(host.netns), open(stdin) as f:
        subprocess.run(["strace", "-f", "-e", "trace=socket,connect,sendto,clone,clone3,vfork,fork,"
                        "fsync,fdatasync,nanosleep", "-o", trace, *argv], env=env, stdin=f,
                       check=True, stdout=subprocess.DEVNULL, timeout=60)
    with open(trace) as f:
        lines = f.read().splitlines()
    bad = [l for l in lines if re.search(
        r"\b(connect|clone3?|vfork|fork|fsync|fdatasync|nanosleep)\(|socket\(AF_INET6?,",
        l)]
    b_env, b_stdin, b_argv = host.request("DEL", pod, "v4")
    with sandbox.inside(host.netns), open(b_stdin) as f:
        subprocess.run(b_argv, env=b_env, stdin=f, check=True, timeout=60)
    return bad


def pods(args, size):
    b = bench.Bench(bench.QUICK, args.tools)
    place = bench.make_roost(args.bin, "place", 60, name="in place")
    live = {s: ClusterHost(s, args, s) for s in ("file", "etcd")}
    stopped = ClusterHost("stopped", args, "file")
    stopped.machine.stop_agent()
    hosts = [place, live["file"], live["etcd"], stopped]
    b.begin(hosts, "v4")
    settle(hosts)
    say("pods: by turns")
    times = in_windows(b, hosts, size["pods"])
    say("pods: DEL of many")
    many = {"live agent": many_dels(b, live["file"], size["dels"]),
            "no agent": many_dels(b, stopped, size["dels"])}
    calls = {h.name: network_calls(h) for h in hosts}
    for h in (*live.values(), stopped):
        h.machine.close()
    return {"series": [{"host": h, "verb": v, **spread(ms)} for (h, v), ms in times.items()],
            "many_dels": many, "network_calls": calls}


# ---- routes ----

class Stopwatch:
    """routes.c: what appears where, by one clock."""

    def __init__(self, args, cluster):
        places = [f"{n.name}={n.path}" for n in cluster.nodes]
        with sandbox.inside(cluster.router.path):
            self.process = subprocess.Popen(
                [f"{args.tools}/routes", cluster.store.url, "/roost/", *places],
                stdout=subprocess.PIPE, text=True)
        while self.next()["where"] != "ready":
            pass

    def next(self):
        line = self.process.stdout.readline()
        if not line:
            raise Trouble("the stopwatch ended")
        return json.loads(line)

    def block(self, owner, others):
        """Waits until a block of owner's is everywhere: {place: ns}."""
        seen = {}
        while True:
            event = self.next()
            at = seen.setdefault(event["dst"], {})
            at.setdefault(event["where"], event["t"])
            if all(p in at for p in ("store", owner, *others)):
                return at

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def claim_routes(args, cluster, samples):
    """Each sample: a node wishes for more free addresses (SIGHUP), claims a block, announces it."""
    watch = Stopwatch(args, cluster)
    found = {"claim": [], "kernel": [], "route": [], "whole": []}
    try:
        for i in range(samples):
            owner = cluster.nodes[i % len(cluster.nodes)]
            others = [n.name for n in cluster.nodes if n is not owner]
            owner.configure(headroom=owner.settings["headroom"] + 16)
            began = time.clock_gettime_ns(time.CLOCK_BOOTTIME)
            owner.agent.signal(signal.SIGHUP)
            at = watch.block(owner.name, others)
            last = max(at[o] for o in others)
            found["claim"].append((at["store"] - began) / 1e6)
            found["kernel"].append((at[owner.name] - at["store"]) / 1e6)
            found["route"] += [(at[o] - at["store"]) / 1e6 for o in others]
            found["whole"].append((last - began) / 1e6)
            time.sleep(0.05)  # the node's next wish is not part of this one
    finally:
        watch.close()
    return {k: spread(v) for k, v in found.items()}


def routes(args, size):
    import lab
    found = {}
    for store in size["stores"]:
        say(f"routes: three nodes, {store} store")
        with lab.Cluster(nodes=3, store=store, families=(4,), block=28,
                         settings={"headroom": 16, "idleBlockSeconds": 3600}) as cluster:
            cluster.wait_converged()
            until(lambda: all(len(n.sessions()) >= 2 and all(n.sessions().values())
                              for n in cluster.nodes), "BGP sessions")
            found[store] = claim_routes(args, cluster, size["routes"])
    return found


# ---- claims ----

def run_claims(args, machine, prefix, each, pool, *more):
    out = machine.run(f"{args.tools}/claims", machine.store, prefix, "8", str(each), pool, "26",
                      *more)
    result = json.loads(out)
    if result["blocks"] != result["claims"]:
        raise Trouble(f"{result['claims']} claims left {result['blocks']} blocks in the store")
    result["per_second"] = round(result["claims"] / result["ms"] * 1e3, 1)
    return result


def claims_of(args, size, machine, label):
    each = size["claims"]
    tight = 1 << (8 * each - 1).bit_length()  # at least as many blocks as claims
    bits = 26 - (tight.bit_length() - 1)
    return {
        f"{label}, roomy pool": run_claims(args, machine, "/1/", each, "10.64.0.0/10"),
        f"{label}, to the last block": run_claims(args, machine, "/2/", tight // 8,
                                                  f"10.64.0.0/{bits}"),
        f"{label}, one starting point": run_claims(args, machine, "/3/", each, "10.64.0.0/10",
                                                   "alike"),
    }


def claims(args, size):
    found = {}
    netns = sandbox.make_host(f"{WORK}/hosts/claims")
    m = Machine(netns, f"{WORK}/nodes/claims", args.bin)
    say("claims: etcd in memory")
    m.start_etcd(f"{m.dir}/etcd")
    found |= claims_of(args, size, m, "etcd")
    m.close()
    if args.disk:
        say(f"claims: etcd in {args.disk}")
        with tempfile.TemporaryDirectory(dir=args.disk, prefix="roost-bench-") as folder:
            m = Machine(netns, f"{WORK}/nodes/claims-disk", args.bin)
            m.start_etcd(f"{folder}/etcd")
            found |= claims_of(args, size, m, "etcd on disk")
            m.close()
    say("claims: file store")
    for n in "12":
        m = Machine(netns, f"{WORK}/nodes/claims-file{n}", args.bin)
        name = "roomy pool" if n == "1" else "one starting point"
        found[f"file, {name}"] = run_claims(args, m, "/", size["claims"], "10.64.0.0/10",
                                            *(["alike"] if n == "2" else []))
        m.close()
    return found


# ---- scale ----

def compute(args, size):
    """The agent's computing alone; each mode, and a tenth of the size for the growth."""
    found = {}
    for mode in size["modes"]:
        for part in (1, 10):
            out = subprocess.run(
                [f"{args.tools}/scale", str(size["nodes"] // part), str(size["blocks"] // part),
                 mode, str(size["rounds"])], capture_output=True, text=True, timeout=600)
            if out.returncode:
                raise Trouble(out.stderr)
            found[f"{mode}{'' if part == 1 else ', a tenth'}"] = json.loads(out.stdout)
    return found


def watch_idle(m, seconds):
    """Processor time that agent and BIRD use while nothing happens, ms per second."""
    before = m.cpu_ns(), m.cpu_ns(m.bird)
    time.sleep(seconds)
    after = m.cpu_ns(), m.cpu_ns(m.bird)
    return [round((a - b) / 1e6 / seconds, 3) for a, b in zip(after, before)]


def live_node(args, size, mode, store):
    """A real agent and BIRD in the large cluster."""
    say(f"scale: a live node, {mode}, {store} store")
    name = f"{mode}-{store}"
    m = Machine(sandbox.make_host(f"{WORK}/hosts/{name}"), f"{WORK}/nodes/{name}", args.bin)
    try:
        if store == "etcd":
            m.start_etcd(f"{m.dir}/etcd")
        filled = json.loads(m.run(f"{args.tools}/fill", m.store, "/roost/", str(size["nodes"]),
                                  str(size["blocks"]), mode))
        m.start_bird()
        began = time.perf_counter()
        m.start_agent()
        m.settle()
        start_ms = (time.perf_counter() - began) * 1e3
        start_cpu_ms = m.cpu_ns() / 1e6
        wanted = size["blocks"] if mode.startswith("static") else 0
        until(lambda: m.routes("bird") >= wanted, "BIRD's routes in the kernel")
        routes_ms = (time.perf_counter() - began) * 1e3
        time.sleep(size["quiet_s"])  # the agent prods BIRD for some seconds
        idle = watch_idle(m, size["idle_s"])
        syncs = [m.sync_ms() for _ in range(size["syncs"])]
        return {
            "fill_ms": filled["ms"], "documents": filled["documents"],
            "start_ms": round(start_ms, 1), "start_cpu_ms": round(start_cpu_ms, 1),
            "routes": m.routes("bird"), "routes_ms": round(routes_ms, 1),
            "idle_cpu_ms": idle[0], "idle_bird_ms": idle[1],
            "sync_ms": spread([s[0] for s in syncs]), "sync_cpu_ms": spread([s[1] for s in syncs]),
            "configure_ms": spread([m.configure_ms() for _ in range(5)]), **m.memory_kib()}
    except Exception:
        sys.stderr.write(tail(f"{m.dir}/roostd.log"))
        raise
    finally:
        m.close()


def tail(path):
    try:
        with open(path, errors="replace") as f:
            return f.read()[-3000:]
    except OSError:
        return ""


def foreign_routes(args, size):
    """The cost of a pass, and of being told, with many routes of protocol bird in the kernel."""
    say(f"scale: {size['foreign']} foreign routes")
    m = Machine(sandbox.make_host(f"{WORK}/hosts/foreign"), f"{WORK}/nodes/foreign", args.bin)
    try:
        m.apply(resource("IPPool", "bench", cidr=POOL))
        m.start_agent()
        m.settle(bird=False)
        time.sleep(1)
        before = [m.sync_ms() for _ in range(size["syncs"])]
        cpu, began = m.cpu_ns(), time.perf_counter()
        batch = "\n".join(f"route add 11.{n >> 16}.{n >> 8 & 255}.{n & 255}/32 via 192.0.2.1 "
                          "proto bird" for n in range(size["foreign"]))
        m.run("ip", "-batch", "-", stdin=batch)
        added_ms, told_ms = (time.perf_counter() - began) * 1e3, (m.cpu_ns() - cpu) / 1e6
        after = [m.sync_ms() for _ in range(size["syncs"])]
        return {"routes": m.routes("bird"), "added_ms": round(added_ms, 1),
                "agent_cpu_while_added_ms": round(told_ms, 2),
                "before_ms": spread([s[0] for s in before]),
                "after_ms": spread([s[0] for s in after]),
                "before_cpu_ms": spread([s[1] for s in before]),
                "after_cpu_ms": spread([s[1] for s in after]), **m.memory_kib()}
    finally:
        m.close()


def scale(args, size):
    say("scale: computing")
    found = {"nodes": size["nodes"], "blocks": size["blocks"], "compute": compute(args, size)}
    found["live"] = {f"{mode}, file": live_node(args, size, mode, "file") for mode in size["real"]}
    found["live"] |= {f"{mode}, etcd": live_node(args, size, mode, "etcd")
                      for mode in size["etcd_real"]}
    found["foreign"] = foreign_routes(args, size)
    return found


# ---- all ----

def text(result):
    report.judge(result)
    return report.text(result)


if __name__ == "__main__":
    frame.run(__doc__, {"pods": pods, "routes": routes, "claims": claims, "scale": scale},
              (FULL, QUICK), text, report.absurd, lambda parser: parser.add_argument(
                  "--disk", metavar="DIR", help="claims with etcd's data in DIR, too"))
