#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demonstration behind scripts/demo: a cluster from nothing to nothing, with real output.

The nodes are network namespaces of tests/cluster/lab.py in a world of their own, which the kernel
takes back as a whole when this process ends. Every block that is printed below a `$` is what that
command printed.
"""
import argparse
import os
import shutil
import signal
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
sys.dont_write_bytecode = True

from printing import GREEN, OFF, RED, indented, prompt, section

MANIFEST = """\
apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
  name: pods
spec:
  cidr: 100.66.0.0/16
  blockSize: 26
  {encap4}
  natOutgoing: true
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
  name: pods-v6
spec:
  cidr: fd66::/48
  blockSize: 122
  {encap6}
---
apiVersion: projectcalico.org/v3
kind: IPAMConfiguration
metadata:
  name: default
spec:
  ipCooldownSeconds: 0
"""

PEER = """\
apiVersion: projectcalico.org/v3
kind: BGPPeer
metadata:
  name: router-{node}-{family}
spec:
  node: {node}
  peerIP: "{router}"
  asNumber: 64513
"""


def arguments():
    parser = argparse.ArgumentParser(
        prog="scripts/demo", description="A cluster on this machine, in network namespaces: pods "
        "on every node, routes, pings, a dead BIRD and agent, a node that leaves.")
    parser.add_argument("--nodes", type=int, default=3, choices=range(2, 10), metavar="N",
                        help="how many nodes, 2 to 9 (3)")
    parser.add_argument("--store", choices=("file", "etcd"), default="file",
                        help="the cluster store: embedded, or an etcd (file)")
    parser.add_argument("--encap", choices=("none", "vxlan", "vxlan-cross-subnet", "ipip",
                                              "ipip-cross-subnet"), default="vxlan-cross-subnet",
                        help="how packets travel between nodes (vxlan-cross-subnet)")
    parser.add_argument("--keep", action="store_true",
                        help="wait at the end, with the cluster running, to look around")
    return parser.parse_args()


OPTIONS = arguments()
import lab
import traffic
import world


def show(node, *command):
    """Runs a command on a node and shows both."""
    prompt(node.name, " ".join(command))
    if command[0] == "roostctl":
        indented(node.ctl(*command[1:]))
    else:
        indented(node.run(*command))


# ---- the story ----

def plain6():
    """Whether IPv6 goes without a tunnel: IPIP carries IPv4 only."""
    return OPTIONS.encap == "none" or OPTIONS.encap.startswith("ipip")


def mode(encap):
    """The line of a pool."""
    ipip, vxlan = lab.ENCAPS[encap]
    return f"ipipMode: {ipip}" if ipip != "Never" else f"vxlanMode: {vxlan}"


def need_ipip():
    if OPTIONS.encap.startswith("ipip") and not lab.has_ipip():
        sys.exit("demo: this kernel has no IPIP (module ipip). On Debian's stock kernel:\n"
                 f"  tests/vm/run --load ipip scripts/demo --encap {OPTIONS.encap}")


def build():
    n = OPTIONS.nodes
    c = lab.Cluster(nodes=n, store=OPTIONS.store, encap=OPTIONS.encap, nat=True,
                    tor=plain6(), start=False, plain_names=True)
    subnets = {}
    for node in c.nodes:
        subnets.setdefault(node.subnet, []).append(f"{node.name} {node.ip(4)}")
    section(f"{n} nodes on two networks, with a router between them: network namespaces of this "
            "machine",
            f" [ outside {lab.OUTSIDE4} ]", "      |",
            *(f" [ router ] ---+--- 10.1.{s}.0/24, fd00:{s}::/64 --- {', '.join(names)}" if s == 1
              else f"               +--- 10.1.{s}.0/24, fd00:{s}::/64 --- {', '.join(names)}"
              for s, names in sorted(subnets.items())))
    return c


def start(c):
    where = "an etcd behind the router" if OPTIONS.store == "etcd" else "embedded, in a folder"
    section(f"A store ({where}), two pools, and on every node a BIRD and a roostd")
    c.store.start()
    apply(c, MANIFEST.format(encap4=mode(OPTIONS.encap), encap6=mode(c.encap_of(6))))
    if c.tor:
        print("\n    Without a tunnel the router must know the pods' blocks: it is a BGP peer of "
              "each node.")
        apply(c, "---\n".join(
            PEER.format(node=n.name, family=f,
                        router=f"10.1.{n.subnet}.1" if f == 4 else f"fd00:{n.subnet}::1")
            for n in c.nodes for f in lab.FAMILIES), shown=1)
    for node in c.nodes:
        node.start()
    print()
    indented(f"bird -f -R -c bird.conf -s bird.ctl        on each of {len(c.nodes)} nodes")
    indented(f"roostd --config roostd.json                on each of {len(c.nodes)} nodes")


def apply(c, manifest, shown=None):
    """roostctl apply of a text, of which the first documents are shown."""
    documents = manifest.split("---\n")
    prompt("node1", "roostctl apply -f - <<X")
    indented("---\n".join(documents[:shown]))
    if shown:
        indented(f"--- (and {len(documents) - shown} more)")
    indented("X")
    indented(c.nodes[0].ctl("apply", "-f", "-", stdin=manifest))


def pods(c):
    section("Pods: what a container runtime does is to call `roost` with one JSON document")
    indented('{"cniVersion": "1.0.0", "name": "roost", "type": "roost", '
             '"ipam": {"type": "roost-ipam"}}')
    print()
    for node in c.nodes:
        lab.until(lambda n=node: n.call("STATUS", None, "1.1.0").status == 0,
                  f"{node} to be ready")
        for name in ("a", "b"):
            began = time.monotonic()
            pod = node.new_pod(name)
            node.add(pod)
            indented(f"ADD {pod}: {pod.ip(4):15} {pod.ip(6):32} "
                     f"{(time.monotonic() - began) * 1000:4.0f} ms with its namespace")
    c.wait_converged()


def routes(c):
    section("The routes of each node",
            "Its own pods and a blackhole for its blocks are roost's; other nodes' blocks are "
            "BIRD's.")
    for node in c.nodes:
        show(node, "route", "-n")
    show(c.nodes[0], "ip", "route")


def matrix(c, nodes=None):
    everybody = [p for n in nodes or c.nodes for p in n.pods.values()]
    width = max(len(str(p)) for p in everybody) + 2
    print("\n    milliseconds of a ping, IPv4 / IPv6")
    print("    " + "from \\ to".ljust(width) + "".join(str(p).rjust(13) for p in everybody))
    lost = 0
    for a in everybody:
        cells = []
        for b in everybody:
            if a is b:
                cells.append("-")
                continue
            times = []
            for family in lab.FAMILIES:
                began = time.monotonic()
                try:
                    traffic.icmp(a.path, b.ip(family), 2)
                    times.append(f"{(time.monotonic() - began) * 1000:.2f}")
                except OSError:
                    times.append("LOST")
                    lost += 1
            cells.append(" / ".join(times))
        print("    " + str(a).ljust(width) + "".join(cell.rjust(13) for cell in cells), flush=True)
    if lost:
        raise lab.Failed(f"expected every ping to be answered, saw {lost} lost")


def look(c):
    section("Every pod pings every pod")
    matrix(c)
    seen = traffic.udp(next(iter(c.nodes[0].pods.values())).path, lab.OUTSIDE4)
    print(f"\n    the host outside answers, too; it sees {seen}: natOutgoing is on")

    section("What the operator sees")
    lab.until(lambda: " 0 of 0 " not in c.nodes[0].ctl("node", "list"),
              "the agents to have said how many peers are up")
    show(c.nodes[0], "roostctl", "node", "list")
    show(c.nodes[0], "roostctl", "ipam", "show", "--cluster")
    show(c.nodes[0], "roostctl", "ipam", "map")


def blow(c):
    victim = c.nodes[1]
    section(f"{victim}: BIRD and roostd die by SIGKILL, while all pods ping each other")
    stream = traffic.Stream(next(iter(c.nodes[0].pods.values())).path,
                            next(iter(victim.pods.values())).ip(4))
    with c.pinger() as pinger:
        pinger.goes_on(50)
        victim.bird.kill()
        victim.agent.kill()
        print(f"    {victim.name}: kill -9 of bird and roostd")
        pinger.goes_on(50)
        pod = victim.add_pod("late")
        print(f"    {victim.name}: a new pod starts meanwhile: {pod.ip(4)}, "
              f"{'reached' if traffic.answers(pod.path, lab.OUTSIDE4) else 'NOT reached'}")
        show(victim, "ip", "route", "show", "proto", "bird")
        print()
        victim.start_bird()
        victim.agent.start()
        print(f"    {victim.name}: both are started again (bird with -R)")
        lab.until(victim.status, "the agent to answer")
        lab.until(lambda: c.sessions_up(victim), "the sessions to be up")
        c.wait_converged()
        pinger.goes_on(50)
        victim.del_pod(pod)
        stream.still_works()
    stream.close()
    lost = sum(len(f.waiting) + len(f.refused) for f in pinger.flows)
    color = RED if lost else GREEN
    print(f"\n    {color}{pinger.sent()} pings sent between pods of different nodes, {lost} lost; "
          f"an open TCP connection lived on{OFF}")
    pinger.lost_nothing()


def leave(c):
    leaver, first = c.nodes[-1], c.nodes[0]
    section(f"{leaver} leaves: drained, its pods stopped, its blocks given back")
    show(first, "roostctl", "node", "drain", leaver.name)
    print()
    for pod in list(leaver.pods.values()):
        leaver.del_pod(pod)
        indented(f"DEL {pod}")
    lab.until(lambda: not leaver.blackholes(4) and not leaver.blackholes(6),
              f"{leaver} to give its blocks back")
    indented(f"{leaver} owns no block any more; its roostd and BIRD are stopped")
    leaver.agent.stop()
    leaver.bird.kill()
    show(first, "roostctl", "node", "remove", leaver.name)
    show(first, "roostctl", "node", "list")
    show(first, "roostctl", "ipam", "show", "--cluster")
    lab.until(lambda: all(len(first.bird_routes(f)) ==
                          sum(len(n.blackholes(f)) for n in c.nodes[1:-1]) for f in (4, 6)),
              "its routes to go")
    show(first, "route", "-n")


SHELL = """\
#!/bin/sh
# A shell on {node}, with roostctl as it would be on that machine; or a command there.
export PATH={bin}:$PATH PS1='{node}# ' HISTFILE=
export ROOST_CONFIG={config} ROOST_STORE={store} ROOST_SOCKET={socket} ROOST_STATE_DIR={state}
cd {root}
[ $# -gt 0 ] || set -- bash --norc
exec ip netns exec {node} "$@"
"""


def keep(c):
    """Waits, and says how to look around: a script for each node, in the world's own /run."""
    staying = c.nodes[:-1]
    c.write_conformance("/run/conformance.json", edit=lambda file: file["nodes"].pop())
    for node in staying:
        path = f"/run/{node.name}"
        with open(path, "w") as f:
            f.write(SHELL.format(node=node.name, bin=lab.BIN, config=node.conf_file,
                                 store=c.store.url, socket=node.socket, state=node.state,
                                 root=lab.ROOT))
        os.chmod(path, 0o755)
    section("--keep: the cluster runs until Enter or Ctrl-C. A shell on a node, from another "
            "terminal:")
    init = f"$(pgrep -P $(pgrep -P {world.cgroup().rsplit('-', 1)[1]}))"
    for node in staying:
        indented(f"nsenter -a -t {init} /run/{node.name}")
    print("\n    there, for example:\n")
    for command in ("ps ax", "route -n", "roostctl status", "roostctl ipam list",
                    "roostctl node list", "roostctl conformance --cluster /run/conformance.json"):
        indented(command)
    try:
        if not sys.stdin.readline():
            signal.pause()
    except KeyboardInterrupt:
        pass


def main():
    world.enter()
    os.makedirs("/etc/iproute2/rt_protos.d", exist_ok=True)  # in memory: /etc is an overlay here
    shutil.copy(f"{lab.ROOT}/scripts/rt_protos.conf", "/etc/iproute2/rt_protos.d/roost.conf")
    status = 0
    need_ipip()
    c = build()
    try:
        for part in (start, pods, routes, look, blow, leave):
            part(c)
        if OPTIONS.keep:
            keep(c)
    except lab.Failed as e:
        print(f"\n{RED}{e}{OFF}", flush=True)
        c.dump()
        status = 1
    except KeyboardInterrupt:
        status = 130
    c.close()
    left = lab.leftovers()
    if left:
        print(f"{RED}left behind: {', '.join(left)}{OFF}")
        status = status or 1
    elif not status:
        print(f"\n{GREEN}done: every process ended, every namespace gone{OFF}")
    sys.exit(status)


main()
