#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Makes the process that runs it a machine, as far as a kubelet can see, and stays: machine.py NAME DIR.

It gets mounts and a host name of its own; its network namespace is the one it was started in. Programs of
the machine are started in its namespaces (nsenter -t PID -m -u). What the machine writes below /etc, /opt
and /var lands in DIR, and is there again when it is started anew; /run is empty each time but for
/run/kube, which belongs to the laboratory.

    /sys                      of this network namespace, with the control groups of the real machine
    /var/lib/kubelet, /var/lib/containerd, /var/log/pods
                              no overlay, as containerd lays its own over them
    /proc/sys/vm, /proc/sys/kernel
                              what a kubelet wants to find there, laid over the files: it would write the
                              rest of a machine that is shared. Nothing is changed
    all mounts are shared     as a service manager makes them: those of pods are seen by the kubelet

It says "ready" and ends when its standard input does. Only root can do it.
"""
import os
import socket
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.dirname(HERE))
sys.dont_write_bytecode = True
from namespaces import CLONE_NEWNS, CLONE_NEWUTS, MS_BIND, MS_PRIVATE, MS_REC, call, mount, unmount

MS_SHARED = 1 << 20
LABORATORY = "/run/kube"  # seen at the same place by all machines: certificates, images
OVERLAID = ("/etc", "/opt", "/var")
PLAIN = ("/var/lib/kubelet", "/var/lib/containerd", "/var/log/pods")
FOLDERS = ("/run/netns", "/run/lock", "/run/tmp", "/var/log/containers", "/etc/cni/net.d", "/opt/cni/bin")
WANTED = {"vm/overcommit_memory": 1, "vm/panic_on_oom": 0, "kernel/panic": 10, "kernel/panic_on_oops": 1,
          "kernel/keys/root_maxkeys": 1000000, "kernel/keys/root_maxbytes": 25000000}


def bind(source, target, flags=0):
    mount(source, target, None, MS_BIND | flags)


def lay_folders(folder):
    for target in OVERLAID:
        upper, work = f"{folder}{target}/upper", f"{folder}{target}/work"
        os.makedirs(upper, exist_ok=True)
        os.makedirs(work, exist_ok=True)
        mount("overlay", target, "overlay", 0, f"lowerdir={target},upperdir={upper},workdir={work}")
    for target in PLAIN:
        source = f"{folder}/plain{target}"
        os.makedirs(source, exist_ok=True)
        os.makedirs(target, exist_ok=True)
        bind(source, target)


def renew_sys(kept):
    os.makedirs(kept)
    bind("/sys/fs/cgroup", kept, MS_REC)
    mount("sysfs", "/sys", "sysfs")
    bind(kept, "/sys/fs/cgroup", MS_REC)
    unmount(kept)
    os.rmdir(kept)


def empty_run():
    kept = os.open(LABORATORY, os.O_PATH)
    mount("tmpfs", "/run", "tmpfs", 0, "mode=755")
    os.makedirs(LABORATORY)
    bind(f"/proc/self/fd/{kept}", LABORATORY, MS_REC)
    os.close(kept)


def lay_sysctls():
    for name, value in WANTED.items():
        path = f"/run/sysctl/{name}"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as f:
            f.write(f"{value}\n")
        bind(path, f"/proc/sys/{name}")


def main(name, folder):
    call("unshare", CLONE_NEWNS | CLONE_NEWUTS)
    socket.sethostname(name)
    mount("none", "/", None, MS_REC | MS_PRIVATE)
    renew_sys(f"{folder}/cgroup")
    lay_folders(folder)
    empty_run()
    for path in FOLDERS:
        os.makedirs(path, exist_ok=True)
    lay_sysctls()
    mount("none", "/", None, MS_REC | MS_SHARED)
    print("ready", flush=True)
    sys.stdin.read()


main(*sys.argv[1:])
