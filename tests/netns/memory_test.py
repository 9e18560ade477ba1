# SPDX-License-Identifier: Apache-2.0
"""Memory that runs out: every call for memory of every verb fails once, and then all from there on.

Whatever call it is, the runtime hears one JSON error that says "try again" (or the verb does without
that memory), nothing of the node state is taken for damaged, and the next call finds a node on
which it can work. starve.c says how memory runs out.
"""

import os
import shutil

import pytest

from roostlab import BIN, Failed, check_result, equal, true

pytestmark = pytest.mark.needs()

STARVED = os.path.abspath(f"{BIN}/../tests/netns/starved")
MODES = {"ROOST_STARVE": 1, "ROOST_STARVE_FROM": 7}  # every how many-th point is tried


def points(call, step):
    """call(n) for the requests for memory, n counting from 1, until it gets through without a
    failure; how many there were."""
    for n in range(1, 2000, step):
        if "starved" not in call(n).err:
            return n - 1
    raise Failed("expected a verb to ask for memory less than 2000 times")


def told(answer, what, is_silent=True):
    """A starved verb: it succeeded, or said "try again" in one document. Whether it succeeded."""
    if answer.status == 0:
        if is_silent:
            answer.ok(what)
        return True
    answer.refused(11)
    return False


def undamaged(lab):
    left = os.listdir(lab.state) if os.path.isdir(lab.state) else []
    equal([f for f in left if "damaged" in f or f == "fault"], [], "signs of damage")


def starve(lab, verb, conf, pod, mode, before=None, after=None, plugin="roost"):
    def call(n):
        if before:
            before()
        answer = lab.call(verb, conf() if callable(conf) else conf, pod, plugin=plugin,
                          folder=STARVED, **{mode: str(n)})
        try:
            good = told(answer, verb, verb != "ADD")
            undamaged(lab)
            if after:
                after(good, answer)
        except Failed as e:
            raise Failed(f"{mode}={n}: {e}") from None
        return answer
    counted = points(call, MODES[mode])
    true(counted > 2, "requests for memory", counted)


def foreign(lab):
    return lab.conf("1.1.0", ipam={"type": "host-local", "dataDir": f"{lab.dir}/leases",
                                   "subnet": "10.67.5.0/24"})


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("ipam", ["own", "executed"])
def test_ADD_without_memory_says_try_again_and_DEL_cleans_up(lab, ipam, mode):
    conf = foreign(lab) if ipam == "executed" else lab.conf("1.1.0")
    if ipam == "executed":  # Debian's host-local knows no 1.1.0
        conf["cniVersion"] = "1.0.0"
    pod = lab.pod()

    def after(good, answer):
        if good:
            result = answer.json()
            check_result(result, conf["cniVersion"])
            lab.check(pod, result, conf).ok("CHECK after an ADD that did without")
        lab.delete(pod, conf)
        lab.nothing_left(pod)
    starve(lab, "ADD", conf, pod, mode, after=after)
    lab.add(pod, conf)


def test_the_first_ADD_of_a_host_without_memory_leaves_a_state_or_none(lab):
    """Each time the host is as after a boot: the state and the block registry are made anew."""
    conf, pod = lab.conf("1.1.0"), lab.pod()

    def forget():
        shutil.rmtree(lab.state, ignore_errors=True)
        shutil.rmtree("/run/roost/hosts", ignore_errors=True)
        for family in ("-4", "-6"):
            lab.host.run("ip", family, "route", "flush", "type", "blackhole", "proto", "82")
    starve(lab, "ADD", conf, pod, "ROOST_STARVE", before=forget,
           after=lambda good, answer: lab.delete(pod, conf))
    lab.nothing_left(pod)
    lab.add(pod, conf)


@pytest.mark.parametrize("mode", MODES)
def test_DEL_without_memory_can_be_repeated(lab, mode):
    pod, conf = lab.pod(), lab.conf("1.1.0")

    def after(good, answer):
        lab.delete(pod, conf)
        lab.nothing_left(pod)
    starve(lab, "DEL", conf, pod, mode, before=lambda: lab.add(pod, conf), after=after)


@pytest.mark.parametrize("mode", MODES)
def test_verbs_that_look_and_GC_leave_a_living_pod_alone(lab, mode):
    pod, conf = lab.pod(), lab.conf("1.1.0")
    result = lab.add(pod, conf)
    before = lab.snapshot(pod)

    def after(good, answer):
        lab.unchanged(before, pod)
    valid = [{"containerID": pod.container, "ifname": pod.ifname}]
    starve(lab, "CHECK", dict(conf, prevResult=result), pod, mode)
    starve(lab, "STATUS", conf, None, mode)
    starve(lab, "GC", dict(conf, **{"cni.dev/valid-attachments": valid}), None, mode)
    after(True, None)
    true(pod.ns.pings("10.99.0.1"), "the router to answer")


@pytest.mark.parametrize("mode", MODES)
def test_roost_ipam_without_memory_says_try_again(lab, mode):
    pod, conf = lab.pod(), lab.conf("1.1.0")
    starve(lab, "ADD", conf, pod, mode, plugin="roost-ipam",
           after=lambda good, answer: lab.delete(pod, conf, plugin="roost-ipam"))
    lab.add(pod, conf, plugin="roost-ipam")
    starve(lab, "STATUS", conf, None, mode, plugin="roost-ipam")
    starve(lab, "DEL", conf, pod, mode, plugin="roost-ipam")
    equal(lab.used(), {}, "used addresses")
