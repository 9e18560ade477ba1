# SPDX-License-Identifier: Apache-2.0
"""What somebody on a node may break of a pod's wiring by hand, for the tests of all who look at it. A fault
gets the host's namespace, the pod's, and the name of the host end; says: words of the sentence, with LINK
for that name. silent: the kernel does not announce it. elsewhere: the agent's reconciliation sees it first."""
import collections

Fault = collections.namedtuple("Fault", "name breaks says silent elsewhere", defaults=(False, False))


def ip(*lines):
    return lambda host, pod, link: host.ip(*[line.replace("LINK", link) for line in lines])


def sysctl(name, value):
    return lambda host, pod, link: host.set_sysctl(name.replace("LINK", link), value)


def route_del(family):
    def breaks(host, pod, link):
        [gone] = [r["dst"] for r in host.ask(f"-{family} route show proto 82 dev {link}")]
        host.run("ip", f"-{family}", "route", "del", gone)
    return breaks


FAULTS = [
    Fault("route", route_del(4), "via LINK is missing"),
    Fault("route6", route_del(6), "via LINK is missing"),
    Fault("down", ip("link set LINK down"), "host interface LINK is down"),
    Fault("bounced", ip("link set LINK down", "link set LINK up"), "LINK"),
    Fault("mac", ip("link set LINK address 02:00:00:00:00:99"), "host interface LINK has MAC 02:00:00:00:00:99"),
    Fault("forwarding", sysctl("ipv4/conf/LINK/forwarding", 0), "net.ipv4.conf.LINK.forwarding is 0"),
    Fault("proxy_arp", sysctl("ipv4/conf/LINK/proxy_arp", 0), "net.ipv4.conf.LINK.proxy_arp is 0"),
    Fault("rp_filter", sysctl("ipv4/conf/LINK/rp_filter", 0), "net.ipv4.conf.LINK.rp_filter is 0"),
    Fault("accept_redirects", sysctl("ipv4/conf/LINK/accept_redirects", 1),
          "net.ipv4.conf.LINK.accept_redirects is 1", silent=True),
    Fault("send_redirects", sysctl("ipv4/conf/LINK/send_redirects", 1), "net.ipv4.conf.LINK.send_redirects is 1", silent=True),
    Fault("accept_ra", sysctl("ipv6/conf/LINK/accept_ra", 2), "net.ipv6.conf.LINK.accept_ra is 2", silent=True),
    Fault("disable_ipv6", sysctl("ipv6/conf/LINK/disable_ipv6", 1), "net.ipv6.conf.LINK.disable_ipv6 is 1"),
    Fault("gateway6", ip("addr del fe80::ecee:eeff:feee:eeee/128 dev LINK"), "host interface LINK has lost the address"),
    Fault("near6", ip("route del fe80::/64 dev LINK"), "the host's route fe80::/64 via LINK is missing"),
]
HOST_FAULTS = [
    Fault("ip_forward", sysctl("ipv4/ip_forward", 0), "is 0", elsewhere=True),
    Fault("forwarding6", sysctl("ipv6/conf/all/forwarding", 0), "net.ipv6.conf.all.forwarding is 0", elsewhere=True),
    Fault("ruleset flushed", lambda host, pod, link: host.run("nft", "flush", "ruleset"), "rule against spoofed sources"),
    Fault("chain flushed", lambda host, pod, link: host.run("nft", "flush", "table", "inet", "roost"),
          "rule against spoofed sources"),
]


def tc(*lines):
    """With IFB for the device of what the pod sends."""
    def breaks(host, pod, link):
        [ifb] = [l["ifname"] for l in host.ask("link show") if l["ifname"].startswith("ifb-")]
        for line in lines:
            host.run(*line.replace("LINK", link).replace("IFB", ifb).split())
    return breaks


# Of a pod that has limits of 8 Mbit/s in both directions.
LIMIT_FAULTS = [
    Fault("receives freely", tc("tc qdisc del dev LINK root"), "what the pod receives is missing on LINK"),
    Fault("receives more", tc("tc qdisc change dev LINK root tbf rate 1gbit burst 100kb latency 25ms"),
          "what the pod receives is 1000000000 bits a second"),
    Fault("receives by another queue", tc("tc qdisc replace dev LINK root pfifo"), "what the pod receives is missing"),
    Fault("sends past the queue", tc("tc qdisc del dev LINK ingress"), "what the pod sends is missing on LINK"),
    Fault("sends past the filter", tc("tc filter del dev LINK ingress"), "what the pod sends is missing on LINK"),
    Fault("sends freely", tc("tc qdisc del dev IFB root"), "what the pod sends is missing on ifb-"),
    Fault("sends more", tc("tc qdisc change dev IFB root tbf rate 1gbit burst 100kb latency 25ms"),
          "what the pod sends is 1000000000 bits a second"),
    Fault("ifb down", tc("ip link set IFB down"), "what the pod sends is missing on ifb-"),
    Fault("ifb gone", tc("ip link del IFB"), "what the pod sends is missing on ifb-"),
    Fault("all gone", tc("tc qdisc del dev LINK root", "tc qdisc del dev LINK ingress", "ip link del IFB"),
          "what the pod receives is missing on LINK"),
]
