#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What host ports cost: roost's own beside roost with Debian's portmap behind it, in one run.

    ports_bench.py [--quick] [--samples N] [--bin DIR] [--tools DIR]

Three kinds of pods take turns on one host: without ports, with one port of roost's, and without, followed by
portmap with the same port. Measured are whole processes (spawn.c), wall and processor time. The host has as
many further pods with ports as is said, half of either kind. Everything ends with its namespaces.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import bench
import sandbox


def config(kind, number, previous=None):
    ports = {"portMappings": [{"hostPort": 20000 + number, "containerPort": 80, "protocol": "tcp"}]}
    conf = {"cniVersion": "1.0.0", "name": "bench", "type": kind}
    if kind == "portmap":
        return dict(conf, snat=True, runtimeConfig=ports, prevResult=previous)
    conf.update(type="roost", stateDir=f"{bench.WORK}/ports-state",
                ipam={"type": "roost-ipam", "pools": [{"cidr": "10.66.0.0/16"}]})
    return dict(conf, runtimeConfig=ports) if kind == "ports" else conf


class Host:
    """Requests on one host; times by what was asked."""

    def __init__(self, args, tools):
        self.netns = sandbox.make_host(f"{bench.WORK}/hosts/ports")
        self.bin, self.tools = args.bin, tools
        self.wall, self.cpu = {}, {}
        self.number = 0

    def pod(self):
        self.number += 1
        return bench.Pod("ports", self.number)

    def environment(self, verb, pod):
        return {"CNI_COMMAND": verb, "CNI_CONTAINERID": pod.id, "CNI_NETNS": pod.netns, "CNI_IFNAME": "eth0",
                "CNI_ARGS": "", "CNI_PATH": self.bin, "PATH": "/usr/sbin:/usr/bin"}

    def program(self, kind):
        return f"{bench.CNI_DIR}/portmap" if kind == "portmap" else f"{self.bin}/roost"

    def plain(self, verb, kind, pod, previous=None):
        """A request that is not measured: its answer."""
        with sandbox.inside(self.netns):
            done = subprocess.run([self.program(kind)], input=json.dumps(config(kind, pod.number, previous)),
                                  env=self.environment(verb, pod), capture_output=True, text=True, timeout=60)
        if done.returncode:
            raise RuntimeError(done.stdout or done.stderr)
        return done.stdout

    def timed(self, verb, kind, pod, previous=None):
        stdin = f"{bench.WORK}/ports-stdin.json"
        with open(stdin, "w") as f:
            json.dump(config(kind, pod.number, previous), f)
        words = [f"{kind}/{verb}", self.netns, stdin,
                 *(f"{k}={v}" for k, v in self.environment(verb, pod).items()), "--", self.program(kind)]
        done = subprocess.run([f"{self.tools}/spawn", "1"], input="\t".join(words) + "\n", capture_output=True,
                              text=True, timeout=60)
        answer = json.loads(done.stdout.splitlines()[0])
        if answer["status"]:
            raise RuntimeError(f"{kind} {verb}: {answer['output']}")
        self.wall.setdefault((kind, verb), []).append(answer["us"])
        self.cpu.setdefault((kind, verb), []).append(answer["cpu_us"])

    def turn(self):
        own, chained = self.pod(), self.pod()
        self.timed("ADD", "ports", own)
        self.timed("ADD", "plain", chained)
        self.timed("DEL", "plain", chained)
        previous = json.loads(self.plain("ADD", "plain", chained))
        self.timed("ADD", "portmap", chained, previous)
        self.timed("DEL", "portmap", chained, previous)
        self.timed("DEL", "ports", own)
        self.plain("DEL", "plain", chained)

    def fill(self, count):
        for i in range(count):
            pod = self.pod()
            if i % 2:
                self.plain("ADD", "ports", pod)
            else:
                self.plain("ADD", "portmap", pod, json.loads(self.plain("ADD", "plain", pod)))


def row(host, present, verb):
    def of(times, kind):
        return statistics.median(times[kind, verb]) / 1000
    cells = [f"{present} pods with ports present, {verb}"]
    for times in (host.wall, host.cpu):
        none, own, chain = of(times, "plain"), of(times, "ports"), of(times, "plain") + of(times, "portmap")
        cells += [f"{none:.2f}", f"{own:.2f}", f"{chain:.2f}", f"{chain / own:.1f}"]
    return "| " + " | ".join(cells) + " |"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=40)
    parser.add_argument("--present", type=int, nargs="*", default=[0, 100])
    parser.add_argument("--quick", action="store_true", help="few samples, no pods present")
    parser.add_argument("--bin", default=bench.BIN)
    parser.add_argument("--tools")
    args = parser.parse_args()
    if args.quick:
        args.samples, args.present = 3, [0]
    sandbox.enter()
    os.makedirs(bench.WORK, exist_ok=True)
    tools = args.tools or f"{bench.WORK}/tools"
    if not args.tools:
        os.makedirs(tools)
        bench.compile_tools(tools)
    print("| ms, median | none | roost | roost + portmap | portmap/roost | CPU: none | roost | roost + portmap "
          "| portmap/roost |\n|---|--:|--:|--:|--:|--:|--:|--:|--:|")
    host = Host(args, tools)
    host.turn()
    had = 0
    for present in args.present:
        host.fill(present - had)
        had = present
        host.wall, host.cpu = {}, {}
        for _ in range(args.samples):
            host.turn()
        for verb in ("ADD", "DEL"):
            print(row(host, present, verb), flush=True)
        own = statistics.median(host.cpu["ports", "ADD"])
        assert own < statistics.median(host.cpu["portmap", "ADD"]), "portmap alone takes less than roost with it"


if __name__ == "__main__":
    main()
