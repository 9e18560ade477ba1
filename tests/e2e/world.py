#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A machine of its own for a test, made of namespaces.

Container runtimes write to many places: /run, /var/lib, /etc/cni, /dev/shm, the cgroup tree,
mounts, and processes that detach from whoever started them. Cleaning up after them, file by file,
is a list that is never complete. So a test does not run on the host at all. enter() starts the
script again with its own mount, network, pid, ipc and host name space, in which /run and /dev/shm
are empty and whatever is written below /etc, /opt and /var lands in memory. When the script ends,
by whatever cause, the kernel kills each process of the pid namespace, and with the last of them
all mounts, links, rules and files are gone.

Three processes are involved. The first waits outside; it dies by any signal it likes, because the
second, process 1 of the new world, is killed with it. Process 1 only reaps orphans. The third is
the test.

What namespaces do not cover is the cgroup tree. A runtime is told to put everything below
/sys/fs/cgroup/*/NAME, where NAME is cgroup(), and the outer process removes that at the end.
"""
import glob
import os
import signal
import subprocess
import sys
import time

_INSIDE = "ROOST_E2E_CGROUP"
_EMPTY = {"/run": "0755", "/dev/shm": "1777"}
_OVERLAID = ["/etc", "/opt", "/var"]


def enter():
    """Returns inside the new world; the process that called it first only waits and exits."""
    if _INSIDE not in os.environ:
        sys.exit(_wait_outside())
    _become_init()
    for folder, mode in _EMPTY.items():
        _mount("-t", "tmpfs", "-o", f"mode={mode}", "tmpfs", folder)
    for folder in _OVERLAID:
        _overlay(folder)
    os.makedirs("/run/tmp", 0o700)
    os.environ["TMPDIR"] = "/run/tmp"


def cgroup():
    """The name below which a runtime puts its cgroups."""
    return os.environ[_INSIDE]


def _wait_outside():
    if os.geteuid() != 0:
        print("skipped: namespaces need root")
        return 77
    name = f"roost-e2e-{os.getpid()}"
    child = subprocess.Popen(
        ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--net", "--ipc", "--uts", "--pid",
         "--fork", "--kill-child=KILL", "--mount-proc", sys.executable, *sys.argv],
        env=dict(os.environ, **{_INSIDE: name}))
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: child.kill())
    try:
        status = child.wait()
    finally:
        child.kill()
        _remove_cgroups(name)
    return status if status >= 0 else 128 - status


def _become_init():
    """Process 1 stays behind to reap what runtimes leave to it; its only child goes on."""
    test = os.fork()
    if test == 0:
        return
    while True:
        pid, status = os.wait()
        if pid == test:
            os._exit(abs(os.waitstatus_to_exitcode(status)))


def _mount(*argv):
    subprocess.run(["mount", *argv], check=True)


def _overlay(folder):
    upper, work = f"/run/overlay{folder}/upper", f"/run/overlay{folder}/work"
    os.makedirs(upper)
    os.makedirs(work)
    _mount("-t", "overlay", "-o", f"lowerdir={folder},upperdir={upper},workdir={work}",
           "overlay", folder)


def _remove_cgroups(name):
    """A killed process leaves its cgroup a moment after it is gone: hence more than one look."""
    for _ in range(50):
        tops = glob.glob(f"/sys/fs/cgroup/{name}") + glob.glob(f"/sys/fs/cgroup/*/{name}")
        if not tops:
            return
        for top in tops:
            for folder, _, _ in os.walk(top, topdown=False):
                try:
                    os.rmdir(folder)
                except OSError:
                    pass
        time.sleep(0.02)
