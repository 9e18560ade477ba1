"""A private piece of the machine, for programs that make links, routes and pods by the thousand.

enter() moves the calling process into a mount and a network namespace of its own and lays an
empty file system in memory over /run. What is made from then on exists nowhere else: namespaces
made with make_namespace() are bind mounts below /run, as container runtimes make them, and the
kernel takes all of it back when the process ends, even if it is killed.
"""

import os
import subprocess
import sys

sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import namespaces
from namespaces import inside, leave_machine as enter, loopback_up  # noqa: F401


def make_namespace(path, loopback=False):
    """A new network namespace that lives as long as its mount at path."""
    os.makedirs(os.path.dirname(path), exist_ok=True)
    namespaces.make(path)
    if loopback:
        with inside(path):
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
    namespaces.unmount(path)
    os.unlink(path)
