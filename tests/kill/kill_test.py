# SPDX-License-Identifier: Apache-2.0
"""The kill matrix: whatever system call it dies at, nothing is left and the next pod starts.

A plain run under strace lists the system calls of a request. Then the request is made once for
each of them and killed there (strace counts calls by name, so a point is "the third sendto").
What must hold afterwards is written in the stories below: after a killed ADD comes DEL, sometimes
GC instead, and then no link, pod route, allocation, file or anything in the pod's namespace may
be left, and nothing of a neighbour that lives all the time may be missing; the next ADD must
work. A killed DEL is followed by DEL, a killed GC by GC. Beside an agent (its lock is held here) DEL
marks links for the agent to delete; whoever comes next, with the agent or after its end, must find
nothing in the way, and what is marked goes with the agent's next look or without it. One more story does not kill: every call
fails once with an error it can return, and ADD must either do without or undo itself and say why
as JSON.

SIGKILL hits before the call is made; what a call has done is seen by the kill at the next one.
KILL_SAMPLE=N takes every Nth point only.

Each worker has a private machine (tests/bench/sandbox.py), where hosts and pods are network
namespaces; a host is used for many points, but made anew for each point of a first ADD, in which
roost makes its state. Nothing here depends on time, except that a request that hangs fails.
"""

import collections
import concurrent.futures
import contextlib
import fcntl
import functools
import itertools
import json
import os
import re
import shutil
import struct
import subprocess

import pytest

import kernel
import sandbox
from roostlab import BIN, Failed

pytestmark = pytest.mark.needs("strace", "ip")

WORKERS = 6
SAMPLE = int(os.environ.get("KILL_SAMPLE", 1))
CNI_DIR = "/usr/lib/cni"
WORK = "/run/kill"
COMMON = "/run/roost"
TIMEOUT_S = 60
REAP_GROUP = "8202"
GC_EVERY = 5  # points of ADD that are followed by GC instead of DEL

# What a call may answer when something is wrong; calls that are not here do not fail in practice,
# or failing them means only that memory ran out, which ends the process like a kill.
ERRORS = {
    "sendto": "ENOBUFS", "sendmsg": "ENOBUFS", "recvfrom": "ENOBUFS", "recvmsg": "ENOBUFS",
    "socket": "EMFILE", "bind": "ENOMEM", "setsockopt": "ENOPROTOOPT", "getsockname": "ENOBUFS",
    "setns": "EPERM", "openat": "EMFILE", "read": "EIO", "write": "ENOSPC", "pread64": "EIO",
    "pwrite64": "ENOSPC", "pwritev": "ENOSPC", "writev": "ENOSPC", "lseek": "EIO",
    "ftruncate": "ENOSPC", "fallocate": "ENOSPC", "flock": "ENOLCK", "fcntl": "ENOLCK",
    "fstat": "EIO", "newfstatat": "EACCES", "statfs": "EIO", "fstatfs": "EIO", "mkdir": "ENOSPC",
    "mkdirat": "ENOSPC", "rename": "ENOSPC", "renameat2": "ENOSPC", "unlink": "EIO",
    "unlinkat": "EIO", "getdents64": "EIO", "fdatasync": "EIO", "fsync": "EIO", "ioctl": "EIO",
    "setitimer": "EINVAL", "timer_create": "EAGAIN", "timer_settime": "EINVAL",
    "getrandom": "ENOSYS", "readlink": "EACCES", "readlinkat": "EACCES", "access": "EACCES",
    "faccessat2": "EACCES",
}

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

    def config(self, plugin, verb):
        pools = [{"cidr": "10.66.0.0/16"}, {"cidr": "fd66::/64"}]
        ipam = {"type": "roost-ipam", "stateDir": self.state, "cooldownSeconds": 0,
                "pools": pools if plugin == "roost" else pools[:1]}
        config = {"cniVersion": "1.0.0", "name": "kill", "type": plugin, "ipam": ipam}
        if plugin == "roost":
            config["stateDir"] = self.state
        if verb == "GC":
            valid = [{"containerID": "neighbour", "ifname": "eth0"}] if self.neighbour else []
            config.update({"cniVersion": "1.1.0", "cni.dev/valid-attachments": valid})
        return json.dumps(config)

    def call(self, verb, plugin="roost", wrapper=(), binary=None, container="pod"):
        """One CNI request; plugin is the type in the configuration, binary who is asked."""
        program = binary or ("ptp" if plugin == "ptp" else "roost")
        folder = CNI_DIR if program == "ptp" else BIN
        netns = self.pod if container == "pod" else self.neighbour
        env = {"CNI_COMMAND": verb, "CNI_CONTAINERID": container, "CNI_NETNS": netns,
               "CNI_IFNAME": "eth0", "CNI_ARGS": "", "CNI_PATH": f"{BIN}:{CNI_DIR}",
               "ASAN_OPTIONS": "detect_leaks=0"}  # the leak checker cannot work under strace
        with sandbox.inside(self.netns):
            return subprocess.run([*wrapper, f"{folder}/{program}"], env=env, text=True,
                                  input=self.config(plugin, verb), capture_output=True,
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
            if {a["address"] for a in addresses} != routes:
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

    def inventory(self):
        """Everything that could be left, by kind."""
        found = {"files": set(os.listdir(self.state)) if os.path.isdir(self.state) else set(),
                 "allocations": set(self.allocations())}
        with sandbox.inside(self.netns):
            found["links on the host"] = set(kernel.links()) - sandbox.HOST_LINKS
            found["pod routes"] = set(kernel.pod_routes())
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
        self.must("ADD", plugin, binary, container="neighbour")
        self.expected = self.inventory()
        self.must_add(plugin, binary)
        self.must("DEL", plugin, binary)
        self.reap()
        self.audit()


# Running a request under strace.

def inject(point, what):
    """strace does this at the point; it counts calls of one name only. (Its --seccomp-bpf would be
    faster, but with strace 6.1 nothing is injected then.)"""
    return ["strace", "-f", "-o", "/dev/null", "-e", f"trace={point.call}",
            "-e", f"inject={point.call}:{what}:when={point.k}"]


def kill_at(point):
    return inject(point, "signal=KILL")


def fail_at(point):
    return inject(point, f"error={ERRORS[point.call]}")


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


def points_of_errors(story, lines):
    """The calls that can fail, without those the dynamic linker makes before main()."""
    loaded = max((i for i, line in enumerate(lines) if "/ld.so.cache" in line), default=-1)
    loaded = next((i for i in range(loaded, len(lines)) if loaded >= 0 and "munmap(" in lines[i]),
                  -1)
    early = len(points_of(story, lines[:loaded + 1]))
    return [p for p in points_of(story, lines)[early:] if p.call in ERRORS and not is_return(p)]


def is_return(point):
    """Every second setns leads back to where the process came from. Nothing can refuse that, and
    a program that could not go back had better stop than go on in a pod."""
    return point.call == "setns" and point.k % 2 == 0


# The stories. Each gets a host and a point, and raises Failed when a promise is broken.

def next_pod_works(host, plugin="roost", binary=None):
    host.audit()
    host.must_add(plugin, binary)
    host.must("DEL", plugin, binary)
    host.audit()


def killed_add(host, point, **who):
    hit = host.call("ADD", wrapper=kill_at(point), **who).returncode == -9
    use_gc = point.nth % GC_EVERY == GC_EVERY - 1
    host.must("GC" if use_gc else "DEL", **who)
    next_pod_works(host, **who)
    return hit


def killed_del(host, point, **who):
    host.must_add(who.get("plugin", "roost"), who.get("binary"))
    hit = host.call("DEL", wrapper=kill_at(point), **who).returncode == -9
    host.must("DEL", **who)
    next_pod_works(host, **who)
    return hit


def killed_gc(host, point):
    host.must_add("roost", None)
    hit = host.call("GC", wrapper=kill_at(point)).returncode == -9
    host.must("GC")
    next_pod_works(host)
    return hit


def killed_del_beside_agent(host, point):
    host.must_add("roost", None)
    with host.agent():
        hit = host.call("DEL", wrapper=kill_at(point)).returncode == -9
        if point.nth % 2:
            host.must("DEL")
            host.reap()
    if point.nth % 2 == 0:
        host.must("DEL")  # the agent ended: this one deletes
    next_pod_works(host)
    return hit


def killed_add_beside_agent(host, point):
    """The pod's interface is still there, marked by a DEL."""
    with host.agent():
        host.must_add("roost", None)
        host.must("DEL")
        hit = host.call("ADD", wrapper=kill_at(point)).returncode == -9
        host.must("GC" if point.nth % GC_EVERY == GC_EVERY - 1 else "DEL")
        host.reap()
    next_pod_works(host)
    return hit


def failed_add(host, point):
    done = host.call("ADD", wrapper=fail_at(point))
    if done.returncode == 0:
        json.loads(done.stdout)
        host.must("DEL")
    elif done.returncode != 1:
        raise Failed(f"ADD ended with {done.returncode}: {done.stdout or done.stderr}")
    else:
        error = json.loads(done.stdout)
        if not error.get("code") or not error.get("msg"):
            raise Failed(f"not a CNI error: {done.stdout}")
    next_pod_works(host)
    return True


IPAM = dict(plugin="ptp", binary="roost-ipam")

# name: (what is done at each point, the verb that is traced, by whom, on a host of its own?)
STORIES = {
    "first ADD": (killed_add, "ADD", {}, True),
    "ADD": (killed_add, "ADD", {}, False),
    "DEL": (killed_del, "DEL", {}, False),
    "GC": (killed_gc, "GC", {}, False),
    "DEL beside an agent": (killed_del_beside_agent, "DEL", {}, False),
    "ADD beside an agent": (killed_add_beside_agent, "ADD", {}, False),
    "failing ADD": (failed_add, "ADD", {}, False),
    "roost-ipam first ADD": (functools.partial(killed_add, **IPAM), "ADD", IPAM, True),
    "roost-ipam ADD": (functools.partial(killed_add, **IPAM), "ADD", IPAM, False),
    "roost-ipam DEL": (functools.partial(killed_del, **IPAM), "DEL", IPAM, False),
}


# Workers: each process enters its own machine once, and keeps a host for each story.

@functools.cache
def settled_host(story):
    host = Host()
    with beside(story, host):
        host.settle(**STORIES[story][2])
    host.reap()
    return host


def beside(story, host):
    return host.agent() if story.endswith("beside an agent") else contextlib.nullcontext()


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


def host_for(story):
    if STORIES[story][3]:
        return new_host()
    return contextlib.nullcontext(settled_host(story))


def enumerate_points(story):
    _, verb, who, _ = STORIES[story]
    with host_for(story) as host, beside(story, host):
        if verb != "ADD" or story == "ADD beside an agent":
            host.must_add(who.get("plugin", "roost"), who.get("binary"))
        if story == "ADD beside an agent":
            host.must("DEL")
        lines = trace(host, verb, **who)
        if verb == "ADD":
            host.must("DEL", **who)
        host.reap()
    return points_of_errors(story, lines) if story == "failing ADD" else points_of(story, lines)


def try_point(point):
    """(was it hit, what is wrong). A host that showed a fault is not used again."""
    try:
        with host_for(point.story) as host:
            return STORIES[point.story][0](host, point), None
    except FAULTS as e:
        settled_host.cache_clear()
        return True, str(e)


def enter_machine():
    sandbox.enter()
    os.makedirs(WORK)


@pytest.fixture(scope="module")
def pool():
    with concurrent.futures.ProcessPoolExecutor(WORKERS, initializer=enter_machine) as pool:
        yield pool


@pytest.mark.parametrize("story", STORIES)
def test_a_kill_at_any_call_leaves_nothing(pool, story):
    points = pool.submit(enumerate_points, story).result()[::SAMPLE]
    assert points
    faults, missed = [], collections.Counter()
    for point, (hit, fault) in zip(points, pool.map(try_point, points)):
        if fault:
            faults.append(f"{point.call} number {point.k}: {point.line}\n    {fault}")
        elif not hit:
            missed[point.call] += 1
    print(f"{len(points)} points; not reached again: {dict(missed) or 'none'}")
    if faults:
        raise Failed(f"of {len(points)} points {len(faults)} failed:\n" + "\n".join(faults))
    assert missed.total() <= len(points) // 10
