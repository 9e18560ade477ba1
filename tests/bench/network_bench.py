#!/usr/bin/python3
"""What the network between nodes carries, and how soon it follows a change.

    network_bench.py [--quick] [--bin DIR] [--only PARTS] [-o FILE]

The parts:

    paths     throughput and latency from pod to pod across two nodes, without a tunnel, through
              VXLAN (with and without vxlan.checksumOffload), and IPIP where the kernel has it;
              beside one veth pair, the way between the nodes themselves, and pods of the reference plugin ptp with host-local on the
              same nodes, with static routes between these. All are there at once and take turns.
    switch    the encapsulation of a pool with pods that ping each other: packets lost, and until
              every node's routes are the new ones.
    faults    BIRD, the agent, or all of a node killed: packets lost between the other pods, and
              until a new block, or the absence of the node, is known everywhere; an exit killed,
              with and without BFD, until it is in no path.

Times and speeds are of this machine, where the nodes and both ends of each stream share its
processors; the ratio to ptp with static routes is what counts. Everything runs in a world of its
own (tests/world.py) and ends with it; tests/vm/run runs it on a kernel with IPIP. --quick makes
small samples and ends with 1 when a figure is missing or a ratio is absurd.
"""

import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
sys.path[:0] = [HERE, f"{ROOT}/tests", f"{ROOT}/tests/cluster"]
sys.dont_write_bytecode = True
import bench
import frame
import sandbox
import traffic
from machine import Trouble, until
from report import table

PORT = 5201
BASE = "ptp, static routes"
PLAIN = "roost, none"
TUNNEL_REACH = 0.75  # what VXLAN shall carry of that
DEVICE = "vxlan.roost"
EXITS_TABLE = 8266
MODES = {"none": ("Never", "Never"), "VXLAN": ("Never", "Always"), "IPIP": ("Always", "Never")}
FULL = dict(rounds=9, ms=1000, switches=3, faults=3, gone=1, streams=8)
QUICK = dict(rounds=1, ms=200, switches=1, faults=1, gone=0, streams=4)


def say(text):
    print(f"network_bench: {text}", file=sys.stderr, flush=True)


def has_ipip():
    """Asked of the kernel, in a namespace that goes with the question."""
    done = subprocess.run(["unshare", "--net", "ip", "link", "add", "roost-probe", "type", "ipip",
                           "local", "127.0.0.1", "remote", "127.0.0.2"], capture_output=True,
                          timeout=60)
    return done.returncode == 0


# ---- clusters ----

def pool_of(mode):
    import lab
    ipip, vxlan = MODES[mode]
    return lab.resource("IPPool", "pool4", cidr=lab.POOL4, blockSize=26, ipipMode=ipip,
                        vxlanMode=vxlan)


@contextlib.contextmanager
def cluster_of(mode, nodes=2, **settings):
    """Nodes on one network, each with a pod; all pods reach each other."""
    import lab
    with lab.Cluster(nodes=nodes, subnets=1, families=(4,), pools=False, start=False,
                     settings=settings) as c:
        c.apply(pool_of(mode))
        for node in c.nodes:
            node.start()
        for node in c.nodes:
            pod = node.new_pod()
            until(lambda n=node, p=pod: added(n, p), f"an ADD on {node}")
        first = c.nodes[0].pods
        for node in c.nodes[1:]:
            until(lambda n=node: pings(next(iter(first.values())).path,
                                       next(iter(n.pods.values())).ip4), f"{mode} to {node}")
        yield c


def added(node, pod):
    answer = node.call("ADD", pod)
    if answer.status:
        return False
    pod.result = answer.json()
    node.pods[pod.name] = pod
    node.cluster.echo.serve(pod.path)
    return True


def pings(path, address):
    with sandbox.inside(path):
        return subprocess.run(["ping", "-c1", "-W1", "-q", address], capture_output=True,
                              timeout=60).returncode == 0


def pod_of(node):
    return next(iter(node.pods.values()))


# ---- paths ----

class Servers:
    """One in each namespace that is reached; left by with."""

    def __init__(self, tools):
        self.tools, self.running = tools, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for process in self.running.values():
            process.kill()
            process.wait()
            process.stdout.close()

    def serve(self, path):
        if path in self.running:
            return
        with sandbox.inside(path):
            process = subprocess.Popen([f"{self.tools}/netload", "serve", str(PORT)],
                                       stdout=subprocess.PIPE, text=True)
        self.running[path] = process
        if process.stdout.readline() != "ready\n":
            raise Trouble(f"no server in {path}")


class Path:
    """From a namespace to an address in another."""

    def __init__(self, name, servers, client, server, address):
        self.name, self.tools, self.client, self.address = name, servers.tools, client, address
        self.figures = {}
        servers.serve(server)

    def load(self, *words):
        with sandbox.inside(self.client):
            done = subprocess.run([f"{self.tools}/netload", *map(str, words)], capture_output=True,
                                  text=True, timeout=120)
        if done.returncode:
            raise Trouble(f"{self.name}: {done.stderr.strip()}")
        return json.loads(done.stdout)

    def note(self, what, figure):
        self.figures.setdefault(what, []).append(figure)

    def measure(self, size):
        ms, many = size["ms"], size["streams"]
        self.note("one", self.load("stream", self.address, PORT, ms, 1, 0)["forth_mbit"])
        self.note("many", self.load("stream", self.address, PORT, ms, many, 0)["forth_mbit"])
        both = self.load("stream", self.address, PORT, ms, many // 2, many // 2)
        self.note("both", both["forth_mbit"] + both["back_mbit"])
        for protocol in ("tcp", "udp"):
            asked = self.load("ask", protocol, self.address, PORT, ms)
            self.note(f"{protocol}_p50", asked["p50_us"])
            self.note(f"{protocol}_p99", asked["p99_us"])

    def beside(self, other):
        """The median of each round's ratio."""
        return {what: round(statistics.median(
            mine / theirs for mine, theirs in zip(v, other.figures[what])), 2)
            for what, v in self.figures.items()}

    def result(self, base, plain):
        """Medians, and the ratios to the base, and to roost without a tunnel."""
        return {"path": self.name,
                **{what: round(statistics.median(v), 1) for what, v in self.figures.items()},
                "to_base": self.beside(base), "to_plain": self.beside(plain)}


def bare_pair(c):
    a, b = c.namespace("bare-a"), c.namespace("bare-b")
    a.ip(f"link add eth0 type veth peer name eth0 netns {b.name}", "link set eth0 up",
         "addr add 10.90.0.1/24 dev eth0")
    b.ip("link set eth0 up", "addr add 10.90.0.2/24 dev eth0")
    return a.path, b.path, "10.90.0.2"


def reference_pod(node):
    """A pod of ptp with host-local; gives its namespace and address."""
    ns = node.cluster.namespace(f"{node.name}-ptp")
    conf = {"cniVersion": "1.0.0", "name": "reference", "type": "ptp", "ipMasq": False,
            "ipam": {"type": "host-local", "dataDir": f"{node.dir}/host-local",
                     "subnet": f"10.80.{node.number}.0/24", "routes": [{"dst": "0.0.0.0/0"}]}}
    env = {"CNI_COMMAND": "ADD", "CNI_CONTAINERID": f"ptp-{node.number}", "CNI_NETNS": ns.path,
           "CNI_IFNAME": "eth0", "CNI_PATH": bench.CNI_DIR, "PATH": "/usr/sbin:/usr/bin"}
    with sandbox.inside(node.path):
        done = subprocess.run([f"{bench.CNI_DIR}/ptp"], input=json.dumps(conf), env=env, text=True,
                              capture_output=True, timeout=60)
    if done.returncode:
        raise Trouble(f"ptp: {done.stdout}")
    return ns.path, json.loads(done.stdout)["ips"][0]["address"].split("/")[0]


def reference(c):
    a, b = c.nodes
    for node, other in ((a, b), (b, a)):
        node.ns.ip(f"route add 10.80.{other.number}.0/24 via {other.ip(4)}")
    (client, _), (server, address) = reference_pod(a), reference_pod(b)
    return client, server, address


def make_paths(servers, clusters):
    plain = clusters["none"]
    a, b = plain.nodes
    made = [Path("one veth pair", servers, *bare_pair(plain)),
            Path("node to node", servers, a.path, b.path, b.ip(4)),
            Path(BASE, servers, *reference(plain))]
    for name, c in clusters.items():
        one, other = map(pod_of, c.nodes)
        made.append(Path(f"roost, {name}", servers, one.path, other.path, other.ip4))
    return made


def paths(args, size):
    with contextlib.ExitStack() as stack:
        clusters = {m: stack.enter_context(cluster_of(m)) for m in args.modes}
        clusters["VXLAN, no checksum offload"] = stack.enter_context(
            cluster_of("VXLAN", vxlan={"checksumOffload": False}))
        made = make_paths(stack.enter_context(Servers(args.tools)), clusters)
        for number in range(size["rounds"]):
            say(f"paths: round {number + 1} of {size['rounds']}")
            for path in made:
                path.measure(size)
        base, plain = (next(p for p in made if p.name == name) for name in (BASE, PLAIN))
        return [p.result(base, plain) for p in made]


# ---- what follows a change ----

def pinger_of(pods, period_s=0.002):
    return traffic.Pinger({f"{a} to {b}": (a.path, b.ip4) for a in pods for b in pods
                           if a.node is not b.node}, period_s=period_s)


def lost(pinger):
    return {"sent": pinger.sent(), "lost": sum(len(f.waiting) + len(f.refused)
                                               for f in pinger.flows)}


def ms_until(question, what, seconds=120):
    began = time.perf_counter()
    until(question, what, seconds)
    return round((time.perf_counter() - began) * 1e3, 1)


def spread(values):
    return {"n": len(values), "p50": round(statistics.median(values), 1),
            "most": round(max(values), 1)}


def device_of(mode):
    return {"none": "eth0", "VXLAN": DEVICE, "IPIP": "tunl0"}[mode]


def follows(c, mode):
    """Every route to another node's block goes the new way."""
    for node in c.nodes:
        routes = node.bird_routes()
        if len(routes) < len(c.nodes) - 1 or any(r.get("dev") != device_of(mode)
                                                 for r in routes.values()):
            return False
    return True


def switch(args, size):
    turns = [(a, b) for a in args.modes for b in args.modes if a != b]
    found = {f"{a} to {b}": {"ms": [], "sent": 0, "lost": 0} for a, b in turns}
    with cluster_of("none", nodes=3) as c:
        pods = [pod_of(n) for n in c.nodes]
        now = "none"
        for _ in range(size["switches"]):
            left = list(turns)
            while left:  # a walk over every pair of modes, as far as it goes on from here
                pair = next((p for p in left if p[0] == now), None) or left[0]
                if pair[0] != now:
                    c.apply(pool_of(pair[0]))
                    until(lambda m=pair[0]: follows(c, m), "the routes of before")
                left.remove(pair)
                figures, now = found[f"{pair[0]} to {pair[1]}"], pair[1]
                say(f"switch: {pair[0]} to {pair[1]}")
                with pinger_of(pods) as pinger:
                    pinger.goes_on(50)
                    c.apply(pool_of(now))
                    figures["ms"].append(ms_until(lambda: follows(c, now), f"{now} everywhere"))
                    pinger.goes_on(100)
                for key, count in lost(pinger).items():
                    figures[key] += count
    return [{"from_to": name, **f, "ms": spread(f["ms"])} for name, f in found.items()]


def blocks_known(c, owner):
    """Every other node has a route for every block of the owner's."""
    blocks = set(owner.blackholes())
    return all(blocks <= set(n.bird_routes()) for n in c.nodes if n is not owner)


def fault(c, name, pods, act):
    """act() gives the ms that it measured."""
    say(f"faults: {name}")
    with pinger_of(pods) as pinger:
        pinger.goes_on(50)
        ms = act()
        pinger.goes_on(100)
    return ms, lost(pinger)


def restart_bird(c, node):
    """Killed; from its start by the service manager until a block that was claimed meanwhile is
    known everywhere."""
    node.bird.kill()
    before = node.blackholes()
    node.configure(headroom=node.settings["headroom"] + 64)
    node.agent.signal(signal.SIGHUP)
    until(lambda: node.blackholes() != before, "a further block")
    node.bird.start()
    return ms_until(lambda: blocks_known(c, node), "the block everywhere")


def restart_agent(c, node):
    """Killed; from its start until a block that it claims then is known everywhere."""
    before = node.blackholes()
    node.agent.kill()
    node.configure(headroom=node.settings["headroom"] + 64)
    node.agent.start()
    return ms_until(lambda: node.blackholes() != before and blocks_known(c, node),
                    "the block everywhere")


def lose(c, node):
    """All of it dies, and can say nothing of it: until nobody has a route to it."""
    address = node.ip(4)
    node.agent.kill()
    node.ns.ip("link set eth0 down")
    node.bird.kill()
    others = [n for n in c.nodes if n is not node]
    return ms_until(lambda: not any(r.get("gateway") == address for n in others
                                    for r in n.bird_routes().values()),
                    "the routes to a dead node to go", 400)


def exits_of(node):
    """How many next hops the table of exits has."""
    with contextlib.suppress(traffic.Failed):  # there is no such table yet
        for route in node.ns.ask(f"-4 route show table {EXITS_TABLE}"):
            if route["dst"] == "default" and route.get("type", "unicast") == "unicast":
                return len(route.get("nexthops", [route]))
    return 0


def lose_exit(bfd):
    """Two exits, and one dies as a node does: until the other node's paths are without it."""
    import lab
    say(f"faults: an exit dead, {'with' if bfd else 'without'} BFD")
    with cluster_of("none", nodes=3) as c:
        rule = {"nodeSelector": "has(exit)", "cidrs": ["0.0.0.0/0"]}
        c.apply(lab.resource("BGPConfiguration", "default", exits=[rule],
                             exitBFD={"enabled": bfd}))
        worker, *exits = c.nodes
        for node in exits:
            found = node.ask("get", "node", node.name)
            found = found["items"][0] if "items" in found else found
            found["metadata"].setdefault("labels", {})["exit"] = "yes"
            c.apply(found)
        until(lambda: exits_of(worker) == 2, "both exits")
        if bfd:
            until(lambda: sum(" Up " in line for line in worker.birdc("show bfd sessions") or [])
                  >= 2, "BFD to both exits")
        exits[0].agent.kill()
        exits[0].ns.ip("link set eth0 down")
        exits[0].bird.kill()
        return ms_until(lambda: exits_of(worker) == 1, "the paths without the dead exit", 400)


def faults(args, size):
    found = {}
    with cluster_of("none", nodes=3, headroom=16) as c:
        pods = [pod_of(n) for n in c.nodes]
        for name, act in (("BIRD killed and restarted", restart_bird),
                          ("agent killed and restarted", restart_agent)):
            done = [fault(c, name, pods, lambda n=c.nodes[i % 3], a=act: a(c, n))
                    for i in range(size["faults"])]
            found[name] = {"ms": spread([ms for ms, _ in done]),
                           **{k: sum(d[k] for _, d in done) for k in ("sent", "lost")}}
        if size["gone"]:
            ms, between = fault(c, "a node dead", pods[:2], lambda: lose(c, c.nodes[2]))
            found["a node dead, its routes gone from the others"] = {"ms": spread([ms]), **between}
    for bfd in (True, False) if size["gone"] else ():
        done = [lose_exit(bfd) for _ in range(size["faults"] if bfd else 1)]
        found[f"an exit dead, {'with' if bfd else 'without'} BFD"] = {
            "ms": spread(done), "sent": None, "lost": None}
    return found


# ---- all ----

def show(result):
    m = result["machine"]
    out = [f"Kernel {m['kernel']}, {m['cpus']} CPUs, load {m['load']:.1f} when it began.", ""]
    if "paths" in result:
        rows = [[p["path"], *(f"{p[k]:.0f} ({p['to_base'][k]:.2f})" for k in
                              ("one", "many", "both")),
                 *(f"{p[k + '_p50']:.0f} / {p[k + '_p99']:.0f} ({p['to_base'][k + '_p50']:.2f})"
                   for k in ("tcp", "udp"))] for p in result["paths"]]
        out += [table(["path (to " + BASE + ")", "one stream, Mbit/s", "several", "both ways",
                       "TCP question, us, p50 / p99", "UDP question"], rows), ""]
        out += [f"{p['path']}, beside no tunnel in the same rounds (aimed at: {TUNNEL_REACH}): "
                + ", ".join(f"{p['to_plain'][k]:.2f}" for k in ("one", "many", "both"))
                for p in result["paths"] if p["path"].startswith("roost, VXLAN")]
        out.append("")
    if "switch" in result:
        out += [table(["switch of three nodes", "ms, median", "most", "pings", "lost"],
                      [[s["from_to"], s["ms"]["p50"], s["ms"]["most"], s["sent"], s["lost"]]
                       for s in result["switch"]]), ""]
    if "faults" in result:
        out += [table(["fault", "known everywhere, ms, median", "most", "pings", "lost"],
                      [[name, f["ms"]["p50"], f["ms"]["most"],
                        *("-" if f[k] is None else f[k] for k in ("sent", "lost"))]
                       for name, f in result["faults"].items()]), ""]
    return "\n".join(out)


def absurd(result):
    """What cannot be, however busy the machine."""
    said = []
    for p in result.get("paths", ()):
        if min(p[k] for k in ("one", "many", "both")) <= 0:
            said.append(f"{p['path']}: nothing came through")
        if p["to_base"]["many"] < 0.001:
            said.append(f"{p['path']}: less than a thousandth of {BASE}")
    for s in result.get("switch", ()):
        if s["lost"] * 2 > s["sent"]:
            said.append(f"{s['from_to']}: half of the pings were lost")
    for name, f in result.get("faults", {}).items():
        if f["sent"] and f["lost"] * 2 > f["sent"]:
            said.append(f"{name}: half of the pings between other pods were lost")
    return said


def prepare(args):
    args.modes = [m for m in MODES if m != "IPIP" or has_ipip()]
    return {"modes": args.modes}


if __name__ == "__main__":
    frame.run(__doc__, {"paths": paths, "switch": switch, "faults": faults}, (FULL, QUICK), show, absurd,
              prepare=prepare)
