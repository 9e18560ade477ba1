# SPDX-License-Identifier: Apache-2.0
"""What a pod and its host look like after ADD, and that packets take the way they should.

docs/ROUTES.md is the list of objects that is compared here, object by object.
"""

import contextlib
import json
import os
import socket
import subprocess
import sys

import pytest

from roostlab import (Failed, GATEWAY4, GATEWAY6, HOST_MAC, PROTOCOL, at_once, equal, inside, true,
                      wait_for)

pytestmark = pytest.mark.needs()

def addresses(result):
    return [ip["address"].split("/")[0] for ip in result["ips"]]


def host_link(result):
    return result["interfaces"][0]["name"]


# ---- the pod ----

def test_a_pod_has_its_addresses_routes_and_neighbour_and_nothing_else(lab):
    pod = lab.pod()
    result = lab.add(pod)
    seen = [a for a in pod.ns.addresses("eth0") if not a.startswith("fe80:")]
    equal(seen, ["10.66.0.0/32", "fd66::/128"], "addresses")
    equal(pod.ns.routes(), sorted([
        f"{GATEWAY4} dev eth0 proto boot scope link", f"default via {GATEWAY4} dev eth0 proto boot",
        f"default via {GATEWAY6} dev eth0 proto boot"]), "routes")
    neighbours = [(n["dst"], n["lladdr"], n["state"])
                  for n in pod.ns.ask("neigh show nud permanent")]
    equal(neighbours, [(GATEWAY4, HOST_MAC, ["PERMANENT"])], "permanent neighbours")
    for name in ("lo", "eth0"):
        true("UP" in pod.ns.link(name)["flags"], f"{name} to be up", pod.ns.link(name)["flags"])
    equal(pod.ns.link("eth0")["address"], result["interfaces"][1]["mac"], "the MAC")
    true(int(pod.ns.link("eth0")["address"][:2], 16) & 3 == 2, "a local unicast MAC",
         pod.ns.link("eth0")["address"])
    equal(sorted(l["ifname"] for l in pod.ns.ask("link show")), ["eth0", "lo"], "links")


def test_no_address_ever_waits_for_duplicate_address_detection(lab):
    pod = lab.pod()
    result = lab.add(pod)
    waiting = [a["local"] for l in lab.host.ask(f"addr show dev {host_link(result)}")
               + pod.ns.ask("addr show dev eth0") for a in l["addr_info"]
               if a.get("tentative") and a["scope"] != "link"]
    equal(waiting, [], "tentative addresses")
    host_side = lab.host.ask(f"addr show dev {host_link(result)}")[0]["addr_info"]
    equal([(a["local"], a["prefixlen"], bool(a.get("tentative"))) for a in host_side],
          [(GATEWAY6, 128, False)], "addresses of the host end")
    true(pod.ns.pings("fd99::1"), "an answer to the very first IPv6 packet")


def test_the_pod_s_interface_can_send_when_ADD_returns(lab):
    """An interface that the kernel has not yet seen to have a carrier drops what is sent."""
    for _ in range(30):
        pod = lab.pod()
        lab.add(pod)
        equal(pod.ns.link("eth0")["operstate"], "UP", "the operational state")


def test_the_interface_has_the_name_the_runtime_chose(lab):
    for name in ("a.b-c_d@e!1234", "\u00e4\u4e2d\U0001f426", "x", '"\\$(id)'):
        pod = lab.pod(ifname=name)
        result = lab.add(pod)
        equal(result["interfaces"][1]["name"], name, "the result's interface")
        true(pod.ns.link(name), "the interface in the pod")
        equal({e["interface"] for e in lab.records().values() if e["state"] == "used"}, {name},
              "the recorded interface")
        lab.check(pod, result).ok("CHECK")
        lab.delete(pod)
        lab.nothing_left(pod)


def test_an_IPv4_pod_has_no_IPv6_and_the_other_way_round(lab):
    pod = lab.pod()
    result = lab.add(pod, lab.conf(pools=["10.66.0.0/24"]))
    equal(pod.ns.routes(), sorted([f"{GATEWAY4} dev eth0 proto boot scope link",
                                   f"default via {GATEWAY4} dev eth0 proto boot"]), "routes")
    equal(lab.host.addresses(host_link(result)), [], "addresses of the host end")
    equal(lab.host.get_sysctl("ipv6/conf/all/forwarding"), "0", "IPv6 forwarding")
    other = lab.pod()
    lab.add(other, lab.conf(pools=["fd66::/120"]))
    equal(other.ns.routes(), [f"default via {GATEWAY6} dev eth0 proto boot"], "routes")
    equal(other.ns.ask("neigh show nud permanent"), [], "neighbours")
    true(pod.ns.pings("10.99.0.1") and other.ns.pings("fd99::1"), "the router to answer both")


def test_allowIPForwarding_turns_forwarding_on_in_the_pod(lab):
    names = ("ipv4/ip_forward", "ipv6/conf/all/forwarding")
    pod, other = lab.pod(), lab.pod()
    lab.add(pod, lab.conf(allowIPForwarding=True))
    lab.add(other, lab.conf(allowIPForwarding=False))
    equal([pod.ns.get_sysctl(n) for n in names], ["1", "1"], "forwarding")
    equal([other.ns.get_sysctl(n) for n in names], ["0", "0"], "forwarding without the key")
    true(pod.ns.pings("fd99::1"), "the router to answer")


def test_a_namespace_that_disables_IPv6_by_default_gets_it_for_its_interface(lab):
    pod = lab.pod()
    for what in ("default", "all"):
        pod.ns.set_sysctl(f"ipv6/conf/{what}/disable_ipv6", 1)
    lab.add(pod)
    true("fd66::/128" in pod.ns.addresses("eth0"), "the IPv6 address", pod.ns.addresses("eth0"))
    true(pod.ns.pings("fd99::1"), "the router to answer")
    plain = lab.pod()
    plain.ns.set_sysctl("ipv6/conf/default/disable_ipv6", 1)
    lab.add(plain, lab.conf(pools=["10.66.0.0/24"]))
    equal(plain.ns.get_sysctl("ipv6/conf/eth0/disable_ipv6"), "1", "disable_ipv6 of an IPv4 pod")


def test_a_host_that_disables_IPv6_by_default_still_serves_IPv6_pods(lab):
    lab.host.set_sysctl("ipv6/conf/default/disable_ipv6", 1)
    pod = lab.pod()
    lab.add(pod)
    true(pod.ns.pings("fd99::1"), "the router to answer")


# ---- the host ----

def test_the_host_end_is_named_after_the_address_and_labelled(lab):
    pod = lab.pod()
    result = lab.add(pod, CNI_ARGS="K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0")
    name = host_link(result)
    equal(name, "roost0a420000", "the host interface")
    link = lab.host.link(name)
    equal((link["address"], link["mtu"], link["group"]), (HOST_MAC, 1500, "default"),
          "MAC, MTU and group")
    true(link["ifalias"].endswith(" net eth0 container-1 default/web-0"), "a readable alias",
         link["ifalias"])
    only6 = lab.pod()
    result = lab.add(only6, lab.conf(pools=["fd66:0:0:1::/120"]))
    equal(host_link(result), "roost00000000", "the host interface of an IPv6 pod")
    other = lab.pod()
    result = lab.add(other, lab.conf(hostInterfacePrefix="podnet-"))
    equal(host_link(result), "podnet-0a420001", "a host interface with another prefix")
    true("antispoof-podnet-" in lab.host.run("nft", "list", "table", "inet", "roost"),
         "a chain for the other prefix")


def test_the_host_end_is_hardened_and_answers_for_the_gateway(lab):
    pod = lab.pod()
    link = host_link(lab.add(pod))
    for name, value in (("ipv4/conf/{}/rp_filter", "1"), ("ipv4/conf/{}/proxy_arp", "1"),
                        ("ipv4/conf/{}/forwarding", "1"), ("ipv4/conf/{}/accept_redirects", "0"),
                        ("ipv4/conf/{}/send_redirects", "0"), ("ipv6/conf/{}/accept_ra", "0"),
                        ("ipv6/conf/{}/accept_redirects", "0"), ("ipv4/neigh/{}/proxy_delay", "0"),
                        ("ipv6/conf/{}/disable_ipv6", "0")):
        equal(lab.host.get_sysctl(name.format(link)), value, name.format(link))
    equal(lab.host.link(link)["inet6_addr_gen_mode"], "none", "the address generation mode")
    equal([a for a in lab.host.addresses(link) if "." in a], [], "IPv4 addresses of the host end")


def test_the_host_routes_pods_and_blocks_with_protocol_82(lab):
    pod = lab.pod()
    lab.add(pod)
    equal(PROTOCOL, "82", "the protocol")
    routes = [r for r in lab.host.routes("show proto 82")]
    bare = sorted(r.replace(" proto roost", "").replace(" proto 82", "") for r in routes)
    equal(bare, sorted(["10.66.0.0 dev roost0a420000 scope link", "blackhole 10.66.0.0/26",
                        "fd66:: dev roost0a420000", "blackhole fd66::/122"]), "our routes")


def test_blocks_of_one_address_have_blackholes_behind_the_routes_of_their_pods(lab):
    conf = lab.conf(pools=[{"cidr": "10.66.0.0/30", "blockSize": 32},
                           {"cidr": "fd66::/126", "blockSize": 128}])
    pods = [lab.pod() for _ in range(4)]
    results = [lab.add(pod, conf) for pod in pods]
    every = [f"10.66.0.{n}" for n in range(4)] + ["fd66::", "fd66::1", "fd66::2", "fd66::3"]
    equal(lab.blackholes(), sorted(every), "blackholes")
    equal(len(lab.pod_routes()), 8, "pod routes")
    true(pods[0].ns.pings("10.66.0.3") and pods[3].ns.pings("fd66::"), "pods to reach each other")
    lab.check(pods[0], results[0], conf).ok("CHECK")

    lab.delete(pods[3], conf)
    equal(lab.blackholes(), sorted(every), "blackholes after DEL")
    gone = [a for a in every if a not in lab.pod_routes()]
    equal(len(gone), 2, "the addresses without a pod")
    for address in gone:
        with pytest.raises(Failed, match="Invalid argument"):  # and not the default route
            lab.host.run("ip", "route", "get", address)
    true(pods[0].ns.pings("10.66.0.2") and pods[2].ns.pings("fd66::"), "the others to be reached")
    again = lab.pod()  # which gets the cooling addresses, as no other ones are left
    lab.add(again, conf)
    true(pods[0].ns.pings("10.66.0.3") and again.ns.pings("fd66::"), "the next pod to be reached")


def test_a_blackhole_that_was_deleted_comes_back_with_the_next_pod(lab):
    lab.add(lab.pod())
    lab.host.ip("route del blackhole 10.66.0.0/26")
    lab.add(lab.pod())
    equal(lab.blackholes(), ["10.66.0.0/26", "fd66::/122"], "blackholes")


def test_blackholes_stay_after_the_last_pod_and_pod_routes_do_not(lab):
    pod = lab.pod()
    lab.add(pod)
    lab.delete(pod)
    equal(lab.blackholes(), ["10.66.0.0/26", "fd66::/122"], "blackholes")
    lab.nothing_left(pod)


@pytest.mark.no_uplink
def test_forwarding_is_turned_on_where_it_is_off(lab):
    names = ("ipv4/ip_forward", "ipv6/conf/all/forwarding")
    equal([lab.host.get_sysctl(n) for n in names], ["0", "0"], "forwarding before")
    lab.add(lab.pod(), lab.conf(pools=["10.66.0.0/24"]))
    equal([lab.host.get_sysctl(n) for n in names], ["1", "0"], "forwarding after an IPv4 pod")
    lab.add(lab.pod())
    equal([lab.host.get_sysctl(n) for n in names], ["1", "1"], "forwarding after a dual stack pod")


def test_the_mtu_is_the_uplink_s_unless_the_configuration_says_another(lab):
    def mtus(pod, result):
        return {pod.ns.link("eth0")["mtu"], lab.host.link(host_link(result))["mtu"]} | {
            i["mtu"] for i in result["interfaces"]}
    lab.host.ip("link set uplink mtu 1420")
    pod = lab.pod()
    equal(mtus(pod, lab.add(pod, lab.conf("1.1.0"))), {1420}, "the uplink's MTU")
    pod = lab.pod()
    equal(mtus(pod, lab.add(pod, lab.conf("1.1.0", mtu=0))), {1420}, "the uplink's MTU with mtu 0")
    pod = lab.pod()
    equal(mtus(pod, lab.add(pod, lab.conf("1.1.0", mtu=9000))), {9000}, "the configured MTU")
    lab.host.ip("route del default", "route add default dev lo")
    lab.host.run("ip", "-6", "route", "del", "default")
    pod = lab.pod()
    equal(mtus(pod, lab.add(pod, lab.conf("1.1.0"))), {1500}, "the MTU with a default route to lo")


def test_the_mtu_comes_from_the_IPv6_default_route_when_there_is_no_other(lab):
    lab.host.ip("link set uplink mtu 1380", "route del 0.0.0.0/0")
    pod = lab.pod()
    lab.add(pod)
    equal(pod.ns.link("eth0")["mtu"], 1380, "the MTU")


@pytest.mark.no_uplink
def test_without_an_uplink_the_mtu_is_1500(lab):
    pod = lab.pod()
    result = lab.add(pod, lab.conf("1.1.0"))
    equal((pod.ns.link("eth0")["mtu"], result["interfaces"][0]["mtu"]), (1500, 1500), "the MTU")


def test_the_mtu_is_of_the_best_default_route_that_leads_anywhere(lab):
    lab.host.ip("link add second type veth peer name second-peer", "link set second-peer up",
                "link set second mtu 1300", "link set second up",
                "addr add 10.98.0.2/24 dev second", "route del 0.0.0.0/0",
                "route add default via 10.99.0.1 metric 100",
                "route add default via 10.98.0.1 metric 50",
                "route add unreachable default metric 4278198272")
    pod = lab.pod()
    lab.add(pod)
    equal(pod.ns.link("eth0")["mtu"], 1300, "the MTU")
    lab.host.ip("route del default via 10.98.0.1 metric 50",
                "route del default via 10.99.0.1 metric 100",
                "route add default nexthop via 10.98.0.1 nexthop via 10.99.0.1")
    pod = lab.pod()
    lab.add(pod)
    true(pod.ns.link("eth0")["mtu"] in (1300, 1500), "the MTU of one of two next hops",
         pod.ns.link("eth0")["mtu"])


# A runtime in a container: its /proc/sys is read-only.
READ_ONLY = ("unshare", "--mount", "--propagation", "private", "sh", "-c",
             "mount --bind /proc/sys /proc/sys && mount -o remount,bind,ro /proc/sys && "
             "exec \"$0\"")
V4 = ["10.66.0.0/24"]
BOTH = ["10.66.0.0/24", "fd66::/120"]


def test_a_read_only_proc_sys_with_the_right_values_is_enough(lab):
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        lab.host.set_sysctl(name, 1)
    for pools in (V4, BOTH):  # a link that forwards takes no advertisements: accept_ra may be 1
        pod = lab.pod()
        result = lab.add(pod, lab.conf(pools=pools), wrapper=READ_ONLY)
        for address in addresses(result):
            true(lab.router.pings(address), f"{address} to answer the router")
        lab.delete(pod, lab.conf(pools=pools), wrapper=READ_ONLY)
        lab.nothing_left(pod)


def test_an_IPv4_pod_needs_no_IPv6_setting_where_the_host_has_no_IPv6(lab):
    lab.host.set_sysctl("ipv4/ip_forward", 1)
    lab.host.set_sysctl("ipv6/conf/default/disable_ipv6", 1)
    lab.add(lab.pod(), lab.conf(pools=V4), wrapper=READ_ONLY)


def test_a_read_only_proc_sys_with_wrong_values_is_refused_by_name(lab):
    pod = lab.pod()
    lab.host.set_sysctl("ipv4/ip_forward", 0)
    refused = lab.call("ADD", lab.conf(pools=V4), pod, wrapper=READ_ONLY)
    refused.refused(101, "ipv4/ip_forward is 0 and has to be 1", "Read-only file system")
    lab.host.set_sysctl("ipv4/ip_forward", 1)
    lab.host.set_sysctl("ipv6/conf/all/forwarding", 0)
    refused = lab.call("ADD", lab.conf(pools=V4), pod, wrapper=READ_ONLY)
    refused.refused(101, "accept_ra is 1 and has to be 0", "Read-only file system")
    lab.host.set_sysctl("ipv6/conf/all/forwarding", 1)
    lab.host.set_sysctl("ipv6/conf/default/accept_ra", 2)  # also where the link forwards
    refused = lab.call("ADD", lab.conf(pools=V4), pod, wrapper=READ_ONLY)
    refused.refused(101, "accept_ra is 2 and has to be 0", "Read-only file system")
    lab.nothing_left(pod)
    lab.host.set_sysctl("ipv6/conf/default/accept_ra", 0)
    lab.host.set_sysctl("ipv6/conf/default/accept_redirects", 0)
    lab.host.set_sysctl("ipv6/conf/all/forwarding", 0)
    lab.add(pod, lab.conf(pools=V4), wrapper=READ_ONLY)


def test_an_uplink_that_lives_on_router_advertisements_keeps_its_default_route(lab):
    lab.host.ip("route del ::/0 via fd99::1")
    lab.host.set_sysctl("ipv6/conf/uplink/accept_ra", 1)
    lab.host.ip("route add ::/0 via fe80::1 dev uplink proto ra metric 1024")
    lab.add(lab.pod(), lab.conf(pools=["10.66.0.0/24"]))
    equal(lab.host.get_sysctl("ipv6/conf/uplink/accept_ra"), "1", "accept_ra beside IPv4 pods")
    lab.add(lab.pod())
    equal(lab.host.get_sysctl("ipv6/conf/uplink/accept_ra"), "2", "accept_ra")
    equal(lab.host.get_sysctl("ipv6/conf/all/forwarding"), "1", "forwarding")


def test_a_real_router_advertisement_still_counts_after_the_first_pod(lab):
    lab.host.ip("route del ::/0 via fd99::1")
    advertise = (
        "import socket,struct,sys;"
        "s=socket.socket(socket.AF_INET6,socket.SOCK_RAW,socket.IPPROTO_ICMPV6);"
        "s.setsockopt(socket.IPPROTO_IPV6,socket.IPV6_MULTICAST_HOPS,255);"
        "s.setsockopt(socket.IPPROTO_IPV6,socket.IPV6_UNICAST_HOPS,255);"
        "i=socket.if_nametoindex('port');s.bind(('fe80::1',0,0,i));"
        "s.sendto(struct.pack('!BBHBBHII',134,0,0,64,0,int(sys.argv[1]),0,0),('ff02::1',0,0,i))")

    def default():
        return [r for r in lab.host.ask("-6 route show default") if r.get("protocol") == "ra"]
    lab.host.set_sysctl("ipv6/conf/uplink/accept_ra", 1)
    lab.router.run(sys.executable, "-c", advertise, "1800")
    wait_for(default, "a default route by router advertisement")
    pod = lab.pod()
    lab.add(pod)
    equal(len(default()), 1, "advertised default routes")
    lab.router.run(sys.executable, "-c", advertise, "0")
    wait_for(lambda: not default(), "the next advertisement, of lifetime 0, to end the route")
    lab.router.run(sys.executable, "-c", advertise, "1800")
    wait_for(default, "the default route again")
    true(pod.ns.pings("fd99::1"), "the router to answer")


def test_a_pod_cannot_change_the_host_s_routes_by_router_advertisements(lab):
    pod = lab.pod()
    lab.add(pod)
    before = lab.host.routes()
    pod.ns.run(sys.executable, "-c", (
        "import socket,struct;"
        "s=socket.socket(socket.AF_INET6,socket.SOCK_RAW,socket.IPPROTO_ICMPV6);"
        "s.setsockopt(41,socket.IPV6_MULTICAST_HOPS,255);"
        "i=socket.if_nametoindex('eth0');s.setsockopt(41,socket.IPV6_MULTICAST_IF,i);"
        "s.sendto(struct.pack('!BBHBBHII',134,0,0,64,0,1800,0,0),('ff02::1',0,0,i))"))
    true(pod.ns.pings("fd99::1"), "the router to answer, so the advertisement was there before")
    equal(lab.host.routes(), before, "the host's routes")


# ---- packets ----

def test_pods_reach_each_other_the_router_and_the_host_and_are_reached(lab):
    a, b = lab.pod(), lab.pod()
    (a4, a6), (b4, b6) = addresses(lab.add(a)), addresses(lab.add(b))
    for who, address in ((a, b4), (a, b6), (b, a4), (b, a6), (a, "10.99.0.1"), (a, "fd99::1"),
                         (b, "10.99.0.2"), (b, "fd99::2"), (a, a4), (a, a6)):
        true(who.ns.pings(address), f"{address} to answer {who.container}")
    for address in (a4, a6, b4, b6):
        true(lab.router.pings(address), f"{address} to answer the router")
        true(lab.host.pings(address), f"{address} to answer the host")


@pytest.mark.no_uplink
def test_a_pod_reaches_its_host_and_other_pods_without_any_default_route(lab):
    lab.host.ip("link add stub type bridge", "link set stub up", "addr add 10.98.0.1/24 dev stub",
                "addr add fd98::1/64 dev stub nodad")
    a, b = lab.pod(), lab.pod()
    lab.add(a)
    b4, b6 = addresses(lab.add(b))
    for address in ("10.98.0.1", "fd98::1", b4, b6):
        true(a.ns.pings(address), f"{address} to answer")


def test_proxy_ARP_repairs_a_flushed_gateway_neighbour(lab):
    pod = lab.pod()
    lab.add(pod)
    pod.ns.ip("neigh flush all nud permanent", "neigh flush all")
    true(not pod.ns.ask(f"neigh show to {GATEWAY4} nud permanent"), "no permanent neighbour")
    true(pod.ns.pings("10.99.0.1"), "the router to answer after the neighbour was flushed")
    pod.ns.ip("link set eth0 down", "link set eth0 address 02:00:00:00:00:77", "link set eth0 up",
              f"route replace {GATEWAY4}/32 dev eth0 scope link",
              f"route replace default via {GATEWAY4}")
    true(pod.ns.pings("10.99.0.1"), "the router to answer after the MAC changed")


def test_an_unused_address_of_a_block_is_unreachable_at_once(lab):
    pod = lab.pod()
    lab.add(pod)
    for address in ("10.66.0.9", "fd66::9"):
        true(not lab.router.pings(address, "-W", "1"), f"no answer of {address}")
        seen = lab.host.run("ip", "route", "get", address, check=False)
        true("uplink" not in seen, f"no way for {address} out by the uplink", seen)


@contextlib.contextmanager
def listening(ns, device):
    """Collects the source addresses of the packets that arrive at a device while the block runs."""
    seen = set()
    with inside(ns.path):
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(3))  # every protocol
        raw.bind((device, 3))
    with raw:
        yield seen
        raw.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:
                packet, (_, _, kind, _, _) = raw.recvfrom(100)
                if kind == socket.PACKET_OUTGOING:
                    continue
                if packet[0] >> 4 == 4:
                    seen.add(socket.inet_ntop(socket.AF_INET, packet[12:16]))
                elif packet[0] >> 4 == 6:
                    seen.add(socket.inet_ntop(socket.AF_INET6, packet[8:24]))


def send_udp(ns, source, destination, count=3):
    """Datagrams with this source address, which the sending namespace owns."""
    ns.run(sys.executable, "-c", (
        "import socket,sys;f=socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET\n"
        "s=socket.socket(f,socket.SOCK_DGRAM);s.bind((sys.argv[1],0))\n"
        f"for i in range({count}): s.sendto(b'x',(sys.argv[2],4242))"), source, destination)


def test_a_spoofed_IPv4_source_never_leaves_the_host(lab):
    a, b = lab.pod(), lab.pod()
    lab.add(a)
    b4, _ = addresses(lab.add(b))
    link = "roost0a420000"
    sources = ["203.0.113.9", b4, "10.99.0.77"]
    a.ns.ip(*[f"addr add {s}/32 dev eth0" for s in sources])
    with listening(lab.router, "port") as seen:
        for source in sources:
            send_udp(a.ns, source, "10.99.0.1")
        send_udp(a.ns, "10.66.0.0", "10.99.0.1")
        wait_for(lambda: a.ns.pings("10.99.0.1", "-I", "10.66.0.0"), "the pod's own to work")
    true("10.66.0.0" in seen, "the pod's own packets at the router", seen)
    for source in sources:
        true(source not in seen, f"no packet from {source} at the router", seen)
    for source in sources:
        true(not a.ns.pings("10.99.0.1", "-I", source, "-W", "1"), f"no answer for {source}")
    equal(lab.host.get_sysctl(f"ipv4/conf/{link}/rp_filter"), "1", "rp_filter")


def dropped(lab):
    """Packets that the anti-spoofing rule has dropped."""
    table = json.loads(lab.host.run("nft", "-j", "list", "table", "inet", "roost"))["nftables"]
    return sum(e["counter"]["packets"] for o in table if "rule" in o
               for e in o["rule"]["expr"] if "counter" in e)


def test_a_spoofed_IPv6_source_never_leaves_the_host_and_is_counted(lab):
    a, b = lab.pod(), lab.pod()
    lab.add(a)
    _, b6 = addresses(lab.add(b))
    sources = ["2001:db8::9", b6, "fd99::77"]
    a.ns.ip(*[f"addr add {s}/128 dev eth0 nodad" for s in sources])
    before = dropped(lab)
    with listening(lab.router, "port") as seen:
        for source in sources:
            send_udp(a.ns, source, "fd99::1")
        send_udp(a.ns, "fd66::", "fd99::1")
        wait_for(lambda: a.ns.pings("fd99::1", "-I", "fd66::"), "the pod's own address to work")
    true("fd66::" in seen, "the pod's own packets at the router", seen)
    for source in sources:
        true(source not in seen, f"no packet from {source} at the router", seen)
    true(dropped(lab) - before >= 9, "nine packets counted by the rule", dropped(lab) - before)
    send_udp(a.ns, "2001:db8::9", "fd99::2")
    true(dropped(lab) - before >= 12, "twelve with those to the host", dropped(lab) - before)
    true(b.ns.pings("fd99::1"), "another pod to work")
    true(b.ns.pings(GATEWAY6 + "%eth0"), "link-local sources to work")


def test_the_nft_table_has_one_rule_and_comes_back_with_the_next_pod(lab):
    def rule():
        text = lab.host.run("nft", "list", "table", "inet", "roost")
        lines = [line.strip() for line in text.splitlines()]
        return [l for l in lines if l.startswith("iifname")], text
    lab.add(lab.pod())
    for turn, flush in (("at first", None), ("after flush ruleset", ["flush", "ruleset"]),
                        ("after flush table", ["flush", "table", "inet", "roost"]),
                        ("after delete table", ["delete", "table", "inet", "roost"])):
        if flush:
            lab.host.run("nft", *flush)
        for _ in range(2):
            lab.add(lab.pod())
        rules, text = rule()
        equal(len(rules), 1, f"rules {turn}")
        for word in ('iifname "roost*"', "fib saddr . iif", "counter", "drop"):
            true(word in rules[0], f"{word} in the rule {turn}", rules[0])
        true("hook prerouting priority raw; policy accept;" in text, "its hook", text)


def test_a_host_with_loose_reverse_path_everywhere_drops_spoofed_sources_too(lab):
    lab.host.set_sysctl("ipv4/conf/all/rp_filter", 2)
    lab.host.set_sysctl("ipv4/conf/default/rp_filter", 2)
    pod = lab.pod()
    lab.add(pod)
    pod.ns.ip("addr add 10.66.0.55/32 dev eth0", "addr add 10.98.0.1/32 dev eth0")
    with listening(lab.router, "port") as seen:
        for source in ("10.66.0.55", "10.98.0.1", "10.66.0.0"):
            send_udp(pod.ns, source, "10.99.0.1")
        wait_for(lambda: pod.ns.pings("10.99.0.1", "-I", "10.66.0.0"), "the pod's own to work")
    equal(sorted(s for s in seen if s.startswith("10.")), ["10.66.0.0"], "sources at the router")


def test_an_IPv4_pod_works_on_a_host_and_in_a_namespace_without_IPv6(lab):
    pod = lab.pod()
    for ns in (lab.host, pod.ns):
        for what in ("all", "default"):
            ns.set_sysctl(f"ipv6/conf/{what}/disable_ipv6", 1)
    conf = lab.conf(pools=["10.66.0.0/24"])
    result = lab.add(pod, conf)
    true(pod.ns.pings("10.99.0.1"), "the router to answer")
    lab.check(pod, result, conf).ok("CHECK")
    lab.delete(pod, conf)
    lab.nothing_left(pod)


# ---- dying namespaces ----

def test_a_container_starts_again_at_once_after_its_namespace_died(lab):
    pod = lab.pod()
    had = addresses(lab.add(pod))
    for _ in range(15):
        pod.ns.remove()
        pod = lab.pod()._replace(container=pod.container)
        equal(addresses(lab.add(pod)), had, "addresses")
        true(pod.ns.pings("10.99.0.1"), "the router to answer")
    lab.consistent()


def test_a_namespace_that_dies_during_ADD_leaves_nothing_after_DEL(lab):
    pods = [lab.pod() for _ in range(16)]
    jobs = [lambda p=p: lab.call("ADD", lab.conf(), p) for p in pods]
    jobs += [p.ns.remove for p in pods]
    for answer in at_once(jobs)[:len(pods)]:
        if answer.status:
            answer.refused(range(1, 1000))
    for pod in pods:
        lab.delete(pod)
    lab.nothing_left(*pods)


def test_thirty_pods_whose_namespaces_died_are_deleted_at_once(lab):
    pods = [lab.pod() for _ in range(30)]
    for pod in pods:
        lab.add(pod)
        pod.ns.remove()
    at_once([lambda p=p: lab.delete(p._replace(path="")) for p in pods])
    lab.nothing_left()


# ---- somebody else's objects ----

def test_a_stale_link_of_the_same_owner_is_replaced(lab):
    pod = lab.pod()
    lab.add(pod)
    held = open(pod.path)  # the namespace lives on beside the container's new one
    try:
        again = lab.pod()._replace(container=pod.container)
        result = lab.add(again)
        equal(addresses(result), ["10.66.0.0", "fd66::"], "the same addresses")
        equal(len(lab.host_links()), 1, "host links")
        true(again.ns.pings("10.99.0.1"), "the router to answer the new namespace")
        equal(pod.ns.link("eth0"), None, "the old namespace's interface")
    finally:
        held.close()
    lab.consistent()


def test_an_unfinished_link_of_another_owner_is_left_alone(lab):
    """Pods with IPv6 alone share names when the last 32 bits of their addresses are the same."""
    confs = [lab.conf(name=n, pools=[p]) for n, p in (("one", "fd01::/64"), ("two", "fd02::/64"))]
    pods = [lab.pod(), lab.pod()]
    links = [host_link(lab.add(pod, conf)) for pod, conf in zip(pods, confs)]
    lab.delete(pods[0], confs[0])
    lab.host.ip(f"link add {links[0]} type veth peer name other",
                f"link set {links[0]} group {0x72000000}")
    lab.delete(pods[1], confs[1])
    equal(lab.host.link(links[1]), None, "the pod's own link")
    true(lab.host.link(links[0]), "the other owner's link to be there")
    lab.host.ip(f"link del {links[0]}")


def test_a_host_whose_default_route_refuses_starts_pods(lab):
    for family in ("-4", "-6"):
        lab.host.run("ip", family, "route", "del", "default")
        for kind in ("prohibit", "blackhole", "unreachable", "throw"):
            lab.host.run("ip", family, "route", "add", kind, "default")
            pod = lab.pod()
            lab.add(pod)
            lab.delete(pod)
            lab.host.run("ip", family, "route", "del", kind, "default")


def test_one_address_that_somebody_else_uses_does_not_stop_the_next_pod(lab):
    lab.host.ip("link add stranger type bridge", "link set stranger up",
                "route add 10.66.0.0/32 dev stranger")
    lab.call("ADD", lab.conf(), lab.pod()).refused(999, "10.66.0.0", "stranger")
    equal([a for a in addresses(lab.add(lab.pod())) if ":" not in a], ["10.66.0.1"], "the address")


def test_a_second_interface_that_fails_leaves_no_rule(lab):
    pod = lab.pod()
    lab.add(pod)
    before = pod.ns.run("ip", "rule", "show")
    second = pod._replace(ifname="net1")
    with open("/dev/full", "w", encoding="ascii") as full:
        answer = lab.call("ADD", lab.conf(name="other", pools=["10.66.7.0/24"]), second, stdout=full)
    true(answer.status != 0, "ADD to fail")
    equal(pod.ns.run("ip", "rule", "show"), before, "rules in the pod")


def test_DEL_of_another_network_leaves_the_rules_of_a_second_interface(lab):
    pod = lab.pod()
    second = pod._replace(ifname="net1")
    conf = lab.conf(name="other", pools=["10.66.7.0/24"])
    lab.add(pod)
    lab.add(second, conf)
    before = pod.ns.run("ip", "rule", "show")
    lab.delete(second, dict(conf, name="third"))
    equal(pod.ns.run("ip", "rule", "show"), before, "rules in the pod")


def test_an_unfinished_link_of_a_killed_ADD_is_replaced(lab):
    pod = lab.pod()
    label = lab.host.link(host_link(lab.add(pod)))["ifalias"]
    lab.delete(pod)
    newborn = 0x72000000 | int(label[:6], 16)  # lib/owned.h
    lab.host.ip("link add roost0a420001 type veth peer name leftover",
                f"link set roost0a420001 group {newborn}")
    equal(host_link(lab.add(pod)), "roost0a420001", "the host interface")
    equal(lab.host.link("leftover"), None, "the other end")
    true(pod.ns.pings("10.99.0.1"), "the router to answer")


def test_a_link_that_belongs_to_nobody_we_know_moves_the_pod_to_its_second_name(lab):
    lab.host.ip("link add roost0a420000 type bridge")
    pod = lab.pod()
    result = lab.add(pod)
    true(host_link(result) != "roost0a420000" and host_link(result).startswith("roost"),
         "another name", result["interfaces"][0])
    equal(lab.host.link("roost0a420000")["linkinfo"]["info_kind"], "bridge", "the stranger")
    lab.check(pod, result).ok("CHECK")
    lab.delete(pod)
    equal(lab.host.link("roost0a420000")["linkinfo"]["info_kind"], "bridge", "the stranger")
    lab.nothing_left(pod)


def test_two_owners_whose_addresses_end_alike_get_different_names(lab):
    four, six = lab.pod(), lab.pod()
    lab.add(four, lab.conf(pools=["10.66.0.0/24"]))
    result = lab.add(six, lab.conf(pools=["fd66::a42:0/120"]))
    true(host_link(result) != "roost0a420000", "another host interface", host_link(result))
    equal(len(lab.host_links()), 2, "host links")
    true(six.ns.pings("fd99::1") and four.ns.pings("10.99.0.1"), "the router to answer both")
    lab.check(six, result, lab.conf(pools=["fd66::a42:0/120"])).ok("CHECK")
    lab.delete(six)
    equal(lab.host_links(), ["roost0a420000"], "the other's link")
    six2 = lab.pod()
    lab.add(six2, lab.conf(pools=["fd66::a42:0/120"]))
    lab.delete(four)
    equal(len(lab.host_links()), 1, "host links")
    true(six2.ns.pings("fd99::1"), "the router to answer")
    lab.delete(six2)
    lab.nothing_left(four, six, six2)


def test_a_pod_address_that_somebody_alive_has_already_is_an_error_that_names_him(lab):
    pod, thief = lab.pod(), lab.pod()
    lab.add(pod, CNI_ARGS="K8S_POD_NAMESPACE=prod;K8S_POD_NAME=web")
    before = lab.snapshot(pod, thief)
    foreign = dict(lab.conf(), ipam={"type": "static", "addresses": [{"address": "10.66.0.0/32"}]})
    lab.call("ADD", foreign, thief).refused(999, "roost0a420000", pod.container, "prod/web")
    for name in before:
        if name.startswith("host"):
            lab.unchanged({name: before[name]}, pod, thief)
    true(pod.ns.pings("10.99.0.1"), "the first pod to live")
    equal(thief.ns.link("eth0"), None, "the second pod's interface")
    lab.delete(pod)


def test_a_route_that_leads_elsewhere_is_an_error_that_names_it(lab):
    pod = lab.pod()
    lab.host.ip("link add elsewhere type bridge", "link set elsewhere up",
                "route add 10.66.0.0/32 dev elsewhere proto static")
    lab.call("ADD", lab.conf(), pod).refused(999, "10.66.0.0", "elsewhere")
    lab.nothing_left(pod)
    true("10.66.0.0 dev elsewhere" in lab.host.run("ip", "route"), "the stranger's route")


# ---- several ----

def test_a_pod_can_have_two_interfaces(lab):
    pod = lab.pod()
    second = pod._replace(ifname="net1")
    first_conf = lab.conf()
    second_conf = lab.conf(name="other", pools=["10.66.7.0/24", "fd66:0:0:7::/120"])
    first = lab.add(pod, first_conf)
    second_result = lab.add(second, second_conf)
    equal(len(lab.host_links()), 2, "host links")
    lab.check(pod, first, first_conf).ok("CHECK")
    lab.check(second, second_result, second_conf).ok("CHECK")
    true(pod.ns.pings("10.99.0.1") and pod.ns.pings("fd99::1"), "the router to answer")
    lab.delete(second, second_conf)
    equal(pod.ns.link("net1"), None, "the second interface after its DEL")
    lab.check(pod, first, first_conf).ok("CHECK")
    true(pod.ns.pings("10.99.0.1") and pod.ns.pings("fd99::1"), "the router to answer")
    second_result = lab.add(second, second_conf)
    lab.delete(pod, first_conf)
    true(pod.ns.link("net1"), "the second interface after DEL of the first")
    lab.check(second, second_result, second_conf).ok("CHECK")
    lab.delete(second, second_conf)
    lab.nothing_left(pod, second)
    left = [r for r in pod.ns.ask("rule show") + pod.ns.ask("-6 rule show")
            if r["table"] not in ("local", "main", "default")]
    equal(left, [], "rules left in the pod")


def test_a_default_route_that_another_plugin_made_stays(lab):
    pod = lab.pod()
    pod.ns.ip("link set lo up", "link add net0 type bridge", "link set net0 up",
              "addr add 192.0.2.1/24 dev net0", "route add default via 192.0.2.2")
    before = pod.ns.routes()
    result = lab.add(pod)
    true(set(before) <= set(pod.ns.routes()), "the routes from before", pod.ns.routes())
    lab.check(pod, result).ok("CHECK")
    for address in addresses(result):
        true(lab.router.pings(address), f"{address} to answer the router")
    lab.delete(pod)
    equal(pod.ns.routes(), before, "routes after DEL")


def test_two_interfaces_without_any_default_route_work_too(lab):
    pod = lab.pod()
    second = pod._replace(ifname="net1")
    conf = {name: lab.conf(name=name, ipam={"type": "static", "addresses": [{"address": a}],
                                            "routes": [{"dst": dst}]})
            for name, a, dst in (("first", "10.66.1.1/32", "10.99.0.0/24"),
                                 ("second", "10.66.2.2/32", "10.98.0.0/24"))}
    for asked, name in ((pod, "first"), (second, "second")):
        result = lab.add(asked, conf[name])
        lab.check(asked, result, conf[name]).ok("CHECK")
    true(pod.ns.pings("10.99.0.1"), "the router to answer")
    for address in ("10.66.1.1", "10.66.2.2"):
        true(lab.host.pings(address, "-I", "10.99.0.2"), f"{address} to answer the host")
    lab.delete(second, conf["second"])
    lab.delete(pod, conf["first"])
    lab.nothing_left(pod, second)


def test_both_addresses_of_a_pod_with_two_interfaces_are_reached(lab):
    pod = lab.pod()
    second = pod._replace(ifname="net1")
    first = addresses(lab.add(pod))
    more = addresses(lab.add(second, lab.conf(
        name="other", pools=["10.66.7.0/24", "fd66:0:0:7::/120"])))
    for address in first + more:
        true(lab.host.pings(address), f"{address} to answer the host")
        true(lab.router.pings(address), f"{address} to answer the router")


def test_a_namespace_born_with_forwarding_gets_it_off_unless_it_is_allowed(lab):
    """A new namespace has the IPv4 settings of the host's; what decides for IPv4 is each interface's own."""
    names = ("ipv4/ip_forward", "ipv4/conf/eth0/forwarding", "ipv6/conf/all/forwarding")
    for born in (("ipv4/ip_forward", "ipv6/conf/all/forwarding"), ("ipv4/conf/default/forwarding",)):
        for allowed, value in ((False, "0"), (True, "1")):
            pod = lab.pod()
            for name in born:
                pod.ns.set_sysctl(name, 1)
            conf = lab.conf(allowIPForwarding=allowed)
            lab.add(pod, conf)
            equal([pod.ns.get_sysctl(n) for n in names], [value] * 3, f"{names}, born with {born}")
            true(pod.ns.pings("10.99.0.1") and pod.ns.pings("fd99::1"), "the router to answer")
            lab.delete(pod, conf)


def test_a_second_interface_leaves_the_forwarding_that_the_first_was_allowed(lab):
    pod = lab.pod()
    lab.add(pod, lab.conf(allowIPForwarding=True))
    lab.add(pod._replace(ifname="net1"), lab.conf(name="other", pools=["10.66.7.0/24", "fd66:0:0:7::/120"]))
    for name in ("ipv4/ip_forward", "ipv4/conf/eth0/forwarding", "ipv6/conf/all/forwarding"):
        equal(pod.ns.get_sysctl(name), "1", name)


@pytest.mark.needs("strace")
def test_forwarding_that_is_off_already_costs_no_look_at_proc_sys(lab):
    pod = lab.pod()
    lab.add(lab.pod())  # the host's own switches
    trace = f"{lab.dir}/trace"
    lab.add(pod, ASAN_OPTIONS="detect_leaks=0", wrapper=("strace", "-f", "-o", trace, "-e", "trace=openat,open"))
    with open(trace, encoding="utf-8") as f:
        opened = [line for line in f if "/proc/sys" in line and "forward" in line]
    equal(opened, [], "looks at forwarding under /proc/sys")


@pytest.mark.parametrize("families", (V4, BOTH))
def test_sbr_works_behind_a_second_interface(lab, families):
    """It makes a default route in a table of its own from the result's gateway."""
    pod = lab.pod()
    second = pod._replace(ifname="net1")
    lab.add(pod, lab.conf(pools=families))
    pools = ["10.66.7.0/24", "fd66:0:0:7::/120"][:len(families)]
    chain = [lab.conf("1.0.0", name="other", pools=pools), {"type": "sbr", "name": "other"}]
    result = lab.chain(second, chain, "1.0.0")
    for address in addresses(result):
        true(lab.router.pings(address), f"{address} to answer the router")
        true(lab.host.pings(address), f"{address} to answer the host")
    true(pod.ns.pings("10.99.0.1"), "the first interface to work")
    for conf in reversed(chain):
        lab.chained("DEL", second, conf, result, "1.0.0")
    true(pod.ns.pings("10.99.0.1"), "the first interface to work")
    again = lab.chain(second, chain, "1.0.0")
    true(lab.router.pings(addresses(again)[0]), "the second interface to work again")


def test_the_first_interface_comes_back_while_the_second_stands(lab):
    pod = lab.pod()
    lab.add(pod)
    lab.add(pod._replace(ifname="net1"), lab.conf(name="other", pools=["10.66.7.0/24"]))
    before = pod.ns.routes()
    lab.delete(pod)
    lab.add(pod)
    equal(pod.ns.routes(), before, "routes in the pod")
    true(pod.ns.pings("10.99.0.1"), "the router to answer")


def test_the_pod_s_interface_is_gone_after_DEL_and_its_namespace_is_as_before(lab):
    pod = lab.pod()
    lab.add(pod)
    lab.delete(pod)
    equal([l["ifname"] for l in pod.ns.ask("link show")], ["lo"], "links")
    equal(pod.ns.routes(), [], "routes")
    lab.add(pod)
    true(pod.ns.pings("10.99.0.1"), "the router to answer after a second start")


def test_a_namespace_by_proc_path_works_like_a_mounted_one(lab):
    pod = lab.pod()
    with inside(pod.path):
        holder = subprocess.Popen(["sleep", "60"])
    try:
        by_proc = pod._replace(path=f"/proc/{holder.pid}/ns/net")
        result = lab.add(by_proc)
        equal(result["interfaces"][1]["sandbox"], by_proc.path, "sandbox")
        true(pod.ns.pings("10.99.0.1"), "the router to answer")
        lab.check(by_proc, result).ok("CHECK")
    finally:
        holder.kill()
        holder.wait()
    lab.delete(by_proc)
    lab.nothing_left(pod)


def test_a_host_interface_with_the_pod_s_interface_name_is_no_conflict(lab):
    lab.host.ip("link add eth0 type bridge")
    pod = lab.pod()
    lab.add(pod)
    true(pod.ns.pings("10.99.0.1"), "the router to answer")
    lab.delete(pod)
    true(lab.host.link("eth0"), "the host's eth0")


def test_the_settings_of_runtimes_do_not_matter(lab):
    """A strange umask, working folder and signal mask; no PATH (the other tests)."""
    pod = lab.pod()
    wrapper = ["/bin/sh", "-c", "umask 777; trap '' PIPE ALRM CHLD; exec \"$0\""]
    lab.add(pod, wrapper=wrapper, cwd="/proc")
    equal(oct(os.stat(lab.state).st_mode & 0o777), "0o700", "the state folder's mode")
    for name in os.listdir(lab.state):
        mode = os.stat(f"{lab.state}/{name}").st_mode & 0o777
        true(mode & 0o077 == 0, f"no access of others to {name}", oct(mode))
    second = lab.pod()
    lab.add(second)
    lab.delete(pod, wrapper=wrapper)
