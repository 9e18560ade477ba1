#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demonstration behind scripts/demo --kubernetes: a Kubernetes of three nodes with roost, from nothing to
nothing, with real output."""
import argparse
import os
import signal
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE), f"{os.path.dirname(HERE)}/cluster", f"{os.path.dirname(HERE)}/netns"]
sys.dont_write_bytecode = True
from printing import GREEN, OFF, RED, indented, prompt, section


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/demo --kubernetes", description="A Kubernetes of three nodes in network namespaces of this "
        "machine, with roost: it is installed, a Deployment is served and rolled, agents die.")
    parser.add_argument("--keep", action="store_true",
                        help="wait at the end, with the cluster running, to look around")
    return parser.parse_args()


OPTIONS = arguments()
import binaries
import kubelab
import lab
import network
import world
from clients import Requests


def kubectl(c, *words, shown=None):
    prompt("kubernetes", "kubectl " + " ".join(words))
    text = c.kube.kubectl(*words)
    lines = text.splitlines()
    indented("\n".join(lines[:shown]))
    if shown and len(lines) > shown:
        indented(f"... ({len(lines) - shown} more lines)")


class Shown(network.Installed):
    """roost, and what its installation prints."""

    def install(self, cluster):
        section("One command installs roost", "Its image was imported on each node: nothing else is needed there.")
        prompt("kubernetes", "kubectl apply -f deploy/roost.yaml")
        super().install(cluster)
        kubectl(cluster, "-n", self.namespace, "get", "pods", "-o", "wide")


def start():
    section("Three nodes on two networks, with a router between them: network namespaces of this machine",
            f" [ outside {lab.OUTSIDE4} ]", "      |",
            " [ router ] ---+--- 10.1.1.0/24, fd00:1::/64 --- node1 10.1.1.11, node3 10.1.1.13",
            "               +--- 10.1.2.0/24, fd00:2::/64 --- node2 10.1.2.12",
            "", f"Each has containerd {binaries.version('containerd')}, a kubelet and a kube-proxy of Kubernetes "
            f"{binaries.version('kubernetes')}; the control plane is on node1.")
    return kubelab.Cluster(network=Shown())


def look(c):
    section("Nodes are Ready, and what roost has is seen in Kubernetes")
    kubectl(c, "get", "nodes", "-o", "wide")
    kubectl(c, "get", "ippools,ipblocks,nodestatuses")
    prompt("node1", "ip route")
    indented(c.nodes[0].run("ip", "route"))


def serve(c):
    section("A Deployment and its Service")
    web = c.deploy("web", replicas=4)
    kubectl(c, "get", "pods,service", "-l", "app=web", "-o", "wide")
    web.must_be_served()
    print()
    for node in c.nodes:
        for family in c.families:
            indented(f"{node}: GET {web.url(family=family)}: {node.get(web.url(family=family))}")
    return web


def roll(c, web):
    section("It is rolled, and roostd and BIRD of every node die by SIGKILL meanwhile",
            "A node, a pod and the host outside ask the Service 50 times a second each.")
    flows = {"node2": (c.nodes[1].path, web.address(4), 80), "a pod": (c.client().path, web.address(6), 80),
             "outside": (c.outside.path, c.nodes[0].ip(4), web.node_port())}
    with Requests(flows) as stream:
        stream.goes_on(50)
        with web.rolling():
            for node in c.nodes:
                for what in ("bird", "roostd"):
                    c.network.kill(node, what)
                indented(f"{node}: kill -9 of bird and roostd")
        c.network.until_back(c)
        stream.goes_on(50)
    kubectl(c, "get", "pods", "-l", "app=web", "-o", "wide")
    kubectl(c, "-n", c.network.namespace, "get", "pods")
    lost = len(stream.failures)
    print(f"\n    {RED if lost else GREEN}{sum(stream.answered.values())} requests were answered, {lost} were "
          f"not{OFF}")
    stream.lost_nothing()


def drain(c):
    section("node3 is drained, and stays Ready")
    kubectl(c, "drain", "node3", "--ignore-daemonsets", "--timeout=120s")
    c.until_rolled("deployment/web")
    kubectl(c, "get", "nodes")
    kubectl(c, "uncordon", "node3")


def keep(c):
    section("--keep: the cluster runs until Enter or Ctrl-C. From another terminal:")
    init = f"$(pgrep -P $(pgrep -P {world.cgroup().rsplit('-', 1)[1]}))"
    where = f"nsenter -a -t {init} nsenter --net={c.nodes[0].path}"
    indented(f"{where} {binaries.path('kubectl')} --kubeconfig {c.kube.admin} get pods -A")
    try:
        if not sys.stdin.readline():
            signal.pause()
    except KeyboardInterrupt:
        pass


def main():
    world.enter()
    status, c = 0, None
    try:
        c = start()
        look(c)
        web = serve(c)
        roll(c, web)
        drain(c)
        if OPTIONS.keep:
            keep(c)
    except lab.Failed as e:
        print(f"\n{RED}{e}{OFF}", flush=True)
        status = 1
    except KeyboardInterrupt:
        status = 130
    if c:
        if status == 1:
            lab.say(c.logs())
        c.close()
    left = lab.leftovers()
    if left:
        print(f"{RED}left behind: {', '.join(left)}{OFF}")
        status = status or 1
    elif not status:
        print(f"\n{GREEN}done: every process ended, every namespace gone{OFF}")
    sys.exit(status)


main()
