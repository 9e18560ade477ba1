# SPDX-License-Identifier: Apache-2.0
"""Which address a pod gets: pools, order, requests, gateways, other main plugins, many calls at
once, a damaged or lost state, and processes that hold a lock."""

import concurrent.futures
import contextlib
import fcntl
import glob
import ipaddress
import json
import os
import random
import re
import shutil
import signal
import stat
import subprocess
import threading
import time

import pytest

from roostlab import (BIN, CNI_DIR, GATEWAY4, GATEWAY6, Cases, Failed, at_once, check_result,
                      equal, inside, run, true, wait_for)

pytestmark = pytest.mark.needs()

BOOT_ID = "/proc/sys/kernel/random/boot_id"
PLUGINS = ("roost", "roost-ipam")


def first(result):
    return result["ips"][0]["address"].split("/")[0]


def addresses(result):
    return [ip["address"].split("/")[0] for ip in result["ips"]]


def asking(conf, *ips):
    return dict(conf, runtimeConfig={"ips": list(ips)})


# ---- pools ----

def test_a_pool_of_30_bits_gives_four_pods_and_the_fifth_is_told_why_not(lab):
    for plugin, pool in zip(PLUGINS, ("10.66.0.0/30", "10.66.4.0/30")):
        conf = lab.conf(pools=[pool])
        pods = [lab.pod() for _ in range(5)]
        base = pool.rsplit(".", 1)[0]
        equal([first(lab.add(p, conf, plugin=plugin)) for p in pods[:4]],
              [f"{base}.{i}" for i in range(4)], "addresses")
        before = lab.snapshot(pods[4])
        lab.call("ADD", conf, pods[4], plugin=plugin).refused(
            11, f"pool {pool} is exhausted", "4 addresses", "4 used", "0 cooling")
        lab.unchanged(before, pods[4])
    for address in ("10.66.0.0", "10.66.0.3"):
        true(lab.router.pings(address), f"{address} to answer the router")


def test_pools_are_used_in_their_order_and_all_are_named_when_exhausted(lab):
    conf = lab.conf(pools=["10.66.0.0/31", "10.66.1.0/31"])
    pods = [lab.pod() for _ in range(5)]
    equal([first(lab.add(p, conf)) for p in pods[:4]],
          ["10.66.0.0", "10.66.0.1", "10.66.1.0", "10.66.1.1"], "addresses")
    lab.call("ADD", conf, pods[4]).refused(11, "pool 10.66.0.0/31", "pool 10.66.1.0/31", "2 used")


def test_both_families_or_none(lab):
    conf = lab.conf(pools=["10.66.0.0/24", "fd66::/127"])
    pods = [lab.pod() for _ in range(3)]
    for pod in pods[:2]:
        equal(len(lab.add(pod, conf)["ips"]), 2, "addresses")
    before = lab.snapshot(pods[2])
    lab.call("ADD", conf, pods[2]).refused(11, "pool fd66::/127", "2 used")
    lab.call("ADD", asking(conf, "10.66.0.9", "fd66::1"), pods[2]).refused(999, "fd66::1")
    lab.call("ADD", asking(conf, "10.66.0.9"), pods[2]).refused(11, "fd66::/127")
    lab.unchanged(before, pods[2])


def test_the_block_size_is_26_and_122_unless_said_and_small_pools_are_one_block(lab):
    lab.add(lab.pod(), lab.conf(pools=["10.66.0.0/16", "fd66::/64"]))
    lab.add(lab.pod(), lab.conf(pools=["10.67.0.0/28", "fd67::/126"]))
    lab.add(lab.pod(), lab.conf(pools=[{"cidr": "10.68.0.0/16", "blockSize": 24}]))
    equal(lab.blackholes(), sorted(["10.66.0.0/26", "fd66::/122", "10.67.0.0/28", "fd67::/126",
                                    "10.68.0.0/24"]), "blocks")


def test_blocks_are_claimed_one_after_the_other(lab):
    conf = lab.conf(pools=[{"cidr": "10.66.0.0/29", "blockSize": 31}])
    for number in range(8):
        equal(first(lab.add(lab.pod(), conf)), f"10.66.0.{number}", "the address")
        equal(len(lab.blackholes()), number // 2 + 1, "blocks")
    pools = lab.ctl("ipam", "show")["pools"]
    equal([(p["size"], p["used"], p["free"], len(p["blocks"])) for p in pools], [(8, 8, 0, 4)],
          "size, used, free and blocks")


def test_a_very_large_IPv6_pool_works(lab):
    conf = lab.conf(pools=["fd00::/8"])
    equal([first(lab.add(lab.pod(), conf)) for _ in range(2)], ["fd00::", "fd00::1"], "addresses")
    equal(first(lab.add(lab.pod(), asking(conf, "fdff::9"))), "fdff::9", "a requested address")


def test_a_changed_block_size_or_an_overlapping_pool_is_refused_while_blocks_stand(lab):
    pod = lab.pod()
    lab.add(pod, lab.conf(pools=["10.66.0.0/24"]))
    before = lab.snapshot()
    for pool, words in (({"cidr": "10.66.0.0/24", "blockSize": 28}, ["blockSize", "10.66.0.0/26"]),
                        ({"cidr": "10.66.0.0/16"}, ["10.66.0.0/16", "10.66.0.0/24", "overlaps"]),
                        ({"cidr": "10.66.0.0/28"}, ["10.66.0.0/28", "10.66.0.0/2"])):
        lab.call("ADD", lab.conf(pools=[pool]), lab.pod()).refused(7, *words)
    lab.unchanged(before)
    lab.add(lab.pod(), lab.conf(pools=["10.66.0.0/24", "10.66.1.0/24"]))


# ---- order and cool-down ----

def test_never_used_addresses_come_first_and_then_the_one_free_for_longest(lab):
    conf = lab.conf(pools=[{"cidr": "10.66.0.0/30", "cooldownSeconds": 0}])
    a, b, c, d, e, f = (lab.pod() for _ in range(6))
    equal([first(lab.add(p, conf)) for p in (a, b)], ["10.66.0.0", "10.66.0.1"], "addresses")
    lab.delete(b, conf)
    lab.delete(a, conf)
    equal([first(lab.add(p, conf)) for p in (c, d, e, f)],
          ["10.66.0.2", "10.66.0.3", "10.66.0.1", "10.66.0.0"], "addresses")


def test_a_released_address_cools_down_and_a_new_block_is_claimed_before_it_is_used(lab):
    conf = lab.conf(pools=[{"cidr": "10.66.0.0/29", "blockSize": 30}])
    conf["ipam"]["cooldownSeconds"] = 3600
    pods = [lab.pod() for _ in range(4)]
    for pod in pods:
        lab.add(pod, conf)
    for pod in (pods[2], pods[1]):
        lab.delete(pod, conf)
    equal(lab.in_state("cooling"), ["10.66.0.1", "10.66.0.2"], "cooling addresses")
    equal([first(lab.add(lab.pod(), conf)) for _ in range(4)],
          [f"10.66.0.{i}" for i in range(4, 8)], "addresses of the second block")
    equal([first(lab.add(lab.pod(), conf)) for _ in range(2)], ["10.66.0.2", "10.66.0.1"],
          "the oldest cooling addresses, at last")
    lab.call("ADD", conf, lab.pod()).refused(11, "8 used", "0 cooling")


def test_the_cool_down_is_60_seconds_unless_said_and_a_pool_s_own_wins(lab):
    conf = lab.conf(pools=["10.66.0.0/24", {"cidr": "fd66::/120", "cooldownSeconds": 0}])
    pod = lab.pod()
    lab.add(pod, conf)
    lab.delete(pod, conf)
    equal((lab.in_state("cooling"), lab.used()), (["10.66.0.0"], {}), "cooling and used addresses")
    shown = {p["cidr"]: p for p in lab.ctl("ipam", "show")["pools"]}
    equal([(shown[c]["cooldownSeconds"], shown[c]["cooling"])
           for c in ("10.66.0.0/24", "fd66::/120")], [(60, 1), (0, 0)], "cool-down and count")
    conf["ipam"]["cooldownSeconds"] = 0
    lab.add(pod, conf)
    equal(lab.in_state("cooling"), [], "cooling addresses after the key changed")


def test_a_cool_down_that_is_over_frees_the_address(lab):
    conf = lab.conf(pools=[{"cidr": "10.66.0.0/29", "blockSize": 30, "cooldownSeconds": 1}])
    pods = [lab.pod() for _ in range(4)]
    for pod in pods:
        lab.add(pod, conf)
    lab.delete(pods[3], conf)
    wait_for(lambda: not lab.in_state("cooling"), "the end of the cool-down")
    equal(first(lab.add(lab.pod(), conf)), "10.66.0.3", "the address, before a new block")


# ---- owners ----

def test_the_same_attachment_gets_its_address_again_until_DEL(lab):
    for plugin in PLUGINS:
        pod = lab.pod()
        had = addresses(lab.add(pod, plugin=plugin))
        for _ in range(5):
            lab.add(lab.pod(), plugin=plugin)
        if plugin == "roost":
            pod.ns.ip("link del eth0")
        equal(addresses(lab.add(pod, plugin=plugin)), had, "addresses after the link vanished")
        pod.ns.remove()
        again = lab.pod()._replace(container=pod.container)
        equal(addresses(lab.add(again, plugin=plugin)), had, "addresses in a new namespace")
        lab.delete(again, plugin=plugin)
        true(addresses(lab.add(again, plugin=plugin)) != had, "other addresses after DEL", had)
        lab.gc([], plugin=plugin)


def test_network_container_and_interface_together_are_the_owner(lab):
    conf = lab.conf()
    pod = lab.pod()
    seen = [first(lab.add(p, c, plugin="roost-ipam")) for p, c in (
        (pod, conf), (pod._replace(ifname="eth1"), conf), (pod._replace(container="other"), conf),
        (pod, lab.conf(name="other")))]
    equal(len(set(seen)), 4, "four owners' addresses")
    lab.call("DEL", lab.conf(name="third"), pod, plugin="roost-ipam").ok("DEL")
    equal(len([a for a in lab.used() if "." in a]), 4, "addresses after a stranger's DEL")


def test_a_family_that_was_added_later_is_given_beside_the_old_address(lab):
    pod = lab.pod()
    had = first(lab.add(pod, lab.conf(pools=["10.66.0.0/24"]), plugin="roost-ipam"))
    lab.add(lab.pod(), plugin="roost-ipam")
    now = addresses(lab.add(pod, plugin="roost-ipam"))
    equal((len(now), now[0]), (2, had), "two addresses, and the first as before")


def test_after_a_reboot_a_known_container_starts_and_old_state_is_removed(lab):
    pods = [lab.pod(), lab.pod()]
    for pod in pods:
        lab.add(pod)
    old = glob.glob(f"{lab.state}/node-*.mdb")
    for pod in pods:  # as a reboot does it: namespaces and links are gone, files stay
        pod.ns.ip("link del eth0")
        pod.ns.remove()
    fake = f"{lab.dir}/boot_id"
    with open(fake, "w") as f:
        f.write("01234567-89ab-cdef-0123-456789abcdef\n")
    run("mount", "--bind", fake, BOOT_ID)
    try:
        again = lab.pod()._replace(container=pods[0].container)
        lab.add(again)
        equal(set(lab.used().values()), {again.container}, "owners")
        now = glob.glob(f"{lab.state}/node-*.mdb")
        equal((len(now), now == old), (1, False), "state files")
        lab.delete(pods[1]._replace(path=""))
        lab.delete(again)
        lab.nothing_left(again)
    finally:
        run("umount", BOOT_ID)


def test_a_state_of_another_boot_is_removed_unopened(lab):
    os.makedirs(lab.state)
    other = f"{lab.state}/node-01234567-89ab-cdef-0123-456789abcdef.mdb"
    with open(other, "w") as f:
        f.write("garbage")
    answer = lab.call("ADD", lab.conf(), lab.pod())
    equal((answer.status, answer.err), (0, ""), "exit status and stderr")
    true(not os.path.exists(other), "the old file to be gone")


# ---- requested addresses ----

def test_a_requested_address_must_be_in_a_pool_and_free(lab):
    conf = lab.conf()
    conf["ipam"]["gateway"] = "10.66.0.1"
    for plugin in PLUGINS:
        lab.gc([], conf)
        owner, pod = lab.pod(), lab.pod()
        args = "K8S_POD_NAMESPACE=prod;K8S_POD_NAME=web"
        equal(addresses(lab.add(owner, asking(conf, "10.66.0.77", "fd66::77"), plugin=plugin,
                                CNI_ARGS=args)), ["10.66.0.77", "fd66::77"], "addresses")
        before = lab.snapshot(owner, pod)
        for ip, words in (("192.0.2.1", ["192.0.2.1", "no pool", "10.66.0.0/24"]),
                          ("fd99::1", ["fd99::1", "no pool", "fd66::/120"]),
                          ("10.66.1.0", ["10.66.1.0", "no pool"]),
                          ("10.66.0.77", ["10.66.0.77", owner.container, "prod/web"]),
                          ("fd66::77", ["fd66::77", owner.container]),
                          ("10.66.0.1", ["10.66.0.1", "reserved"])):
            lab.call("ADD", asking(conf, ip), pod, plugin=plugin).refused(999, *words)
        lab.unchanged(before, owner, pod)
        lab.delete(owner, conf, plugin=plugin)
        equal(first(lab.add(pod, asking(conf, "10.66.0.77"), plugin=plugin)), "10.66.0.77",
              "a cooling address")
        lab.delete(pod, conf, plugin=plugin)


def test_a_requested_address_claims_its_block_and_a_prefix_length_means_nothing(lab):
    pod = lab.pod()
    equal(first(lab.add(pod, asking(lab.conf(), "10.66.0.200/16"))), "10.66.0.200", "the address")
    true("10.66.0.192/26" in lab.blackholes(), "its block", lab.blackholes())
    equal(first(lab.add(lab.pod())), "10.66.0.192", "the next pod, in the block that is there")


def test_an_owner_that_asks_for_another_address_moves_there(lab):
    pod = lab.pod()
    lab.add(pod, plugin="roost-ipam")
    equal(addresses(lab.add(pod, asking(lab.conf(), "10.66.0.9"), plugin="roost-ipam")),
          ["10.66.0.9", "fd66::"], "addresses")
    equal(sorted(lab.used()), ["10.66.0.9", "fd66::"], "used addresses")
    equal(addresses(lab.add(pod, plugin="roost-ipam")), ["10.66.0.9", "fd66::"], "addresses")


# ---- gateways and other main plugins ----

def test_roost_ipam_answers_with_the_block_s_prefix_and_the_gateway(lab):
    conf = lab.conf()
    result = lab.add(lab.pod(), conf, plugin="roost-ipam")
    equal(result["ips"], [{"address": "10.66.0.0/26", "gateway": GATEWAY4},
                          {"address": "fd66::/122", "gateway": GATEWAY6}], "ips without gateway")
    true("routes" not in result, "no routes", result)
    conf["ipam"]["gateway"] = "10.66.0.5"
    result = lab.add(lab.pod(), conf, plugin="roost-ipam")
    equal(result["ips"][0], {"address": "10.66.0.1/26", "gateway": "10.66.0.5"}, "the address")
    equal(result["routes"], [{"dst": "0.0.0.0/0"}], "routes")
    conf["ipam"]["gateway"] = ["10.66.0.6", "fd66::6"]
    result = lab.add(lab.pod(), conf, plugin="roost-ipam")
    equal([ip["gateway"] for ip in result["ips"]], ["10.66.0.6", "fd66::6"], "gateways")
    equal(result["routes"], [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}], "routes")
    result = lab.add(lab.pod(), dict(conf, cniVersion="0.2.0"), plugin="roost-ipam")
    equal(result["ip4"]["routes"], [{"dst": "0.0.0.0/0"}], "routes of 0.2.0")
    true({"10.66.0.6", "fd66::6"} <= set(lab.in_state("reserved")), "reserved gateways",
         lab.in_state("reserved"))


def test_a_gateway_is_never_given_to_a_pod(lab):
    conf = lab.conf(pools=["10.66.0.0/30"])
    conf["ipam"]["gateway"] = "10.66.0.1"
    for plugin in PLUGINS:
        pods = [lab.pod() for _ in range(3)]
        equal([first(lab.add(p, conf, plugin=plugin)) for p in pods],
              ["10.66.0.0", "10.66.0.2", "10.66.0.3"], "addresses")
        lab.call("ADD", conf, lab.pod(), plugin=plugin).refused(11, "3 used", "1 reserved")
        lab.gc([], conf, plugin=plugin)
        conf["ipam"]["cooldownSeconds"] = 0


def test_a_gateway_that_a_pod_has_already_is_refused_by_name(lab):
    pod = lab.pod()
    lab.add(pod)
    conf = lab.conf()
    conf["ipam"]["gateway"] = "10.66.0.0"
    lab.call("ADD", conf, lab.pod()).refused(range(1, 1000), "10.66.0.0", pod.container, "gateway")


def main_plugin(lab, kind, pools, gateway, **more):
    return {"cniVersion": "1.0.0", "name": "net", "type": kind, "stateDir": f"{lab.dir}/unused",
            "ipam": lab.ipam(pools, gateway=gateway), **more}


def works_under(lab, conf, gateways):
    """Two pods of a Debian main plugin with our IPAM, from ADD to DEL."""
    pods = [lab.pod(), lab.pod()]
    results = []
    for pod in pods:
        answer = lab.call("ADD", conf, pod, plugin=conf["type"])
        if answer.status:
            raise Failed(f"expected ADD of {conf['type']} to succeed, saw {answer}")
        results.append(answer.json())
    equal(len(lab.used()), 2 * len(conf["ipam"]["pools"]), "used addresses")
    for pod, result in zip(pods, results):
        for ip in result["ips"]:
            true(ip["address"].split("/")[0] in lab.used(), "a recorded address", ip)
        lab.check(pod, result, conf, plugin=conf["type"]).ok("CHECK")
    for gateway in gateways:  # a bridge's own IPv6 address waits for duplicate address detection
        true(any(pods[1].ns.pings(gateway) for _ in range(10)), f"the gateway {gateway} to answer")
    true(pods[0].ns.pings(first(results[1])), "the other pod to answer")
    for pod in pods:
        lab.call("DEL", conf, pod, plugin=conf["type"]).ok("DEL")
    equal(lab.used(), {}, "used addresses")
    block = ipaddress.ip_network(results[0]["ips"][0]["address"], strict=False)
    special = [str(block[-1])]  # the broadcast address; of IPv6 the routers' anycast address
    special += ["fd66::"] if "fd66::1" in gateways else []
    equal(lab.in_state("reserved"), sorted(gateways + special), "reserved addresses")
    true(not os.path.exists(f"{lab.dir}/unused"), "ipam.stateDir to win over stateDir")


def test_roost_ipam_works_under_ptp(lab):
    gateways = ["10.66.0.1", "fd66::1"]
    works_under(lab, main_plugin(lab, "ptp", ["10.66.0.0/24", "fd66::/120"], gateways), gateways)


def test_roost_ipam_works_under_bridge(lab):
    gateways = ["10.66.0.1", "fd66::1"]
    conf = main_plugin(lab, "bridge", ["10.66.0.0/24", "fd66::/120"], gateways, bridge="br0",
                       isGateway=True, ipMasq=False)
    works_under(lab, conf, gateways)


def test_every_pod_under_a_bridge_reaches_its_gateway(lab):
    """In a subnet on a link the first and the last IPv4 and the first IPv6 address are special."""
    gateways = ["10.66.0.1", "fd66::1"]
    conf = main_plugin(lab, "bridge", [{"cidr": "10.66.0.0/29", "blockSize": 29},
                                       {"cidr": "fd66::/124", "blockSize": 124}], gateways,
                       bridge="br0", isGateway=True)
    pods = []
    while True:
        pod = lab.pod()
        answer = lab.call("ADD", conf, pod, plugin="bridge")
        if answer.status:
            answer.refused(11, "10.66.0.0/29", version=False)
            break
        pods.append((pod, answer.json()))
    true(len(pods) >= 5, "five pods at least", len(pods))
    for pod, result in pods:
        for gateway in gateways:
            true(any(pod.ns.pings(gateway) for _ in range(3)),
                 f"{gateway} to answer {addresses(result)}")
        true(lab.host.pings(first(result)), f"{first(result)} to answer the host")


def test_roost_ipam_works_under_macvlan_on_the_uplink(lab):
    lab.router.ip("addr add 10.97.0.1/24 dev port")
    pools = [{"cidr": "10.97.0.0/24", "blockSize": 24}]
    conf = main_plugin(lab, "macvlan", pools, ["10.97.0.1"], master="uplink", mode="bridge")
    works_under(lab, conf, ["10.97.0.1"])


def test_roost_ipam_works_as_delegate_of_roost_under_another_name(lab):
    shutil.copy(f"{BIN}/roost-ipam", f"{lab.dir}/my-ipam")
    path = {"CNI_PATH": f"{lab.dir}:{CNI_DIR}"}
    for version in ("0.4.0", "1.1.0"):
        conf = lab.conf(version)
        conf["ipam"]["type"] = "my-ipam"
        pods = [lab.pod(), lab.pod()]
        results = [lab.add(p, conf, **path) for p in pods]
        true(all(a.endswith(("/32", "/128")) for r in results for a in
                 (ip["address"] for ip in r["ips"])), "host addresses", results)
        for pod, result in zip(pods, results):
            lab.check(pod, result, conf, **path).ok("CHECK")
        lab.consistent()
        true(pods[0].ns.pings(first(results[1])) and pods[0].ns.pings("10.99.0.1"), "answers")
        for pod in pods:
            lab.call("DEL", conf, pod, **path).ok("DEL")
        lab.nothing_left(*pods)


def test_GC_and_STATUS_reach_a_delegate_that_shares_the_state_folder(lab):
    shutil.copy(f"{BIN}/roost-ipam", f"{lab.dir}/my-ipam")
    path = {"CNI_PATH": f"{lab.dir}:{CNI_DIR}"}
    conf = lab.conf("1.1.0", pools=["10.66.0.0/31"])
    conf["ipam"]["type"] = "my-ipam"
    pods = [lab.pod(), lab.pod()]
    lab.call("STATUS", conf, **path).ok("STATUS")
    for pod in pods:
        lab.add(pod, conf, **path)
    lab.call("STATUS", conf, **path).ok("STATUS of an exhausted pool")
    lab.gc(pods[:1], conf, **path)
    equal(set(lab.used().values()), {pods[0].container}, "owners")
    lab.consistent()


def test_roost_ipam_reads_the_top_level_stateDir_when_it_has_no_own(lab):
    conf = lab.conf()
    del conf["ipam"]["stateDir"]
    lab.add(lab.pod(), conf, plugin="roost-ipam")
    equal(len(lab.used()), 2, "used addresses")
    os.makedirs(f"{lab.dir}/other")
    conf["ipam"]["stateDir"] = f"{lab.dir}/other/state"
    conf["ipam"]["pools"] = [{"cidr": "10.67.0.0/24"}]
    lab.add(lab.pod(), conf, plugin="roost-ipam")
    lab.add(lab.pod(), conf)
    equal((len(lab.used()), len(lab.used(f"{lab.dir}/other/state"))), (2, 2), "used addresses")


# ---- two state folders ----

def test_the_same_pool_in_a_second_state_folder_is_refused(lab):
    lab.add(lab.pod(), lab.conf(pools=["10.66.0.0/26"]))
    second = f"{lab.dir}/second"
    for pool in ("10.66.0.0/26", "10.66.0.0/28", "10.66.0.0/20"):
        for plugin in PLUGINS:
            conf = lab.conf(pools=[pool], stateDir=second)
            conf["ipam"]["stateDir"] = second
            pod = lab.pod()
            answer = lab.call("ADD", asking(conf, "10.66.0.3"), pod, plugin=plugin)
            answer.refused(11, pool, "another state folder", lab.state)
            equal(pod.ns.link("eth0"), None, "the pod's interface")
    equal(lab.used(second), {}, "used addresses of the second folder")
    conf["ipam"]["pools"] = [{"cidr": "10.67.0.0/24"}]
    lab.add(lab.pod(), conf)


# What the registry asks the kernel about a claim: the call, its error, the pool asked for, and words
# of the sentence. The first pool's name is that of the block there is, the second's overlaps it.
QUESTIONS = [
    ("socket", "EMFILE", "10.66.0.0/29", ["/run/roost/hosts", "Too many open files"]),
    ("getsockopt", "ENOMEM", "10.66.0.0/29", ["/run/roost/hosts", "Cannot allocate memory"]),
    ("getdents64", "EIO", "10.66.0.0/30", ["/run/roost/hosts", "Input/output error"]),
    ("readlinkat", "EIO", "10.66.0.0/30", ["10.66.0.0-29", "Input/output error"]),
    ("readlinkat", "EACCES", "10.66.0.0/29", ["10.66.0.0-29", "Permission denied"]),
    ("access", "EIO", "10.66.0.0/29", ["state/node-", "Input/output error"]),
    ("access", "EACCES", "10.66.0.0/30", ["state/node-", "Permission denied"])]


def test_a_call_of_the_registry_that_fails_never_counts_as_free(lab):
    lab.add(lab.pod(), lab.conf(pools=["10.66.0.0/29"]), plugin="roost-ipam")
    second, trace = f"{lab.dir}/second", f"{lab.dir}/trace"
    cases = Cases()
    for call, error, pool, words in QUESTIONS:
        with cases.case(f"{call} {error}"):
            conf = lab.conf(pools=[pool], stateDir=second)
            conf["ipam"]["stateDir"] = second
            told = []
            for number in range(1, 50):
                shutil.rmtree(second, ignore_errors=True)
                answer = lab.call(
                    "ADD", conf, lab.pod(), plugin="roost-ipam",
                    ASAN_OPTIONS="detect_leaks=0",
                    wrapper=["strace", "-o", trace, "-e", f"trace={call}",
                             "-e", f"inject={call}:error={error}:when={number}"])
                answer.refused(range(1, 1000))
                told.append((answer.json()["code"], answer.json()["msg"]))
                with open(trace) as f:
                    if "INJECTED" not in f.read():
                        break
            true(any(code == 11 and all(w in msg for w in words) for code, msg in told),
                 f"code 11 with {words}", told)
            true("another state folder" in told[-1][1], "the refusal without a fault", told[-1])
    cases.done()


def test_the_same_pool_on_another_host_of_this_machine_is_no_conflict(lab):
    lab.add(lab.pod())
    other = type(lab)()
    try:
        equal(first(other.add(other.pod())), "10.66.0.0", "the address")
    finally:
        other.close()


# ---- many at once ----

def test_thirty_ADDs_at_once_give_thirty_addresses(lab):
    for plugin in PLUGINS:
        conf = lab.conf(pools=[{"cidr": "10.66.0.0/24", "blockSize": 29}, "fd66::/120"])
        pods = [lab.pod() for _ in range(30)]
        results = at_once([lambda p=p: lab.add(p, conf, plugin=plugin) for p in pods])
        for family in (0, 1):
            equal(len({addresses(r)[family] for r in results}), 30, "different addresses")
        equal(set(lab.used()), {a for r in results for a in addresses(r)}, "used addresses")
        if plugin == "roost":
            lab.consistent()
            text = lab.host.run("nft", "list", "table", "inet", "roost")
            equal(text.count("iifname"), 1, "rules")
        answers = at_once([lambda p=p: lab.call("DEL", conf, p, plugin=plugin) for p in pods])
        equal({a.status for a in answers}, {0}, "exit status of DEL")
        lab.nothing_left(*pods[:3])


def test_ADDs_for_the_last_addresses_fight_fairly(lab):
    conf = lab.conf(pools=["10.66.0.0/29"])
    pods = [lab.pod() for _ in range(16)]
    answers = at_once([lambda p=p: lab.call("ADD", conf, p) for p in pods])
    winners = [a for a in answers if a.status == 0]
    equal(len({first(a.json()) for a in winners}), 8, "different addresses of eight winners")
    for answer in answers:
        if answer.status:
            answer.refused(11, "8 used")
    lab.consistent()


def test_the_same_attachment_added_many_times_at_once_leaves_nothing_half(lab):
    """CNI forbids runtimes to do that, so which of them wins is not said."""
    pod = lab.pod()
    for answer in at_once([lambda: lab.call("ADD", lab.conf(), pod) for _ in range(8)]):
        if answer.status:
            answer.refused(range(1, 1000))
    lab.consistent()
    equal(len(lab.used()), 2 if pod.ns.link("eth0") else 0, "used addresses")
    lab.delete(pod)
    lab.nothing_left(pod)
    lab.add(pod)


def test_ADD_DEL_and_GC_at_once_leave_everything_consistent(lab):
    conf = lab.conf(pools=[{"cidr": "10.66.0.0/26", "blockSize": 30, "cooldownSeconds": 0}])
    old = [lab.pod() for _ in range(20)]
    at_once([lambda p=p: lab.add(p, conf) for p in old])
    fresh = [lab.pod() for _ in range(10)]
    stay = old[:10] + fresh
    jobs = [lambda p=p: ("ADD", lab.call("ADD", conf, p)) for p in fresh]
    jobs += [lambda p=p: ("DEL", lab.call("DEL", conf, p)) for p in old[10:]]
    jobs += [lambda: ("GC", lab.gc(stay, conf)) for _ in range(10)]
    random.Random(1).shuffle(jobs)
    for verb, answer in at_once(jobs):
        equal(answer.status, 0, f"exit status of {verb} ({answer})")
    equal(sorted(set(lab.used().values())), sorted(p.container for p in stay), "owners")
    lab.consistent()
    for pod in stay:
        true(pod.ns.link("eth0"), f"eth0 of {pod.container}")
    equal([p.container for p in old[10:] if p.ns.link("eth0")], [], "pods that should be gone")


def test_a_GC_that_does_not_know_the_pods_that_start_beside_it_leaves_nothing_half(lab):
    conf = lab.conf(pools=[{"cidr": "10.66.0.0/24", "cooldownSeconds": 0}])
    pods = [lab.pod() for _ in range(15)]
    jobs = [lambda p=p: lab.call("ADD", conf, p) for p in pods]
    jobs += [lambda: lab.gc([], conf) for _ in range(6)]
    random.Random(2).shuffle(jobs)
    at_once(jobs)
    lab.consistent()
    alive = [p.container for p in pods if p.ns.link("eth0")]
    equal(sorted(lab.used().values()), sorted(alive), "owners, as the pods show them")
    lab.gc([], conf)
    lab.nothing_left(*pods)


# ---- a damaged or lost state ----

def state_file(lab):
    return glob.glob(f"{lab.state}/node-*.mdb")[0]


def overwrite(offset, data):
    def damage(path):
        with open(path, "r+b") as f:
            f.seek(offset)
            f.write(data)
    return damage


def replaced_by(data):
    def damage(path):
        with open(path, "wb") as f:
            f.write(data)
    return damage


def garbage(size, seed=1):
    return random.Random(seed).randbytes(size)


def a_folder(path):
    os.unlink(path)
    os.mkdir(path)
    open(f"{path}/x", "w").close()


def a_link(path):
    os.unlink(path)
    os.symlink("/etc/passwd", path)


DAMAGES = {
    "cut to a half": lambda path: os.truncate(path, 128 << 20),
    "cut to five pages": lambda path: os.truncate(path, 5 * 4096),
    "cut to one page": lambda path: os.truncate(path, 4096),
    "cut within the first page": lambda path: os.truncate(path, 100),
    "empty": lambda path: os.truncate(path, 0),
    "longer": lambda path: os.truncate(path, 300 << 20),
    "garbage at the start": overwrite(0, garbage(8192)),
    "garbage in the first page": overwrite(0, garbage(4096)),
    "zeros at the start": overwrite(0, bytes(8192)),
    "garbage behind the first pages": overwrite(8192, garbage(64 * 4096)),
    "zeros behind the first pages": overwrite(8192, bytes(64 * 4096)),
    "ones behind the first pages": overwrite(8192, b"\xff" * (64 * 4096)),
    "text": replaced_by(b"this is not a database\n" * 10),
    "an executable": replaced_by(garbage(100_000, 2)),
    "a folder": a_folder,
    "a symbolic link": a_link,
}


def recovers(lab, damage, lost=False):
    """Three pods live, their state is damaged: all that has to hold from then on."""
    conf = lab.conf()
    old = [lab.pod() for _ in range(3)]
    had = {a: p.container for p in old for a in addresses(lab.add(p, conf))}
    gone = lab.pod()
    lab.add(gone, conf, plugin="roost-ipam")  # a pod that the kernel does not show
    damage(state_file(lab))
    new = lab.pod()
    answer = lab.call("ADD", conf, new)
    said = answer.err
    if answer.status:  # damage that only shows while reading costs one call
        answer.refused(100, "damaged")
        said += answer.out
        answer = lab.call("ADD", conf, new)
    if answer.status:
        raise Failed(f"expected the second ADD at the latest to work, saw {answer}")
    said += answer.err
    aside = [n for n in os.listdir(lab.state) if ".damaged-" in n and not n.endswith("-lock")]
    if not lost:
        true("damaged" in said, "a report of the damage", said)
        equal(len(aside), 1, "files that were set aside")
    result = answer.json()
    check_result(result, "1.0.0")
    used = {a: c for a, c in lab.used().items()}
    for address, container in had.items():
        equal(used.get(address), container, f"the owner of {address}")
    true(int(ipaddress.ip_address(first(result))) >= int(ipaddress.ip_address("10.66.0.64")),
         "an address of a new block", first(result))
    for pod in old:
        true(pod.ns.pings(first(result)), "the new pod to answer an old one")
    lab.consistent()
    old[2].ns.remove()
    old[2] = lab.pod()._replace(container=old[2].container)
    equal([had.get(a) for a in addresses(lab.add(old[2], conf))], [old[2].container] * 2,
          "the owner of the addresses that a restarted container gets")
    more = [lab.pod() for _ in range(3)]
    for pod in more:
        true(first(lab.add(pod, conf)) not in had, "no address of a living pod")
    for pod in old + more + [new]:
        lab.delete(pod, conf)
    lab.call("DEL", conf, gone, plugin="roost-ipam").ok("DEL")
    equal((lab.host_links(), lab.pod_routes(), lab.used()), ([], {}, {}), "what is left")
    shown = lab.ctl("ipam", "show")["pools"][0]
    true(shown["quarantined"] > 0, "quarantined addresses of the old block", shown)
    again = lab.pod()
    true(int(ipaddress.ip_address(first(lab.add(again, conf)))) >=
         int(ipaddress.ip_address("10.66.0.64")), "no address of the quarantined block")


@pytest.mark.parametrize("name", DAMAGES)
def test_after_damage_to_the_state_file_pods_keep_their_addresses(lab, name):
    recovers(lab, DAMAGES[name], lost=name == "empty")  # as good as absent: nothing was damaged


def test_after_the_state_folder_was_deleted_pods_keep_their_addresses(lab):
    recovers(lab, lambda path: shutil.rmtree(lab.state), lost=True)


def test_after_the_state_file_was_deleted_pods_keep_their_addresses(lab):
    recovers(lab, os.unlink, lost=True)


def written_by_another_version(lab):
    """The state's own record says format 2; returns what undoes it."""
    path = state_file(lab)
    with open(path, "rb") as f:
        begin = f.read(1 << 20)
    places = [m.start() + len(b"roost-node") for m in re.finditer(b"roost-node", begin)]

    def write(format):
        for place in places:
            overwrite(place, bytes([format]))(path)
    write(2)
    return lambda: write(1)


def test_with_a_state_of_another_version_pods_end_and_none_starts(lab):
    """Else a node that somebody put an older version on could not be drained for its reboot."""
    pod, dead, new, kept = lab.pod(), lab.pod(), lab.pod(), lab.pod()
    conf = lab.conf(runtimeConfig={"portMappings": [{"hostPort": 8080, "containerPort": 80, "protocol": "tcp"}],
                                   "bandwidth": {"egressRate": 8_000_000}})
    results = {p: lab.add(p, conf if p is pod else lab.conf()) for p in (pod, dead, kept)}
    address = results[pod]["ips"][0]["address"].split("/")[0]
    restore = written_by_another_version(lab)
    words = ("has format 2, which another version of roost wrote", "drain this node and reboot it")
    lab.call("ADD", lab.conf(), new).refused(100, *words)
    lab.check(kept, results[kept], lab.conf()).refused(100, words[0])
    lab.call("STATUS", lab.conf("1.1.0")).refused(50, words[0])
    lab.call("GC", dict(lab.conf("1.1.0"), **{"cni.dev/valid-attachments": []})).refused(100, words[0])
    dead.ns.remove()
    for _ in range(2):
        for p in (pod, dead):
            said = lab.delete(p, conf if p is pod else lab.conf()).err
            true("the pod ends, and its record stays where it is: the node state" in said and words[0] in said and
                 p.container in said, "a warning with the reason", said)
    equal(lab.call("DEL", lab.conf(), pod, plugin="roost-ipam").status, 0, "DEL of roost-ipam")
    equal(len(lab.host_links()), 1, "links of pods")
    true("8080" not in lab.host.run("nft", "list", "table", "inet", "roost-ports", check=False), "no port to be left")
    equal([l for l in lab.host.ask("link show") if l["ifname"].startswith("ifb")], [], "devices")
    true(glob.glob(f"{lab.state}/*damaged*") == [], "nothing to be set aside")
    restore()  # that version is back in the same boot: nobody had the addresses
    equal(lab.used().get(address), pod.container, "the owner of the address")
    lab.gc([kept])
    true(address not in lab.used(), "the address to be released")
    lab.add(new)
    lab.delete(new)
    lab.delete(kept)
    lab.nothing_left(pod, dead, new, kept)


def test_a_damaged_lock_file_of_the_database_does_no_harm(lab):
    cases = Cases()
    for name, damage in (("garbage", replaced_by(garbage(8192))), ("empty", replaced_by(b"")),
                         ("short", replaced_by(b"x")), ("gone", os.unlink)):
        with cases.case(name):
            lab.gc([])
            pod, other, third = lab.pod(), lab.pod(), lab.pod()
            had = addresses(lab.add(pod, lab.conf(pools=["10.66.0.0/16", "fd66::/64"])))
            damage(state_file(lab) + "-lock")
            conf = lab.conf(pools=["10.66.0.0/16", "fd66::/64"])
            answer = lab.call("ADD", conf, other)
            if answer.status:
                answer.refused(range(1, 1000))
            else:
                lab.delete(other)
            lab.add(third, conf)
            equal([lab.used().get(a) for a in had], [pod.container] * 2, "the owner")
            lab.consistent()
    cases.done()


def test_a_lock_that_is_no_file_is_an_error_that_names_it(lab):
    for make in (os.mkdir, lambda path: os.symlink("/etc/passwd", path)):
        shutil.rmtree(lab.state, ignore_errors=True)
        os.makedirs(lab.state)
        make(f"{lab.state}/lock")
        for plugin in PLUGINS:
            for verb in ("ADD", "DEL"):
                lab.call(verb, lab.conf(), lab.pod(), plugin=plugin).refused(
                    range(1, 1000), f"{lab.state}/lock")


def test_a_lost_hosts_registry_is_made_again(lab):
    lab.add(lab.pod())
    for folder in glob.glob("/run/roost/hosts/*"):
        if any(os.readlink(e).startswith(lab.state + ":") for e in glob.glob(folder + "/*")):
            shutil.rmtree(folder)
    conf = lab.conf()
    for number in range(1, 70):  # into the second block
        lab.add(lab.pod()._replace(path="/run/netns/none"), conf, plugin="roost-ipam")
    equal(len(lab.used()), 140, "used addresses")


def test_after_a_lost_state_DEL_and_GC_know_pods_with_long_names(lab):
    pods = [lab.pod(str(i) * 300) for i in range(3)]
    for pod in pods:
        lab.add(pod, CNI_ARGS="K8S_POD_NAMESPACE=ns;K8S_POD_NAME=" + "p" * 250)
    shutil.rmtree(lab.state)
    lab.delete(pods[0])
    equal((len(lab.used()), len(lab.host_links())), (4, 2), "used addresses and host links")
    lab.gc(pods[1:2])
    equal((len(lab.used()), len(lab.host_links())), (2, 1), "used addresses and host links")
    lab.gc([])
    lab.nothing_left(*pods)


def test_roost_ipam_alone_cannot_see_pods_and_gives_none_of_their_addresses(lab):
    pods = [lab.pod() for _ in range(3)]
    had = {a: p.container for p in pods for a in addresses(lab.add(p))}
    shutil.rmtree(lab.state)
    foreign = [lab.pod() for _ in range(3)]
    for pod in foreign:
        for address in addresses(lab.add(pod, plugin="roost-ipam")):
            true(address not in had, "no address of a living pod", address)
    new = lab.pod()
    lab.add(new)
    used = lab.used()
    for address, container in had.items():
        equal(used.get(address), container, f"the owner of {address}")
    for pod in pods + [new]:
        lab.delete(pod)
    equal(sorted(set(lab.used().values())), sorted(p.container for p in foreign), "owners")


def test_a_release_of_a_pod_that_lives_in_a_rebuilt_state_makes_its_address_free_again(lab):
    conf = lab.conf(pools=["10.66.0.0/30"])
    pods = [lab.pod() for _ in range(4)]
    for pod in pods:
        lab.add(pod, conf)
    shutil.rmtree(lab.state)
    lab.call("ADD", conf, lab.pod()).refused(11, "4 used", "0 quarantined")
    lab.delete(pods[2], conf)
    equal(first(lab.add(lab.pod(), conf)), "10.66.0.2", "the address")


def test_every_verb_meets_a_damaged_state_with_an_answer(lab):
    conf = lab.conf("1.1.0", pools=["10.66.0.0/16"])  # each turn leaves a quarantined block behind
    cases = Cases()
    for name in ("cut to a half", "garbage at the start", "garbage behind the first pages",
                 "a folder"):
        for verb in ("DEL", "CHECK", "STATUS", "GC"):
            for plugin in PLUGINS:
                with cases.case(f"{plugin} {verb}, {name}"):
                    if os.path.isdir(lab.state):
                        shutil.rmtree(lab.state)
                    pod, keep = lab.pod(), lab.pod()
                    result = lab.add(pod, conf)
                    lab.add(keep, conf)
                    DAMAGES[name](state_file(lab))
                    request = conf
                    if verb == "CHECK":
                        request = dict(conf, prevResult=result)
                    if verb == "GC":
                        request = dict(conf, **{"cni.dev/valid-attachments": [
                            {"containerID": keep.container, "ifname": "eth0"}]})
                    for turn in range(2):
                        answer = lab.call(verb, request, pod, plugin=plugin)
                        if answer.status:
                            answer.refused((50, 100, 999), "damaged")
                    if verb in ("DEL", "GC") and plugin == "roost":
                        equal(answer.status, 0, f"the second exit status ({answer})")
                        equal(pod.ns.link("eth0"), None, "the pod's interface")
                        true(keep.ns.link("eth0"), "the other pod's interface")
                    lab.gc([], conf)
                    lab.nothing_left(pod, keep)
    cases.done()


def test_a_running_ADD_beside_the_setting_aside_is_no_harm(lab):
    conf = lab.conf(pools=[{"cidr": "10.66.0.0/24", "blockSize": 28}])
    pods = [lab.pod() for _ in range(12)]
    lab.add(pods[0], conf)

    def spoil():
        overwrite(0, garbage(8192))(state_file(lab))
        return None
    jobs = [lambda p=p: lab.call("ADD", conf, p) for p in pods[1:]]
    jobs.insert(3, spoil)
    for pod, answer in zip(pods[1:], [a for a in at_once(jobs) if a]):
        if answer.status:
            answer.refused(range(1, 1000))
            lab.add(pod, conf)
    routes = lab.pod_routes()
    equal(len(set(routes.values())), 12, "links with a route")
    equal(len(routes), 12, "different addresses")
    for pod in pods:
        lab.delete(pod, conf)
    equal((lab.host_links(), lab.pod_routes(), lab.used()), ([], {}, {}), "what is left")


def test_strange_permissions_of_the_state_do_not_matter_to_root(lab):
    lab.add(lab.pod())
    os.chmod(lab.state, 0o500)
    for name in os.listdir(lab.state):
        os.chmod(f"{lab.state}/{name}", 0)
    answer = lab.call("ADD", lab.conf(), lab.pod())
    equal((answer.status, answer.err), (0, ""), "exit status and stderr")
    equal(len(lab.used()), 4, "used addresses")


def test_a_state_folder_that_cannot_be_made_is_an_error_that_names_it(lab):
    plain = f"{lab.dir}/plain"
    open(plain, "w").close()
    for plugin in PLUGINS:
        for folder in (plain, f"{plain}/state", "/proc/nowhere/state"):
            conf = lab.conf(stateDir=folder)
            conf["ipam"]["stateDir"] = folder
            pod = lab.pod()
            lab.call("ADD", conf, pod, plugin=plugin).refused(999, folder[:len(plain)])
            equal(pod.ns.link("eth0"), None, "the pod's interface")


def test_a_full_file_system_is_an_error_and_no_damage(lab):
    os.makedirs(f"{lab.dir}/small")
    run("mount", "-t", "tmpfs", "-o", "size=700k", "small", f"{lab.dir}/small")
    try:
        lab.state = f"{lab.dir}/small/state"
        conf = lab.conf(pools=["10.66.0.0/22"])
        added, refused = [], None
        while not refused and len(added) < 600:
            pod = lab.pod() if len(added) < 3 else added[0]._replace(ifname=f"eth{len(added)}")
            plugin = "roost" if len(added) < 3 else "roost-ipam"
            answer = lab.call("ADD", conf, pod._replace(container=pod.container + "x" * 900),
                              plugin=plugin)
            if answer.status:
                refused = answer.refused(11, "No space left on device")
            else:
                added.append(pod)
        true(refused, "an error of a full file system", len(added))
        equal(len(lab.used()), len(added), "used addresses")
        equal(len(lab.host_links()), 3, "host links")
        run("mount", "-o", "remount,size=4m", f"{lab.dir}/small")
        answer = lab.call("ADD", conf, lab.pod())
        equal((answer.status, answer.err), (0, ""), "exit status and stderr with room again")
        equal(len(lab.used()), len(added) + 1, "used addresses")
    finally:
        run("umount", "-l", f"{lab.dir}/small")


def test_a_read_only_state_folder_is_an_error_that_names_it(lab):
    pod = lab.pod()
    lab.add(pod)
    run("mount", "--bind", lab.state, lab.state)
    run("mount", "-o", "remount,bind,ro", lab.state)
    try:
        for plugin in PLUGINS:
            lab.call("ADD", lab.conf(), lab.pod(), plugin=plugin).refused(999, lab.state)
    finally:
        run("umount", "-l", lab.state)
    equal(len(lab.used()), 2, "used addresses")
    lab.add(lab.pod())


def test_the_files_of_the_state_belong_to_root_alone(lab):
    lab.add(lab.pod())
    equal(stat.S_IMODE(os.stat(lab.state).st_mode), 0o700, "the folder's mode")
    for name in os.listdir(lab.state):
        equal(stat.S_IMODE(os.stat(f"{lab.state}/{name}").st_mode), 0o600, f"the mode of {name}")


# ---- many callers ----

def test_GC_and_repair_come_to_their_turn_among_24_callers(lab):
    """Turns are counted: each caller may end what it has begun, and a few more while processes start."""
    callers, turns, over = 24, [], threading.Event()
    pods = [lab.pod() for _ in range(callers)]

    def call_again_and_again(pod):
        while not over.is_set():
            lab.add(pod)
            turns.append(pod)
            lab.delete(pod)
            turns.append(pod)

    def within_some_turns(what, act):
        before = len(turns)
        wait_for(lambda: len(turns) >= before + 2 * callers, "the callers to go on")
        before = len(turns)
        act()
        took = len(turns) - before
        true(took <= 10 * callers, f"{what} within {10 * callers} turns of others", took)

    with concurrent.futures.ThreadPoolExecutor(callers) as pool:
        calls = [pool.submit(call_again_and_again, pod) for pod in pods]
        try:
            for _ in range(4):
                within_some_turns("GC", lambda: lab.gc(pods))
                within_some_turns("a repair", lambda: lab.ctl("ipam", "release", "--idle-blocks"))
        finally:
            over.set()
        for call in calls:
            call.result()
    lab.gc([])
    lab.nothing_left(*pods)


# ---- stopped processes ----

BLOCKED = ["/usr/bin/env", "--block-signal=ALRM"]  # what a runtime may have left to us
LATE = [("ADD", "roost", 11), ("DEL", "roost", 11), ("STATUS", "roost", 50), ("CHECK", "roost", 11),
        ("ADD", "roost-ipam", 11), ("DEL", "roost-ipam", 11)]


def all_give_up(lab, verbs):
    """Calls that cannot get a lock end by themselves with the error that says so."""
    conf = lab.conf("1.1.0")
    pod = lab.pod()
    result = lab.add(pod)
    other = lab.pod()
    jobs = []
    for verb, plugin, code in verbs:
        target = pod if verb in ("CHECK", "DEL") else lab.pod()
        request = conf
        if verb == "CHECK":
            request = dict(conf, prevResult=dict(result, cniVersion="1.1.0"))
        jobs.append((verb, plugin, code, lambda v=verb, p=plugin, t=target, r=request: lab.call(
            v, r, t, plugin=p, wrapper=BLOCKED if v == "ADD" else [])))
    return pod, other, jobs


@pytest.mark.slow
def test_a_lock_that_is_held_for_ever_ends_in_code_11(lab):
    pod, other, jobs = all_give_up(lab, LATE)
    with open(f"{lab.state}/lock") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        cases = Cases()
        for (verb, plugin, code, _), answer in zip(jobs, at_once([j[3] for j in jobs])):
            with cases.case(f"{plugin} {verb}"):
                answer.refused(code, "lock", lab.state)
        cases.done()
    lab.add(other)
    lab.delete(pod)
    lab.delete(other)
    lab.gc([])
    lab.nothing_left(pod, other)


@pytest.mark.slow
def test_a_stopped_writer_ends_in_code_11_and_killing_it_heals_everything(lab):
    pod, other, jobs = all_give_up(lab, [v for v in LATE if v[0] in ("ADD", "DEL")])
    stopped = lab.pod()
    conf = json.dumps(lab.conf())
    with inside(lab.host.path):
        tracer = subprocess.Popen(
            ["strace", "-f", "-o", "/dev/null", "-e", "trace=pwrite64,pwritev,writev",
             "-e", "inject=pwrite64,pwritev,writev:signal=SIGSTOP:when=1", f"{BIN}/roost"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={"CNI_COMMAND": "ADD", "CNI_CONTAINERID": stopped.container, "CNI_IFNAME": "eth0",
                 "CNI_NETNS": stopped.path, "CNI_PATH": BIN, "PATH": "/usr/bin:/bin"})
    tracer.stdin.write(conf)
    tracer.stdin.close()
    victim = None
    try:
        victim = wait_until_stopped(tracer.pid)
        cases = Cases()
        for (verb, plugin, code, _), answer in zip(jobs, at_once([j[3] for j in jobs])):
            with cases.case(f"{plugin} {verb}"):
                answer.refused(code)
        os.kill(victim, signal.SIGKILL)
        tracer.wait()
        victim = None
        lab.add(other)
        lab.delete(stopped)
        lab.delete(pod)
        lab.gc([])
        lab.nothing_left(pod, other, stopped)
        cases.done()
    finally:
        if victim:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        tracer.kill()
        tracer.wait()
        tracer.stdout.close()
        tracer.stderr.close()


def process_state(pid):
    with open(f"/proc/{pid}/stat") as f:
        return f.read().rsplit(")", 1)[1].split()[0]


def wait_until_stopped(tracer):
    """The process id of the traced process once it has stopped by a signal for good; its tracer
    stops it for moments as well."""
    found = []

    def look():
        with open(f"/proc/{tracer}/task/{tracer}/children") as f:
            found[:] = [int(child) for child in f.read().split()]
        for child in found:
            for _ in range(20):
                with open(f"/proc/{child}/comm") as f:
                    if f.read().strip() != "roost" or process_state(child) not in "tT":
                        return False
                time.sleep(0.01)
        return bool(found)
    wait_for(look, "the traced ADD to stop in its write")
    return found[0]


# ---- what an ADD does not do ----

def test_an_ADD_never_syncs_forks_connects_or_sleeps(lab):
    calls = ("fsync,fdatasync,msync,sync,syncfs,sync_file_range,fork,vfork,clone,clone3,execve,"
             "connect,nanosleep,clock_nanosleep")
    conf = lab.conf(pools=[{"cidr": "10.66.0.0/24", "blockSize": 31}, "fd66::/120"])
    for plugin in PLUGINS:
        pods = [lab.pod() for _ in range(4)]
        for verb in ("ADD", "DEL"):
            for pod in pods:
                path = f"{lab.dir}/{plugin}-{verb}-{pod.container}"
                answer = lab.call(verb, conf, pod, plugin=plugin,
                                  ASAN_OPTIONS="detect_leaks=0",  # that one cannot run under strace
                                  wrapper=["strace", "-f", "-o", path, "-e", f"trace={calls}"])
                equal(answer.status, 0, f"exit status ({answer})")
                with open(path) as f:
                    seen = [line.split(maxsplit=1)[1].strip() for line in f]
                extra = [s for s in seen if not s.startswith("+++") and
                         not (s.startswith("execve(") and f"/{plugin}\"" in s)]
                equal(extra, [], f"other system calls of {verb}")
