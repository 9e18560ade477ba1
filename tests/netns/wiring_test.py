# SPDX-License-Identifier: Apache-2.0
"""What must hold for a pod, broken by hand, one thing at a time: CHECK, ipam check and ipam check --repair
see the same list (lib/wiring.h). tests/cluster/wiring_test.py has the agent's part."""
import json
import subprocess

import pytest

from faults import FAULTS, HOST_FAULTS
from roostlab import BIN, HANG_S, equal, inside, true

pytestmark = pytest.mark.needs("ip", "nft", "ping", "strace")


def audit(lab, *words):
    """The problems that roostctl ipam check finds."""
    with inside(lab.host.path):
        done = subprocess.run([f"{BIN}/roostctl", "--state-dir", lab.state, "-o", "json", "ipam", "check", *words],
                              capture_output=True, text=True, timeout=HANG_S)
    return json.loads(done.stdout)["problems"]


def reached(lab, result):
    """Whether host and router reach the pod in both families."""
    return all(ns.pings(ip["address"].split("/")[0]) for ip in result["ips"] for ns in (lab.host, lab.router))


@pytest.mark.parametrize("fault", FAULTS + HOST_FAULTS, ids=lambda f: f.name)
def test_CHECK_and_ipam_check_see_the_same_and_repair_mends_it(lab, fault):
    pod = lab.pod()
    result = lab.add(pod)
    lab.check(pod, result).ok("CHECK")
    equal(audit(lab), [], "problems of a sound pod")
    link = lab.host_links()[0]
    fault.breaks(lab.host, pod.ns, link)
    words = fault.says.replace("LINK", link)
    lab.check(pod, result).refused(999, words)
    found = audit(lab)
    true(any(words in p["seen"] for p in found), f"ipam check to say {words!r}", found)
    audit(lab, "--repair")
    equal(audit(lab), [], "problems after --repair")
    lab.check(pod, result).ok("CHECK after --repair")
    true(reached(lab, result), "the pod to be reached again")


def test_a_route_of_somebody_else_that_hides_ours_is_named_and_left(lab):
    pod = lab.pod()
    result = lab.add(pod)
    lab.host.ip("link add other type bridge", "link set other up", "route add fd66::/128 dev other metric 5")
    words = "the host's route to fd66:: via"
    lab.check(pod, result).refused(999, words, "hidden by another one")
    for turn in ((), ("--repair",), ()):
        true(any("hidden" in p["seen"] for p in audit(lab, *turn)), "ipam check to name it")
    true("dev other" in lab.host.run("ip", "-6", "route", "show", "fd66::/128"), "their route to stand")


def test_a_pod_that_ignores_ARP_is_named_and_reached_after_a_repair(lab):
    """arp_ignore=2 on a host is inherited by the namespaces of its pods: they answer ARP of no other subnet,
    and their own is a /32."""
    pod = lab.pod()
    pod.ns.set_sysctl("ipv4/conf/all/arp_ignore", 2)
    result = lab.add(pod)
    address = result["ips"][0]["address"].split("/")[0]
    true(not lab.host.pings(address), "the pod not to answer")
    lab.host.run("ping", "-n", "-c", "4", "-W", "1", address, check=False)
    lab.check(pod, result).refused(999, "does not answer for", address)
    true(any("does not answer" in p["seen"] for p in audit(lab)), "ipam check to name it")
    equal(audit(lab, "--repair")[0]["repaired"], True, "the repair")
    true(reached(lab, result), "the pod to be reached")
    pod.ns.ip("link set eth0 address 02:00:00:00:00:77")
    true(any("has MAC" in p["seen"] for p in audit(lab)), "ipam check to see the other MAC")
    audit(lab, "--repair")
    true(lab.host.pings(address), "the pod to be reached with its new MAC")


def test_arp_ignore_of_the_host_s_own_end_changes_nothing(lab):
    """169.254.1.1 is no address of the host: proxy ARP answers for it."""
    pod = lab.pod()
    result = lab.add(pod)
    for name in ("all", lab.host_links()[0]):
        lab.host.set_sysctl(f"ipv4/conf/{name}/arp_ignore", 2)
    pod.ns.ip("neigh flush all nud permanent")
    true(pod.ns.pings("10.99.0.1"), "the router to answer")
    true(reached(lab, result), "the pod to be reached")


def test_a_look_at_many_pods_asks_for_each_list_once(lab):
    """Its cost is in docs/PERFORMANCE.md; here the number of questions."""
    def questions():
        trace = f"{lab.dir}/trace"
        lab.host.run("env", "ASAN_OPTIONS=detect_leaks=0", "strace", "-f", "-o", trace, "-e", "trace=sendto,sendmsg",
                     f"{BIN}/roostctl", "--state-dir", lab.state, "ipam", "check")
        with open(trace, encoding="utf-8") as f:
            return sum("AF_NETLINK" in line or "nlmsg" in line for line in f)
    lab.add(lab.pod())
    lab.add(lab.pod())
    few = questions()
    true(few > 5, "questions", few)
    for _ in range(15):
        lab.add(lab.pod())
    equal(questions(), few, "netlink messages with more pods")
