# SPDX-License-Identifier: Apache-2.0
"""A host for one request after the other, what could be left on it, and a request under strace: what the
kill matrix and the matrix of errors have in common."""

import collections
import contextlib
import fcntl
import itertools
import json
import os
import re
import shutil
import struct
import subprocess

import kernel
import sandbox
from roostlab import BIN, Failed

CNI_DIR = "/usr/lib/cni"
WORK = "/run/kill"
COMMON = "/run/roost"
TIMEOUT_S = 60
REAP_GROUP = "8202"

Point = collections.namedtuple("Point", "story call k nth line")

# Answers that are no JSON, or lack what they must have, are faults of the plugin too.
FAULTS = (Failed, subprocess.TimeoutExpired, ValueError, LookupError, OSError)


class Host:
    """A host with one pod namespace, its own state and its own configurations."""

    serial = itertools.count()

    def __init__(self):
        self.folder = f"{WORK}/{next(Host.serial)}"
        self.state = f"{self.folder}/state"
        self.netns = sandbox.make_host(f"{self.folder}/host")
        self.pod = sandbox.make_namespace(f"{self.folder}/pod")
        self.neighbour = None  # the namespace of a second pod, which lives all the time
        self.wishes = {}       # runtimeConfig of the pod; the neighbour has none
        self.expected = {}     # what may and must be there between two points

    @contextlib.contextmanager
    def agent(self):
        """Somebody holds the agent's lock."""
        os.makedirs(self.state, mode=0o700, exist_ok=True)
        fd = os.open(f"{self.state}/agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))
            yield
        finally:
            os.close(fd)

    def reap(self):
        """What an agent does with marked links; none is fine."""
        with sandbox.inside(self.netns):
            subprocess.run(["ip", "link", "delete", "group", REAP_GROUP], capture_output=True,
                           timeout=TIMEOUT_S)

    def remove(self):
        for netns in (self.netns, self.pod):
            sandbox.remove_namespace(netns)
        shutil.rmtree(self.folder)

    def config(self, plugin, verb, container="pod"):
        pools = [{"cidr": "10.66.0.0/16"}, {"cidr": "fd66::/64"}]
        ipam = {"type": "roost-ipam", "stateDir": self.state, "cooldownSeconds": 0,
                "pools": pools if plugin == "roost" else pools[:1]}
        config = {"cniVersion": "1.0.0", "name": "kill", "type": plugin, "ipam": ipam}
        if plugin == "roost":
            config["stateDir"] = self.state
        if self.wishes and container == "pod" and verb in ("ADD", "DEL"):
            config["runtimeConfig"] = self.wishes
        if verb == "STATUS":
            config["cniVersion"] = "1.1.0"
        if verb == "CHECK":
            config["prevResult"] = self.neighbours_result
        if verb == "GC":
            valid = [{"containerID": "neighbour", "ifname": "eth0"}] if self.neighbour else []
            config.update({"cniVersion": "1.1.0", "cni.dev/valid-attachments": valid})
        return json.dumps(config)

    def call(self, verb, plugin="roost", wrapper=(), binary=None, container="pod"):
        """One CNI request; plugin is the type in the configuration, binary who is asked."""
        container = "neighbour" if verb == "CHECK" else container
        program = binary or ("ptp" if plugin == "ptp" else "roost")
        folder = CNI_DIR if program == "ptp" else BIN
        netns = self.pod if container == "pod" else self.neighbour
        env = {"CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_NETNS": netns,
               "CNI_IFNAME": "eth0", "CNI_ARGS": "", "CNI_PATH": f"{BIN}:{CNI_DIR}",
               "ASAN_OPTIONS": "detect_leaks=0"}  # the leak checker cannot work under strace
        with sandbox.inside(self.netns):
            return subprocess.run([*wrapper, f"{folder}/{program}"], env=env, text=True,
                                  input=self.config(plugin, verb, container), capture_output=True,
                                  timeout=TIMEOUT_S)

    def must(self, verb, plugin="roost", binary=None, container="pod"):
        done = self.call(verb, plugin, binary=binary, container=container)
        if done.returncode != 0:
            raise Failed(f"{verb} ended with {done.returncode}: {(done.stdout or done.stderr)[:400]}")
        return done.stdout

    def must_add(self, plugin, binary):
        """The pod is made, and it is there."""
        addresses = json.loads(self.must("ADD", plugin, binary))["ips"]
        if len(addresses) != (2 if plugin == "roost" else 1):
            raise Failed(f"ADD gave {addresses}")
        if plugin == "roost" and not binary:
            with sandbox.inside(self.netns):
                routes = set(kernel.pod_routes()) - set(self.expected.get("pod routes", ()))
            near = {"::1/128"} if self.wishes else set()  # of a link of a pod with a port there
            if {a["address"] for a in addresses} != routes - near:
                raise Failed(f"ADD gave {addresses} and made the routes {routes}")

    def allocations(self):
        if not os.path.isdir(self.state):
            return []
        done = subprocess.run([f"{BIN}/roostctl", "--state-dir", self.state, "-o", "json",
                               "ipam", "list"], capture_output=True, text=True, timeout=TIMEOUT_S)
        if done.returncode != 0:
            raise Failed(f"roostctl ipam list: {done.stderr or done.stdout}")
        return [f"{a['address']} {a['state']}" for a in json.loads(done.stdout)
                if a["state"] in ("used", "quarantined")]

    def host_ports(self):
        """Elements of the table of host ports."""
        if not self.wishes:
            return set()
        text = subprocess.run(["nft", "list", "table", "inet", "roost-ports"], capture_output=True, text=True,
                              timeout=TIMEOUT_S).stdout
        return set(re.findall(r'comment "([^"]*)"', text))

    def inventory(self):
        """Everything that could be left, by kind."""
        found = {"files": set(os.listdir(self.state)) if os.path.isdir(self.state) else set(),
                 "allocations": set(self.allocations())}
        with sandbox.inside(self.netns):
            found["links on the host"] = set(kernel.links()) - sandbox.HOST_LINKS
            found["pod routes"] = set(kernel.pod_routes())
            found["host ports"] = self.host_ports()
        with sandbox.inside(self.pod):
            found["links in the pod"] = set(kernel.links()) - {"lo"}
            found["routes in the pod"] = {dst for dst, protocol, _ in kernel.routes()
                                          if protocol != kernel.PROTO_KERNEL}
        return found

    def audit(self):
        faults = []
        for kind, things in self.inventory().items():
            expected = self.expected.get(kind, set())
            if kind == "files" and not self.expected:
                continue  # a new host: its first pod makes them
            faults += [f"left: {kind} {sorted(things - expected)}"] * bool(things - expected)
            faults += [f"lost: {kind} {sorted(expected - things)}"] * bool(expected - things)
        if faults:
            raise Failed("; ".join(faults))

    def settle(self, plugin="roost", binary=None):
        """A neighbour moves in and stays, a pod comes and goes. What is there then is the rule."""
        self.neighbour = sandbox.make_namespace(f"{self.folder}/neighbour")
        self.neighbours_result = json.loads(self.must("ADD", plugin, binary, container="neighbour"))
        self.expected = self.inventory()
        self.must_add(plugin, binary)
        self.must("DEL", plugin, binary)
        self.reap()
        self.audit()


def inject(point, what):
    """strace does this at the point; it counts calls of one name only. (Its --seccomp-bpf would be
    faster, but with strace 6.1 nothing is injected then.)"""
    return ["strace", "-f", "-o", "/dev/null", "-e", f"trace={point.call}",
            "-e", f"inject={point.call}:{what}:when={point.k}"]


def trace(host, verb, **who):
    """The lines of a plain run."""
    path = f"{host.folder}/trace"
    done = host.call(verb, wrapper=["strace", "-f", "-s", "40", "-o", path], **who)
    if done.returncode != 0:
        raise Failed(f"{verb} under strace: {done.stdout or done.stderr}")
    with open(path) as f:
        return [line.rstrip() for line in f]


def points_of(story, lines):
    """Every call as (name, how often it was made until then), the starting execve excepted.
    Writing a forwarding setting spins in the kernel while others hold its lock: that is one call."""
    seen = collections.Counter()
    points = []
    for line in lines:
        match = re.match(r"\d+ +((\w+)\(.*)", line)
        if match and match[2] != "execve" and "= ? ERESTART" not in line:
            seen[match[2]] += 1
            points.append(Point(story, match[2], seen[match[2]], len(points), match[1][:100]))
    return points


@contextlib.contextmanager
def new_host():
    """A host on which roost never ran: what it keeps for all hosts of a machine is away, too."""
    aside = f"{WORK}/aside"
    os.makedirs(COMMON, exist_ok=True)
    os.rename(COMMON, aside)
    host = Host()
    try:
        yield host
    finally:
        host.remove()
        shutil.rmtree(COMMON, ignore_errors=True)
        os.rename(aside, COMMON)


def enter_machine():
    sandbox.enter()
    os.makedirs(WORK)
