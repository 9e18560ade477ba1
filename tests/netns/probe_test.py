# SPDX-License-Identifier: Apache-2.0
"""roostctl probe with real namespaces and real plugins: two nodes with a router between them, pods of roost
(with portmap behind it) and of the reference plugin ptp, everything a probe can be asked, what strangers may
send to it, and every way in which it can end."""

import itertools
import json
import os
import queue
import signal
import subprocess
import threading
import time

import pytest

from roostlab import BIN, CNI_DIR, HANG_S, Cases, Failed, equal, inside, script, true, wait_for

pytestmark = pytest.mark.needs()

PATHS = [BIN, CNI_DIR]
GONE = signal.SIGKILL


class Node:
    """A namespace that probes are started in, with a network configuration of its own."""

    def __init__(self, lab, ns, number):
        self.lab, self.ns, self.number = lab, ns, number
        self.state = f"{lab.dir}/state{number}"
        self.conf_dir = f"{lab.dir}/net.d{number}"
        self.pool4, self.pool6 = f"10.66.{number}.0/24", f"fd66:0:0:{number}::/64"
        os.makedirs(self.conf_dir)
        self.config = f"{lab.dir}/roostd{number}.json"
        with open(self.config, "w") as f:
            json.dump({"node": f"node{number}"}, f)
        self.put("10-net", {"type": "roost", "stateDir": self.state, "ipam": {
            "type": "roost-ipam", "stateDir": self.state,
            "pools": [{"cidr": self.pool4}, {"cidr": self.pool6}]}},
            {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True})

    def put(self, name, *plugins, version="1.0.0"):
        with open(f"{self.conf_dir}/{name}.conflist", "w") as f:
            json.dump({"cniVersion": version, "name": name.split("-")[1],
                       "plugins": list(plugins)}, f)

    def put_ptp(self):
        self.put("20-ptp", {"type": "ptp", "ipam": {
            "type": "host-local", "dataDir": self.data(),
            "ranges": [[{"subnet": f"10.67.{self.number}.0/24"}]],
            "routes": [{"dst": "0.0.0.0/0"}]}},
            {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True})

    def data(self):
        return f"{self.lab.dir}/host-local{self.number}"

    def probe(self, *options, **more):
        return Probe(self, *options, **more)

    def used(self):
        return self.lab.used(self.state)

    def rules(self):
        """Lines of the firewall that are about a port mapping of a pod."""
        return [l for l in self.ns.run("nft", "list", "ruleset").splitlines() if "dnat to" in l]

    def pod_links(self):
        return [l["ifname"] for l in self.ns.ask("link show")
                if l.get("linkinfo", {}).get("info_kind") == "veth"
                and l["ifname"] not in ("uplink", "uplink2")]

    def host_local(self):
        """Addresses that host-local has given away."""
        found = []
        for folder, _, files in os.walk(self.data()):
            found += [f for f in files if f[0].isdigit()]
        return found

    def nothing_left(self):
        wait_for(lambda: not self.pod_links(), "no link of a pod")
        equal(self.used(), {}, "used addresses")
        equal(self.rules(), [], "port mappings")
        equal(self.host_local(), [], "addresses of host-local")
        true(not os.path.exists(f"{self.state}/probe"), "no journal")


class Probe:
    """A running probe; asks it, collects its answers."""

    def __init__(self, node, *options, cleans=True):
        self.node = node
        with inside(node.ns.path):
            self.process = subprocess.Popen(
                [f"{BIN}/roostctl", "probe", "--state-dir", node.state, "--config", node.config,
                 *options], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        self._ids = itertools.count(1)
        self._answers, self._strays = {}, queue.Queue()
        self._arrived = threading.Condition()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        self.hello = self.ask("hello") if cleans else None

    def _read(self):
        for line in self.process.stdout:
            answer = json.loads(line)
            with self._arrived:
                if answer["id"] is None:
                    self._strays.put(answer)
                else:
                    self._answers[answer["id"]] = answer
                self._arrived.notify_all()

    def write(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def send(self, op, **keys):
        number = next(self._ids)
        keys = {k.rstrip("_"): v for k, v in keys.items()}
        self.write(json.dumps({"id": number, "op": op, **keys}).encode() + b"\n")
        return number

    def wait(self, number):
        with self._arrived:
            if not self._arrived.wait_for(lambda: number in self._answers, HANG_S):
                raise Failed(f"expected an answer to request {number}, saw none")
            return self._answers.pop(number)

    def stray(self):
        """An answer without id."""
        try:
            return self._strays.get(timeout=HANG_S)
        except queue.Empty:
            raise Failed("expected an answer without id, saw none") from None

    def ask(self, op, **keys):
        answer = self.wait(self.send(op, **keys))
        if answer.get("ok") is not True:
            raise Failed(f"expected {op} {keys} to succeed, saw {answer}")
        return answer

    def refused(self, errno, *words, op, **keys):
        answer = self.wait(self.send(op, **keys))
        true("ok" not in answer and answer.get("errno") == errno, f"{errno} of {op}", answer)
        for word in words:
            true(word in answer["error"] + answer.get("details", ""), f"{word!r}", answer)
        return answer

    def add(self, name, **keys):
        return self.ask("pod-add", name=name, confDir=self.node.conf_dir, cniPath=PATHS, **keys)

    def reach(self, kind, to, **keys):
        """A try that must be answered."""
        if kind != "icmp":
            keys.setdefault("port", 7007)
        answer = self.ask("try", kind=kind, to=to, **keys)
        true(answer["answered"] and answer["rttUs"] > 0 and "error" not in answer,
             f"an answer to {kind} {to} {keys}", answer)
        return answer

    def fail(self, error, kind, to, **keys):
        """A try that must fail so."""
        if kind != "icmp":
            keys.setdefault("port", 7007)
        answer = self.ask("try", kind=kind, to=to, **keys)
        true(not answer["answered"] and answer.get("error") == error,
             f"{error} of {kind} {to} {keys}", answer)
        return answer

    def ended(self, status=0):
        """Waits for its end; what it said on stderr."""
        try:
            seen = self.process.wait(HANG_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed("expected the probe to end, saw it run on") from None
        text = self.process.stderr.read().decode()
        if seen != status:
            raise Failed(f"expected the probe to end with {status}, saw {seen}: {text}")
        return text

    def close(self, status=0):
        self.process.stdin.close()
        return self.ended(status)


def addresses(pod):
    return [ip.split("/")[0] for ip in pod["ips"]]


def two_nodes(lab):
    """The lab's host, and another host behind the same router."""
    other = lab.namespace("other")
    lab.router.ip(f"link add port2 type veth peer name uplink2 netns {other.name}",
                  "link set port2 addrgenmode none", "link set port2 up",
                  "addr add 10.98.0.1/24 dev port2", "addr add fd98::1/64 dev port2 nodad",
                  "addr add fe80::1/64 dev port2 nodad",
                  "route add 10.66.2.0/24 via 10.98.0.2", "route add fd66:0:0:2::/64 via fd98::2")
    other.ip("link set lo up", "link set uplink2 addrgenmode none", "link set uplink2 up",
             "addr add 10.98.0.2/24 dev uplink2", "addr add fd98::2/64 dev uplink2 nodad",
             "addr add fe80::2/64 dev uplink2 nodad",
             "route add default via 10.98.0.1", "route add default via fd98::1")
    for switch in ("ipv4/ip_forward", "ipv6/conf/all/forwarding"):
        lab.router.set_sysctl(switch, 1)
    return Node(lab, lab.host, 1), Node(lab, other, 2)


def test_pods_of_two_nodes_reach_each_other_by_every_kind_at_full_size(lab):
    one, two = two_nodes(lab)
    a, b = one.probe(), two.probe()
    pod_a, pod_b = a.add("a"), b.add("b")
    cases = Cases()
    for probe, name, here, there in ((a, "a", pod_a, pod_b), (b, "b", pod_b, pod_a)):
        for source, to in zip(addresses(here), addresses(there)):
            for kind in ("icmp", "udp", "tcp"):
                with cases.case(f"{kind} {source} {to}"):
                    small = probe.reach(kind, to, from_=name)
                    full = probe.reach(kind, to, from_=name, size=1500, df=True)
                    equal(full["size"], 1500, "the size sent")
                    if kind != "icmp":
                        equal((small["source"], full["source"]), (source, source), "the source")
                    if kind == "tcp":
                        true(full["mss"] > 1400, "full segments", full)
            with cases.case(f"fragments {to}"):
                probe.reach("udp", to, from_=name, size=4000)
                probe.reach("tcp", to, from_=name, size=60000)
    cases.done()
    a.close()
    b.close()
    one.nothing_left()
    two.nothing_left()


def test_nodes_and_pods_and_a_host_outside_reach_each_other(lab):
    one, two = two_nodes(lab)
    outside = Node(lab, lab.router, 3)
    a, b, far = one.probe(), two.probe(), outside.probe()
    pod = a.add("a")
    ports = {p: p.ask("serve", place="") for p in (a, b, far)}
    equal(a.ask("serve", place=""), {**ports[a], "id": 3 + 1}, "the same ports again")
    equal(a.ask("serve", place="a")["udp"], 7007, "the port in a pod")
    mine = {p: look(p) for p in (a, b)}
    for to, own in zip(addresses(pod), (4, 6)):
        for probe in (a, b):
            node = mine[probe][own]
            for kind in ("udp", "tcp"):
                equal(a.reach(kind, node, from_="a", port=ports[probe][kind])["source"], to,
                      f"the pod's address at {node}")
                equal(probe.reach(kind, to)["source"], node, "the node's address")
        for kind in ("udp", "tcp"):
            far_address = "10.99.0.1" if own == 4 else "fd99::1"
            a.reach(kind, far_address, from_="a", port=ports[far][kind])
            far.reach(kind, to)
    nonce = "a-nonce"
    a.reach("udp", mine[b][4], from_="a", port=ports[b]["udp"], nonce=nonce)
    heard = b.ask("received", place="", nonce=nonce)
    equal((heard["count"], heard["source"]), (1, addresses(pod)[0]), "what node 2 heard")
    equal(b.ask("received", place="", nonce="other")["count"], 0, "what nobody said")
    for p in (a, b, far):
        p.close()
    true(not os.path.exists(outside.state), "no folder on a host without pods")


def look(probe):
    """The addresses of a node on its uplink, by family."""
    facts = probe.ask("look")
    mine = [x["addr"].split("/")[0] for x in facts["addresses"]
            if x["dev"] == facts["uplink"]["dev"] and not x["addr"].startswith("fe80")]
    return {6 if ":" in m else 4: m for m in mine}


def test_a_path_that_is_too_small_is_told_with_its_size_and_by_whom(lab):
    one, two = two_nodes(lab)
    lab.router.ip("link set port2 mtu 1300")
    a, b = one.probe(), two.probe()
    a.add("a")
    targets = addresses(b.add("b"))
    for to, router in zip(targets, ("10.99.0.1", "fd99::1")):
        for kind in ("icmp", "udp"):
            if kind == "icmp":
                told = a.fail("EMSGSIZE", kind, to, from_="a", size=1500, df=True)
                equal((told["pathMtu"], told["icmpFrom"]), (1300, router), "path and router")
            again = a.fail("EMSGSIZE", kind, to, from_="a", size=1301, df=True)
            equal((again["pathMtu"], again.get("icmpFrom")), (1300, None), "what the kernel knows")
            a.reach(kind, to, from_="a", size=1300, df=True)
        a.reach("tcp", to, from_="a", size=20000)
    equal(a.ask("pod-mtu", name="a", mtu=9000)["before"], 1500, "the MTU before")
    to = "10.99.0.1"
    told = a.fail("EMSGSIZE", "icmp", to, from_="a", size=5000, df=True)
    equal(told["pathMtu"], 1500, "the uplink's MTU")
    equal(a.ask("pod-mtu", name="a", mtu=1500)["before"], 9000, "the MTU that was set")
    a.close()
    b.close()


def test_what_is_not_reached_is_told_by_its_error(lab):
    one, _ = two_nodes(lab)
    a = one.probe()
    pod = a.add("a")
    free = "10.66.1.40"  # of the node's own block, whose blackhole takes it
    for to in addresses(pod):
        a.fail("ECONNREFUSED", "udp", to, port=9)
        a.fail("ECONNREFUSED", "tcp", to, port=9)
    told = a.fail("ECONNREFUSED", "udp", "10.99.0.1", from_="a", port=9)
    equal(told["icmpFrom"], "10.99.0.1", "who said so")
    equal(told["sent"], 1, "the number of datagrams")
    lab.router.ip("route add unreachable 10.77.0.0/16", "route add prohibit fd77::/64")
    equal(a.fail("EHOSTUNREACH", "icmp", "10.77.0.1", from_="a", timeoutMs=600)["icmpFrom"],
          "10.99.0.1", "who said so")
    a.fail("EACCES", "udp", "fd77::1", from_="a", timeoutMs=600)
    a.fail(None, "icmp", free, from_="a", timeoutMs=300)
    a.fail("EINVAL", "udp", free, timeoutMs=300)
    lab.host.ip("route del default")
    a.fail("ENETUNREACH", "tcp", "10.1.2.3")
    a.fail("ENETUNREACH", "icmp", "10.1.2.3")
    a.close()


def test_who_pretends_is_found_out_where_nothing_stops_it(lab):
    one, two = two_nodes(lab)
    one.put_ptp()
    a, b = one.probe(), two.probe()
    pods = {"a": a.add("a"), "b": a.add("b"), "ptp": a.add("ptp", network="ptp")}
    port = b.ask("serve", place="")["udp"]
    cases = Cases()
    for name, source, to, arrives in (
            ("a", addresses(pods["b"])[0], "10.98.0.2", False),
            ("a", "10.1.2.3", "10.98.0.2", False),
            ("a", addresses(pods["b"])[1], "fd98::2", False),
            ("a", "fd01::1", "fd98::2", False),
            ("a", addresses(pods["a"])[0], "10.98.0.2", True),
            ("ptp", "10.1.2.3", "10.98.0.2", True)):
        with cases.case(f"{name} as {source}"):
            nonce = f"n{cases.count}"
            told = a.ask("try", from_=name, kind="udp", to=to, port=port, source=source,
                         nonce=nonce, timeoutMs=300)
            heard = b.ask("received", place="", nonce=nonce)
            equal(heard["count"] > 0, arrives, f"that it arrives ({told}, {heard})")
            if arrives:
                equal(heard["source"], source, "the source that was heard")
    cases.done()
    a.close()
    b.close()
    one.nothing_left()


def test_chains_get_what_runtimes_give_them(lab):
    one = Node(lab, lab.host, 1)
    one.put_ptp()
    a = one.probe()
    ports = [{"hostPort": 8080, "containerPort": 7007, "protocol": "tcp"}]
    pod, ptp = a.add("a", portMappings=ports), a.add("p", network="ptp")
    equal((pod["network"], pod["plugins"], pod["capabilities"]),
          ("net", ["roost", "portmap"], ["portMappings"]), "the first network")
    equal((ptp["network"], ptp["plugins"], ptp["gateway"]), ("ptp", ["ptp", "portmap"],
                                                            "10.67.1.1"), "the named network")
    for p in (pod, ptp):
        true(p["hostLink"] in one.pod_links() and p["mtu"] == 1500, "link and MTU", p)
    record = lab.records(one.state)[addresses(pod)[0]]
    equal((record["podNamespace"], record["podName"], record["containerID"]),
          ("roost-conformance", "a", pod["container"]), "the record")
    hairpin = a.reach("tcp", "10.99.0.2", from_="a", port=8080)
    equal(hairpin["source"], "10.99.0.2", "the source after hairpin NAT")
    a.ask("pod-del", name="a")
    a.ask("pod-del", name="a")
    equal(one.rules(), [], "port mappings of the deleted pod")
    equal(one.pod_links(), [ptp["hostLink"]], "the other pod's link")
    a.add("a")
    a.close()
    one.nothing_left()


def test_a_failed_add_leaves_nothing(lab):
    one = Node(lab, lab.host, 1)
    roost = json.load(open(f"{one.conf_dir}/10-net.conflist"))["plugins"][0]
    folder = f"{lab.dir}/bin"
    os.makedirs(folder)
    script(f"{folder}/refuses", 'cat >> "$0.log"; echo "$CNI_COMMAND" >> "$0.verbs"\n'
           '[ "$CNI_COMMAND" = DEL ] && exit 0\necho \'{"code":42,"msg":"no luck"}\'; exit 1\n')
    one.put("10-net", roost, {"type": "refuses"})
    one.put("30-mute", {"type": "mute"})
    script(f"{folder}/mute", "exit 0\n")
    a = one.probe()
    keys = {"confDir": one.conf_dir, "cniPath": [BIN, folder]}
    answer = a.refused("EREMOTEIO", "no luck", "refuses", op="pod-add", name="a", **keys)
    equal(answer["code"], 42, "the plugin's code")
    with open(f"{folder}/refuses.verbs") as f:
        equal(f.read().split(), ["ADD", "DEL"], "the verbs")
    a.refused("EBADMSG", "without a result", op="pod-add", name="a", network="mute", **keys)
    a.refused("ENOENT", "no network", op="pod-add", name="a", network="none", **keys)
    a.refused("ENOENT", op="pod-add", name="a", confDir="/nowhere")
    a.refused("ENOENT", "failed to find plugin", op="pod-add", name="a", confDir=one.conf_dir,
              cniPath=["/nowhere"])
    equal(one.pod_links(), [], "links")
    a.close()
    one.nothing_left()


def test_a_look_tells_what_the_node_has(lab):
    one, _ = two_nodes(lab)
    a = one.probe()
    before = a.ask("look")
    equal((before["pools"], before["records"], before["node"]), ([], [], "node1"), "an empty state")
    pod = a.add("a")
    lab.host.ip("link add vx type vxlan id 7 dstport 4790 local 10.99.0.2",
                "route add unreachable 10.77.0.0/24 metric 5",
                "route add 10.78.0.0/24 nexthop via 10.99.0.1 nexthop via 10.99.0.9",
                "rule add from 10.66.0.0/16 table 99 priority 700",
                "route add 10.79.0.0/24 via 10.5.5.5 dev uplink onlink")
    facts = a.ask("look")
    equal(facts["uplink"], {"dev": "uplink", "mtu": 1500, "mtu4": 1500, "mtu6": 1500}, "the uplink")
    equal(facts["pools"], [{"cidr": one.pool4, "blockSize": 26},
                           {"cidr": one.pool6, "blockSize": 122}], "the pools")
    equal({r["address"]: (r["state"], r["container"]) for r in facts["records"]},
          {x: ("used", pod["container"]) for x in addresses(pod)}, "the records")
    links = {l["name"]: l for l in facts["links"]}
    equal((links["vx"]["kind"], links[pod["hostLink"]]["kind"]), ("vxlan", "veth"), "kinds")
    true(pod["container"] in links[pod["hostLink"]]["alias"], "the alias", links)
    tunnel = facts["tunnels"][0]
    equal((tunnel["name"], tunnel["local"], tunnel["vni"], tunnel["port"], tunnel["up"]),
          ("vx", "10.99.0.2", 7, 4790, False), "the tunnel")
    routes = {r["dst"]: r for r in facts["routes"]}
    for dst in pod["ips"]:
        r = routes[dst]
        equal((r["type"], r["protocol"], r["dev"], r["via"]),
              ("unicast", 82, pod["hostLink"], ""), "the pod's route")
    for block in facts["blocks"]:
        equal((routes[block]["type"], routes[block]["protocol"], routes[block]["hops"]),
              ("blackhole", 82, []), "the block's route")
    equal((routes["10.77.0.0/24"]["type"], routes["10.77.0.0/24"]["metric"]), ("unreachable", 5),
          "an unreachable route")
    equal([h["via"] for h in routes["10.78.0.0/24"]["hops"]], ["10.99.0.1", "10.99.0.9"], "hops")
    equal((routes["10.79.0.0/24"]["via"], routes["10.79.0.0/24"]["onlink"]), ("10.5.5.5", True),
          "an onlink route")
    equal((routes["0.0.0.0/0"]["via"], routes["::/0"]["via"]), ("10.99.0.1", "fd99::1"),
          "the defaults")
    rule = next(r for r in facts["rules"] if r["priority"] == 700)
    equal((rule["from"], rule["to"], rule["table"], rule["family"]),
          ("10.66.0.0/16", "all", 99, 4), "the rule")
    equal((facts["sysctls"]["ip_forward"], facts["sysctls"]["ipv6_forwarding"]), (1, 1), "switches")
    a.close()


def test_captures_count_packets_by_link_and_direction(lab):
    one, two = two_nodes(lab)
    a, b = one.probe(), two.probe()
    pod = a.add("a")
    port = b.ask("serve", place="")["udp"]
    captures = {
        "echo": ({"what": "icmp4", "peer": "10.98.0.2"}, True),
        "other-peer": ({"what": "icmp4", "peer": "10.98.0.3"}, False),
        "echo6": ({"what": "icmp6", "peer": "fd98::2"}, True),
        "datagrams": ({"what": "udp", "port": port}, True),
        "other-port": ({"what": "udp", "port": port + 1}, False),
        "tunnel": ({"what": "vxlan"}, False),
        "tunnel4": ({"what": "ipip"}, False),
    }
    for name, (keys, _) in captures.items():
        a.ask("capture", capture=name, **keys)
    a.refused("EEXIST", op="capture", capture="echo", what="udp")
    a.refused("EINVAL", "no ports", op="capture", capture="x", what="ipip", port=1)
    a.refused("EINVAL", "family", op="capture", capture="x", what="ipip", peer="fd00::1")
    a.reach("icmp", "10.98.0.2", from_="a")
    a.reach("icmp", "fd98::2", from_="a")
    a.reach("udp", "10.98.0.2", from_="a", port=port)
    for name, (_, seen) in captures.items():
        told = a.ask("captured", capture=name)
        link = pod["hostLink"]
        if not seen:
            equal((told["in"], told["out"]), ({}, {}), f"packets of {name}")
        elif name == "echo6":  # besides the echo there may be neighbour discovery of that peer
            true(told["in"].get(link) and told["out"].get("uplink"), "both links", told)
        else:
            true(told["in"].get(link) and told["out"].get("uplink"), f"the way of {name}", told)
            back = told["in"].get("uplink", 0) and told["out"].get(link, 0)
            equal(back > 0, name == "echo", "that answers are seen")  # others go to another port
        a.refused("ENOENT", op="captured", capture=name)
    a.close()
    b.close()


def test_strangers_lines_are_refused_and_the_next_one_is_understood(lab):
    one = Node(lab, lab.host, 1)
    a = one.probe()
    a.add("a")
    for line, word in ((b"garbage", "not valid JSON"), (b"\x00\xff\xfe", "JSON"), (b"{}\xff", "JSON"),
                       (b"[]", "object"), (b"7", "object"), (b"{}", "id"),
                       (b'{"op":"look"}', "id"), (b'{"id":"1","op":"look"}', "id"),
                       (b'{"id":-1,"op":"look"}', "id"), (b'{"id":1e99,"op":"look"}', "id"),
                       (b"[" * 500000, "nested"), (b"{" + b" " * (1 << 20) + b"}", "more than"),
                       (b"x" * (5 << 20), "more than")):
        a.write(line + b"\n\n")
        true(word in a.stray()["error"], f"{word!r} in the answer to {line[:20]!r}")
    cases = Cases()
    for errno, keys in (
            ("EOPNOTSUPP", {"op": "nope"}),
            ("EOPNOTSUPP", {"op": "x" * 100000}),
            ("EINVAL", {"op": "look", "surplus": 1}),
            ("EINVAL", {"op": "pod-add"}),
            ("EINVAL", {"op": "pod-add", "name": "../a"}),
            ("EINVAL", {"op": "pod-add", "name": "a" * 33}),
            ("EBADMSG", {"op": "pod-add", "name": 7}),
            ("EEXIST", {"op": "pod-add", "name": "a"}),
            ("EBADMSG", {"op": "pod-add", "name": "b", "cniPath": "/bin"}),
            ("EINVAL", {"op": "pod-add", "name": "b", "cniPath": ["bin"]}),
            ("EINVAL", {"op": "pod-add", "name": "b", "cniPath": ["/a:/b"]}),
            ("EINVAL", {"op": "pod-add", "name": "b", "confDir": one.conf_dir,
                        "portMappings": [{"hostPort": 1}]}),
            ("EBADMSG", {"op": "pod-add", "name": "b", "confDir": one.conf_dir,
                         "portMappings": [{"hostPort": 70000}]}),
            ("ENOENT", {"op": "pod-mtu", "name": "b", "mtu": 1500}),
            ("EBADMSG", {"op": "pod-mtu", "name": "a", "mtu": 1}),
            ("EINVAL", {"op": "pod-mtu", "name": "a"}),
            ("ENOENT", {"op": "serve", "place": "b"}),
            ("ENOENT", {"op": "try", "from": "b", "kind": "icmp", "to": "10.0.0.1"}),
            ("EINVAL", {"op": "try", "kind": "sctp", "to": "10.0.0.1"}),
            ("EINVAL", {"op": "try", "kind": "icmp"}),
            ("EINVAL", {"op": "try", "kind": "icmp", "to": "localhost"}),
            ("EINVAL", {"op": "try", "kind": "udp", "to": "10.0.0.1"}),
            ("EBADMSG", {"op": "try", "kind": "udp", "to": "10.0.0.1", "port": 65536}),
            ("EBADMSG", {"op": "try", "kind": "icmp", "to": "10.0.0.1", "timeoutMs": 10001}),
            ("EBADMSG", {"op": "try", "kind": "icmp", "to": "10.0.0.1", "tries": 0}),
            ("EBADMSG", {"op": "try", "kind": "icmp", "to": "10.0.0.1", "df": 1}),
            ("EINVAL", {"op": "try", "kind": "icmp", "to": "10.0.0.1", "nonce": 'a"b'}),
            ("EINVAL", {"op": "try", "kind": "tcp", "to": "10.0.0.1", "port": 1,
                        "source": "10.0.0.2"}),
            ("EINVAL", {"op": "try", "kind": "udp", "to": "10.0.0.1", "port": 1,
                        "source": "fd00::1"}),
            ("EINVAL", {"op": "received", "place": ""}),
            ("EINVAL", {"op": "capture", "capture": "a b", "what": "udp"}),
            ("EINVAL", {"op": "capture", "capture": "a", "what": "all"}),
            ("ENOENT", {"op": "captured", "capture": "a"})):
        with cases.case(str(keys)[:80]):
            a.refused(errno, **keys)
    cases.done()
    for payload in (b"", b"x" * 1000, b'{"roost-probe":"ask"}', b"\xff" * 60000):
        with inside(one.ns.path):
            subprocess.run(["python3", "-c", "import socket,sys\n"
                            "s=socket.socket(socket.AF_INET,socket.SOCK_DGRAM)\n"
                            f"s.sendto(sys.stdin.buffer.read(),('10.66.1.0',7007))\n"
                            "t=socket.create_connection(('10.66.1.0',7007))\n"
                            "t.settimeout(20)\n"
                            "t.sendall(b'junk\\n')\n"
                            "assert t.recv(10)==b''\n"], input=payload, check=True,
                           timeout=HANG_S)
    a.reach("udp", "10.66.1.0")
    a.close()
    one.nothing_left()


def _end_stdin(probe):
    probe.process.stdin.close()


def _half_a_line(probe):
    probe.write(b'{"id":9,"op":"pod-add","name":"half"}')
    probe.process.stdin.close()


def _signal(number):
    return lambda probe: probe.process.send_signal(number)


def test_however_it_ends_everything_is_gone(lab):
    one = Node(lab, lab.host, 1)
    one.put_ptp()
    ports = [{"hostPort": 8080, "containerPort": 7007, "protocol": "udp"}]
    cases = Cases()
    for name, options, end in (("stdin", [], _end_stdin), ("half a line", [], _half_a_line),
                               ("SIGTERM", [], _signal(signal.SIGTERM)),
                               ("SIGINT", [], _signal(signal.SIGINT)),
                               ("SIGHUP", [], _signal(signal.SIGHUP)),
                               ("lifetime", ["--lifetime", "3"], lambda p: None),
                               ("end", [], lambda p: p.ask("end"))):
        with cases.case(name):
            a = one.probe(*options)
            a.add("a", portMappings=ports)
            a.add("p", network="ptp")
            a.ask("serve", place="")
            a.ask("capture", capture="c", what="udp")
            a.send("try", from_="a", kind="udp", to="10.99.0.77", port=9, timeoutMs=10000)
            a.send("try", from_="a", kind="tcp", to="10.99.0.77", port=9, timeoutMs=10000)
            end(a)
            a.ended()
            one.nothing_left()
    cases.done()


def stalled_probe(one):
    """One that nobody reads any more, with a pod, full of requests."""
    with inside(one.ns.path):
        p = subprocess.Popen([f"{BIN}/roostctl", "probe", "--state-dir", one.state], bufsize=0,
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                             stderr=subprocess.DEVNULL)
    p.stdin.write(json.dumps({"id": 1, "op": "pod-add", "name": "a", "confDir": one.conf_dir,
                              "cniPath": PATHS}).encode() + b"\n")
    wait_for(one.pod_links, "the pod's link")
    os.set_blocking(p.stdin.fileno(), False)
    line, taken, stalled = b'{"id":2,"op":"look"}\n' * 100, 0, 0
    while stalled < 50 and taken < 1 << 20:
        written = p.stdin.write(line)
        stalled = 0 if written else stalled + 1
        taken += written or 0
        time.sleep(0 if written else 0.02)
    true(taken < 1 << 20, "that no more is read while answers wait", taken)
    return p


def test_when_nobody_reads_its_answers_it_ends_all_the_same(lab):
    one = Node(lab, lab.host, 1)
    cases = Cases()
    for name, end in (("stdout closed", lambda p: p.stdout.close()),
                      ("stdin closed", lambda p: p.stdin.close()),
                      ("SIGTERM", lambda p: p.terminate())):
        with cases.case(name):
            p = stalled_probe(one)
            end(p)
            equal(p.wait(HANG_S), 0, "the exit status")
            p.stdin.close()
            p.stdout.close()
            one.nothing_left()
    cases.done()


def test_who_closes_stdin_gets_all_answers(lab):
    one = Node(lab, lab.host, 1)
    requests = "".join(json.dumps({"id": i, "op": "look"}) + "\n" for i in range(300))
    path = f"{lab.dir}/requests"
    with open(path, "w") as f:
        f.write(requests)
    for stdin in ({"input": requests.encode()}, {"stdin": open(path, "rb")}):
        with inside(one.ns.path):
            done = subprocess.run([f"{BIN}/roostctl", "probe", "--state-dir", one.state, "--config",
                                   one.config], capture_output=True, timeout=HANG_S, **stdin)
        equal(done.returncode, 0, "the exit status")
        equal([json.loads(l)["id"] for l in done.stdout.splitlines()], list(range(300)), "answers")


def test_a_delete_that_fails_is_told_and_left_to_the_next_probe(lab):
    one = Node(lab, lab.host, 1)
    folder = f"{lab.dir}/bin"
    os.makedirs(folder)
    script(f"{folder}/stubborn", '[ "$CNI_COMMAND" = ADD ] && exec cat "$0.result"\n'
           '[ -e "$0.willing" ] && { cat > "$0.stdin"; exit 0; }\n'
           'echo \'{"code":11,"msg":"not now"}\'; exit 1\n')
    with open(f"{folder}/stubborn.result", "w") as f:
        json.dump({"cniVersion": "1.0.0", "ips": [{"address": "10.0.0.1/32"}],
                   "dns": {}}, f)
    roost = json.load(open(f"{one.conf_dir}/10-net.conflist"))["plugins"][0]
    one.put("10-net", roost, {"type": "stubborn"})
    a = one.probe()
    a.ask("pod-add", name="a", confDir=one.conf_dir, cniPath=[BIN, folder])
    container = one.used()
    a.refused("EREMOTEIO", "not now", op="pod-del", name="a")
    equal(one.used(), {}, "roost's own DEL was run all the same")
    answer = a.wait(a.send("end"))
    true("not now" in answer["error"], "the error of the end", answer)
    true("not now" in a.ended(1), "the sentence on stderr")
    b = one.probe()
    true("not now" in b.hello["troubles"][0], "the trouble", b.hello)
    b.close()
    open(f"{folder}/stubborn.willing", "w").close()
    b = one.probe()
    equal(b.hello["cleaned"], list(set(container.values())), "what was cleaned")
    with open(f"{folder}/stubborn.stdin") as f:
        equal(json.load(f)["prevResult"]["ips"], [{"address": "10.0.0.1/32"}], "the result kept")
    b.close()
    one.nothing_left()


def test_after_a_kill_only_records_stay_and_the_next_probe_clears_them(lab):
    one, two = two_nodes(lab)
    state, two.state = two.state, one.state  # the probes have the same folder by mistake
    one.put_ptp()
    ports = [{"hostPort": 8080, "containerPort": 7007, "protocol": "tcp"}]
    living, other, a = one.probe(), two.probe(), one.probe()
    stays = living.add("stays")
    there = other.add("there")
    pods = [a.add("a", portMappings=ports), a.add("p", network="ptp")]
    a.process.kill()
    a.ended(-GONE)
    wait_for(lambda: one.pod_links() == [stays["hostLink"]], "the end of the dead probe's links")
    equal(len(one.rules()), 1, "port mappings that nobody deleted")
    equal(len(one.host_local()), 1, "addresses of host-local that nobody freed")
    b = one.probe()
    equal(sorted(b.hello["cleaned"]), sorted(p["container"] for p in pods), "what was cleaned")
    equal(b.hello["troubles"], [], "troubles")
    equal(set(one.used().values()), {stays["container"]}, "who has addresses")
    equal((one.rules(), one.host_local()), ([], []), "what plugins keep")
    equal(b.ask("hello")["cleaned"], [], "nothing the second time")
    living.reach("tcp", addresses(stays)[0])
    other.process.kill()
    other.ended(-GONE)
    d = one.probe()
    equal(d.hello["cleaned"], [], "what a probe of another node cleaned")
    d.close()
    equal(set(lab.used(state).values()), {there["container"]}, "who has addresses there")
    c = two.probe()
    equal(c.hello["cleaned"], [there["container"]], "what its own node cleaned")
    equal(lab.used(state), {}, "used addresses there")
    for p in (living, b, c):
        p.close()
    one.nothing_left()
    equal(two.pod_links(), [], "links")


def test_a_kill_amid_an_add_is_cleared_as_well(lab):
    one = Node(lab, lab.host, 1)
    folder = f"{lab.dir}/bin"
    os.makedirs(folder)
    script(f"{folder}/hangs", '[ "$CNI_COMMAND" = DEL ] && exit 0\n'
           'echo $$ > "$0.pid"; exec sleep 1000\n')
    roost = json.load(open(f"{one.conf_dir}/10-net.conflist"))["plugins"][0]
    one.put("10-net", roost, {"type": "hangs"})
    a = one.probe()
    a.send("pod-add", name="a", confDir=one.conf_dir, cniPath=[BIN, folder])
    pid_file = f"{folder}/hangs.pid"
    wait_for(lambda: os.path.exists(pid_file) and open(pid_file).read().strip(), "the plugin")
    pid = int(open(pid_file).read())
    a.process.kill()
    a.ended(-GONE)
    wait_for(lambda: not os.path.exists(f"/proc/{pid}") or
             " Z " in open(f"/proc/{pid}/stat").read(), "the end of the plugin")
    wait_for(lambda: not one.pod_links(), "the end of the link")
    equal(len(set(one.used().values())), 1, "records of the killed ADD")
    b = one.probe()
    equal(len(b.hello["cleaned"]), 1, "what was cleaned")
    b.close()
    one.nothing_left()


def test_many_pods_and_tries_at_once_leave_no_descriptor_behind(lab):
    one = Node(lab, lab.host, 1)
    a = one.probe()

    def descriptors():
        return len(os.listdir(f"/proc/{a.process.pid}/fd"))
    before = None
    for _ in range(3):
        adds = [a.send("pod-add", name=f"p{i}", confDir=one.conf_dir, cniPath=PATHS)
                for i in range(5)]
        pods = [a.wait(n) for n in adds]
        tries = [a.send("try", from_=f"p{i}", kind=kind, to=to, port=7007, tries=2)
                 for i in range(5) for pod in pods for to in addresses(pod)
                 for kind in ("icmp", "udp", "tcp")]
        missing = [t for t in map(a.wait, tries) if not t.get("answered")]
        equal(missing, [], "tries without an answer")
        late = a.send("try", from_="p0", kind="udp", to="10.99.0.77", port=9, timeoutMs=10000)
        for i in range(5):
            a.ask("pod-del", name=f"p{i}")
        equal(a.wait(late)["error"], "ECANCELED", "the error of a try from a deleted pod")
        before = before or descriptors()
        wait_for(lambda: descriptors() == before, f"{before} descriptors as before")
    limit = [a.send("try", kind="icmp", to="10.99.0.77", timeoutMs=10000) for _ in range(520)]
    answer = a.wait(limit[-1])
    equal(answer.get("errno"), "EAGAIN", "the error of one too many")
    a.close()
    one.nothing_left()
