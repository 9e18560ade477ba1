# SPDX-License-Identifier: Apache-2.0
"""The state folder's file system is full, out of inodes or read-only, and something else has the name of
one of roost's files: it is told, pods end, nothing is followed, and no call waits."""

import contextlib
import os
import socket

import pytest

from roostlab import equal, run, true

pytestmark = pytest.mark.needs()

HANG_S = 20  # no call of these waits for anything
MANY = 1500  # pods that no small file system has room for


@contextlib.contextmanager
def small_folder(lab, *options):
    path = f"{lab.dir}/small"
    os.makedirs(path, exist_ok=True)
    run("mount", "-t", "tmpfs", "-o", ",".join(options), "tmpfs", path)
    try:
        yield path
    finally:
        run("umount", "-l", path)


def fill_bytes(path):
    with open(f"{path}/filler", "wb", buffering=0) as f:
        for size in (1 << 16, 1):
            with contextlib.suppress(OSError):
                while f.write(b"x" * size) == size:
                    pass


def empty_bytes(path):
    os.unlink(f"{path}/filler")


def fill_inodes(path):
    os.makedirs(f"{path}/fillers", exist_ok=True)
    with contextlib.suppress(OSError):
        for n in range(1000):
            with open(f"{path}/fillers/{n}", "x"):
                pass


def empty_inodes(path):
    for name in os.listdir(f"{path}/fillers"):
        os.unlink(f"{path}/fillers/{name}")


FULL = {"bytes": ("size=3m", fill_bytes, empty_bytes, "is full"),
        "inodes": ("nr_inodes=40", fill_inodes, empty_inodes, "no inodes left")}


def conf_in(lab, folder):
    return lab.conf("1.1.0", stateDir=folder, ipam=lab.ipam(["10.66.0.0/16"], stateDir=folder))


@pytest.mark.parametrize("plugin", ("roost", "roost-ipam"))
@pytest.mark.parametrize("what", FULL)
def test_a_first_ADD_without_room_is_told_to_try_again_and_STATUS_says_so(lab, what, plugin):
    option, fill, empty, words = FULL[what]
    with small_folder(lab, option) as path:
        conf, pod = conf_in(lab, f"{path}/state"), lab.pod()
        fill(path)
        lab.call("STATUS", conf, plugin=plugin).refused(50, path, words)
        lab.call("ADD", conf, pod, plugin=plugin).refused(11, path, "No space left on device")
        lab.delete(pod, conf, plugin=plugin)
        empty(path)
        lab.call("STATUS", conf, plugin=plugin).ok("STATUS")
        lab.add(pod, conf, plugin=plugin)
        lab.delete(pod, conf, plugin=plugin)


def test_what_lives_ends_on_a_full_file_system_and_no_ADD_takes_its_room(lab):
    with small_folder(lab, "size=3m") as path:
        conf = conf_in(lab, f"{path}/state")
        pod = lab.pod()

        def call(verb, n):
            return lab.call(verb, conf, pod._replace(container=f"many{n}"), plugin="roost-ipam")
        wired = [lab.pod() for _ in range(3)]
        for one in wired:
            lab.add(one, conf)
        fill_bytes(path)
        given = 0
        while (answer := call("ADD", given)).status == 0:
            given += 1
            true(given < MANY, "an ADD to be refused in the end", given)
        answer.refused(11, "cannot make room in", path, "No space left on device")
        lab.call("STATUS", conf).refused(50, "cannot make room in", path)
        for one in wired:
            lab.delete(one, conf)
        for n in range(given):
            call("DEL", n).ok("DEL")
        equal(lab.used(f"{path}/state"), {}, "used addresses")
        true(not [f for f in os.listdir(f"{path}/state") if "damaged" in f or f == "fault"],
             "no sign of damage", os.listdir(f"{path}/state"))
        empty_bytes(path)
        lab.call("STATUS", conf).ok("STATUS")
        lab.add(wired[0], conf)
        lab.delete(wired[0], conf)


@pytest.mark.parametrize("plugin", ("roost", "roost-ipam"))
def test_a_read_only_file_system_is_named(lab, plugin):
    with small_folder(lab, "size=3m") as path:
        conf, pod, other = conf_in(lab, f"{path}/state"), lab.pod(), lab.pod()
        run("mount", "-o", "remount,ro", path)
        lab.call("STATUS", conf, plugin=plugin).refused(50, path, "read-only")
        lab.delete(other, conf, plugin=plugin)
        run("mount", "-o", "remount,rw", path)
        lab.add(pod, conf, plugin=plugin)
        run("mount", "-o", "remount,ro", path)
        lab.call("STATUS", conf, plugin=plugin).refused(50, path, "Read-only file system")
        for verb in ("ADD", "DEL"):
            lab.call(verb, conf, other if verb == "ADD" else pod, plugin=plugin).refused(
                999, path, "Read-only file system")
        run("mount", "-o", "remount,rw", path)
        lab.delete(pod, conf, plugin=plugin)


# ---- something else has the name ----

def make_fifo(path, victim):
    os.mkfifo(path)


def make_folder(path, victim):
    os.mkdir(path)


def make_socket(path, victim):
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(path)


def make_link(path, victim):
    os.symlink(victim, path)


def make_second_name(path, victim):
    os.link(victim, path)


KINDS = (make_fifo, make_folder, make_socket, make_link, make_second_name)
NAMES = ("lock", "wiring.lock", "fault", "agent.lock", "BOOT-lock", "BOOT.new", "BOOT.new-lock")


def remove(path):
    with contextlib.suppress(FileNotFoundError):
        os.rmdir(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_what_has_the_name_of_a_file_of_ours_is_named_or_set_aside(lab, name, kind):
    with open("/proc/sys/kernel/random/boot_id") as f:
        boot = f"node-{f.read().strip()}.mdb"
    victim, text = f"{lab.dir}/victim", "somebody's own file\n" * 4096
    with open(victim, "w") as f:
        f.write(text)
    conf, pod = lab.conf("1.0.0" if name == "wiring.lock" else "1.1.0"), lab.pod()
    if name == "wiring.lock":
        conf["ipam"] = {"type": "host-local", "dataDir": f"{lab.dir}/host-local",
                        "ranges": [[{"subnet": "10.77.0.0/24"}]]}
    path = f"{lab.state}/{name.replace('BOOT', boot)}"
    for state_is_there in (False, True):
        if state_is_there:
            lab.add(pod, conf)
            lab.delete(pod, conf)
            remove(path)
        os.makedirs(lab.state, mode=0o700, exist_ok=True)
        kind(path, victim)
        answer = lab.call("ADD", conf, pod, timeout=HANG_S)
        if answer.status:
            answer.refused([11, 100, 999], name.replace("BOOT", boot))
        lab.call("STATUS", conf, timeout=HANG_S)
        gone = lab.call("DEL", conf, pod, timeout=HANG_S)
        if gone.status:
            gone.refused([11, 100, 999], name.replace("BOOT", boot))
        remove(path)
        with open(victim) as f:
            equal(f.read() == text, True, "the other file to be as it was:")
        lab.add(pod, conf)
        lab.delete(pod, conf)
    lab.nothing_left(pod)
