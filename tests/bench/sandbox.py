"""A private piece of the machine, for programs that make links, routes and pods by the thousand.

enter() moves the calling process into a mount and a network namespace of its own and lays an
empty file system in memory over /run. What is made from then on exists nowhere else: namespaces
made with make_namespace() are bind mounts below /run, as container runtimes make them, and the
kernel takes all of it back when the process ends, even if it is killed. Standard library only;
the system calls Python 3.11 does not offer are reached through libc.
"""

import contextlib
import ctypes
import fcntl
import os
import socket
import struct
import subprocess

CLONE_NEWNS, CLONE_NEWNET = 0x00020000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8913, 0x8914, 1
HERE = "/proc/self/ns/net"

libc = ctypes.CDLL(None, use_errno=True)


def call(name, *args):
    """Calls a function of libc that returns -1 on errors."""
    if getattr(libc, name)(*args) < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{name}: {os.strerror(number)}")


def mount(source, target, kind, flags, data=None):
    def text(s):
        return s.encode() if s else None
    call("mount", text(source), text(target), text(kind), ctypes.c_ulong(flags), text(data))


def enter():
    """Leaves the host for good. Call it once, before anything else."""
    call("unshare", CLONE_NEWNS | CLONE_NEWNET)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    mount("none", "/run", "tmpfs", 0, "mode=755")
    loopback_up()


def loopback_up():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        request = struct.pack("16sH14x", b"lo", 0)
        _, flags = struct.unpack("16sH14x", fcntl.ioctl(s, SIOCGIFFLAGS, request))
        fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sH14x", b"lo", flags | IFF_UP))


def make_namespace(path, loopback=False):
    """A new network namespace that lives as long as its mount at path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    open(path, "w").close()
    with inside(HERE):
        call("unshare", CLONE_NEWNET)
        mount(HERE, path, None, MS_BIND)
        if loopback:
            loopback_up()
    return path


UPLINK = """
link add eth0 type veth peer name wire0
link set wire0 up
link set eth0 up
addr add 192.0.2.2/24 dev eth0
addr add 2001:db8::2/64 dev eth0 nodad
route add default via 192.0.2.1
route add ::/0 via 2001:db8::1
"""
HOST_LINKS = {"lo", "eth0", "wire0"}


def make_host(path):
    """A namespace that looks like a host: with an uplink, an address and default routes. Without
    them the kernel searches all links for a source address whenever a route is added."""
    make_namespace(path, loopback=True)
    with inside(path):
        subprocess.run(["ip", "-batch", "-"], input=UPLINK, text=True, check=True)
    return path


def remove_namespace(path):
    call("umount2", path.encode(), 2)  # MNT_DETACH
    os.unlink(path)


@contextlib.contextmanager
def inside(path):
    """The calling thread is in the namespace at path for a while."""
    home = os.open(HERE, os.O_RDONLY | os.O_CLOEXEC)
    there = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        call("setns", there, CLONE_NEWNET)
        yield
    finally:
        call("setns", home, CLONE_NEWNET)
        os.close(home)
        os.close(there)
