# SPDX-License-Identifier: Apache-2.0
"""A machine of its own for tests, made of namespaces.

Container runtimes write to many places: /run, /var/lib, /etc/cni, /dev/shm, the cgroup tree,
mounts, and processes that detach from whoever started them. Cleaning up after them, file by file,
is a list that is never complete. So a test does not run on the host at all. enter() goes on in a
process with its own mount, network, pid, ipc and host name space, in which /run and /dev/shm are
empty and whatever is written below /etc, /opt and /var lands in memory. When the tests end, by
whatever cause, the kernel kills each process of the pid namespace, and with the last of them all
mounts, links, rules and files are gone.

Three processes are involved. The first waits outside; it dies by any signal it likes, because the
second, process 1 of the new world, is killed with it. Process 1 only reaps orphans. The third goes
on with the tests.

What namespaces do not cover is the cgroup tree. A runtime is told to put everything below
/sys/fs/cgroup/*/NAME, where NAME is cgroup(), and the outer process removes that at the end.
"""
import contextlib
import glob
import os
import signal
import tempfile
import time

import namespaces

_CGROUP = "TESTS_CGROUP"
_OVERLAID = ["/etc", "/opt", "/var"]
_PROGRAMS = ("bird", "roostd", "etcd", "roost", "roostctl", "kube-apiserver", "kube-controller", "kube-scheduler",
             "kubelet", "kube-proxy", "coredns")  # as the kernel shortens them
_PR_SET_PDEATHSIG = 1


def enter():
    """Returns inside the new world; the process that called waits outside and exits as the tests
    do. PermissionError: this needs root. Inside one already it is a part of that."""
    if is_inside():
        enter_part()
        return
    namespaces.call("unshare", namespaces.CLONE_NEWPID)
    os.environ[_CGROUP] = f"roost-tests-{os.getpid()}"
    init = os.fork()
    if init:
        _wait_outside(init)
    namespaces.call("prctl", _PR_SET_PDEATHSIG, signal.SIGKILL)
    namespaces.leave_machine(namespaces.CLONE_NEWIPC | namespaces.CLONE_NEWUTS)
    namespaces.mount("proc", "/proc", "proc", namespaces.MS_SAFE)
    namespaces.mount("tmpfs", "/dev/shm", "tmpfs", 0, "mode=1777")
    for folder in _OVERLAID:
        _overlay(folder)
    _own_temporary_folder()
    _become_init()


def enter_part():
    """For one of several processes that run tests in a world at the same time: mounts and a network
    of its own."""
    namespaces.leave_machine()
    _own_temporary_folder()


def is_inside():
    return _CGROUP in os.environ


def cgroup():
    """The name below which a runtime puts its cgroups."""
    return os.environ[_CGROUP]


def leftovers():
    """Processes of ours that somebody left running in this world."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/comm") as f:
            name = f.read().strip()
            if name in _PROGRAMS:
                found.append(f"process {name}")
    return found


def _wait_outside(init):
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, lambda *_: os.kill(init, signal.SIGKILL))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the tests themselves end by it
    try:
        status = os.waitstatus_to_exitcode(os.waitpid(init, 0)[1])
    finally:
        _remove_cgroups(cgroup())
    os._exit(status if status >= 0 else 128 - status)


def _become_init():
    """Process 1 stays behind to reap what runtimes leave to it; its only child goes on."""
    tests = os.fork()
    if tests == 0:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    while True:
        pid, status = os.wait()
        if pid == tests:
            status = os.waitstatus_to_exitcode(status)
            os._exit(status if status >= 0 else 128 - status)


def _own_temporary_folder():
    os.makedirs("/run/tmp", 0o700)
    os.environ["TMPDIR"] = "/run/tmp"
    tempfile.tempdir = None  # what it was is remembered there


def _overlay(folder):
    upper, work = f"/run/overlay{folder}/upper", f"/run/overlay{folder}/work"
    os.makedirs(upper)
    os.makedirs(work)
    namespaces.mount("overlay", folder, "overlay", 0,
                     f"lowerdir={folder},upperdir={upper},workdir={work}")


def _remove_cgroups(name):
    """A killed process leaves its cgroup a moment after it is gone: hence more than one look."""
    for _ in range(50):
        tops = glob.glob(f"/sys/fs/cgroup/{name}") + glob.glob(f"/sys/fs/cgroup/*/{name}")
        if not tops:
            return
        for top in tops:
            for folder, _, _ in os.walk(top, topdown=False):
                with contextlib.suppress(OSError):
                    os.rmdir(folder)
        time.sleep(0.02)
