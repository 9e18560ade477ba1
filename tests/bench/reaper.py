#!/usr/bin/python3
"""The node agent as far as DEL knows it: holds its lock and deletes marked links, until stdin ends.

    reaper.py NETNS STATE_DIR

It looks every 50 ms, as the agent promises 100; one message deletes all that is marked.
"""

import fcntl
import os
import select
import socket
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.dont_write_bytecode = True
import sandbox

RTM_DELLINK, NLM_F_REQUEST, NLM_F_ACK = 17, 1, 4
IFLA_GROUP, REAP_GROUP = 27, 8202


def hold(folder):
    """The lock, as ipam/mirror.c takes it."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    fd = os.open(f"{folder}/agent.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    fcntl.fcntl(fd, fcntl.F_OFD_SETLK, struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 1, 0))
    return fd


def main():
    netns, folder = sys.argv[1:]
    lock = hold(folder)
    with sandbox.inside(netns):
        kernel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    body = struct.pack("=BxHiII", 0, 0, 0, 0, 0) + struct.pack("=HHI", 8, IFLA_GROUP, REAP_GROUP)
    message = struct.pack("=IHHII", 16 + len(body), RTM_DELLINK, NLM_F_REQUEST | NLM_F_ACK, 1,
                          0) + body
    print("ready", flush=True)
    while not select.select([sys.stdin], [], [], 0.05)[0]:
        kernel.send(message)
        kernel.recv(4096)  # nothing marked is an answer, too
    os.close(lock)


if __name__ == "__main__":
    main()
