# SPDX-License-Identifier: Apache-2.0
"""Namespaces of the kernel: the system calls, and to be in a network namespace for a while. Standard
library only; the calls that Python 3.11 does not offer are reached through libc."""
import contextlib
import ctypes
import fcntl
import os
import socket
import struct

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x04000000, 0x08000000
CLONE_NEWPID, CLONE_NEWNET = 0x20000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
MS_SAFE = 2 | 4 | 8  # no SUID, no devices, no programs
MNT_DETACH = 2
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
HERE = "/proc/thread-self/ns/net"

_libc = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    """Calls a function of libc that returns -1 on errors."""
    if getattr(_libc, name)(*args) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def mount(source, target, kind, flags=0, data=None):
    def text(s):
        return s.encode() if s else None
    call("mount", text(source), text(target), text(kind), ctypes.c_ulong(flags), text(data))


def unmount(target):
    call("umount2", target.encode(), MNT_DETACH)


def leave_machine(more=0):
    """The calling thread gets mounts and a network of its own (more: further namespaces), with an
    empty /run in memory. Nothing that it makes from then on exists anywhere else."""
    call("unshare", CLONE_NEWNS | CLONE_NEWNET | more)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("none", "/run", "tmpfs", 0, "mode=755")
    os.makedirs("/run/netns")
    loopback_up()


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sH14x", b"lo", 0)
        _, flags = struct.unpack("16sH14x", fcntl.ioctl(s, SIOCGIFFLAGS, request))
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def make(path):
    """A new network namespace that lives as long as its mount at path."""
    open(path, "w").close()
    with inside(HERE):
        call("unshare", CLONE_NEWNET)
        mount(HERE, path, None, MS_BIND)


@contextlib.contextmanager
def inside(path):
    """The calling thread is in the network namespace at path for a while."""
    home = os.open(HERE, os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        call("setns", there, CLONE_NEWNET)
        yield
    finally:
        call("setns", home, CLONE_NEWNET)
        os.close(home)
        os.close(there)
