#!/usr/bin/python3
"""How long a pod takes: roost beside Debian's ptp + host-local, and beside the kernel alone.

    bench.py [--quick] [--bin DIR] [--tools DIR] [-o FILE]

Three plugins wire the same pods: roost, the reference plugin ptp with host-local (from
/usr/lib/cni), and floor.c, which does the kernel's part of it and nothing else. Each has a host
of its own (a network namespace) with the same number of pods present, so that none pays for
another's links, and all are measured in one run, taking turns: whatever disturbs the machine
disturbs all three. The times mean little on another machine; the ratios do.

Measured is a request as a runtime sees it, from before the process is started until it has ended
(spawn.c). The pods' namespaces are made before, since they are the runtime's work, and all states
are kept in memory, as /run is. IPv4 only and dual stack have hosts of their own, because what is
cheap beside a thousand pods of one kind need not be beside the other. With ptp a dual stack
request waits for duplicate address detection, so a few must do, with no pods present.

A further host has what a node of a cluster has: an agent (reaper.py) that deletes the links which
DEL only marks beside it. There is no other difference to roost's own host.

Everything happens inside a private network and mount namespace (sandbox.py) and ends with it.
"""

import argparse
import collections
import contextlib
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import report
import sandbox

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BIN = f"{ROOT}/build/release/bin"
CNI_DIR = "/usr/lib/cni"
WORK = "/run/bench"
WINDOW = 10   # ADDs of one plugin in a row: its own caches are warm, as on a busy node
SPARES = 32   # namespaces of each host that are free for measuring
BURST = {8: 32, 30: 30}  # at once: requests in one burst
FORBIDDEN = ("fsync", "fdatasync", "msync", "sync_file_range", "fork", "vfork", "clone", "clone3",
             "nanosleep", "clock_nanosleep", "connect")

FULL = dict(present=(0, 250, 1000), samples=100, slow_samples=3, bursts=5, version=100)
QUICK = dict(present=(0, 250), samples=10, slow_samples=1, bursts=1, version=10)


class Pod:
    """A namespace waiting for an interface, and the number all its addresses are derived from."""

    def __init__(self, host, number):
        self.number = number
        self.id = f"{host}-{number}"
        self.netns = sandbox.make_namespace(f"{WORK}/pods/{self.id}")

    def addresses(self, family):
        four = f"10.68.{self.number >> 8}.{self.number & 255}"
        return [four, f"fd68::{self.number:x}"] if family == "dual" else [four]


class Plugin:
    """One of the three, on a host of its own. The name is the one in the tables."""

    def __init__(self, name, host):
        self.name = name
        self.host = host
        self.netns = sandbox.make_host(f"{WORK}/hosts/{self.host}")
        self.spares = [Pod(self.host, i) for i in range(SPARES)]
        self.present = []

    def make_pods(self, count):
        return [Pod(self.host, SPARES + len(self.present) + i) for i in range(count)]

    def line(self, verb, pod, family):
        """The request as a line of spawn.c's plan."""
        env, stdin, argv = self.request(verb, pod, family)
        label = f"{self.name}/{verb}"
        words = [label, self.netns, stdin, *(f"{k}={v}" for k, v in env.items()), "--", *argv]
        return "\t".join(words)


class Floor(Plugin):
    def __init__(self, tools, host="floor"):
        super().__init__("floor", host)
        self.program = f"{tools}/floor"

    def request(self, verb, pod, family):
        link = f"floor{pod.number}"
        head = ["add", pod.netns, "eth0", link] if verb == "ADD" else ["del", link]
        return {}, "/dev/null", [self.program, *head, *pod.addresses(family)]


class Cni(Plugin):
    def __init__(self, name, program, configs, host):
        super().__init__(name, host)
        self.program = program
        self.configs = {}
        for family, config in configs.items():
            self.configs[family] = f"{WORK}/{self.host}-{family}.json"
            with open(self.configs[family], "w") as f:
                json.dump({"cniVersion": "1.0.0", "name": "bench", **config}, f)

    def request(self, verb, pod, family):
        env = {"CNI_COMMAND": verb, "CNI_CONTAINERID": pod.id, "CNI_NETNS": pod.netns,
               "CNI_IFNAME": "eth0", "CNI_ARGS": "", "CNI_PATH": os.path.dirname(self.program)}
        return env, self.configs[family], [self.program]


def make_roost(bin_dir, host="roost", net=66, name="roost"):
    pools = [{"cidr": f"10.{net}.0.0/16"}, {"cidr": f"fd{net}::/64"}]

    def config(n):
        return {"type": "roost", "stateDir": f"{WORK}/{host}-state",
                "ipam": {"type": "roost-ipam", "pools": pools[:n]}}
    return Cni(name, f"{bin_dir}/roost", {"v4": config(1), "dual": config(2)}, host)


def make_ptp():
    ranges = [[{"subnet": "10.67.0.0/16"}], [{"subnet": "fd67::/64"}]]
    routes = [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]

    def config(n):
        return {"type": "ptp", "ipam": {"type": "host-local", "dataDir": f"{WORK}/host-local",
                                        "ranges": ranges[:n], "routes": routes[:n]}}
    return Cni("ptp", f"{CNI_DIR}/ptp", {"v4": config(1), "dual": config(2)}, "ptp")


class Bench:
    def __init__(self, size, tools):
        self.size, self.tools = size, tools
        self.times = collections.defaultdict(list)  # (plugin, verb, family, at once, present): us
        self.cpu = collections.defaultdict(list)    # the same key: us of processor time
        self.rates = collections.defaultdict(list)  # the same key: requests per second
        self.peak_kib = collections.defaultdict(int)
        self.launcher_kib = 0
        self.turn = 0

    def run(self, plan, at_once=1):
        """Runs a plan; returns [(plugin's name, verb, us, us of CPU)] and the time for all of it."""
        done = subprocess.run([f"{self.tools}/spawn", str(at_once)], input="\n".join(plan) + "\n",
                              capture_output=True, text=True, timeout=600)
        if done.returncode != 0:
            raise RuntimeError(done.stderr)
        *answers, total = (json.loads(line) for line in done.stdout.splitlines())
        self.launcher_kib = max(self.launcher_kib, total["own_maxrss_kib"])
        for a in answers:
            if a["status"] != 0:
                raise RuntimeError(f"{a['label']} ended with {a['status']}: {a['output']}")
            if a["label"].endswith("ADD"):
                name = a["label"].split("/")[0]
                self.peak_kib[name] = max(self.peak_kib[name], a["maxrss_kib"])
        return [(*a["label"].split("/"), a["us"], a["cpu_us"]) for a in answers], total["wall_us"]

    def take(self, answers, *key):
        for name, verb, us, cpu_us in answers:
            self.times[name, verb, *key].append(us)
            self.cpu[name, verb, *key].append(cpu_us)

    def in_turn(self, plugins):
        """Another one goes first each time."""
        self.turn += 1
        k = self.turn % len(plugins)
        return plugins[k:] + plugins[:k]

    def one_at_a_time(self, plugins, family, samples, present):
        if not plugins:  # --only left none
            return
        plan = []
        for start in range(0, samples, WINDOW):
            pods = range(min(WINDOW, samples - start))
            for verb in ("ADD", "DEL"):
                for p in self.in_turn(plugins):
                    plan += [p.line(verb, p.spares[i], family) for i in pods]
        self.take(self.run(plan)[0], family, 1, present)

    def at_once(self, plugins, count, present):
        for plugin in self.in_turn(plugins):
            for verb in ("ADD", "DEL"):
                pods = plugin.spares[:BURST[count]]
                answers, wall_us = self.run([plugin.line(verb, p, "v4") for p in pods], count)
                self.take(answers, "v4", count, present)
                key = plugin.name, verb, "v4", count, present
                self.rates[key].append(len(pods) / wall_us * 1e6)

    def fill(self, plugin, family, present):
        pods = plugin.make_pods(present - len(plugin.present))
        if pods:
            self.run([plugin.line("ADD", p, family) for p in pods], at_once=4)
        plugin.present += pods

    def begin(self, plugins, family):
        """The very first ADD on each host makes its state and claims a block: not measured."""
        for plugin in plugins:
            self.run([plugin.line(v, plugin.spares[0], family) for v in ("ADD", "DEL")])

    def stage(self, plugins, family, present):
        say(f"{family}, {present} pods present")
        for plugin in plugins:
            self.fill(plugin, family, present)
        self.one_at_a_time(plugins, family, self.size["samples"], present)

    def bursts(self, plugins, present):
        for _ in range(self.size["bursts"]):
            for count in BURST:
                self.at_once(plugins, count, present)

    def version(self, plugins):
        """VERSION, as runtimes ask it before other requests: no file, no namespace."""
        env = ["CNI_COMMAND=VERSION", "CNI_NETNS=dummy", "CNI_IFNAME=dummy", "CNI_PATH=dummy"]
        plan = []
        for _ in range(self.size["version"]):
            for p in self.in_turn(plugins):
                line = [f"{p.name}/VERSION", p.netns, p.configs["v4"], *env, "--", p.program]
                plan.append("\t".join(line))
        self.take(self.run(plan)[0], "none", 1, 0)


@contextlib.contextmanager
def agent_beside(plugin):
    """The agent of a plugin's host."""
    argv = [sys.executable, f"{HERE}/reaper.py", plugin.netns, f"{WORK}/{plugin.host}-state"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        try:
            yield
        finally:
            process.stdin.close()


def count_calls(plugin, family):
    """System calls of one ADD, children included: {name: count}."""
    pod = plugin.spares[0]
    env, stdin, argv = plugin.request("ADD", pod, family)
    trace = f"{WORK}/trace"
    with sandbox.inside(plugin.netns), open(stdin) as f:
        subprocess.run(["strace", "-f", "-o", trace, *argv], env=env, stdin=f, check=True,
                       stdout=subprocess.DEVNULL, timeout=60)
        env, stdin, argv = plugin.request("DEL", pod, family)
        with open(stdin) as f:
            subprocess.run(argv, env=env, stdin=f, check=True, timeout=60)
    with open(trace) as f:
        names = re.findall(r"^\d+ +(\w+)\(", f.read(), re.M)
    return dict(collections.Counter(names).most_common())


def system_calls(plugins, args):
    """What one ADD of each plugin asks of the kernel, and what must never be among it."""
    calls = {p.name: count_calls(p, "v4") for p in plugins}
    forbidden = {}
    for p in plugins:
        if p.name == "roost":
            count_calls(p, "dual")  # claims the first IPv6 block on this host
            calls["roost, dual stack"] = count_calls(p, "dual")
            forbidden = {name: calls["roost"].get(name, 0) for name in FORBIDDEN}
            new = make_roost(args.bin, "roost-first", 64)
            calls["roost, first on a host"] = count_calls(new, "v4")
    return calls, forbidden


def series(bench):
    rows = []
    for (name, verb, family, count, present), us in bench.times.items():
        rates = bench.rates.get((name, verb, family, count, present))
        us = sorted(us)
        rows.append({"plugin": name, "verb": verb, "family": family, "at_once": count,
                     "present": present, "samples": len(us),
                     "median_us": round(statistics.median(us), 1),
                     "cpu_us": round(statistics.median(bench.cpu[name, verb, family, count, present]), 1),
                     "p95_us": us[min(len(us) - 1, int(len(us) * 0.95))], "min_us": us[0],
                     "per_second": round(statistics.median(rates), 1) if rates else None})
    return rows


def say(text):
    print(f"bench: {text}", file=sys.stderr, flush=True)


def compile_tools(folder):
    """For a tree that was not built: floor and spawn need nothing but a compiler."""
    for name in ("floor", "spawn"):
        subprocess.run(["cc", "-std=gnu17", "-O2", "-D_GNU_SOURCE", "-o", f"{folder}/{name}",
                        f"{HERE}/{name}.c"], check=True)
    return folder


def wanted(plugins, args):
    return [p for p in plugins if p.name in args.only.split(",")]


def measure_v4(bench, args, plugins):
    bench.begin(plugins, "v4")
    for present in bench.size["present"]:
        bench.stage(plugins, "v4", present)
        bench.bursts(plugins, present)
    beside_empty(bench, args, plugins)


def measure_agent(bench, args):
    """With as many pods as the others have."""
    if "roost" not in args.only.split(","):
        return
    say("beside an agent")
    for family, net in (("v4", 61), ("dual", 62)):
        plugin = make_roost(args.bin, f"roost-agent-{family}", net, name="roost-agent")
        with agent_beside(plugin):
            bench.begin([plugin], family)
            for present in bench.size["present"]:
                bench.stage([plugin], family, present)


def beside_empty(bench, args, plugins):
    """The last ADD and the first, taking turns: a full host beside an empty one."""
    full = [p for p in plugins if p.name == "roost"]
    if full:
        say("a full host beside an empty one")
        empty = make_roost(args.bin, "roost-empty", 65, name="roost-empty")
        bench.begin([empty], "v4")
        bench.one_at_a_time([*full, empty], "v4", bench.size["samples"], "beside")


def measure_dual(bench, args):
    plugins = [make_roost(args.bin, "roost-dual", 63), Floor(bench.tools, "floor-dual")]
    plugins = wanted(plugins, args)
    bench.begin(plugins, "dual")
    for present in bench.size["present"]:
        bench.stage(plugins, "dual", present)


def measure(args, tools):
    load = os.getloadavg()[0]  # before there was any of ours
    bench = Bench(QUICK if args.quick else FULL, tools)
    ptp = make_ptp()
    plugins = wanted([make_roost(args.bin), ptp, Floor(tools)], args)
    bench.one_at_a_time(wanted([ptp], args), "dual", bench.size["slow_samples"], 0)
    bench.version([p for p in plugins if isinstance(p, Cni)])
    measure_v4(bench, args, plugins)
    measure_dual(bench, args)
    measure_agent(bench, args)
    say("system calls")
    calls, forbidden = system_calls(plugins, args)
    return {"machine": {"kernel": platform.release(), "cpus": os.cpu_count(), "load": load},
            "present": list(bench.size["present"]), "series": series(bench),
            "peak_kib": dict(bench.peak_kib), "launcher_kib": bench.launcher_kib,
            "system_calls": calls, "forbidden_calls": forbidden}


def arguments():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="small samples, at most 250 pods")
    parser.add_argument("--bin", default=os.environ.get("ROOST_BIN", BIN), metavar="DIR",
                        help="where roost is")
    parser.add_argument("--tools", metavar="DIR", help="where floor and spawn are, if not in the "
                        "build that has roost; when they are nowhere they are compiled")
    parser.add_argument("--only", default="roost,ptp,floor", metavar="NAMES")
    parser.add_argument("-o", dest="output", metavar="FILE", help="write the figures as JSON")
    args = parser.parse_args()
    args.bin = os.path.abspath(args.bin)
    args.tools = os.path.abspath(args.tools or f"{args.bin}/../tests/bench")
    return args


def main():
    args = arguments()
    with tempfile.TemporaryDirectory(prefix="roost-bench-") as folder:
        built = all(os.access(f"{args.tools}/{n}", os.X_OK) for n in ("floor", "spawn"))
        tools = args.tools if built else compile_tools(folder)
        sandbox.enter()
        os.makedirs(WORK)
        result = measure(args, tools)
    report.judge(result)
    document = json.dumps(result, indent=1)
    print(report.text(json.loads(document)))  # what is written says as much as what is printed
    if args.output:
        with open(args.output, "w") as f:
            f.write(document + "\n")


if __name__ == "__main__":
    main()
