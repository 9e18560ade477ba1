# SPDX-License-Identifier: Apache-2.0
"""The agent's kernel side against the real kernel, through agent_probe in namespaces of its own.

docs/KERNEL.md is the list of objects that is compared here.
"""

import contextlib
import json
import os
import pathlib
import socket
import struct
import subprocess
import time

import pytest

from roostlab import BIN, Failed, equal, inside, true, wait_for

pytestmark = pytest.mark.needs()

DATA = pathlib.Path(__file__).resolve().parent.parent / "data"
PROBE = os.environ.get("ROOST_PROBE") or f"{BIN}/../tests/netns/agent_probe"
SAME, CHANGED, REAP = 0, 1, 2
ETIME = -62
REAP_GROUP = 8202
MS = 300  # for what must not come
# The leak checker cannot work in a process that is traced.
STRACE = ("env", "ASAN_OPTIONS=detect_leaks=0", "strace")


class Agent:
    """agent_probe in a namespace."""

    def __init__(self, ns, wrapper=()):
        self.ns = ns
        with inside(ns.path):
            self.process = subprocess.Popen([*wrapper, PROBE], stdin=subprocess.PIPE,
                                            stdout=subprocess.PIPE, text=True)

    def call(self, op, **more):
        self.process.stdin.write(json.dumps({"op": op, **more}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise Failed(f"expected an answer to {op}, saw the end of the agent")
        return json.loads(line)

    def ok(self, op, **more):
        answer = self.call(op, **more)
        if answer["r"] < 0:
            raise Failed(f"expected {op} to succeed, saw {answer}")
        return answer

    def facts(self):
        return self.ok("facts")["facts"]

    def link(self, name):
        return next((l for l in self.facts()["links"] if l["name"] == name), None)

    def settle(self):
        """Reads until nothing comes for a while; the highest answer."""
        seen = SAME
        for _ in range(200):
            r = self.call("read", ms=MS)["r"]
            if r == ETIME:
                return seen
            true(r >= 0, "a read to succeed", r)
            seen = max(seen, r)
        raise Failed("expected notifications to end, saw 200 of them")

    def sync(self, **want):
        """Number of changes; no problem may come up."""
        answer = self.call("sync", **want)
        equal(answer["problems"], [], "problems")
        return answer["r"]

    def close(self):
        self.process.stdin.close()
        equal(self.process.wait(timeout=20), 0, "the agent's exit status")


@contextlib.contextmanager
def agent(ns, wrapper=()):
    a = Agent(ns, wrapper)
    try:
        yield a
        a.close()
    finally:
        a.process.kill()
        a.process.wait()
        a.process.stdout.close()


def index(ns, name):
    return ns.link(name)["ifindex"]


def mac(n):
    return f"02:00:00:00:{n // 256:02x}:{n % 256:02x}"


def peer(n):
    """Node n behind its tunnel address."""
    return {"node": f"10.99.{n // 256}.{n % 256}", "vtep4": f"100.64.{n // 256}.{n % 256}",
            "vtep6": f"fd64::{n:x}", "mac": mac(n)}


def vxlan(ns, n=2, peers=(3,), **more):
    """What node n of the uplink's network wants."""
    return {"on": True, "device": "vxlan.roost", "local": f"10.99.0.{n}",
            "parent": index(ns, "uplink"), "vni": 4096, "port": 4789, "mac": mac(n),
            "vtep4": f"100.64.0.{n}", "vtep6": f"fd64::{n:x}", "mtu": 1450,
            "peers": [peer(p) for p in peers], **more}


def forwarding_entries(ns, dev="vxlan.roost"):
    found = json.loads(ns.run("bridge", "-j", "fdb", "show", "dev", dev) or "[]")
    return sorted((f["mac"], f.get("dst"), f["state"]) for f in found)


def neighbours(ns, dev="vxlan.roost"):
    # ip asks the kernel once for each family, and each answer may hold both
    found = ns.ask(f"-4 neigh show dev {dev}") + ns.ask(f"neigh show dev {dev}")
    return sorted({(n["dst"], n.get("lladdr"), n["state"][0]) for n in found
                   if n["state"] != ["NOARP"]})


def expected_peers(*numbers):
    peers = [peer(n) for n in numbers]
    return (sorted((p["mac"], p["node"], "permanent") for p in peers),
            sorted((p[key], p["mac"], "PERMANENT") for p in peers for key in ("vtep4", "vtep6")))


def has_peers(ns, *numbers):
    entries, neighs = expected_peers(*numbers)
    equal(forwarding_entries(ns), entries, "forwarding entries")
    equal(neighbours(ns), neighs, "neighbours")


def sysctls(ns, *names):
    return [ns.get_sysctl(n) for n in names]


# ---- what the agent sees ----

def test_the_facts_show_links_addresses_default_routes_and_switches(lab):
    lab.host.set_sysctl("ipv4/ip_forward", 1)
    lab.host.ip("addr add 10.99.0.1/32 dev lo", "link set uplink mtu 1400",
                "addr add 10.99.0.9/24 dev uplink", "route add default via 10.99.0.1 metric 500")
    with agent(lab.host) as a:
        facts = a.facts()
        uplink = index(lab.host, "uplink")
        equal([(l["name"], l["kind"], l["mtu"], l["up"], l["running"], l["loopback"])
               for l in facts["links"]],
              [("lo", "", 65536, True, True, True), ("uplink", "veth", 1400, True, True, False)],
              "links")
        equal(facts["links"][1]["mac"], lab.host.link("uplink")["address"], "the MAC")
        seen = [(x["addr"], x["usable"]) for x in facts["addrs"] if x["link"] == uplink]
        equal(seen, [("10.99.0.2/24", True), ("fd99::2/64", True), ("fe80::2/64", False),
                     ("10.99.0.9/24", True)], "addresses, the secondary one last")
        equal(facts["defaults"], [{"via": "10.99.0.1", "link": uplink, "family": 4},
                                  {"via": "fd99::1", "link": uplink, "family": 6}], "defaults")
        equal((facts["forwards4"], facts["forwards6"]), (True, False), "forwarding")


def test_changes_of_the_host_are_noticed(lab):
    with agent(lab.host) as a:
        a.settle()  # the kernel may say late that a new link is running
        equal(a.settle(), SAME, "a read of a host at rest")
        for lines in (["addr add 10.98.0.1/24 dev uplink"], ["addr del 10.98.0.1/24 dev uplink"],
                      ["link add other type veth peer name otherp"], ["link set other mtu 1300"],
                      ["link set uplink mtu 1380"], ["route del default via 10.99.0.1"],
                      ["route add default via 10.99.0.1 metric 7"], ["link del other"],
                      ["route add blackhole 10.66.0.0/26 proto 82"],
                      ["route del blackhole 10.66.0.0/26 proto 82"],
                      ["route add blackhole fd66::/122 proto 82"], ["link set uplink down"]):
            lab.host.ip(*lines)
            equal((lines, a.settle()), (lines, CHANGED), "the answer after")
        lab.host.set_sysctl("ipv4/ip_forward", 1)
        equal(a.settle(), CHANGED, "the answer to a switch")
        equal(a.facts()["defaults"], [], "default routes through a link that is down")


def test_the_host_s_own_routes_are_seen_and_followed(lab):
    lab.host.ip("link add second type veth peer name secondp", "link set second up",
                "link set secondp up", "addr add 10.98.0.1/24 dev second",
                "route add 10.97.0.0/16 via 10.99.0.1 metric 7",
                "route add 10.97.0.0/16 via 10.98.0.7 proto static",
                "route add 10.96.0.9/32 dev second proto dhcp",
                "route add 10.95.0.0/16 nexthop via 10.98.0.7 nexthop via 10.99.0.1",
                "route add fd97::/64 via fd99::1 proto ra",
                "route add 10.94.0.0/16 via 10.99.0.1 proto bird",
                "route add 10.93.0.0/16 via 10.99.0.1 table 7",
                "route add blackhole 10.92.0.0/16")
    with agent(lab.host) as a:
        a.settle()
        uplink, second = index(lab.host, "uplink"), index(lab.host, "second")
        expected = [{"dst": "10.95.0.0/16", "via": "10.98.0.7", "link": second},
                    {"dst": "10.96.0.9/32", "via": "", "link": second},
                    {"dst": "10.97.0.0/16", "via": "10.98.0.7", "link": second},
                    {"dst": "fd97::/64", "via": "fd99::1", "link": uplink}]
        equal(a.facts()["routes"], expected, "the host's own routes")
        lab.host.ip("route add 10.91.0.0/16 via 10.99.0.1 proto dhcp")
        equal(a.settle(), CHANGED, "the answer to a new route")
        equal(a.facts()["routes"][0]["dst"], "10.91.0.0/16", "the new one")
        lab.host.ip("route del 10.91.0.0/16")
        equal(a.settle(), CHANGED, "the answer to its end")
        lab.host.ip("link set second down")  # the kernel does not say that its routes went
        equal(a.settle(), CHANGED, "the answer to a link that goes down")
        equal([(r["dst"], r["via"]) for r in a.facts()["routes"]],
              [("10.95.0.0/16", "10.99.0.1"), ("10.97.0.0/16", "10.99.0.1"),
               ("fd97::/64", "fd99::1")], "what is left")


def test_a_strict_reverse_path_check_is_seen(lab):
    def strict():
        return [l["name"] for l in a.facts()["links"] if l["strict"]]
    lab.host.set_sysctl("ipv4/conf/all/rp_filter", 0)
    lab.host.set_sysctl("ipv4/conf/uplink/rp_filter", 0)
    with agent(lab.host) as a:
        a.settle()
        equal(strict(), [], "strict links")
        lab.host.set_sysctl("ipv4/conf/all/rp_filter", 1)
        equal(a.settle(), CHANGED, "the answer to the switch of all")
        equal(strict(), ["uplink"], "strict links")
        lab.host.set_sysctl("ipv4/conf/uplink/rp_filter", 2)
        equal(strict(), [], "strict links, as the larger value counts")


def test_a_link_that_is_not_ours_is_seen_whatever_its_kind(lab):
    """The uplink of these hosts is a veth, and a veth with a foreign alias is no pod's."""
    lab.host.ip("link add foreign type veth peer name foreignp",
                "link set foreign alias somebody's")
    with agent(lab.host) as a:
        true(a.link("foreign") and a.link("uplink"), "both links", a.facts()["links"])


def test_an_uplink_that_is_a_bridge_is_seen_and_followed(lab):
    lab.host.set_sysctl("ipv4/conf/all/rp_filter", 0)
    lab.host.ip("addr flush dev uplink scope global", "link add br-ex type bridge",
                "link set uplink master br-ex", "link set br-ex up",
                "addr add 10.99.0.2/24 dev br-ex", "route add default via 10.99.0.1")
    lab.host.set_sysctl("ipv4/conf/br-ex/rp_filter", 1)
    with agent(lab.host) as a:
        a.settle()
        bridge = index(lab.host, "br-ex")
        seen = a.link("br-ex")
        equal((seen["index"], seen["kind"], seen["mtu"], seen["up"], seen["strict"], seen["mac"]),
              (bridge, "bridge", 1500, True, True, lab.host.link("br-ex")["address"]), "the bridge")
        true({"addr": "10.99.0.2/24", "link": bridge, "usable": True} in a.facts()["addrs"],
             "its address", a.facts())
        equal(a.facts()["defaults"][0], {"via": "10.99.0.1", "link": bridge, "family": 4}, "defaults")
        for how in ("cidr=10.99.0.0/24", "can-reach=10.99.0.1", "interface=br-ex", "10.99.0.2"):
            equal((how, a.ok("detect", how=how)["address"]), (how, "10.99.0.2/24"), "the address")
        lab.host.ip("link set br-ex mtu 1400")
        equal((a.settle(), a.link("br-ex")["mtu"]), (CHANGED, 1400), "the answer to another MTU")
        # The kernel says this with the family of bridges.
        lab.host.run("bridge", "link", "set", "dev", "uplink", "cost", "7")
        a.settle()
        equal([l["name"] for l in a.facts()["links"]], ["lo", "uplink", "br-ex"], "links")
        lab.host.ip("link set uplink nomaster")
        a.settle()
        equal([l["name"] for l in a.facts()["links"]], ["lo", "uplink", "br-ex"], "links")
        lab.host.ip("link set br-ex down")
        equal((a.settle(), a.link("br-ex")["up"]), (CHANGED, False), "the answer to its end")
        lab.host.ip("link del br-ex")
        equal((a.settle(), a.link("br-ex")), (CHANGED, None), "the answer to the bridge's deletion")


def test_pods_that_come_and_go_are_no_change(lab):
    lab.add(lab.pod())  # forwarding, blackholes and the rule are there from now on
    with agent(lab.host) as a:
        before = a.facts()
        for _ in range(3):
            pod = lab.pod()
            lab.add(pod)
            equal(a.settle(), SAME, "the answer after ADD")
            lab.delete(pod)
            true(a.settle() in (SAME, REAP), "no change after DEL")
        equal(a.facts(), before, "the facts")


def test_routes_of_others_wake_nobody(lab):
    with agent(lab.host) as a:
        a.settle()
        lines = [f"route add 10.{10 + n // 256}.{n % 256}.0/24 via 10.99.0.1 proto bird"
                 for n in range(3000)]
        lab.host.ip(*lines, "route add 10.66.0.9/32 dev uplink proto 82",
                    "route add default via 10.99.0.1 table 100",
                    "neigh add 10.99.0.77 lladdr 02:00:00:00:00:77 dev uplink",
                    "neigh del 10.99.0.77 dev uplink")
        equal(a.call("read", ms=MS)["r"], ETIME, "the answer to 3000 routes of BIRD")


def test_lost_notifications_are_mended_by_a_new_look(lab):
    with agent(lab.host) as a:
        a.settle()
        lab.host.ip(*(f"link set uplink alias text-{n}" for n in range(6000)),
                    "link add late type veth peer name latep", "addr add 10.98.0.1/24 dev late",
                    "addr del fd99::2/64 dev uplink")
        with inside(lab.host.path), open("/proc/thread-self/net/netlink") as f:
            drops = sum(int(line.split()[8]) for line in f.readlines()[1:])
        true(drops > 0, "the socket to overrun")
        equal(a.settle(), CHANGED, "the answer")
        facts = a.facts()
        true(a.link("late"), "the new link", facts["links"])
        seen = [x["addr"] for x in facts["addrs"]]
        true("10.98.0.1/24" in seen and "fd99::2/64" not in seen, "the new addresses", seen)
        lab.host.ip("link del late")
        equal(a.settle(), CHANGED, "the answer to what comes later")
        equal(a.link("late"), None, "the deleted link")


def test_the_node_s_address_is_found_on_the_real_host(lab):
    lab.host.ip("link add docker0 type bridge", "link set docker0 up",
                "addr add 172.17.0.1/16 dev docker0")
    with agent(lab.host) as a:
        for how, expected in (("first-found", "10.99.0.2/24"), ("can-reach=9.9.9.9", "10.99.0.2/24"),
                              ("interface=up.*", "10.99.0.2/24"), ("cidr=10.99.0.0/16", "10.99.0.2/24")):
            equal((how, a.ok("detect", how=how)["address"]), (how, expected), "the address")
        equal(a.ok("detect", how="first-found", family=6)["address"], "fd99::2/64", "the address")
        equal(a.ok("detect", how="can-reach=172.17.0.9")["address"], "172.17.0.1/16", "the address")
        lab.host.ip("link add bare type bridge", "link set bare up", "route add 10.97.0.0/16 dev bare")
        answer = a.call("detect", how="can-reach=10.97.0.9")
        true("10.97.0.9: the link towards it has no usable" in answer["error"], "a refusal", answer)
        lab.host.ip("route del default via 10.99.0.1")
        answer = a.call("detect", how="can-reach=9.9.9.9")
        true("there is no route to it" in answer["error"], "a refusal", answer)


# ---- links of dead pods ----

def test_a_hundred_marked_links_go_in_one_message(lab):
    lab.host.ip(*(f"link add p{n} type veth peer name q{n}" for n in range(101)),
                *(f"link set p{n} up" for n in range(101)))
    with agent(lab.host) as a:
        equal(a.settle(), SAME, "the answer before")
        lab.host.ip(*(f"link set p{n} group {REAP_GROUP} down" for n in range(100)))
        equal(a.settle(), REAP, "the answer to marked links")
        equal(a.ok("reap")["r"], 100, "how many were reaped")
        names = [l["ifname"] for l in lab.host.ask("link show")]
        equal(sorted(n for n in names if n[0] in "pq"), ["p100", "q100"], "links left")
        equal(a.settle(), CHANGED, "the answer to the peers that went along")
        equal((a.ok("reap")["r"], a.settle()), (0, SAME), "a second reap")


def test_a_mark_on_a_link_that_was_down_is_found_by_asking(lab):
    lab.host.ip("link add p0 type veth peer name q0")
    with agent(lab.host) as a:
        a.settle()
        lab.host.ip(f"link set p0 group {REAP_GROUP}")
        equal(a.settle(), SAME, "the answer, as the kernel says nothing")
        equal((a.ok("reap")["r"], lab.host.link("p0"), a.ok("reap")["r"]), (1, None, 0), "two reaps")


def test_a_change_beside_marked_links_is_not_lost(lab):
    lab.host.ip("link add p0 type veth peer name q0", "link set p0 up")
    with agent(lab.host) as a:
        a.settle()
        lab.host.ip(f"link set p0 group {REAP_GROUP}", "link set uplink mtu 1400")
        time.sleep(MS / 1000)
        equal(a.call("read", ms=MS)["r"], REAP, "the first answer")
        equal(a.ok("reap")["r"], 1, "how many were reaped")
        equal(a.call("read", ms=MS)["r"], CHANGED, "the second answer")


# ---- routes and switches ----

def test_blackholes_become_those_of_the_blocks_and_nothing_else_changes(lab):
    foreign = ["10.50.0.0/24 via 10.99.0.1 proto bird", "blackhole 10.51.0.0/24 proto static",
               "10.66.0.1 dev uplink proto 82 scope link", "10.52.0.0/24 via 10.99.0.1 proto 82",
               "blackhole 10.66.9.0/26 proto 82 table 100", "prohibit 10.53.0.0/24 proto 82"]
    foreign6 = ["fd50::/64 via fd99::1 proto bird", "blackhole fd51::/64 proto static",
                "fd66::1 dev uplink proto 82"]
    lab.host.ip(*("route add " + r for r in foreign), *("route add " + r for r in foreign6),
                "route add blackhole 10.66.7.0/26 proto 82",
                "route add blackhole 10.66.0.0/26 proto 82 metric 9",
                "route add blackhole fd66:7::/122 proto 82")

    def others():
        return sorted(r for r in lab.host.routes("show table all")
                      if not (r.startswith("blackhole") and "proto 82" in r and "10.66.9" not in r))
    before = others()
    want = ["10.66.0.0/26", "10.66.1.0/26", "10.66.2.7/32", "fd66::/122", "fd66::1/128"]
    with agent(lab.host) as a:
        equal(a.sync(blackholes=want), 8, "the number of changes")
        equal(lab.blackholes(), ["10.66.0.0/26", "10.66.1.0/26", "10.66.2.7", "fd66::/122",
                                 "fd66::1"], "blackholes")
        equal(a.sync(blackholes=want), 0, "the number of changes of a second sync")
        a.settle()
        lab.host.ip("route del blackhole 10.66.1.0/26 proto 82")
        equal(a.settle(), CHANGED, "the answer to a deleted blackhole")
        equal(a.sync(blackholes=want), 1, "the number of changes")
        many = [f"10.66.{n}.0/26" for n in range(200)] + [f"fd66:{n:x}::/122" for n in range(200)]
        equal(a.sync(blackholes=many), 400 - 3 + 2, "the number of changes")
        equal(lab.blackholes(), sorted(m.replace("fd66:0::", "fd66::") for m in many), "blackholes")
        equal(a.sync(blackholes=[]), 400, "the number of changes")
        equal((lab.blackholes(), others()), ([], before), "what is left")


def test_a_blackhole_of_one_address_stands_behind_the_route_of_its_pod(lab):
    """The kernel deletes an IPv6 route by its metric, whatever its type."""
    lab.host.ip("route add 10.66.2.7 dev uplink proto 82 scope link",
                "route add fd66::1 dev uplink proto 82")

    def chosen():
        return [lab.host.run("ip", "route", "get", d) for d in ("10.66.2.7", "fd66::1")]
    before = chosen()
    want = ["10.66.2.7/32", "fd66::1/128"]
    with agent(lab.host) as a:
        equal(a.sync(blackholes=want), 2, "the number of changes")
        equal(a.sync(blackholes=want), 0, "the number of changes of a second sync")
        equal((lab.blackholes(), chosen()), (["10.66.2.7", "fd66::1"], before), "what is taken")
        lab.host.ip("route add blackhole fd66::1 proto 82 metric 9")
        equal(a.sync(blackholes=want), 1, "the number of changes with one in front of the pod")
        equal((lab.blackholes(), chosen()), (["10.66.2.7", "fd66::1"], before), "what is taken")
        equal(a.sync(blackholes=[]), 2, "the number of changes to none")
        equal((lab.blackholes(), chosen()), ([], before), "what is left")


def test_rules_for_exits_come_and_go_and_no_other_rule_changes(lab):
    host = lab.host
    host.ip("rule add from 198.51.100.0/24 lookup 77 pref 8266",
            "rule add from 10.66.0.0/16 lookup 8266 pref 8267",
            "rule add from 10.67.0.0/16 lookup 79 pref 100 proto 82")
    host.run("ip", "-6", "rule", "add", "from", "fd51::/64", "lookup", "77", "pref", "8267")

    def rules(family):
        return sorted((r["priority"], f"{r['src']}/{r.get('srclen')}", r["table"],
                       r.get("suppress_prefixlen")) for r in host.ask(f"-{family} rule show")
                      if r.get("protocol") in ("82", "roost") and r["priority"] >= 8266)

    def others():
        return [l for f in "46" for l in host.run("ip", f"-{f}", "rule").splitlines()
                if "proto 82" not in l and "proto roost" not in l or l.startswith("100:")]
    wanted = [(8266, "10.66.0.0/16", "main", 0), (8267, "10.66.0.0/16", "8266", None)]
    wanted6 = [(8266, "fd66::/48", "main", 0), (8267, "fd66::/48", "8266", None)]
    before = others()
    with agent(host) as a:
        equal(a.sync(), 0, "the number of changes without exits")
        pools = ["10.66.0.0/16", "fd66::/48"]
        equal(a.sync(exitsOf=pools), 6, "the number of changes: rules and hash policies")
        equal((rules(4), rules(6)), (wanted, wanted6), "rules")
        equal(a.sync(exitsOf=pools), 0, "the number of changes of a second sync")
        host.set_sysctl("ipv4/fib_multipath_hash_policy", 2)
        equal(a.sync(exitsOf=pools), 0, "changes of a hash policy that somebody chose")
        a.settle()
        host.ip("rule del pref 8266 from 10.66.0.0/16")
        equal(a.settle(), CHANGED, "the answer to a deleted rule")
        host.ip("rule add pref 8267 from 10.66.0.0/16 lookup 80 proto 82")
        equal(a.sync(exitsOf=pools), 2, "the number of changes: one is back, one too many goes")
        equal(rules(4), wanted, "rules")
        host.ip("route add default via 10.99.0.1 table 8266 proto bird metric 32",
                "route add unreachable 10.7.0.0/16 table 8266 proto bird metric 32",
                "route add 10.8.0.0/16 via 10.99.0.1 table 8266 proto static")
        equal(a.sync(exitsOf=pools[1:]), 4, "the number of changes: rules, and what BIRD left")
        equal([r["dst"] for r in host.ask("route show table 8266")], ["10.8.0.0/16"],
              "what somebody else has in the table")
        a.sync()
        equal((rules(4), rules(6)), ([], []), "rules without exits")
    equal(others(), before, "rules of others")


def test_somebody_else_s_route_in_the_place_of_a_blackhole_is_said(lab):
    lab.host.ip("route add 10.66.0.0/26 via 10.99.0.1 proto static")
    with agent(lab.host) as a:
        answer = a.call("sync", blackholes=["10.66.0.0/26", "10.66.1.0/26"], forward4=True)
        equal(answer["r"], -17, "the result")
        true(len(answer["problems"]) == 1 and "10.66.0.0/26" in answer["problems"][0] and
             "somebody else's route" in answer["problems"][0], "the reason", answer)
    true("10.66.0.0/26 via 10.99.0.1 dev uplink proto static" in lab.host.routes(), "the route",
         lab.host.routes())
    equal(lab.blackholes(), ["10.66.1.0/26"], "the other blackhole")
    equal(lab.host.get_sysctl("ipv4/ip_forward"), "1", "the other part")


def test_fifty_thousand_routes_of_others_are_not_read_by_a_sync(lab):
    """The kernel filters them: a sync makes as many calls as without them. A listing of all would
    take hundreds."""
    want = {"blackholes": [f"10.66.{n}.0/26" for n in range(20)], "vxlan": [vxlan(lab.host)]}
    trace = f"{lab.dir}/trace"

    def calls(a):
        start = os.path.getsize(trace)
        times = [a.ok("sync", **want)["us"] for _ in range(9)]
        with open(trace) as f:
            f.seek(start)
            return sum("recv" in line for line in f), min(times)
    with agent(lab.host, (*STRACE, "-o", trace)) as a:
        a.sync(**want)
        a.settle()
        alone, us = calls(a)
        lab.host.ip(*(f"route add 10.{100 + n // 4096}.{n // 16 % 256}.{n % 16 * 16}/28 "
                      "via 10.99.0.1 proto bird" for n in range(50000)))
        beside, us_beside = calls(a)
        equal(beside, alone, "the number of answers read")
        equal(a.call("read", ms=MS)["r"], ETIME, "notifications")
        true(us_beside < 100 * us, "a sync to stay within 100 times", (us, us_beside))


def test_forwarding_goes_on_where_it_is_wanted_and_stays_off_elsewhere(lab):
    names = ("ipv4/ip_forward", "ipv6/conf/all/forwarding", "ipv6/conf/uplink/accept_ra")
    lab.host.set_sysctl("ipv6/conf/uplink/accept_ra", 1)
    lab.host.ip("route del default via fd99::1", "route add default via fd99::1 proto ra")
    with agent(lab.host) as a:
        equal(a.sync(), 0, "the number of changes")
        equal(sysctls(lab.host, *names), ["0", "0", "1"], "the switches")
        equal(a.sync(forward4=True), 1, "the number of changes")
        equal(sysctls(lab.host, *names), ["1", "0", "1"], "the switches")
        equal(a.sync(forward4=True, forward6=True), 1, "the number of changes")
        equal(sysctls(lab.host, *names), ["1", "1", "2"], "the switches")
        equal(a.sync(forward4=True, forward6=True), 0, "the number of changes")
        equal(a.sync(), 0, "the number of changes")
        equal(sysctls(lab.host, *names), ["1", "1", "2"], "switches that nobody turns off")


# ---- VXLAN ----

def _vxlan_data(ns, dev="vxlan.roost"):
    return ns.link(dev)["linkinfo"]["info_data"]


def test_the_device_is_as_the_page_says(lab):
    with agent(lab.host) as a:
        true(a.sync(vxlan=[vxlan(lab.host)]) > 0, "changes")
        a.settle()
        link = lab.host.link("vxlan.roost")
        data = _vxlan_data(lab.host)
        equal((data["id"], data["port"], data["local"], data["link"], data["learning"]),
              (4096, 4789, "10.99.0.2", "uplink", False), "the parameters")
        equal((link["address"], link["mtu"], link["ifalias"], link["group"]),
              (mac(2), 1450, "roost: VXLAN over IPv4", "default"), "the link")
        true("UP" in link["flags"], "the link to be up", link["flags"])
        equal(lab.host.addresses("vxlan.roost"), ["100.64.0.2/32", "fd64::2/128", "fe80::ff:fe00:2/64"],
              "addresses")
        equal(lab.host.get_sysctl("ipv4/conf/vxlan.roost/rp_filter"), "2", "rp_filter")
        offload = lab.host.run("ethtool", "-k", "vxlan.roost")
        true("tx-checksumming: off" in offload, "checksum offload to be off", offload)
        for on in (True, False):
            equal(a.sync(vxlan=[vxlan(lab.host, offload=on)]), 1, "the number of changes")
            offload = lab.host.run("ethtool", "-k", "vxlan.roost")
            true(f"tx-checksumming: {'on' if on else 'off'}" in offload, f"offload {on}", offload)
            equal(a.sync(vxlan=[vxlan(lab.host, offload=on)]), 0, "the number of changes")
        has_peers(lab.host, 3)
        equal(a.link("vxlan.roost")["kind"], "vxlan", "the kind in the facts")


def test_a_sync_that_finds_all_right_writes_nothing(lab):
    want = {"blackholes": ["10.66.0.0/26", "fd66::/122"], "forward4": True, "forward6": True,
            "vxlan": [vxlan(lab.host, peers=range(3, 40))]}
    trace = f"{lab.dir}/trace"
    with agent(lab.host, (*STRACE, "-o", trace, "-e", "trace=sendto,sendmsg,write,ioctl")) as a:
        true(a.sync(**want) > 0, "changes")
        a.settle()
        start = os.path.getsize(trace)
        equal(a.sync(**want), 0, "the number of changes")
        equal(a.call("read", ms=MS)["r"], ETIME, "notifications")
    with open(trace) as f:
        f.seek(start)
        lines = [line for line in f if not line.startswith("write(1,")]
    words = ("RTM_NEW", "RTM_DEL", "RTM_SET", "write(")
    writes = [line for line in lines
              if any(w in line.split("/*")[0] for w in words) and "RTM_GET" not in line]
    equal((writes, len(lines) > 5), ([], True), "calls that write")


def test_what_somebody_changes_on_the_device_is_noticed_and_mended(lab):
    want = {"vxlan": [vxlan(lab.host, peers=(3, 4))]}
    with agent(lab.host) as a:
        a.sync(**want)
        a.settle()
        noticed = ("link del vxlan.roost", "addr del 100.64.0.2/32 dev vxlan.roost",
                   "addr add 10.1.2.3/24 dev vxlan.roost", "link set vxlan.roost down",
                   "link set vxlan.roost mtu 1300", f"link set vxlan.roost address {mac(9)}",
                   "neigh del 100.64.0.3 dev vxlan.roost", "neigh del fd64::4 dev vxlan.roost")
        for line in noticed:
            lab.host.ip(line)
            equal((line, a.settle()), (line, CHANGED), "the answer after")
            true(a.sync(**want) > 0, f"changes after {line}")
            a.settle()
            equal((line, a.sync(**want)), (line, 0), "the changes of a second sync after")
        lab.host.run("bridge", "fdb", "del", mac(3), "dev", "vxlan.roost", "dst", "10.99.0.3")
        equal(a.settle(), CHANGED, "the answer after an entry was deleted")
        equal(a.sync(**want), 1, "the number of changes")
        for line in ("neigh replace 100.64.0.3 lladdr 02:00:00:00:00:99 dev vxlan.roost nud permanent",
                     "neigh replace 100.64.0.3 lladdr 02:00:00:00:00:03 dev vxlan.roost nud stale",
                     "neigh add 100.64.0.77 lladdr 02:00:00:00:00:99 dev vxlan.roost nud permanent",
                     "link set vxlan.roost type vxlan learning"):
            lab.host.ip(line)
            equal((line, a.sync(**want)), (line, 1), "the number of changes after")
            equal((line, a.sync(**want)), (line, 0), "the changes of a second sync after")
        for verb, address, there in (("replace", mac(3), 66), ("add", mac(66), 66),
                                     ("append", "00:00:00:00:00:00", 66),
                                     ("append", "00:00:00:00:00:00", 67)):
            lab.host.run("bridge", "fdb", verb, address, "dev", "vxlan.roost", "dst",
                         f"10.99.0.{there}")
        lab.host.set_sysctl("ipv4/conf/vxlan.roost/rp_filter", 1)
        lab.host.run("ethtool", "-K", "vxlan.roost", "tx", "on")
        equal(a.sync(**want), 6, "the number of changes")
        equal(lab.host.addresses("vxlan.roost"), ["100.64.0.2/32", "fd64::2/128", "fe80::ff:fe00:2/64"],
              "addresses")
        has_peers(lab.host, 3, 4)
        equal(a.sync(**want), 0, "the number of changes")


def test_parameters_change_in_place_where_the_kernel_can(lab):
    lab.host.ip("link add other type veth peer name otherp", "link set other up",
                "link set otherp up", "addr add 10.98.0.2/24 dev other")
    with agent(lab.host) as a:
        a.sync(vxlan=[vxlan(lab.host)])
        first = index(lab.host, "vxlan.roost")
        changed = vxlan(lab.host, mtu=1400, mac=mac(77), local="10.98.0.2", vtep4="100.64.0.77",
                        vtep6="fd64::77", parent=index(lab.host, "other"), peers=(4, 5))
        a.sync(vxlan=[changed])
        data = _vxlan_data(lab.host)
        link = lab.host.link("vxlan.roost")
        equal((link["ifindex"], link["mtu"], link["address"], data["local"], data["link"]),
              (first, 1400, mac(77), "10.98.0.2", "other"), "the device")
        equal(lab.host.addresses("vxlan.roost"), ["100.64.0.77/32", "fd64::77/128", "fe80::ff:fe00:4d/64"],
              "addresses")
        has_peers(lab.host, 4, 5)
        equal(a.sync(vxlan=[changed]), 0, "the number of changes")
        for more in ({"vni": 5000}, {"vni": 5000, "port": 8472}):
            before = index(lab.host, "vxlan.roost")
            changed.update(more)
            true(a.sync(vxlan=[changed]) > 0, "changes")
            data = _vxlan_data(lab.host)
            equal((data["id"], data["port"]), (5000, more.get("port", 4789)), "VNI and port")
            true(index(lab.host, "vxlan.roost") != before, "a new device")
            has_peers(lab.host, 4, 5)
        changed.update(device="tunnel")
        a.sync(vxlan=[changed])
        equal((lab.host.link("vxlan.roost"), bool(lab.host.link("tunnel"))), (None, True),
              "the device under its new name alone")
        answer = a.call("sync", vxlan=[dict(changed, mtu=9000)])
        true("cannot set the MTU of tunnel to 9000" in answer["problems"][0], "the reason", answer)
        equal(a.sync(vxlan=[dict(changed, on=False)]), 1, "the number of changes")
        equal(lab.host.link("tunnel"), None, "the device")
        equal(a.sync(vxlan=[dict(changed, on=False)]), 0, "the number of changes")


def test_a_foreign_device_in_the_place_of_ours_is_left_alone(lab):
    lab.host.ip("link add vxlan.roost type bridge", "link add vxlan.mine type vxlan id 4097 dstport "
                "4789 nolearning dev uplink")
    with agent(lab.host) as a:
        answer = a.call("sync", vxlan=[vxlan(lab.host)], blackholes=["10.66.0.0/26"])
        equal(answer["r"], -17, "the result")
        true("device vxlan.roost exists and is not ours" in answer["problems"][0], "why", answer)
        answer = a.call("sync", vxlan=[vxlan(lab.host, device="vxlan6", vni=4097)])
        equal(answer["r"], -17, "the result")
        true("another VXLAN device has VNI 4097 and UDP port 4789" in answer["problems"][0], "why",
             answer)
        equal(a.sync(vxlan=[{"on": False, "device": "vxlan.roost"},
                            {"on": False, "device": "vxlan.mine"}]), 0, "the number of changes")
        true(lab.host.link("vxlan.roost") and lab.host.link("vxlan.mine"), "both devices")
        answer = a.call("sync", vxlan=[vxlan(lab.host, device="vx", vni=1, parent=999)])
        true("its parent, link 999, is gone" in answer["problems"][0], "why", answer)


def test_a_port_that_another_program_has_is_said(lab):
    with inside(lab.host.path), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.bind(("0.0.0.0", 0))
        port = s.getsockname()[1]
        with agent(lab.host) as a:
            want = {"vxlan": [vxlan(lab.host, port=port)]}
            answer = a.call("sync", **want)
            true("bring up" in answer["problems"][0] and f"UDP port {port}" in answer["problems"][0],
                 "why", answer)
            s.close()
            true(a.sync(**want) > 0 and a.sync(**want) == 0, "success as soon as it is free")


def test_a_device_that_a_killed_agent_left_unfinished_is_finished(lab):
    lab.host.ip("link add vxlan.roost group 8203 type vxlan id 4096 dstport 4789 nolearning local "
                "10.99.0.2 dev uplink")
    before = index(lab.host, "vxlan.roost")
    with agent(lab.host) as a:
        a.sync(vxlan=[vxlan(lab.host)])
        link = lab.host.link("vxlan.roost")
        equal((link["ifindex"], link["group"], link["ifalias"]),
              (before, "default", "roost: VXLAN over IPv4"), "the device")


def test_a_host_without_IPv6_by_default_has_its_IPv6_tunnel_address(lab):
    lab.host.set_sysctl("ipv6/conf/default/disable_ipv6", 1)
    with agent(lab.host) as a:
        a.sync(vxlan=[vxlan(lab.host)])
        equal(lab.host.addresses("vxlan.roost"), ["100.64.0.2/32", "fd64::2/128", "fe80::ff:fe00:2/64"],
              "addresses")
        equal(a.sync(vxlan=[vxlan(lab.host)]), 0, "the number of changes")


def test_fifteen_hundred_peers_come_change_and_go(lab):
    with agent(lab.host) as a:
        want = vxlan(lab.host, peers=range(3, 1503))
        true(a.sync(vxlan=[want]) >= 4500, "changes")
        has_peers(lab.host, *range(3, 1503))
        a.settle()
        equal(a.sync(vxlan=[want]), 0, "the number of changes")
        want["peers"] = want["peers"][:750]
        want["peers"][10]["node"] = "10.99.200.200"
        want["peers"].append(dict(want["peers"][0], node="10.99.222.222"))  # the first one counts
        equal(a.sync(vxlan=[want]), 750 * 3 + 1, "the number of changes")
        equal((len(forwarding_entries(lab.host)), len(neighbours(lab.host))), (750, 1500), "peers")
        true((mac(13), "10.99.200.200", "permanent") in forwarding_entries(lab.host), "the new node")
        equal(a.sync(vxlan=[want]), 0, "the number of changes")


def _two_nodes(lab):
    """The host and a second node on the router's network, each with an agent."""
    other = lab.namespace("other")
    lab.router.ip("link add br0 type bridge", "link set br0 up", "addr flush dev port",
                  "link set port master br0",
                  f"link add port2 type veth peer name uplink netns {other.name}",
                  "link set port2 up", "link set port2 master br0", "link set port up")
    other.ip("link set lo up", "link set uplink up", "addr add 10.99.0.3/24 dev uplink")
    return other


def test_pings_and_TCP_go_through_the_tunnel_while_it_is_synced(lab):
    other = _two_nodes(lab)
    lab.host.set_sysctl("ipv4/conf/all/rp_filter", 1)
    with agent(lab.host) as a, agent(other) as b:
        a.sync(vxlan=[vxlan(lab.host, 2, (3,))])
        b.sync(vxlan=[vxlan(other, 3, (2,))])
        for ns, here, there in ((lab.host, 2, 3), (other, 3, 2)):
            ns.ip(f"addr add 10.66.{here}.1/32 dev lo", f"addr add fd66:{here}::1/128 dev lo",
                  f"route add 10.66.{there}.0/24 via 100.64.0.{there} dev vxlan.roost onlink",
                  f"route add fd66:{there}::/64 via fd64::{there} dev vxlan.roost onlink")
        # Even on the loopback an IPv6 address is tentative until a work queue of the kernel has had its turn.
        wait_for(lambda: not any(ns.ask("-6 addr show dev lo tentative") for ns in (lab.host, other)),
                 "addresses that can be used")
        true(lab.host.pings("10.66.3.1", "-I", "10.66.2.1"), "an answer through the tunnel")
        true(lab.host.pings("fd66:3::1", "-I", "fd66:2::1"), "an answer through the tunnel")
        true(lab.host.pings("10.66.3.1", "-I", "10.66.2.1", "-M", "do", "-s", "1422"),
             "an answer to the largest packet")
        with inside(lab.host.path):
            flood = subprocess.Popen(["ping", "-n", "-q", "-i", "0.002", "-c", "700", "-W", "2",
                                      "-I", "10.66.2.1", "10.66.3.1"], stdout=subprocess.PIPE,
                                     text=True)
        for n in range(40):
            more = range(4, 4 + n * 5 % 60)
            a.sync(vxlan=[vxlan(lab.host, 2, (3, *more), mtu=1450 - n % 2)])
            b.sync(vxlan=[vxlan(other, 3, (*more, 2))])
        out = flood.communicate(timeout=60)[0]
        true(" 0% packet loss" in out, "no ping lost", out)
        _send(lab.host, "10.66.2.1", other, "10.66.3.1")


def _send(client, source, server, address, size=400000):
    """TCP through the tunnel, whole."""
    with inside(server.path):
        listener = socket.create_server((address, 0))
    with listener, inside(client.path):
        with socket.create_connection(listener.getsockname()[:2], 10, (source, 0)) as c:
            peer_end, _ = listener.accept()
            with peer_end:
                c.settimeout(10)
                peer_end.settimeout(10)
                sent, got = b"x" * 1000, 0
                for _ in range(size // 1000):
                    c.sendall(sent)
                    got += len(peer_end.recv(1000, socket.MSG_WAITALL))
    equal(got, size, "bytes over TCP")


def test_a_tunnel_over_IPv6_carries_both_families(lab):
    other = _two_nodes(lab)
    other.ip("addr add fd99::3/64 dev uplink nodad")

    def want(ns, n, m):
        want = vxlan(ns, n, (), local=f"fd99::{n}", device="vxlan.roost6", mtu=1430)
        return [{}, dict(want, peers=[dict(peer(m), node=f"fd99::{m}")])]
    with agent(lab.host) as a, agent(other) as b:
        a.sync(vxlan=want(lab.host, 2, 3))
        b.sync(vxlan=want(other, 3, 2))
        equal(lab.host.link("vxlan.roost6")["ifalias"], "roost: VXLAN over IPv6", "the alias")
        lab.host.ip("route add 100.64.0.3 dev vxlan.roost6", "route add fd64::3 dev vxlan.roost6")
        other.ip("route add 100.64.0.2 dev vxlan.roost6", "route add fd64::2 dev vxlan.roost6")
        true(lab.host.pings("100.64.0.3", "-I", "100.64.0.2"), "an answer through the tunnel")
        true(lab.host.pings("fd64::3"), "an answer through the tunnel")
        equal(a.sync(vxlan=want(lab.host, 2, 3)), 0, "the number of changes")


# ---- NAT and other firewalls ----

POOLS = {"pools": ["10.66.0.0/16", "fd66::/48"], "nat": ["10.66.0.0/16", "fd66::/48"]}


def _listed(ns, table):
    tables = ns.run("nft", "list", "tables").split("\n")
    return ns.run("nft", "-s", "list", "table", "inet", table) if f"table inet {table}" in tables else "no table\n"


def test_the_tables_are_as_a_person_would_have_written_them(lab):
    """tests/data/filter: what is wanted, and what nft(8) then lists."""
    with agent(lab.host) as a:
        for case in sorted((DATA / "filter/nat").iterdir()):
            lines = [line.split() for line in (case / "want").read_text().splitlines()]
            a.ok("nat", pools=[v for k, v in lines if k == "pool"], nat=[v for k, v in lines if k == "nat"])
            equal((case.name, _listed(lab.host, "roost-nat")), (case.name, (case / "expected").read_text()), "NAT")
        for case in sorted((DATA / "filter/tunnel_filter").iterdir()):
            a.ok("tunnel_filter", **json.loads((case / "want.json").read_text()))
            equal((case.name, _listed(lab.host, "roost-tunnels")), (case.name, (case / "expected").read_text()),
                  "tunnel filter")


def test_the_order_of_pools_and_those_inside_others_change_nothing(lab):
    one = ["10.1.0.0/16", "fd00::/48", "10.0.0.0/16"]
    other = ["fd00::/48", "10.0.0.0/16", "10.1.0.0/16", "10.1.2.0/24", "10.1.0.0/16"]
    with agent(lab.host) as a:
        equal([a.ok("nat", pools=p, nat=p)["r"] for p in (one, other)], [1, 0], "the syncs")


def test_a_node_more_is_one_element_more(lab):
    host = lab.host
    want = {"vxlan4": True, "port": 4789, "vni": 4096, "peers": ["10.99.0.3", "10.99.0.4"]}
    with agent(host) as a:
        a.ok("tunnel_filter", **want)
        before = host.run("nft", "-a", "list", "table", "inet", "roost-tunnels")
        want["peers"] = ["10.99.0.4", "10.99.0.5"]
        equal(a.ok("tunnel_filter", **want)["r"], 1, "the change")
        after = host.run("nft", "-a", "list", "table", "inet", "roost-tunnels")
        equal(after, before.replace("10.99.0.3, 10.99.0.4", "10.99.0.4, 10.99.0.5"), "the table with its handles")


def test_the_NAT_table_is_kept_as_it_shall_be(lab):
    lab.host.run("nft", "add table inet mine; add chain inet mine c")
    with agent(lab.host) as a:
        equal(a.ok("nat", **POOLS)["r"], 1, "the first sync")
        equal(a.ok("nat", **POOLS)["r"], 0, "the second sync")
        first = lab.host.run("nft", "-a", "list", "table", "inet", "roost-nat")
        for command in ("delete table inet roost-nat", "flush chain inet roost-nat postrouting",
                        "add element inet roost-nat nat4 { 10.9.0.0/16 }",
                        "delete element inet roost-nat pools6 { fd66::/48 }",
                        "insert rule inet roost-nat postrouting accept",
                        "add chain inet roost-nat more", "flush ruleset"):
            lab.host.run("nft", command)
            equal((command, a.ok("nat", **POOLS)["r"]), (command, 1), "the sync after")
            equal((command, a.ok("nat", **POOLS)["r"]), (command, 0), "the second sync after")
        lab.host.run("nft", "add table inet mine; add chain inet mine c")
        before = lab.host.run("nft", "-a", "list", "table", "inet", "roost-nat")
        true(before != first, "a table made anew")
    with agent(lab.host) as a:
        equal(a.ok("nat", **POOLS)["r"], 0, "the sync of a new agent")
        equal(lab.host.run("nft", "-a", "list", "table", "inet", "roost-nat"), before, "the table")
        lab.host.run("nft", "flush chain inet roost-nat postrouting")
    with agent(lab.host) as a:
        equal(a.ok("nat", **POOLS)["r"], 1, "the sync of a new agent after a change")
        equal(a.ok("nat", pools=POOLS["pools"], nat=["10.66.0.0/16"])["r"], 1, "another text")
        equal(a.ok("nat", pools=POOLS["pools"])["r"], 1, "the sync without NAT")
        equal(a.ok("nat", pools=POOLS["pools"])["r"], 0, "the second sync without NAT")
    tables = lab.host.run("nft", "list", "tables").split("\n")
    equal(sorted(filter(None, tables)), ["table inet mine"], "the tables")


def test_pods_reach_the_outside_under_the_node_s_address_and_each_other_under_their_own(lab):
    pods = [lab.pod(), lab.pod()]
    addresses = [lab.add(p)["ips"][0]["address"].split("/")[0] for p in pods]
    lab.router.ip("route del 10.66.0.0/16 via 10.99.0.2", "route del fd66::/48 via fd99::2")
    with agent(lab.host) as a:
        true(not pods[0].ns.pings("10.99.0.1"), "no answer without NAT")
        a.ok("nat", **POOLS)
        true(pods[0].ns.pings("10.99.0.1") and pods[0].ns.pings("fd99::1"), "answers through NAT")
        with inside(pods[1].path):
            server = socket.create_server((addresses[1], 0))
        with server, inside(pods[0].path):
            with socket.create_connection(server.getsockname()[:2], 10):
                equal(server.accept()[1][0], addresses[0], "the source between pods")


def _drop_and_mend(lab, expected):
    lab.add(lab.pod())
    pod = lab.pod()
    lab.add(pod)
    true(pod.ns.pings("10.99.0.1") and pod.ns.pings("fd99::1"), "answers before")
    pools = ["10.66.0.0/16", "fd66::/48"]
    with agent(lab.host) as a:
        equal(a.ok("forward", pools=pools)["r"], 0, "the answer without a firewall")
        for n, (tool, outside) in enumerate((("iptables", "10.99.0.1"), ("ip6tables", "fd99::1"))):
            lab.host.run(tool, "-P", "FORWARD", "DROP")
            true(not pod.ns.pings(outside), "no answer behind a policy DROP")
            answer = a.ok("forward", pools=pools)
            command = answer["text"].split(": ", 1)[1]
            equal((answer["r"], command), (1, expected(tool, pools[n])), "the answer")
            lab.host.run("sh", "-c", command)
            equal(a.ok("forward", pools=pools)["r"], 0, "the answer after the command")
            true(pod.ns.pings(outside), "an answer after the command")


def test_packets_pass_again_after_the_command(lab):
    _drop_and_mend(lab, lambda tool, pool: f"{tool} -I FORWARD -s {pool} -j ACCEPT; "
                   f"{tool} -I FORWARD -d {pool} -j ACCEPT")


POOL = "10.66.0.0/16"
BOTH = ["10.66.0.0/16", "fd66::/48"]
FORWARD = "add table {0}; add chain {0} forward {{ type filter hook forward priority 10; policy {1}; }}"


def _nft(table, *rules, policy="drop"):
    return ("nft", "; ".join([FORWARD.format(table, policy), *(r.format(t=table) for r in rules)]))


def _iptables(*lines, tool="iptables"):
    return ("sh", "-c", "; ".join(f"{tool} {line}" for line in lines))


def _says(chain, table, command):
    return f"chain {chain} of table {table} drops pods' packets: {command}"


def _insert(table, pool, chain="forward", family="ip"):
    return "nft '" + "; ".join(f"insert rule {table} {chain} {family} {side} {pool} accept"
                               for side in ("saddr", "daddr")) + "'"


DOCKER = ("-N DOCKER-USER", "-P FORWARD DROP", "-A FORWARD -j DOCKER-USER",
          "-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT",
          "-A DOCKER-USER -j RETURN")
# What is set up, for which pools, what is said ("": nothing).
FIREWALLS = {
    "nothing": ((), BOTH, ""),
    "policy accept": (_iptables("-P FORWARD ACCEPT", "-A FORWARD -p tcp -j DROP"), BOTH, ""),
    "policy drop": (_iptables("-P FORWARD DROP"), BOTH, _says(
        "FORWARD", "ip filter", f"iptables -I FORWARD -s {POOL} -j ACCEPT; iptables -I FORWARD -d {POOL} -j ACCEPT")),
    "policy drop of IPv6": (_iptables("-P FORWARD DROP", tool="ip6tables"), BOTH, _says(
        "FORWARD", "ip6 filter", "ip6tables -I FORWARD -s fd66::/48 -j ACCEPT; "
        "ip6tables -I FORWARD -d fd66::/48 -j ACCEPT")),
    "policy drop of the other family": (_iptables("-P FORWARD DROP", tool="ip6tables"), [POOL], ""),
    "policy drop, two pools": (_iptables("-P FORWARD DROP"), [POOL, "10.70.0.0/16"], _says(
        "FORWARD", "ip filter", "iptables -I FORWARD -s 10.66.0.0/16,10.70.0.0/16 -j ACCEPT; "
        "iptables -I FORWARD -d 10.66.0.0/16,10.70.0.0/16 -j ACCEPT")),
    "Docker": (_iptables(*DOCKER), [POOL], _says(
        "FORWARD", "ip filter", f"iptables -I DOCKER-USER -s {POOL} -j ACCEPT; "
        f"iptables -I DOCKER-USER -d {POOL} -j ACCEPT")),
    "Docker, mended": (_iptables(*DOCKER, f"-I DOCKER-USER -s {POOL} -j ACCEPT",
                                 f"-I DOCKER-USER -d {POOL} -j ACCEPT"), [POOL], ""),
    "accepted one way": (_iptables("-P FORWARD DROP", f"-A FORWARD -s {POOL} -j ACCEPT"), [POOL], _says(
        "FORWARD", "ip filter", f"iptables -I FORWARD -s {POOL} -j ACCEPT; iptables -I FORWARD -d {POOL} -j ACCEPT")),
    "accepted by interface": (_iptables("-P FORWARD DROP", "-A FORWARD -i roost+ -j ACCEPT",
                                        "-A FORWARD -o roost+ -j ACCEPT"), [POOL], ""),
    "accepted all": (_iptables("-P FORWARD DROP", "-A FORWARD -j ACCEPT"), [POOL], ""),
    "accepted too little": (_nft("inet fw", "add rule {t} forward ip saddr 10.66.0.0/17 accept",
                                 "add rule {t} forward ip daddr 10.66.0.0/17 accept"), [POOL],
                            _says("forward", "inet fw", _insert("inet fw", POOL))),
    "accepted other ones": (_nft("inet fw", "add rule {t} forward ip saddr != 10.66.0.0/16 accept",
                                 "add rule {t} forward ip daddr 10.67.0.0/16 accept"), [POOL],
                            _says("forward", "inet fw", _insert("inet fw", POOL))),
    "a larger prefix": (_nft("ip fw", "add rule {t} forward ip saddr 10.64.0.0/13 counter accept",
                             "add rule {t} forward ip daddr 10.0.0.0/8 accept"), [POOL], ""),
    "by goto": (_nft("ip fw", "add chain {t} allow", "add rule {t} allow accept",
                     "add rule {t} forward ip saddr 10.66.0.0/16 goto allow",
                     "add rule {t} forward ip daddr 10.66.0.0/16 goto allow"), [POOL], ""),
    "sets": (_nft("inet fw", "add set {t} pods {{ type ipv4_addr; flags interval; }}",
                  "add element {t} pods {{ 10.70.0.0/16, 10.66.0.0/16 }}", "add chain {t} pods6",
                  "add rule {t} pods6 ip6 saddr {{ fd00::/16, fd66::/48 }} accept",
                  "add rule {t} pods6 ip6 daddr fd66::/48 accept",
                  "add rule {t} forward ip saddr @pods counter accept",
                  "add rule {t} forward ip daddr @pods log accept", "add rule {t} forward jump pods6"),
             BOTH, ""),
    "sets of others": (_nft("inet fw", "add rule {t} forward ip saddr {{ 10.70.0.0/16, 10.71.0.0/16 }} accept",
                            "add rule {t} forward ip daddr {{ 10.70.0.0/16, 10.71.0.0/16 }} accept"), [POOL],
                       _says("forward", "inet fw", _insert("inet fw", POOL))),
    "two pools of a family": (_nft("inet fw"), [POOL, "10.70.0.0/16", "fd66::/48"], _says(
        "forward", "inet fw", _insert("inet fw", "{ 10.66.0.0/16, 10.70.0.0/16 }"))),
    "IPv6 alone": (_nft("inet fw"), ["fd66::/48"], _says(
        "forward", "inet fw", _insert("inet fw", "fd66::/48", family="ip6"))),
    "reject at the end": (_iptables("-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT",
                                    "-A FORWARD -j REJECT"), [POOL], _says(
        "FORWARD", "ip filter", f"iptables -I FORWARD -s {POOL} -j ACCEPT; iptables -I FORWARD -d {POOL} -j ACCEPT")),
    "firewalld": (_nft("inet firewalld", "add rule {t} forward ct state established,related accept",
                       "add rule {t} forward reject with icmpx admin-prohibited", policy="accept"),
                  [POOL, "10.70.0.0/16"], _says(
        "forward", "inet firewalld", "firewall-cmd --zone=trusted --add-source=10.66.0.0/16 --add-source=10.70.0.0/16")),
    "a rule that drops the pool names it to drop it": (
        _nft("inet fw", "add rule {t} forward ip saddr 10.66.0.0/16 drop",
             "add rule {t} forward ip daddr 10.66.0.0/16 drop"), [POOL],
        _says("forward", "inet fw", _insert("inet fw", POOL))),
    "ours alone": (_nft("inet roost-x"), BOTH, ""),
    "not a table that forwards": (("nft", "add table arp fw; add chain arp fw c { type filter hook input priority 0; "
                                   "policy drop; }"), BOTH, ""),
}


def test_what_drops_pods_packets_is_said_with_a_command_that_mends_it(lab):
    host = lab.host
    with agent(host) as a:
        for name, (command, pools, expected) in FIREWALLS.items():
            host.run("nft", "flush ruleset")
            if command:
                host.run(*command)
            answer = a.ok("forward", pools=pools)
            equal((name, answer["r"], answer["text"]), (name, int(bool(expected)), expected), "the answer")
            if expected and "firewall-cmd" not in expected:
                host.run("sh", "-c", expected.split(": ", 1)[1])
                family = [p for p in pools if (":" in p) == ("ip6" in expected)]
                equal((name, a.ok("forward", pools=family)["r"]), (name, 0), "the answer after the command")


# ---- strangers at the tunnels ----

def _frame(number):
    """A VXLAN packet of VNI 4096 for the device of node number, whatever is in it."""
    ethernet = bytes.fromhex(mac(number).replace(":", "")) + b"\2\0\0\0\0\0" + b"\x88\xb5"
    return struct.pack("!II", 0x08000000, 4096 << 8) + ethernet + bytes(100)


def _datagram(ns, source, target, payload=None):
    family = socket.AF_INET6 if ":" in target else socket.AF_INET
    with inside(ns.path), socket.socket(family, socket.SOCK_DGRAM) as s:
        s.bind((source, 0))
        s.sendto(payload or _frame(2), (target, 4789))


def _fragments(ns, source, target):
    """The same in two fragments, of which the first ends in front of the VNI."""
    data = struct.pack("!4H", 4444, 4789, 8 + len(_frame(2)), 0) + _frame(2)
    pseudo = (socket.inet_pton(socket.AF_INET6, source) + socket.inet_pton(socket.AF_INET6, target)
              + struct.pack("!II", len(data), socket.IPPROTO_UDP) + data)
    pseudo += bytes(len(pseudo) % 2)
    total = sum(struct.unpack(f"!{len(pseudo) // 2}H", pseudo))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    data = data[:6] + struct.pack("!H", ~total & 0xffff or 0xffff) + data[8:]
    with inside(ns.path), socket.socket(socket.AF_INET6, socket.SOCK_RAW, 44) as s:
        s.bind((source, 0))
        for offset, more, part in ((0, 1, data[:8]), (8, 0, data[8:])):
            s.sendto(struct.pack("!BBHI", socket.IPPROTO_UDP, 0, offset | more, 7) + part,
                     (target, 0))


def _taken(ns, dev):
    return ns.ask(f"-s link show {dev}")[0]["stats64"]["rx"]["packets"]


def test_VXLAN_of_known_nodes_gets_in_and_of_strangers_to_no_address_of_the_host(lab):
    """The device takes packets to any address of the host; to the node's own one would not do."""
    node, sender = lab.host, lab.router
    node.ip("addr add 10.99.0.77/24 dev uplink", "addr add fd99::77/64 dev uplink nodad")
    sender.ip("addr add 10.99.0.3/24 dev port", "addr add fd99::3/64 dev port nodad",
              "route add 100.64.0.2 via 10.99.0.2")
    device6 = vxlan(node, peers=(), local="fd99::2", device="vxlan.roost6", mtu=1430)
    with agent(node) as a:
        a.sync(vxlan=[vxlan(node), device6])

        def gets_in(dev, send, source, target):
            """Known ones are sent behind it: when they are here, it would be, too."""
            before = _taken(node, dev)
            send(sender, source, target)
            known = ("fd99::3", "fd99::2") if dev == "vxlan.roost6" else ("10.99.0.3", "10.99.0.2")
            _datagram(sender, *known)
            wait_for(lambda: _taken(node, dev) > before, "the known node's packet")
            return _taken(node, dev) - before == 2
        cases = [("vxlan.roost", _datagram, "10.99.0.1", t)
                 for t in ("10.99.0.2", "10.99.0.77", "100.64.0.2")]
        cases += [("vxlan.roost6", send, "fd99::1", t) for send in (_datagram, _fragments)
                  for t in ("fd99::2", "fd99::77")]
        for case in cases:
            true(gets_in(*case), "a packet to get in without a filter", case)
        want = {"vxlan4": True, "vxlan6": True, "port": 4789, "vni": 4096,
                "peers": ["10.99.0.3", "fd99::3"]}
        equal(a.ok("tunnel_filter", **want)["r"], 1, "the tunnel filter's change")
        for case in cases:
            true(not gets_in(*case), "a stranger's packet to be dropped", case)
        for dev, send, _, target in cases:
            known = "fd99::3" if dev == "vxlan.roost6" else "10.99.0.3"
            true(gets_in(dev, send, known, target), "a known node's packet to get in", target)
        node.ip("link add theirs type vxlan id 99 dstport 4789 local 10.99.0.2", "link set theirs up")
        other = struct.pack("!II", 0x08000000, 99 << 8) + _frame(2)[8:]
        _datagram(sender, "10.99.0.1", "10.99.0.2", other)
        wait_for(lambda: _taken(node, "theirs") or node.ask("-s link show theirs")[0]["stats64"]
                 ["rx"]["dropped"], "a stranger's packet of another VNI to be left alone")


def test_the_table_of_tunnels_is_kept_as_it_shall_be(lab):
    want = {"ipip": True, "vxlan4": True, "vxlan6": True, "port": 4789, "vni": 4096,
            "peers": ["10.99.0.3", "fd99::3", "10.99.0.3"], "others": ["192.0.2.9", "10.99.0.3"],
            "theirs": ["10.99.0.77"]}
    name = ("table", "inet", "roost-tunnels")
    with agent(lab.host) as a:
        equal([a.ok("tunnel_filter", **want)["r"] for _ in range(2)], [1, 0], "two syncs")
        for command in ("delete table inet roost-tunnels", "flush chain inet roost-tunnels input",
                        "add element inet roost-tunnels ipip { 10.9.0.1 }",
                        "delete element inet roost-tunnels nodes6 { fd99::3 }", "flush ruleset"):
            lab.host.run("nft", command)
            equal((command, a.ok("tunnel_filter", blindly=True, **want)["r"]), (command, 0),
                  "a sync that does not look")
            equal((command, a.ok("tunnel_filter", **want)["r"]), (command, 1), "one that does")
        before = lab.host.run("nft", "-a", "list", *name)
    with agent(lab.host) as a:
        equal(a.ok("tunnel_filter", blindly=True, **want)["r"], 0, "the first sync of a new agent")
        equal(lab.host.run("nft", "-a", "list", *name), before, "the table")
        want["peers"].append("10.99.0.4")
        equal([a.ok("tunnel_filter", blindly=True, **want)["r"] for _ in range(2)], [1, 0], "another text")
        none = {"peers": want["peers"]}
        equal([a.ok("tunnel_filter", blindly=True, **none)["r"] for _ in range(2)], [1, 0], "no tunnel")
        equal(lab.host.run("nft", "list", "tables"), "", "tables")


# ---- refusals ----

def test_without_the_right_to_change_anything_every_part_says_so(lab):
    unprivileged = ("setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin")
    lab.host.ip("link add p0 type veth peer name q0", f"link set p0 group {REAP_GROUP}")
    with agent(lab.host, unprivileged) as a:
        answer = a.call("sync", blackholes=["10.66.0.0/26"], forward4=True, forward6=True,
                        vxlan=[vxlan(lab.host), vxlan(lab.host, local="fd99::2", device="vxlan6")])
        equal((answer["r"] in (-1, -13), len(answer["problems"])), (True, 4), "problems")
        for words in ("ip_forward", "10.66.0.0/26", "device vxlan.roost", "device vxlan6"):
            true(any(words in p for p in answer["problems"]), words, answer)
        for op, more in (("reap", {}), ("nat", POOLS), ("forward", {"pools": BOTH})):
            answer = a.call(op, **more)
            true(answer["r"] < 0 and "ermitted" in answer["error"], f"{op} to be refused", answer)
    true(lab.host.link("p0"), "the marked link")
