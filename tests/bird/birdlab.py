# SPDX-License-Identifier: Apache-2.0
"""Nodes with a real BIRD each, for bird_test.py. A Cluster is a router with two networks and nodes on
them, each a network namespace with its own BIRD (started as the documents say) and its own birdtool,
which keeps that BIRD equal to a description. Everything ends with the Cluster."""

import contextlib
import ipaddress
import json
import os
import re
import select
import signal
import socket
import subprocess
import threading
import time

from roostlab import BIN, Lab, equal, inside, run, true, wait_for

TOOL = f"{BIN}/../tests/bird/birdtool"
POOL = {"cidr": "10.244.0.0/16", "blockLen": 26, "exported": True, "byBgp": True}
POOL6 = {"cidr": "fd66::/48", "blockLen": 122, "exported": True, "byBgp": True}
AS = 64512


def sub(path, argv, **more):
    """A process in a namespace that ends with us."""
    with inside(path):
        return subprocess.Popen(["setpriv", "--pdeathsig", "KILL", *argv], **more)


class Events:
    """What the kernel says about routes from now on."""

    def __init__(self, ns):
        self.process = sub(ns.path, ["stdbuf", "-oL", "ip", "monitor", "route"],
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, bufsize=0)
        self._text = b""
        wait_for(lambda: "198.18.0.1" in self.text() or self._again(ns), "ip monitor to start")
        self._text = b""

    def _again(self, ns):
        """Something to be seen, so that we know when it listens."""
        ns.ip("route add blackhole 198.18.0.1/32", "route del blackhole 198.18.0.1/32")
        time.sleep(0.05)
        return False

    def text(self):
        while select.select([self.process.stdout], [], [], 0)[0]:
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                break
            self._text += data
        return self._text.decode()

    def of_bird(self):
        """Lines about BIRD's routes."""
        return [l.strip() for l in self.text().splitlines()
                if re.search(r"proto (bird|12)\b", l)]

    def close(self):
        self.process.kill()
        self.process.wait()


class Pings:
    """A ping fifty times a second until stopped."""

    def __init__(self, ns, source, target):
        self.name = f"{source} to {target}"
        self.process = sub(ns.path, ["ping", "-n", "-i", "0.02", "-W", "1", "-I", source, target],
                           stdout=subprocess.PIPE, text=True)

    def lost(self):
        """Stops it; how many were not answered, of many."""
        self.process.send_signal(signal.SIGINT)
        out = self.process.communicate(timeout=20)[0]
        sent, received = map(int, re.search(r"(\d+) packets transmitted, (\d+) received", out).groups())
        true(received > 5, f"pings from {self.name} to be answered", out[-200:])
        # The last one may be under way as the signal comes.
        return max(0, sent - received - 1)


class Node:
    def __init__(self, cluster, number, network=1):
        self.number, self.network = number, network
        self.ns = cluster.lab.namespace(f"n{number}")
        self.addr = f"10.0.{network}.{number}"
        self.addr6 = f"fd00:{network}::{number}"
        self.block, self.block6 = f"10.244.{number}.0/26", f"fd66::{number:x}00/122"
        self.pod, self.pod6 = f"10.244.{number}.1", f"fd66::{number:x}01"
        self.vtep, self.mac = f"10.244.{number}.2", f"02:00:00:00:00:{number:02x}"
        self.dir = f"{cluster.lab.dir}/n{number}"
        self.own = f"{self.dir}/own"
        self.file = f"{self.dir}/run/bird.conf"
        self.ctl = f"{self.dir}/ctl/bird.ctl"
        self.main = f"{self.dir}/main.conf"
        self.log = f"{self.dir}/ctl/bird.log"
        os.makedirs(f"{self.dir}/ctl")
        self.bird = self.tool = None
        self.generation = 0
        self.look = {"up": False, "loaded": 0, "refused": 0, "trouble": ""}
        self.looks = []
        self._since = {}  # of sessions
        self._uplink(cluster)
        with open(self.main, "w") as f:
            f.write(f'log "{self.log}" all;\n' + run(TOOL, "main", self.file, self.own))

    def _uplink(self, cluster):
        port = f"p{self.number}"
        self.ns.ip("link set lo up",
                   f"link add eth0 type veth peer name {port} netns {cluster.fabric.name}",
                   "link set eth0 addrgenmode none up", f"addr add {self.addr}/24 dev eth0",
                   f"addr add fe80::{self.number}/64 dev eth0 nodad",
                   f"addr add {self.addr6}/64 dev eth0 nodad",
                   f"addr add {self.pod}/32 dev lo", f"addr add {self.pod6}/128 dev lo nodad",
                   f"route add default via 10.0.{self.network}.254",
                   f"route add default via fd00:{self.network}::fe",
                   f"route add blackhole {self.block} proto 82")
        cluster.fabric.ip(f"link set {port} master net{self.network} up")

    # ---- BIRD ----

    def start_bird(self, *options):
        self.bird = sub(self.ns.path, ["bird", "-f", "-R", "-c", self.main, "-s", self.ctl, *options],
                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def kill_bird(self, signal_number=signal.SIGKILL):
        self.bird.send_signal(signal_number)
        self.bird.wait(timeout=20)

    def ask(self, command):
        """BIRD's reply as text."""
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(20)
            s.connect(self.ctl)
            f = s.makefile("r")
            f.readline()
            s.sendall(command.encode() + b"\n")
            lines = []
            for line in f:
                lines.append(line)
                if re.match(r"\d{4} ", line):
                    break
            return "".join(lines)

    def table(self, words=""):
        """The destinations of the routes that BIRD knows, sorted."""
        return sorted(set(re.findall(r"^(?:1007-| )([0-9a-f.:]+/\d+) ", self.ask("show route " + words),
                                     re.M)))

    def sessions(self):
        """{name: (state, since)} of the BGP sessions. BIRD computes the time anew for each answer, by
        two clocks: a millisecond more or less is the same time."""
        rows = re.findall(r"(roost_\w+) +BGP +--- +(\w+) +\S*?(\d+):(\d+):([\d.]+) +(\w*)",
                          self.ask("show protocols"))
        for name, _, hours, minutes, seconds, _ in rows:
            since = 3600 * int(hours) + 60 * int(minutes) + float(seconds)
            if abs(since - self._since.get(name, 0)) > 0.005:
                self._since[name] = since
        return {row[0]: (row[-1], self._since[row[0]]) for row in rows}

    def established(self, count):
        with contextlib.suppress(OSError):
            return sum(s[0] == "Established" for s in self.sessions().values()) == count
        return False

    def complaints(self):
        """Lines of BIRD's log that say that something is wrong."""
        with open(self.log) as f:
            return [l for l in f if re.search("<(ERR|BUG|FATAL)>", l)]

    # ---- birdtool ----

    def start_tool(self, group=""):
        self.tool = sub(self.ns.path, [TOOL, "keep", self.file, self.ctl, self.own, group],
                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        threading.Thread(target=self._read, args=(self.tool,), daemon=True).start()
        self.generation = 0

    def _read(self, tool):
        for line in tool.stdout:
            self.look = json.loads(line)
            self.looks.append(self.look)

    def stop_tool(self):
        self.tool.stdin.close()
        equal(self.tool.wait(timeout=20), 0, "birdtool's exit status")

    def tell(self, description):
        self.tool.stdin.write(json.dumps(description) + "\n")
        self.tool.stdin.flush()
        self.generation += 1
        return self.generation

    def load(self, description):
        """Tells birdtool, and waits until BIRD runs it."""
        generation = self.tell(description)
        wait_for(lambda: self.look["loaded"] == generation or self.look["refused"] == generation,
                 f"generation {generation} to be loaded")
        equal(self.look["trouble"], "", "trouble")

    def describe(self, peers=(), hops=(), own=None, pools=(POOL,), **more):
        """The description of this node; peers: other nodes or peers as they stand."""
        return {"routerId": self.addr, "listenPort": 179, "log": "info",
                "ipv4": {"node": self.addr, "own": [self.block] if own is None else own,
                         "pools": list(pools), "remote": more.pop("remote", []),
                         "hops": [[{"dst": f"10.0.{self.network}.0/24", "dev": "eth0"}, *hops]]},
                "peers": [self.mesh(p) if isinstance(p, Node) else p for p in peers], **more}

    def ipv6(self):
        """This node's half of a description that has both families."""
        return {"node": self.addr6, "own": [self.block6], "pools": [POOL6],
                "hops": [[{"dst": f"fd00:{self.network}::/64", "dev": "eth0"}]]}

    def mesh(self, peer, family=4):
        mine, theirs = (n.addr if family == 4 else n.addr6 for n in (self, peer))
        return {"addr": theirs, "local": mine, "as": AS, "localAs": AS, "mesh": True,
                "passive": ipaddress.ip_address(theirs) > ipaddress.ip_address(mine)}

    # ---- the kernel ----

    def bird_routes(self, words="-4"):
        """{destination: the rest} of BIRD's routes in the main table."""
        text = self.ns.run("ip", words, "route", "show", "proto", "bird")
        found = {}
        for line in re.sub(r"\n\t", " ", text).splitlines():
            kind = "unreachable " if line.startswith("unreachable ") else ""
            dst, rest = line[len(kind):].split(" ", 1)
            found[dst] = kind + rest.strip()
        return found

    def vxlan(self, others):
        """A device as the agent makes it: no learning, permanent neighbours."""
        self.ns.ip(f"link add vxlan.r address {self.mac} type vxlan id 4096 dstport 4789 "
                   f"local {self.addr} nolearning",
                   "link set vxlan.r addrgenmode none mtu 1400 up", f"addr add {self.vtep}/32 dev vxlan.r")
        for n in others:
            self.ns.ip(f"neigh add {n.vtep} lladdr {n.mac} nud permanent dev vxlan.r")
            self.ns.run("bridge", "fdb", "append", n.mac, "dev", "vxlan.r", "dst", n.addr)

    def hop(self, peer):
        """To a peer through the tunnel."""
        return {"dst": f"{peer.addr}/32", "via": peer.vtep, "dev": "vxlan.r", "onlink": True}

    def close(self):
        for process in (self.bird, self.tool):
            if process and process.poll() is None:
                process.kill()
                process.wait()


class Cluster:
    def __init__(self):
        self.lab = lab = Lab(uplink=False)
        self.nodes = []
        self.fabric = lab.namespace("fabric")
        self.fabric.ip("link set lo up", *(
            line for n in (1, 2) for line in (
                f"link add net{n} type bridge", f"link set net{n} addrgenmode none up",
                f"addr add 10.0.{n}.254/24 dev net{n}", f"addr add fd00:{n}::fe/64 dev net{n} nodad")))
        self.fabric.set_sysctl("ipv4/ip_forward", 1)
        self.fabric.set_sysctl("ipv6/conf/all/forwarding", 1)

    def node(self, number, network=1, start=True):
        node = Node(self, number, network)
        self.nodes.append(node)
        if start:
            os.mkdir(node.own)
            node.start_bird()
            node.start_tool()
        return node

    def close(self):
        for node in self.nodes:
            node.close()
        self.lab.close()


def mesh(nodes, **more):
    """Every node knows the others, and all sessions are up."""
    for n in nodes:
        n.load(n.describe([m for m in nodes if m is not n], **more))
    for n in nodes:
        wait_for(lambda n=n: n.established(len(nodes) - 1), f"the sessions of {n.addr}")
    for n in nodes:
        wait_for(lambda n=n: len(n.bird_routes()) == len(nodes) - 1, f"the routes of {n.addr}")
