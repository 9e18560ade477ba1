# SPDX-License-Identifier: Apache-2.0
"""Limits of bandwidth: capability bandwidth, keys of the configuration, Kubernetes' annotations; with real
traffic, as a ratio to the limit and to a pod without one."""
import json
import subprocess
import sys

import pytest

from faults import LIMIT_FAULTS
from roostlab import BIN, HANG_S, SLOW, equal, inside, true, wait_for

pytestmark = pytest.mark.needs("ip", "tc", "nft")

MBIT = 1_000_000
NOT_SAID = 4294967295  # what containerd sends for a burst

# Sends as fast as it can for a while; the receiver counts. A quarter is left out at the beginning.
RECEIVER = """
import socket, sys, time
s = socket.create_server(("", 5001), family=socket.AF_INET6, dualstack_ipv6=True)
print("ready", flush=True)
c, _ = s.accept()
seconds = float(sys.argv[1])
begin = time.monotonic(); counted = 0; since = None; last = begin
while True:
    data = c.recv(1 << 20)
    now = time.monotonic()
    if not data or now > begin + seconds:
        break
    if now > begin + seconds / 4:
        since = since or now
        counted += len(data)
    last = now
print(int(counted * 8 / max(last - (since or begin), 0.001)))
"""
SENDER = """
import socket, sys, time
s = socket.create_connection((sys.argv[1], 5001), 20)
end = time.monotonic() + float(sys.argv[2])
data = b"x" * 65536
try:
    while time.monotonic() < end:
        s.send(data)
except OSError:
    pass
"""


def flow(sender, receiver, address, seconds=2.0 * SLOW):
    """Bits a second from one namespace to the other."""
    with inside(receiver.path):
        r = subprocess.Popen([sys.executable, "-c", RECEIVER, str(seconds)], stdout=subprocess.PIPE, text=True)
    r.stdout.readline()
    with inside(sender.path):
        subprocess.run([sys.executable, "-c", SENDER, address, str(seconds)], timeout=HANG_S, check=True)
    rate = int(r.stdout.readline())
    r.wait(HANG_S)
    r.stdout.close()
    return rate


def limits(**more):
    return {"runtimeConfig": {"bandwidth": more}}


def address(result, v6=False):
    return next(ip["address"].split("/")[0] for ip in result["ips"] if (":" in ip["address"]) == v6)


def ifbs(lab):
    return [l["ifname"] for l in lab.host.ask("link show") if l.get("linkinfo", {}).get("info_kind") == "ifb"]


def bucket(lab, device):
    """The token bucket of a device: its rate in bits a second and its burst in bytes, or None."""
    text = lab.host.run("tc", "-j", "qdisc", "show", "dev", device)
    for q in json.loads(text):
        if q["kind"] == "tbf":
            return q["options"]["rate"] * 8, q["options"]["burst"]
    return None


def annotated(**annotations):
    return {"runtimeConfig": {"io.kubernetes.cri.pod-annotations": annotations}}


def test_what_a_pod_receives_and_sends_keeps_to_its_limits(lab):
    plain, pod = lab.pod(), lab.pod()
    free = lab.add(plain)
    wish = limits(ingressRate=20 * MBIT, ingressBurst=NOT_SAID, egressRate=10 * MBIT, egressBurst=MBIT)
    result = lab.add(pod, lab.conf(**wish))
    equal(ifbs(lab), [l for l in ifbs(lab) if l.startswith("ifb-")], "one device of ours")
    receives = flow(lab.router, pod.ns, address(result))
    sends = flow(pod.ns, lab.router, "10.99.0.1")
    free_receives = flow(lab.router, plain.ns, address(free))
    near = flow(plain.ns, pod.ns, address(result))
    for name, rate, limit in (("receives", receives, 20 * MBIT), ("sends", sends, 10 * MBIT),
                              ("receives from its neighbour", near, 20 * MBIT)):
        true(rate < 1.3 * limit, f"what it {name} to keep to {limit} bits a second", rate)
        true(rate > 0.4 * limit, f"what it {name} to come near {limit} bits a second", rate)
    true(free_receives > 5 * receives, "a pod without limits to be faster", (free_receives, receives))
    lab.check(pod, result, lab.conf(**wish)).ok("CHECK")
    lab.delete(pod)
    equal(ifbs(lab), [], "devices after DEL")
    lab.delete(plain)
    lab.nothing_left(pod, plain)


def test_IPv6_is_limited_too(lab):
    pod = lab.pod()
    result = lab.add(pod, lab.conf(**limits(ingressRate=20 * MBIT, ingressBurst=MBIT)))
    true(flow(lab.router, pod.ns, address(result, True)) < 26 * MBIT, "IPv6 to keep to the limit")


@pytest.mark.parametrize("wish, expected", [
    (limits(ingressRate=8 * MBIT, ingressBurst=4 * MBIT), (8 * MBIT, 500_000)),
    (limits(IngressRate=8 * MBIT, IngressBurst=NOT_SAID, EgressRate=0, EgressBurst=0), (8 * MBIT, 100_000)),
    (limits(ingressRate=8 * MBIT, ingressBurst=2147483647), (8 * MBIT, 100_000)),
    (limits(ingressRate=8 * MBIT), (8 * MBIT, 100_000)),
    (limits(ingressRate=MBIT, ingressBurst=8), (MBIT, 65536)),
    ({"ingressRate": 8 * MBIT, "ingressBurst": 4 * MBIT}, (8 * MBIT, 500_000)),
    ({"ingressRate": 8 * MBIT, **limits(ingressRate=80 * MBIT)}, (8 * MBIT, 100_000)),
    (annotated(**{"kubernetes.io/ingress-bandwidth": "8M"}), (8 * MBIT, 100_000)),
    (annotated(**{"kubernetes.io/ingress-bandwidth": "1.5G"}), (1500 * MBIT, 18_750_000)),
    (annotated(**{"kubernetes.io/ingress-bandwidth": "1Mi"}), (1048576, 65536)),
    (limits(ingressRate=40_000 * MBIT), (40_000 * MBIT, 500_000_000)),
], ids=str)
def test_where_limits_come_from_and_what_a_burst_becomes(lab, wish, expected):
    pod = lab.pod()
    result = lab.add(pod, lab.conf(**wish))
    rate, burst = bucket(lab, lab.host_links()[0])
    equal(rate, expected[0], "the rate")
    true(0.9 < burst / expected[1] < 1.1, f"a burst of {expected[1]} bytes", burst)
    equal(ifbs(lab), [], "devices for what nobody limits")
    lab.check(pod, result, lab.conf(**wish)).ok("CHECK")
    lab.delete(pod)


@pytest.mark.parametrize("wish, code, words", [
    (limits(ingressRate=999), 7, "runtimeConfig.bandwidth.ingressRate: 999 bits a second is not from 1000"),
    (limits(egressRate=10**16), 7, "egressRate: 10000000000000000 bits a second"),
    (limits(egressRate=-1), 7, "egressRate is -1"),
    (limits(egressBurst=1000), 7, "runtimeConfig.bandwidth.egressRate is missing beside egressBurst"),
    (limits(ingressRate="10M"), 6, "ingressRate must be a whole number of bits"),
    ({"runtimeConfig": {"bandwidth": []}}, 6, "runtimeConfig.bandwidth must be an object"),
    ({"egressRate": 5}, 7, "egressRate: 5 bits a second"),
    (annotated(**{"kubernetes.io/egress-bandwidth": "fast"}), 7,
     'annotation kubernetes.io/egress-bandwidth: "fast" is not a quantity'),
    (annotated(**{"kubernetes.io/egress-bandwidth": "1"}), 7, "is not from 1k to 1P"),
    (annotated(**{"kubernetes.io/egress-bandwidth": "nan"}), 7, "is not a quantity"),
], ids=str)
def test_a_wrong_limit_is_refused_by_name(lab, wish, code, words):
    pod = lab.pod()
    lab.call("ADD", lab.conf(**wish), pod).refused(code, words)
    lab.nothing_left(pod)
    equal(ifbs(lab), [], "devices")


BOTH = limits(ingressRate=8 * MBIT, egressRate=8 * MBIT)


def audit(lab, *words):
    with inside(lab.host.path):
        done = subprocess.run([f"{BIN}/roostctl", "--state-dir", lab.state, "-o", "json", "ipam", "check", *words],
                              capture_output=True, text=True, timeout=HANG_S)
    return json.loads(done.stdout)["problems"]


def is_limited(lab):
    """Whether all is there for limits of 8 Mbit/s in both directions, as a program that is not ours sees it."""
    [link], devices = lab.host_links(), ifbs(lab)
    if len(devices) != 1:
        return False
    filters = lab.host.run("tc", "filter", "show", "dev", link, "ingress")
    return (bucket(lab, link) == bucket(lab, devices[0]) and (bucket(lab, link) or (0,))[0] == 8 * MBIT and
            f"Egress Redirect to device {devices[0]}" in filters)


@pytest.mark.parametrize("fault", LIMIT_FAULTS, ids=lambda f: f.name)
def test_what_is_missing_is_seen_and_put_back(lab, fault):
    pod = lab.pod()
    conf = lab.conf(**BOTH)
    result = lab.add(pod, conf)
    true(is_limited(lab), "the limits")
    lab.check(pod, result, conf).ok("CHECK")
    equal(audit(lab), [], "problems of a sound pod")
    link = lab.host_links()[0]
    fault.breaks(lab.host, pod.ns, link)
    words = fault.says.replace("LINK", link)
    true(any(words in p["seen"] for p in audit(lab)), f"ipam check to say {words!r}", audit(lab))
    lab.check(pod, result, conf).refused(999, words)
    audit(lab, "--repair")
    equal(audit(lab), [], "problems after --repair")
    lab.check(pod, result, conf).ok("CHECK after --repair")
    true(is_limited(lab), "the limits after --repair")
    lab.delete(pod, lab.conf())
    equal(ifbs(lab), [], "devices after DEL")
    equal(audit(lab), [], "problems after DEL")


def test_CHECK_compares_with_what_is_asked_for(lab):
    pod = lab.pod()
    result = lab.add(pod, lab.conf(**BOTH))
    lab.check(pod, result, lab.conf(**limits(ingressRate=9 * MBIT))).refused(
        999, "what the pod receives is 8000000 bits a second", "has to be 9000000")
    lab.delete(pod)


def test_a_queue_of_somebody_else_s_is_left_alone_and_named(lab):
    pod = lab.pod()
    lab.add(pod, lab.conf(**BOTH))
    link = lab.host_links()[0]
    lab.host.run("tc", "qdisc", "del", "dev", link, "ingress")
    lab.host.run("tc", "qdisc", "add", "dev", link, "clsact")
    audit(lab, "--repair")
    true(any(f"what the pod sends is missing on {link}" in p["seen"] for p in audit(lab)), "the limit to be missed", audit(lab))
    true("clsact" in lab.host.run("tc", "qdisc", "show", "dev", link), "their queue to be there")
    lab.host.run("tc", "qdisc", "del", "dev", link, "clsact")
    audit(lab, "--repair")
    equal(audit(lab), [], "problems")
    lab.delete(pod)


def test_a_lost_node_state_learns_the_limits_from_the_kernel(lab):
    pod = lab.pod()
    lab.add(pod, lab.conf(**BOTH))
    lab.host.run("sh", "-c", f"rm -rf {lab.state}")
    lab.add(lab.pod())
    [link] = [l for l in lab.host_links() if bucket(lab, l)]
    lab.host.run("tc", "qdisc", "del", "dev", link, "root")
    lab.host.ip(f"link del {ifbs(lab)[0]}")
    audit(lab, "--repair")
    equal(bucket(lab, link), bucket(lab, ifbs(lab)[0]), "the buckets after the repair")
    true(99_000 < bucket(lab, link)[1] < 101_000, "the burst of before", bucket(lab, link))
    lab.delete(pod, lab.conf())
    equal(ifbs(lab), [], "devices after DEL")


def test_the_record_is_that_of_the_latest_ADD(lab):
    """A pod whose namespace died begins again with other limits, then with none."""
    container = lab.pod().container
    for wish, kept in ((BOTH, True), (limits(ingressRate=8 * MBIT), True), ({}, False)):
        pod = lab.pod(container)
        lab.add(pod, lab.conf(**wish))
        [link] = lab.host_links()
        lab.host.run("tc", "qdisc", "del", "dev", link, "root", check=False)
        audit(lab, "--repair")
        equal(bool(bucket(lab, link)), kept, f"a bucket after {wish}")
        equal(len(ifbs(lab)), int(wish is BOTH), f"devices after {wish}")
        pod.ns.remove()
        wait_for(lambda: not lab.host_links(), "the dead pod's link to go")


def test_the_device_goes_with_a_pod_that_died_and_with_GC(lab):
    dead, stale, kept = lab.pod(), lab.pod(), lab.pod()
    conf = lab.conf(**limits(egressRate=8 * MBIT))
    for pod in (dead, stale, kept):
        lab.add(pod, conf)
    dead.ns.remove()
    wait_for(lambda: len(lab.host_links()) == 2, "the dead pod's link to go")
    equal(len(ifbs(lab)), 3, "devices, one of a dead pod")
    lab.delete(dead)
    equal(len(ifbs(lab)), 2, "devices after DEL of the dead pod")
    stale.ns.remove()
    wait_for(lambda: len(lab.host_links()) == 1, "the dead pod's link to go")
    lab.gc([kept])
    equal(len(ifbs(lab)), 1, "the device of the valid pod")
    reborn = lab.pod(kept.container)
    kept.ns.remove()
    wait_for(lambda: not lab.host_links(), "the dead pod's link to go")
    lab.add(reborn, conf)  # the same attachment after a reboot of its namespace
    equal(len(ifbs(lab)), 1, "the device of the pod that began again")
    lab.delete(reborn, lab.conf())  # without runtimeConfig
    equal(ifbs(lab), [], "devices")


def test_somebody_else_s_ifb_is_left_alone(lab):
    lab.host.ip("link add ifb0 type ifb", "link set ifb0 up")
    pod = lab.pod()
    lab.add(pod, lab.conf(**limits(egressRate=8 * MBIT)))
    lab.delete(pod)
    lab.gc([])
    equal(ifbs(lab), ["ifb0"], "their device")


def test_the_bandwidth_plugin_in_the_chain_keeps_working(lab):
    pod = lab.pod()
    chain = [lab.conf("1.0.0"), {"type": "bandwidth", "capabilities": {"bandwidth": True},
                                 "runtimeConfig": {"bandwidth": {"ingressRate": 20 * MBIT, "ingressBurst": MBIT}}}]
    result = lab.chain(pod, chain, "1.0.0")
    true(flow(lab.router, pod.ns, address(result)) < 26 * MBIT, "its limit to hold")
    for conf in reversed(chain):
        lab.chained("DEL", pod, conf, result, "1.0.0")
    lab.nothing_left(pod)


def test_an_ADD_without_limits_makes_no_call_more(lab):
    def calls(conf):
        pod, trace = lab.pod(), f"{lab.dir}/trace"
        answer = lab.call("ADD", conf, pod, ASAN_OPTIONS="detect_leaks=0", wrapper=("strace", "-f", "-o", trace))
        equal(answer.status, 0, "status")
        with open(trace) as f:
            return sum(1 for line in f if "(" in line)
    lab.add(lab.pod())
    plain = calls(lab.conf())
    none = calls(lab.conf(**limits(ingressRate=0, ingressBurst=0, egressRate=0, egressBurst=0)))
    equal(none, plain, "system calls of an ADD without a limit")
