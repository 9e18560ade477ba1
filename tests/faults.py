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
