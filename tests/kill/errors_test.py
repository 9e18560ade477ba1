# SPDX-License-Identifier: Apache-2.0
"""The matrix of errors: every system call of every verb fails once, with each error it may have.

A plain run under strace lists the calls of a request, as for the kill matrix; then the request is made
again and again, and each time strace lets one of them fail (it is not made then). Whatever it was, the
request ends by itself, with a result or with one CNI error on stdout, and afterwards DEL succeeds, nothing
is left, nothing of the neighbour is missing, no address that the kernel leads to a pod is free in the
records, `roostctl ipam check` finds nothing, and the next ADD works. What only looks changes nothing.

An ordinary run tries each call (of long stories every second or third) with one of its errors, and
another one at each place where it is called; what is chosen depends on the calls alone. ERRORS=all tries them all, ERRORS_STORY=WORD those stories
whose name has the word.
"""

import concurrent.futures
import contextlib
import functools
import json
import os
import subprocess

import pytest

import sandbox
from hosts import BIN, FAULTS, Host, TIMEOUT_S, enter_machine, inject, new_host, points_of, trace
from roostlab import Failed

pytestmark = pytest.mark.needs("strace", "ip")

WORKERS = 6
ALL = os.environ.get("ERRORS") == "all"
MANY = 90  # faults of a story, about, of an ordinary run
WORD = os.environ.get("ERRORS_STORY", "")

# What a call may answer. A call that is not here cannot fail, or not so (brk answers with the old end: the
# allocations that fail are in tests/netns/memory_test.py), or belongs to the start of any program. An
# openat with ELOOP says that a link is there, which is set aside (tests/netns/room_test.py).
FILES = ("EMFILE", "ENFILE", "ENOMEM", "EACCES", "EIO", "EROFS", "ENOSPC", "EDQUOT")
CHANGES = ("ENOSPC", "EIO", "EROFS", "EDQUOT", "EACCES")
NAMES = ("EACCES", "EIO", "ENOMEM", "ELOOP")
SENT = ("ENOBUFS", "ENOMEM", "EINTR", "EPERM")
ERRORS = {
    "openat": FILES, "open": FILES, "read": ("EIO", "EINTR", "EISDIR"), "pread64": ("EIO", "ENOMEM"),
    "write": ("ENOSPC", "EIO", "EINTR", "EDQUOT", "EPIPE"), "pwrite64": ("ENOSPC", "EIO", "EDQUOT"),
    "writev": ("ENOSPC", "EIO", "EDQUOT", "EPIPE"), "pwritev": ("ENOSPC", "EIO", "EDQUOT"),
    "lseek": ("EIO",), "ftruncate": CHANGES, "truncate": CHANGES, "fallocate": ("ENOSPC", "EDQUOT", "EIO"),
    "fsync": ("EIO", "ENOSPC"), "fdatasync": ("EIO", "ENOSPC"), "flock": ("ENOLCK", "EINTR", "ENOMEM"),
    "fcntl": ("ENOLCK", "EINTR", "EMFILE"), "fstat": ("EIO", "ENOMEM"), "newfstatat": NAMES,
    "stat": NAMES, "lstat": NAMES, "statfs": NAMES, "fstatfs": ("EIO",), "access": NAMES,
    "faccessat2": NAMES, "readlink": NAMES, "readlinkat": NAMES, "getdents64": ("EIO", "ENOENT"),
    "mkdir": CHANGES, "mkdirat": CHANGES, "rename": CHANGES, "renameat": CHANGES, "renameat2": CHANGES,
    "unlink": CHANGES, "unlinkat": CHANGES, "rmdir": CHANGES, "symlinkat": CHANGES, "fchmod": ("EPERM", "EIO"),
    "chmod": ("EPERM", "EIO"), "close": ("EIO", "EINTR"), "mmap": ("ENOMEM", "EACCES"),
    "munmap": ("ENOMEM",), "madvise": ("ENOMEM",),
    "socket": ("EMFILE", "ENFILE", "ENOMEM", "EAFNOSUPPORT", "EPERM"), "bind": ("ENOMEM", "EPERM"),
    "connect": ("ECONNREFUSED", "EAGAIN", "EACCES"), "setsockopt": ("ENOPROTOOPT", "ENOBUFS"),
    "getsockopt": ("ENOPROTOOPT", "ENOBUFS"), "getsockname": ("ENOBUFS",),
    "sendto": SENT, "sendmsg": SENT, "recvfrom": SENT, "recvmsg": SENT, "poll": ("ENOMEM", "EINTR"),
    "setns": ("EPERM", "ENOMEM"), "ioctl": ("EIO", "EPERM"), "getrandom": ("ENOSYS", "EINTR"),
    "setitimer": ("EINVAL",), "rt_sigaction": ("EINVAL",), "rt_sigprocmask": ("EINVAL",),
    "timer_create": ("EAGAIN",), "timer_settime": ("EINVAL",), "memfd_create": ("EMFILE", "ENOMEM"),
    "dup2": ("EBUSY", "EMFILE"), "fork": ("EAGAIN",), "vfork": ("EAGAIN",), "clone": ("EAGAIN", "ENOMEM"),
    "clone3": ("EAGAIN", "ENOMEM"), "wait4": ("ECHILD", "EINTR"), "sched_getaffinity": ("EINVAL",),
}


def is_return(point):
    """Every second setns leads back to where the process came from. Nothing can refuse that, and
    a program that could not go back had better stop than go on in a pod."""
    return point.call == "setns" and point.k % 2 == 0


def loaded_at(lines):
    """The calls of the dynamic linker, before main(), end here; 0 for a static program. When one of them
    fails the program does not start."""
    linked = [i for i, line in enumerate(lines) if "/ld.so.cache" in line or ".so." in line]
    return next((i for i in range(linked[-1], len(lines)) if "munmap(" in lines[i]), 0) if linked else 0


def faults_of(story, lines):
    """(point, error), each error or one at each point."""
    early = len(points_of(story, lines[:loaded_at(lines) + 1])) if loaded_at(lines) else 0
    points = [p for p in points_of(story, lines)[early:] if p.call in ERRORS and not is_return(p)]
    if ALL:
        return [(p, e) for p in points for e in ERRORS[p.call]]
    return [(p, ERRORS[p.call][p.k % len(ERRORS[p.call])]) for p in points[::1 + len(points) // MANY]]


# ---- what must hold ----

def ended_well(done, what):
    """Whether it succeeded; otherwise it said why, once, as a runtime understands it."""
    if done.returncode == 0:
        return True
    if done.returncode != 1:
        raise Failed(f"{what} ended with {done.returncode}: {done.stdout or done.stderr}")
    error = json.loads(done.stdout)
    if not error.get("code") or not error.get("msg"):
        raise Failed(f"not a CNI error: {done.stdout}")
    return False


def led_to_pods_is_recorded(host):
    """A record may be without a pod, for a moment; a pod without a record is an address given twice."""
    found = host.inventory()
    recorded = {a.split()[0] for a in found["allocations"]}
    led = {r.split("/")[0] for r in found["pod routes"]}
    if not led <= recorded:
        raise Failed(f"free in the records, and led to a pod: {sorted(led - recorded)}")


def roostctl(host, *words, wrapper=()):
    with sandbox.inside(host.netns):
        return subprocess.run([*wrapper, f"{BIN}/roostctl", "--state-dir", host.state, *words],
                              capture_output=True, text=True, timeout=TIMEOUT_S,
                              env={**os.environ, "ASAN_OPTIONS": "detect_leaks=0"})


def all_is_well(host):
    host.audit()
    done = roostctl(host, "ipam", "check")
    if done.returncode != 0:
        raise Failed(f"ipam check: {done.stdout or done.stderr}")


def next_pod_works(host, plugin="roost", binary=None):
    host.audit()
    host.must_add(plugin, binary)
    led_to_pods_is_recorded(host)
    host.must("DEL", plugin, binary)
    all_is_well(host)


# ---- stories: what happens at each point ----

def failed_add(host, how, **who):
    done = host.call("ADD", wrapper=how, **who)
    if ended_well(done, "ADD") and not json.loads(done.stdout)["ips"]:
        raise Failed(f"ADD gave nothing: {done.stdout}")
    led_to_pods_is_recorded(host)
    host.must("DEL", **who)
    next_pod_works(host, **who)


def failed_end(verb):
    def story(host, how, **who):
        host.must_add(who.get("plugin", "roost"), who.get("binary"))
        ended_well(host.call(verb, wrapper=how, **who), verb)
        led_to_pods_is_recorded(host)
        host.must("DEL", **who)
        next_pod_works(host, **who)
    return story


def failed_look(verb):
    def story(host, how, **who):
        ended_well(host.call(verb, wrapper=how, **who), verb)
        all_is_well(host)
    return story


def failed_command(*words):
    """The tool ends with a status of its own, and says on stderr why."""
    def story(host, how):
        done = roostctl(host, *words, wrapper=how)
        if done.returncode not in (0, 1, 2) or done.returncode and not (done.stderr or done.stdout):
            raise Failed(f"roostctl {words} ended with {done.returncode}: {done.stdout or done.stderr}")
        host.call("DEL")  # what was set aside is rebuilt
        host.audit()
    return story


IPAM = dict(plugin="ptp", binary="roost-ipam")
# name: (what is done at each point, the verb or words that are traced, by whom, on a host of its own?)
STORIES = {
    "first ADD": (failed_add, "ADD", {}, True),
    "ADD": (failed_add, "ADD", {}, False),
    "DEL": (failed_end("DEL"), "DEL", {}, False),
    "GC": (failed_end("GC"), "GC", {}, False),
    "CHECK": (failed_look("CHECK"), "CHECK", {}, False),
    "STATUS": (failed_look("STATUS"), "STATUS", {}, False),
    "VERSION": (failed_look("VERSION"), "VERSION", {}, False),
    "roost-ipam ADD": (functools.partial(failed_add, **IPAM), "ADD", IPAM, False),
    "roost-ipam DEL": (functools.partial(failed_end("DEL"), **IPAM), "DEL", IPAM, False),
    "ipam list": (failed_command("ipam", "list"), ("ipam", "list"), {}, False),
    "ipam check": (failed_command("ipam", "check", "--repair"), ("ipam", "check", "--repair"), {}, False),
    "ipam release": (failed_command("ipam", "release", "--idle-blocks"),
                     ("ipam", "release", "--idle-blocks"), {}, False),
}


# ---- workers: each enters its own machine once, and keeps a host for each story ----

@functools.cache
def settled_host(story):
    host = Host()
    host.settle(**STORIES[story][2])
    return host


def host_for(story):
    return new_host() if STORIES[story][3] else contextlib.nullcontext(settled_host(story))


def traced_lines(host, what, who):
    if isinstance(what, str):
        return trace(host, what, **who)
    path = f"{host.folder}/trace"
    done = roostctl(host, *what, wrapper=["strace", "-f", "-s", "40", "-o", path])
    if done.returncode:
        raise Failed(f"roostctl {what} under strace: {done.stderr or done.stdout}")
    with open(path) as f:
        return [line.rstrip() for line in f]


def enumerate_faults(story):
    _, what, who, _ = STORIES[story]
    with host_for(story) as host:
        if what in ("DEL", "GC"):
            host.must_add(who.get("plugin", "roost"), who.get("binary"))
        lines = traced_lines(host, what, who)
        if what in ("ADD", "GC"):
            host.must("DEL", **who)
    return faults_of(story, lines)


def try_fault(fault):
    """What is wrong, or None. A host that showed a fault is not used again."""
    point, error = fault
    try:
        with host_for(point.story) as host:
            STORIES[point.story][0](host, inject(point, f"error={error}"))
    except FAULTS as e:
        settled_host.cache_clear()
        return str(e) or repr(e)


@pytest.fixture(scope="module")
def pool():
    with concurrent.futures.ProcessPoolExecutor(WORKERS, initializer=enter_machine) as pool:
        yield pool


@pytest.mark.parametrize("story", [s for s in STORIES if WORD in s])
def test_whatever_call_fails_it_ends_in_a_sentence_and_leaves_nothing(pool, story):
    faults = pool.submit(enumerate_faults, story).result()
    assert faults
    wrong = [f"{p.call} number {p.k} fails with {error}: {p.line}\n    {seen}"
             for (p, error), seen in zip(faults, pool.map(try_fault, faults)) if seen]
    print(f"{len(faults)} faults")
    if wrong:
        raise Failed(f"of {len(faults)} faults {len(wrong)} were wrong:\n" + "\n".join(wrong))
