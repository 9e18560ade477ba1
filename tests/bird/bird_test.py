# SPDX-License-Identifier: Apache-2.0
"""A real BIRD, told what to do by agent/bird/config.c and agent/bird/bird.c, in network namespaces: what its
peers and its kernel make of it, and what restarts, refusals and confused neighbours cost."""

import json
import os
import shutil
import signal
import time

import pytest

from birdlab import AS, POOL, Events, Pings, mesh
from roostlab import equal, true, wait_for

pytestmark = pytest.mark.needs("bird")


def test_nodes_of_one_network_reach_each_other_directly(c):
    nodes = [c.node(n) for n in (1, 2, 3)]
    mesh(nodes)
    a, b, _ = nodes
    equal(a.bird_routes(), {n.block: f"via {n.addr} dev eth0 metric 32" for n in nodes[1:]},
          "the routes")
    true(a.ns.pings(b.pod, "-I", a.pod), "pods to reach each other")
    wait_for(lambda: (a.look["peers"], a.look["peersUp"]) == (2, 2), "the count of sessions")
    equal(a.complaints(), [], "errors in BIRD's log")


def test_a_tunnel_is_a_next_hop_and_switching_it_is_one_replacement(c):
    a, b = c.node(1), c.node(2, network=2)
    a.vxlan([b])
    b.vxlan([a])
    gateway = [{"dst": "0.0.0.0/0", "via": "10.0.1.254"}]
    b.load(b.describe([a], hops=[b.hop(a)]))
    a.load(a.describe([b], hops=[a.hop(b)]))
    tunnelled = {b.block: f"via {b.vtep} dev vxlan.r metric 32 onlink"}
    wait_for(lambda: a.bird_routes() == tunnelled, "the route through the tunnel")
    wait_for(lambda: len(b.bird_routes()) == 1, "the way back")
    true(a.ns.pings(b.pod, "-I", a.pod), "pods to reach each other through the tunnel")
    session, events = a.sessions(), Events(a.ns)
    a.load(a.describe([b], hops=gateway))
    direct = {b.block: "via 10.0.1.254 dev eth0 metric 32"}
    wait_for(lambda: a.bird_routes() == direct, "the route through the gateway")
    a.load(a.describe([b], hops=[a.hop(b), *gateway]))
    wait_for(lambda: a.bird_routes() == tunnelled, "the tunnel again")
    seen = events.of_bird()
    events.close()
    equal([len(seen), [l for l in seen if "Deleted" in l]], [2, []], f"replacements in {seen}")
    equal(a.sessions(), session, "the session")
    # Without a way to the node nothing leaks to the default gateway.
    a.load(a.describe([b]))
    wait_for(lambda: "unreachable" in a.bird_routes().get(b.block, ""), "an unreachable route")


def test_a_killed_bird_that_comes_back_costs_no_ping_and_no_event(c):
    a, b = c.node(1), c.node(2)
    mesh([a, b])
    pings = [Pings(a.ns, a.pod, b.pod), Pings(b.ns, b.pod, a.pod)]
    events = [Events(a.ns), Events(b.ns)]
    for victim, stop in ((a, "kill"), (b, "kill"), (a, "graceful")):
        if stop == "kill":
            victim.kill_bird()
        else:
            # As the systemd unit does: the command, and SIGTERM behind it.
            true("0025" in victim.ask("graceful restart"), "BIRD to take a graceful restart")
            victim.bird.send_signal(signal.SIGTERM)
            victim.bird.wait(timeout=20)
        wait_for(lambda: not victim.look["up"], "birdtool to see it")
        equal(victim.look["loaded"], 0, "what is loaded without a BIRD")
        victim.start_bird()
        wait_for(lambda: victim.look["loaded"] and victim.established(1) and
                 not victim.look["recovering"], f"BIRD back after {stop}")
        true(any(l["recovering"] for l in victim.looks), "the recovery to have been seen")
    equal([e.of_bird() for e in events], [[], []], "route events on both")
    equal([p.lost() for p in pings], [0, 0], "lost pings")
    for e in events:
        e.close()
    equal(len(a.bird_routes()), 1, "routes")


def test_a_dead_neighbour_holds_nothing_up_for_long(c):
    a, b, dead = c.node(1), c.node(2), c.node(3)
    mesh([a, b, dead])
    a.kill_bird()
    dead.kill_bird()
    events = Events(a.ns)
    a.start_bird()
    wait_for(lambda: a.look["recovering"], "the recovery to wait for the dead one")
    # The agent knows that it is gone: without it the recovery is over.
    a.load(a.describe([b]))
    wait_for(lambda: a.look["up"] and not a.look["recovering"] and a.established(1),
             "the end of the recovery")
    wait_for(lambda: dead.block not in a.bird_routes(), "its route to go")
    true(b.block in a.bird_routes(), "the other's route to stay")
    true(not [l for l in events.of_bird() if b.block in l], "no event about the other's route")
    events.close()


def test_a_change_of_blocks_peers_or_hops_leaves_sessions_alone(c):
    a, b, other = c.node(1), c.node(2), c.node(3)
    mesh([a, b])
    session = a.sessions(), b.sessions()
    events = Events(b.ns)
    start = time.monotonic()
    a.load(a.describe([b], own=[a.block, "10.244.1.64/26"]))
    wait_for(lambda: "10.244.1.64/26" in b.bird_routes(), "the new block at the neighbour")
    print(f"# a new block was usable at the neighbour after {1000 * (time.monotonic() - start):.0f} ms")
    a.load(a.describe([b]))
    wait_for(lambda: "10.244.1.64/26" not in b.bird_routes(), "the block to go again")
    hop = {"dst": "10.0.2.9/32", "via": "10.0.1.254"}
    a.load(a.describe([b, other], hops=[hop]))
    other.load(other.describe([a]))
    wait_for(lambda: a.established(2), "the third one's session")
    a.load(a.describe([b, other]))
    a.load(dict(a.describe([b]), log="debug"))
    a.load(a.describe([b]))
    equal((a.sessions(), b.sessions()), session, "the sessions of the two")
    seen = [l for l in events.of_bird() if a.block in l]
    events.close()
    equal(seen, [], "events about the block that stayed")
    # Nothing is loaded again when nothing changes.
    before = a.ask("show status").count("reconfiguration"), os.stat(a.file)
    generation = a.tell(a.describe([b]))
    wait_for(lambda: a.look["loaded"] == generation, "the same text to count as loaded")
    equal(os.stat(a.file).st_ino, before[1].st_ino, "the file")


@pytest.mark.slow
def test_a_refused_text_changes_nothing_until_its_cause_is_mended(c):
    a, b = c.node(1), c.node(2)
    mesh([a, b])
    with open(a.file) as f:
        before = f.read()
    with open(f"{a.own}/mine.conf", "w") as f:
        f.write("\nprotocol nonsense {\n")
    generation = a.tell(a.describe([b], own=[a.block, "10.244.1.64/26"]))
    wait_for(lambda: a.look["refused"] == generation, "a refusal")
    true("own/mine.conf:2:" in a.look["trouble"], "the place", a.look["trouble"])
    equal(a.look["loaded"], generation - 1, "what is loaded still")
    with open(a.file) as f:
        equal(f.read(), before, "the file")
    true(a.established(1) and b.block in a.bird_routes(), "BIRD to go on as before")
    with open(f"{a.own}/mine.conf", "w") as f:
        f.write("protocol static mine { ipv4; route 192.0.2.0/24 blackhole; }\n")
    wait_for(lambda: a.look["loaded"] == generation, "the text to be tried again by itself")
    equal(a.look["trouble"], "", "trouble")
    wait_for(lambda: "10.244.1.64/26" in b.bird_routes(), "the block at the neighbour")
    true("192.0.2.0/24" in a.table(), "the operator's own text to be in force")
    true("192.0.2.0/24" not in b.table(), "it not to be announced unasked")
    equal(list(a.bird_routes()), [b.block], "routes in the kernel")


def test_a_bird_that_starts_without_our_file_gets_it_later(c):
    a, b = c.node(1, start=False), c.node(2)
    a.ns.ip("addr flush dev eth0 scope global")  # as before the network is up
    # As Debian starts it: another user, who reads the file by its group.
    shutil.chown(os.path.dirname(a.ctl), "bird", "bird")
    a.start_bird("-u", "bird", "-g", "bird")
    wait_for(lambda: os.path.exists(a.ctl), "BIRD to start without file, folders and network")
    true("0.0.0.1" in a.ask("show status"), "the makeshift router id")
    os.mkdir(a.own)
    a.ns.ip(f"addr add {a.addr}/24 dev eth0")
    a.start_tool(group="bird")
    mesh([a, b])
    equal(os.stat(a.file).st_mode & 0o7777, 0o640, "the file's mode")
    true(a.addr in a.ask("show status"), "our router id")
    # And one that was down while the text changed.
    a.kill_bird()
    wait_for(lambda: not a.look["up"], "birdtool to see it")
    generation = a.tell(a.describe([b], own=[a.block, "10.244.1.64/26"]))
    a.start_bird("-u", "bird", "-g", "bird")
    wait_for(lambda: a.look["loaded"] == generation, "the text of meanwhile to be loaded")
    wait_for(lambda: "10.244.1.64/26" in b.bird_routes(), "the block at the neighbour")


def dual(me, others=(), **more):
    """A description with both families; one session with each other node."""
    return me.describe(others, ipv6=me.ipv6(), **more)


CONFUSED = """
log "{log}" all;
router id {addr};
protocol device {{ }}
protocol static {{ ipv4;
  route 0.0.0.0/0 blackhole; route 192.0.2.0/24 blackhole; route 10.244.0.0/16 blackhole;
  route 10.244.9.5/32 blackhole; route 10.244.9.64/27 blackhole; route 10.244.9.0/25 blackhole;
  route 10.245.0.0/26 blackhole; route 10.244.1.0/26 blackhole; route 10.244.9.0/26 blackhole;
  route 10.0.1.0/24 blackhole; route 172.16.0.0/16 blackhole; route 172.16.7.0/24 blackhole; }}
protocol bgp x {{ local {addr} as {asn}; neighbor {peer} as 64512; multihop; graceful restart on;
  ipv4 {{ import all; export all; }}; }}
"""


def announces(n, route):
    """A route more, behind all that it announced before: when this one has arrived, so have those."""
    with open(n.main) as f:
        text = f.read()
    family = "ipv6" if ":" in route else "ipv4"
    with open(n.main, "w") as f:
        f.write(text.replace(f"static {{ {family};", f"static {{ {family}; route {route} blackhole;"))
    true("0003 Reconfigured" in n.ask("configure"), "BIRD to take one route more")


def confused(c, number, peer, asn=AS):
    """A neighbour that announces everything that it should not, and one block."""
    n = c.node(number, start=False)
    with open(n.main, "w") as f:
        f.write(CONFUSED.format(log=n.log, addr=n.addr, peer=peer.addr, asn=asn))
    n.start_bird()
    return n


def test_a_confused_neighbour_gets_nothing_in_but_whole_blocks(c):
    a = c.node(1)
    bad = confused(c, 9, a)
    pools = [POOL, dict(POOL, cidr="10.250.0.0/16", exported=False)]
    a.load(a.describe([bad], own=[a.block, "10.250.0.0/26"], pools=pools))
    wait_for(lambda: a.established(1), "the session")
    wait_for(lambda: "10.244.9.0/26" in a.bird_routes(), "its one good block")
    announces(bad, "10.244.10.0/26")
    wait_for(lambda: "10.244.10.0/26" in a.bird_routes(), "what it announces last")
    equal(sorted(a.bird_routes()), ["10.244.10.0/26", "10.244.9.0/26"], "what the kernel has of it")
    equal(a.table("protocol roost_10_0_1_9"), ["10.244.1.0/26", "10.244.10.0/26", "10.244.9.0/26"],
          "what is imported")
    # Its claim to our own block is known, and is nothing: ours is the one in force.
    first = a.ask("show route for 10.244.1.0/26 primary")
    true("roost_own4" in first and "roost_10_0_1_9" not in first, "our block to stay ours", first)
    a.load(a.describe([bad], own=[a.block, "10.250.0.0/26", "10.244.1.64/26"], pools=pools))
    wait_for(lambda: "10.244.1.64/26" in bad.table("protocol x"), "what it hears last")
    equal(bad.table("protocol x"), ["10.244.1.0/26", "10.244.1.64/26"],
          "what it hears: no foreign route, no block of a pool that is not exported")


CONFUSED6 = """
protocol static {{ ipv6;
  route ::/0 blackhole; route 2001:db8::/32 blackhole; route fd66::/48 blackhole;
  route fd66::905/128 blackhole; route fd66::900/120 blackhole; route fd66::940/123 blackhole;
  route fd67::/122 blackhole; route fd66::100/122 blackhole; route fd66::900/122 blackhole;
  route fd00:1::/64 blackhole; }}
protocol bgp x {{ local {addr} as {asn}; neighbor {peer} as 64512; multihop; graceful restart on;
  ipv4 {{ import all; export all; }};
  ipv6 {{ import all; export filter {{ bgp_next_hop = {addr6}; accept; }}; }}; }}
"""


def test_nor_does_it_in_the_other_family_of_the_session(c):
    a = c.node(1)
    bad = c.node(9, start=False)
    with open(bad.main, "w") as f:
        f.write((CONFUSED.split("protocol bgp")[0] + CONFUSED6).format(
            log=bad.log, addr=bad.addr, addr6=bad.addr6, peer=a.addr, asn=AS))
    bad.start_bird()
    a.load(dual(a, [bad]))
    wait_for(lambda: "fd66::900/122" in a.bird_routes("-6"), "its one good block")
    announces(bad, "fd66::a00/122")
    wait_for(lambda: "fd66::a00/122" in a.bird_routes("-6"), "what it announces last")
    equal([sorted(a.bird_routes()), sorted(a.bird_routes("-6"))],
          [["10.244.9.0/26"], ["fd66::900/122", "fd66::a00/122"]], "what the kernel has of it")
    equal(a.table("table master6 protocol roost_10_0_1_9"),
          ["fd66::100/122", "fd66::900/122", "fd66::a00/122"], "what is imported")
    first = a.ask("show route for fd66::100/122 primary")
    true("roost_own6" in first and "roost_10_0_1_9" not in first, "our block to stay ours", first)
    more = dual(a, [bad])
    more["ipv6"]["own"].append("fd66::140/122")
    a.load(more)
    wait_for(lambda: "fd66::140/122" in bad.table("table master6 protocol x"), "what it hears last")
    equal(bad.table("table master6 protocol x"), ["fd66::100/122", "fd66::140/122"], "what it hears")


def test_an_outside_router_may_send_what_its_filter_accepts(c):
    a, other = c.node(1), c.node(2)
    router = confused(c, 9, a, asn=4200000001)
    with open(f"{a.own}/mine.conf", "w") as f:
        f.write("protocol static mine { ipv4; route 192.0.2.128/25 blackhole; "
                "route 198.51.100.0/24 blackhole; }\n")
    rules = {"import4": [{"match": "Equal", "cidr": "172.16.7.0/24"},
                         {"accept": True, "match": "In", "cidr": "172.16.0.0/12", "max": 24},
                         {"accept": True, "match": "In", "cidr": "10.244.0.0/16"},
                         {"accept": True, "match": "Equal", "cidr": "0.0.0.0/0"}],
             "export4": [{"accept": True, "match": "In", "cidr": "192.0.2.0/24"},
                         {"match": "Equal", "cidr": "10.244.1.64/26"}, {"accept": True}]}
    peer = {"addr": router.addr, "local": a.addr, "as": 4200000001, "localAs": AS,
            "filters": [rules]}
    a.load(a.describe([peer, other], own=[a.block, "10.244.1.64/26"]))
    other.load(other.describe([a]))
    wait_for(lambda: a.established(2), "the sessions")
    wait_for(lambda: len(a.bird_routes()) == 3, "three routes")
    announces(router, "172.17.0.0/16")
    wait_for(lambda: "172.17.0.0/16" in a.bird_routes(), "what the router announces last")
    equal(sorted(a.bird_routes()), [other.block, "10.244.9.0/26", "172.16.0.0/16", "172.17.0.0/16"],
          "the kernel's")
    true("0.0.0.0/0" in a.table(), "the default route to be in BIRD's table", a.table())
    true("default via 10.0.1.254" in a.ns.run("ip", "route"), "and the host's own in the kernel")
    own = [a.block, "10.244.1.64/26", "10.244.1.128/26"]
    a.load(a.describe([peer, other], own=own))
    wait_for(lambda: "10.244.1.128/26" in router.table("protocol x") and
             "10.244.1.128/26" in other.bird_routes(), "what both hear last")
    equal(router.table("protocol x"), ["10.244.1.0/26", "10.244.1.128/26", "192.0.2.128/25"],
          "what the router hears")
    equal(set(other.bird_routes()), set(own), "what the node hears")


ROUTER = """
log "{log}" all;
router id {addr};
protocol device {{ }}
protocol bfd {{ }}
protocol static {{ ipv4; route 0.0.0.0/0 blackhole; route 172.16.0.0/16 blackhole;
  route 198.51.100.0/24 blackhole; route 10.244.9.0/26 blackhole; }}
protocol bgp x {{ local {addr} as 65001; neighbor {peer} as 64512; direct; graceful restart on;
  bfd {{ interval 100 ms; multiplier 3; }}; ipv4 {{ import all; export all; }}; }}
"""


def test_exits_of_routers_stay_out_of_the_main_table_and_go_with_a_dead_one(c):
    a, b = c.node(1), c.node(2)
    routers = [c.node(n, start=False) for n in (8, 9)]
    for n in routers:
        with open(n.main, "w") as f:
            f.write(ROUTER.format(log=n.log, addr=n.addr, peer=a.addr))
        n.start_bird()
    peers = [{"addr": n.addr, "local": a.addr, "as": 65001, "localAs": AS, "bfd": True,
              "direct": True, "exits": ["0.0.0.0/0", "172.16.0.0/12"]} for n in routers]
    peers[1]["exits"] = ["0.0.0.0/0"]
    peers[1]["filters"] = [{"import4": [{"match": "In", "cidr": "172.16.0.0/12"}]}]
    a.load(a.describe([*peers, b], exits={"used": True, "interval": 100, "multiplier": 3}))
    b.load(b.describe([a]))

    def exits():
        text = a.ns.run("ip", "-j", "route", "show", "table", "8266", check=False)
        return {r["dst"]: sorted(h["gateway"] for h in r.get("nexthops", [r]))
                for r in (json.loads(text) if text.rstrip().endswith("]") else [])}
    both = sorted(n.addr for n in routers)
    wait_for(lambda: exits().get("default") == both, "both routers to be exits")
    wait_for(lambda: len([l for l in a.ask("show bfd sessions").splitlines() if " Up " in l]) == 2,
             "BFD with both")
    wait_for(lambda: a.established(3), "the sessions")
    equal(exits(), {"default": both, "172.16.0.0/16": [routers[0].addr], "198.51.100.0/24": both},
          "the exits: all but what a filter rejects, and blocks")
    equal(sorted(a.bird_routes()), sorted([b.block, "10.244.9.0/26"]),
          "the main table: blocks, also one that the routers pass on")
    session = {n: s for n, s in a.sessions().items() if "peer" not in n}
    start = time.monotonic()
    routers[1].kill_bird()
    wait_for(lambda: exits().get("default") == [routers[0].addr], "the dead router to be out")
    print(f"# a killed router was out of the path after {1000 * (time.monotonic() - start):.0f} ms")
    equal({n: s for n, s in a.sessions().items() if "peer" not in n}, session,
          "the session with the node")
    equal(a.complaints(), [], "errors in BIRD's log")


def test_a_reflector_passes_blocks_on(c):
    rr, a, b = c.node(1), c.node(2), c.node(3)

    def peer(me, n, **more):
        return {"addr": n.addr, "local": me.addr, "as": AS, "localAs": AS, **more}
    rr.load(rr.describe([peer(rr, n, rrClient=True, rrCluster="0.0.0.7") for n in (a, b)]))
    for n in (a, b):
        n.load(n.describe([peer(n, rr)]))
    wait_for(lambda: len(a.bird_routes()) == 2 and len(b.bird_routes()) == 2, "all blocks")
    equal(a.bird_routes()[b.block], f"via {b.addr} dev eth0 metric 32", "the way to the other client")


def test_without_bgp_blocks_are_static_routes(c):
    a, b = c.node(1), c.node(2, network=2)
    a.vxlan([b])
    b.vxlan([a])
    pools = [dict(POOL, byBgp=False)]
    for me, other in ((a, b), (b, a)):
        remote = [{"block": other.block, "node": other.addr, "table": 0}]
        me.load(me.describe(hops=[me.hop(other)], remote=remote, pools=pools))
    wait_for(lambda: a.bird_routes() == {b.block: f"via {b.vtep} dev vxlan.r metric 32 onlink"},
             "the route")
    true(a.ns.pings(b.pod, "-I", a.pod), "pods to reach each other")
    pings, events = Pings(a.ns, a.pod, b.pod), Events(a.ns)
    a.kill_bird()
    a.start_bird()
    wait_for(lambda: a.look["up"] and a.look["loaded"] and not a.look["recovering"], "BIRD back")
    equal([events.of_bird(), pings.lost()], [[], 0], "events and lost pings")
    events.close()


def test_one_session_carries_both_families(c):
    a, b = c.node(1), c.node(2)
    for me, other in ((a, b), (b, a)):
        me.load(dual(me, [other]))
    wait_for(lambda: a.established(1), "the session")
    wait_for(lambda: all(n.bird_routes(f) for n in (a, b) for f in ("-4", "-6")), "the routes")
    equal(a.bird_routes(), {b.block: f"via {b.addr} dev eth0 metric 32"}, "the IPv4 route")
    equal(a.bird_routes("-6"), {b.block6: f"via {b.addr6} dev eth0 metric 32 pref medium"},
          "the IPv6 route")
    true(a.ns.pings(b.pod, "-I", a.pod) and a.ns.pings(b.pod6, "-I", a.pod6),
         "pods to reach each other")
    pings = [Pings(a.ns, a.pod, b.pod), Pings(b.ns, b.pod6, a.pod6)]
    events = Events(a.ns)
    for _ in range(2):
        b.kill_bird()
        wait_for(lambda: not b.look["up"], "birdtool to see it")
        b.start_bird()
        wait_for(lambda: b.look["up"] and not b.look["recovering"] and b.established(1) and
                 a.established(1), "the session again")
    equal([events.of_bird(), [p.lost() for p in pings]], [[], [0, 0]], "events and lost pings")
    events.close()
    equal([n.complaints() for n in (a, b)], [[], []], "errors in BIRD's logs")


def test_a_family_comes_changes_and_goes_without_a_new_session(c):
    a, b = c.node(1), c.node(2)
    a.load(dual(a, [b]))
    b.load(b.describe([a]))
    wait_for(lambda: a.established(1) and a.bird_routes() and b.bird_routes(), "the session")
    wait_for(lambda: not a.look["recovering"], "no recovery that waits for the other family")
    session, pings = a.sessions(), Pings(a.ns, a.pod, b.pod)
    events = Events(a.ns)
    b.load(dual(b, [a]))
    wait_for(lambda: a.bird_routes("-6") and b.bird_routes("-6"), "IPv6 routes both ways")
    true(a.ns.pings(b.pod6, "-I", a.pod6), "IPv6 pods to reach each other")
    b.ns.ip("addr add fd00:1::22/64 dev eth0 nodad")
    d = dual(b, [a])
    d["ipv6"]["node"] = "fd00:1::22"
    b.load(d)
    wait_for(lambda: "via fd00:1::22 " in a.bird_routes("-6")[b.block6], "the new next hop")
    b.load(b.describe([a]))
    wait_for(lambda: not a.bird_routes("-6"), "the IPv6 route to go")
    equal([a.sessions(), pings.lost()], [session, 0], "the session and lost pings")
    equal([l for l in events.of_bird() if "10.244." in l], [], "events of IPv4 routes")
    events.close()
    equal([n.complaints() for n in (a, b)], [[], []], "errors in BIRD's logs")


def test_nodes_of_different_families_share_what_both_have(c):
    both, four, six = c.node(1), c.node(2), c.node(3)
    both.load(dual(both, [four, both.mesh(six, 6)]))
    four.load(four.describe([both]))
    six.load(dict(dual(six, [six.mesh(both, 6)]), ipv4=None))
    wait_for(lambda: both.established(2), "the sessions")
    wait_for(lambda: list(both.bird_routes()) == [four.block] and
             list(both.bird_routes("-6")) == [six.block6], "a route of each")
    wait_for(lambda: list(four.bird_routes()) == [both.block], "the IPv4 node's route")
    wait_for(lambda: list(six.bird_routes("-6")) == [both.block6], "the IPv6 node's route")
    equal([four.bird_routes("-6"), six.bird_routes()], [{}, {}], "routes of the other family")
    true(both.ns.pings(four.pod, "-I", both.pod) and both.ns.pings(six.pod6, "-I", both.pod6),
         "pods to reach each other")
    equal([n.complaints() for n in (both, four, six)], [[], [], []], "errors in BIRD's logs")


def test_a_reflector_passes_both_families_on_over_one_session(c):
    rr, a, b = c.node(1), c.node(2), c.node(3)

    def peer(me, n, **more):
        return {"addr": n.addr, "local": me.addr, "as": AS, "localAs": AS, "both": True, **more}
    rr.load(dual(rr, [peer(rr, n, rrClient=True, rrCluster="0.0.0.7") for n in (a, b)]))
    with open(f"{a.own}/mine.conf", "w") as f:
        f.write("protocol static mine { ipv6; route 2001:db8::/48 blackhole; }\n")
    rule = {"accept": True, "match": "In", "cidr": "2001:db8::/32"}
    a.load(dual(a, [peer(a, rr, filters=[{"export6": [rule]}])]))
    b.load(dual(b, [peer(b, rr)]))
    for f in ("-4", "-6"):
        wait_for(lambda f=f: len(b.bird_routes(f)) == 2, "all blocks")
    equal([b.bird_routes()[a.block], b.bird_routes("-6")[a.block6]],
          [f"via {a.addr} dev eth0 metric 32", f"via {a.addr6} dev eth0 metric 32 pref medium"],
          "the ways to the other client")
    equal(len(rr.sessions()), 2, "the number of sessions")
    true("2001:db8::/48" not in rr.table("table master6"), "what the reflector does not ask for")
    rr.load(dual(rr, [peer(rr, n, rrClient=True, rrCluster="0.0.0.7",
                           filters=[{"import6": [rule]}]) for n in (a, b)]))
    wait_for(lambda: f"via {a.addr6} dev eth0" in rr.bird_routes("-6").get("2001:db8::/48", ""),
             "an operator's route of the other family, with its node as next hop")
    equal([n.complaints() for n in (rr, a, b)], [[], [], []], "errors in BIRD's logs")


@pytest.mark.slow
def test_a_stopped_bird_is_a_trouble_and_goes_on_afterwards(c):
    a = c.node(1)
    a.load(a.describe())
    a.bird.send_signal(signal.SIGSTOP)
    generation = a.tell(a.describe(own=[a.block, "10.244.1.64/26"]))
    wait_for(lambda: "gave no answer to" in a.look["trouble"], "a trouble that says so")
    equal([a.look["up"], a.look["loaded"]], [False, 0], "up and loaded")
    a.bird.send_signal(signal.SIGCONT)
    wait_for(lambda: a.look["loaded"] == generation, "BIRD to be told when it goes on")
    true("10.244.1.64/26" in a.table(), "the new block")


def test_an_agent_that_starts_again_changes_nothing(c):
    a, b = c.node(1), c.node(2)
    mesh([a, b])
    session, events = a.sessions(), Events(a.ns)
    inode = os.stat(a.file).st_ino
    a.stop_tool()
    a.start_tool()
    a.load(a.describe([b]))
    equal([a.sessions(), events.of_bird(), os.stat(a.file).st_ino], [session, [], inode],
          "sessions, events and file")
    events.close()
