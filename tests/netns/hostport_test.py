# SPDX-License-Identifier: Apache-2.0
"""Host ports: capability portMappings, from every side, with every protocol; who has a port, what goes and
what comes back."""
import contextlib
import json
import subprocess
import sys

import pytest

from roostlab import BIN, Failed, HANG_S, equal, inside, true, wait_for

pytestmark = pytest.mark.needs("ip", "nft", "conntrack")

NODE4, NODE6 = "10.99.0.2", "fd99::2"
ROUTER4, ROUTER6 = "10.99.0.1", "fd99::1"

# Says where each client seems to come from: one line for each connection or datagram.
SERVER = """
import socket, sys
proto, family, port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
kind = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0)}[proto]
s = socket.socket(family, *kind)
s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
if family == socket.AF_INET6:
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
s.bind(("", port))
if proto != "udp":
    s.listen()
print("ready", flush=True)
while True:
    if proto == "udp":
        data, client = s.recvfrom(100)
        s.sendto(client[0].encode(), client)
    else:
        c, client = s.accept()
        c.sendall(client[0].encode())
        c.close()
"""
CLIENT = """
import socket, sys
proto, address, port, source = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
kind = {"tcp": (socket.SOCK_STREAM, 0), "udp": (socket.SOCK_DGRAM, 0)}[proto]
s = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, *kind)
s.settimeout(float(sys.argv[5]))
if source != "-":
    s.bind((source, 0))
s.connect((address, port))
if proto == "udp":
    s.send(b"x")
print(s.recv(100).decode())
"""


@contextlib.contextmanager
def served(ns, port, proto="tcp"):
    """A server of both families in a namespace."""
    started = []
    try:
        for family in (2, 10):
            with inside(ns.path):
                p = subprocess.Popen([sys.executable, "-c", SERVER, proto, str(family), str(port)],
                                     stdout=subprocess.PIPE)
            started.append(p)
            p.stdout.readline()
        yield
    finally:
        for p in started:
            p.kill()
            p.wait()
            p.stdout.close()


def asks(ns, address, port, proto="tcp", source="-", wait=5):
    """Where the server sees the client, or None when nobody answers."""
    with inside(ns.path):
        done = subprocess.run([sys.executable, "-c", CLIENT, proto, address, str(port), source, str(wait)],
                              capture_output=True, text=True, timeout=HANG_S)
    return done.stdout.strip() or None


def mapping(host, pod=80, proto="tcp", at=""):
    return {"hostPort": host, "containerPort": pod, "protocol": proto, "hostIP": at}


def conf(lab, *mappings, **more):
    return lab.conf(runtimeConfig={"portMappings": list(mappings)}, **more)


def address(result, v6=False):
    return next(ip["address"].split("/")[0] for ip in result["ips"] if (":" in ip["address"]) == v6)


def elements(lab, table="roost-ports"):
    """{set: number of elements}; None without the table."""
    text = lab.host.run("nft", "-j", "list", "ruleset")
    found = {}
    for item in json.loads(text)["nftables"]:
        for kind in ("map", "set"):
            if kind in item and item[kind]["table"] == table:
                found[item[kind]["name"]] = len(item[kind].get("elem", []))
    return found or None


def used(lab):
    return {k: n for k, n in (elements(lab) or {}).items() if n}


def audit(lab, *words):
    with inside(lab.host.path):
        done = subprocess.run([f"{BIN}/roostctl", "--state-dir", lab.state, "-o", "json", "ipam", "check", *words],
                              capture_output=True, text=True, timeout=HANG_S)
    return json.loads(done.stdout)["problems"]


@pytest.mark.parametrize("proto", ["tcp", "udp"])
def test_a_host_port_leads_to_the_pod_from_everywhere(lab, proto):
    """The source address is kept, but where no answer could come back to it."""
    pod, near = lab.pod(), lab.pod()
    result = lab.add(pod, conf(lab, mapping(8080, 80, proto)))
    other = lab.add(near)
    four, six = address(result), address(result, True)
    with served(pod.ns, 80, proto):
        seen = {
            "router": asks(lab.router, NODE4, 8080, proto),
            "router 6": asks(lab.router, NODE6, 8080, proto),
            "neighbour": asks(near.ns, NODE4, 8080, proto),
            "neighbour 6": asks(near.ns, NODE6, 8080, proto),
            "host": asks(lab.host, NODE4, 8080, proto),
            "host 6": asks(lab.host, NODE6, 8080, proto),
            "hairpin": asks(pod.ns, NODE4, 8080, proto),
            "hairpin 6": asks(pod.ns, NODE6, 8080, proto),
            "loopback": asks(lab.host, "127.0.0.1", 8080, proto),
        }
    expected = {"router": ROUTER4, "router 6": ROUTER6, "neighbour": address(other),
                "neighbour 6": address(other, True), "host": NODE4, "host 6": NODE6}
    equal({k: seen[k] for k in expected}, expected, "the clients' addresses")
    for name, own in (("hairpin", four), ("hairpin 6", six), ("loopback", "127.0.0.1")):
        true(seen[name] and seen[name] != own, f"an answer by {name} from another address", seen)
    lab.check(pod, result, conf(lab, mapping(8080, 80, proto))).ok("CHECK")
    lab.delete(pod)
    lab.delete(near)
    equal(used(lab), {}, "elements after DEL")
    lab.nothing_left(pod, near)


def test_SCTP_has_its_own_ports(lab):
    """Not every kernel has sockets of it; every packet of it takes the way of the others."""
    pod, other = lab.pod(), lab.pod()
    lab.add(pod, conf(lab, mapping(8080, 80, "SCTP")))
    lab.add(other, conf(lab, mapping(8080, 81, "tcp")))
    text = lab.host.run("nft", "list", "map", "inet", "roost-ports", "any4")
    true("sctp . 8080" in text and "tcp . 8080" in text, "both protocols", text)
    lab.delete(pod)
    text = lab.host.run("nft", "list", "map", "inet", "roost-ports", "any4")
    true("sctp . 8080" not in text and "tcp . 8080" in text, "the other's port", text)


def test_one_port_at_two_addresses_leads_to_two_pods(lab):
    """As Kubernetes' own test has it: 127.0.0.1 and the node's address, TCP and UDP."""
    pods = [lab.pod() for _ in range(4)]
    wants = [mapping(54321, 80, "TCP", "127.0.0.1"), mapping(54321, 80, "TCP", NODE4),
             mapping(54321, 80, "UDP", NODE4), mapping(54321, 80)]
    results = [lab.add(p, conf(lab, w)) for p, w in zip(pods, wants)]
    del results
    with contextlib.ExitStack() as stack:
        for pod, proto in zip(pods, ("tcp", "tcp", "udp", "tcp")):
            stack.enter_context(served(pod.ns, 80, proto))
        true(asks(lab.host, "127.0.0.1", 54321, source=NODE4) == NODE4, "127.0.0.1 to answer the node's address")
        equal(asks(lab.router, NODE4, 54321), ROUTER4, "the answer of the node's address")
        equal(asks(lab.router, NODE4, 54321, "udp"), ROUTER4, "the answer over UDP")
        equal(asks(lab.router, NODE6, 54321), ROUTER6, "the answer of the pod that has the rest")
    equal(used(lab), {"at4": 3, "any4": 1, "any6": 1, "hairpin4": 4, "hairpin6": 1}, "elements")
    for pod in pods:
        lab.delete(pod)
    equal(used(lab), {}, "elements after DEL")


def test_addresses_of_one_family_and_numbers_without_a_wish(lab):
    pod = lab.pod()
    lab.add(pod, conf(lab, mapping(81, at="0.0.0.0"), mapping(82, at="::"), mapping(0), mapping(81, at="0.0.0.0"),
                      mapping(83, at="fd99::2")))
    equal(used(lab), {"any4": 1, "any6": 1, "at6": 1, "hairpin4": 1, "hairpin6": 1}, "elements")
    lab.delete(pod)
    for nothing in (None, [], [{"HostPort": 0, "ContainerPort": 80, "Protocol": "TCP", "HostIP": ""}]):
        lab.add(pod, lab.conf(runtimeConfig={"portMappings": nothing}))
        equal(used(lab), {}, "elements of a pod that asks for none")
        lab.delete(pod)


@pytest.mark.parametrize("wrong, words", [
    ({"hostPort": 80}, "portMappings[0].containerPort is missing"),
    (mapping(70000), "portMappings[0].hostPort is 70000"),
    (mapping(-1), "portMappings[0].hostPort is -1"),
    (dict(mapping(80), hostPort="80"), "portMappings[0].hostPort must be a number"),
    (mapping(80, proto="icmp"), 'protocol "icmp" is not one of tcp, udp, sctp'),
    (mapping(80, at="here"), 'hostIP "here" is not an address'),
    ("80", "portMappings[0] must be an object"),
], ids=lambda x: None if isinstance(x, dict) else str(x)[:30])
def test_wrong_mappings_are_refused_by_name(lab, wrong, words):
    pod = lab.pod()
    before = lab.snapshot(pod)
    lab.call("ADD", conf(lab, wrong), pod).refused([6, 7], words)
    lab.unchanged(before, pod)


def test_one_port_twice_and_an_address_that_the_pod_has_not(lab):
    pod = lab.pod()
    lab.call("ADD", conf(lab, mapping(80, 80), mapping(80, 81)), pod).refused(7, "host port 80/tcp to port 81")
    lab.call("ADD", conf(lab, mapping(80, at="fd99::2"), pools=["10.66.0.0/24"]), pod).refused(
        7, "host port [fd99::2]:80/tcp cannot lead to the pod, which has no IPv6 address")
    lab.call("ADD", conf(lab, *[mapping(1000 + i) for i in range(257)]), pod).refused(7, "more than 256")
    lab.nothing_left(pod)


@pytest.mark.parametrize("key, value, words", [
    ("snat", False, "snat false is not supported"), ("masqAll", True, "masqAll true is not supported"),
    ("conditionsV4", ["-s", "10.0.0.0/8"], "conditionsV4 is not supported")])
def test_keys_of_portmap_are_refused_by_name_or_mean_what_is_so(lab, key, value, words):
    pod = lab.pod()
    lab.call("ADD", lab.conf(**{key: value}), pod).refused(2, words)
    lab.nothing_left(pod)
    so = {"snat": True, "masqAll": False, "conditionsV4": [], "backend": "nftables"}
    if key == "snat":
        so["externalSetMarkChain"] = "KUBE-MARK-MASQ"
    answer = lab.call("ADD", conf(lab, mapping(8080), **so), pod)
    equal(answer.status, 0, "the status of ADD")
    true(("externalSetMarkChain" in answer.err) == (key == "snat"), "a word on the key without a meaning", answer.err)
    lab.delete(pod)


def test_a_hundred_ports_of_one_pod(lab):
    pod = lab.pod()
    want = conf(lab, *[mapping(20000 + i, 80) for i in range(256)])
    result = lab.add(pod, want)
    equal(used(lab), {"any4": 256, "any6": 256, "hairpin4": 1, "hairpin6": 1}, "elements")
    lab.check(pod, result, want).ok("CHECK")
    with served(pod.ns, 80):
        equal(asks(lab.router, NODE4, 20255), ROUTER4, "the last one's answer")
    lab.delete(pod)
    equal(used(lab), {}, "elements after DEL")


def test_a_port_that_a_pod_has_is_refused_to_the_next_by_name(lab):
    first, second = lab.pod(), lab.pod()
    lab.add(first, conf(lab, mapping(8080)), CNI_ARGS="K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-0")
    before = lab.snapshot()
    lab.call("ADD", conf(lab, mapping(8081), mapping(8080)), second).refused(
        list(range(100, 1000)), "host port 8080/tcp is taken by pod shop/web-0")
    lab.unchanged(before)
    lab.delete(first)
    lab.add(second, conf(lab, mapping(8080)))
    lab.delete(second)
    lab.nothing_left(first, second)


def test_a_port_of_a_pod_that_died_without_DEL_is_free(lab):
    dead, pod = lab.pod(), lab.pod()
    lab.add(dead, conf(lab, mapping(8080)))
    dead.ns.remove()
    wait_for(lambda: not lab.host_links(), "the dead pod's link to go")
    result = lab.add(pod, conf(lab, mapping(8080)))
    with served(pod.ns, 80):
        equal(asks(lab.router, NODE4, 8080), ROUTER4, "the answer of the living pod")
    lab.delete(dead)
    with served(pod.ns, 80):
        equal(asks(lab.router, NODE4, 8080), ROUTER4, "the answer after DEL of the dead pod")
    lab.check(pod, result, conf(lab, mapping(8080))).ok("CHECK")
    lab.delete(pod)
    equal(used(lab), {}, "elements")


def test_ADD_again_after_the_namespace_died_has_the_ports_it_asks_for(lab):
    pod = lab.pod("again")
    lab.add(pod, conf(lab, mapping(8080), mapping(8081)))
    pod.ns.remove()
    wait_for(lambda: not lab.host_links(), "the dead pod's link to go")
    reborn = lab.pod("again")
    lab.add(reborn, conf(lab, mapping(8081), mapping(8082)))
    text = lab.host.run("nft", "list", "map", "inet", "roost-ports", "any4")
    true("8082" in text and "8081" in text and "8080" not in text, "the ports of the second ADD alone", text)
    lab.delete(reborn)
    equal(used(lab), {}, "elements")


def test_GC_removes_ports_of_whoever_is_not_valid(lab):
    kept, gone = lab.pod(), lab.pod()
    lab.add(kept, conf(lab, mapping(8080)))
    lab.add(gone, conf(lab, mapping(8081)))
    lab.gc([kept])
    equal(used(lab), {"any4": 1, "any6": 1, "hairpin4": 1, "hairpin6": 1}, "elements of the valid pod")
    lab.add(gone, conf(lab, mapping(8081)))
    gone.ns.remove()
    wait_for(lambda: len(lab.host_links()) == 1, "the dead pod's link to go")
    lab.gc([kept])
    equal(used(lab), {"any4": 1, "any6": 1, "hairpin4": 1, "hairpin6": 1}, "elements of the valid pod")
    lab.delete(kept)


def test_with_another_IPAM_ports_come_and_go_too(lab):
    pod = lab.pod()
    ipam = {"type": "host-local", "dataDir": f"{lab.dir}/hl", "ranges": [[{"subnet": "10.66.7.0/24"}]]}
    want = conf(lab, mapping(8080), ipam=ipam)
    result = lab.add(pod, want)
    with served(pod.ns, 80):
        equal(asks(lab.router, NODE4, 8080), ROUTER4, "the answer")
    lab.check(pod, result, want).ok("CHECK")
    lab.host.run("nft", "flush", "map", "inet", "roost-ports", "any4")
    lab.check(pod, result, want).refused(999, "host port", "8080/tcp", "does not lead to the pod")
    lab.delete(pod, lab.conf(ipam=ipam))  # without runtimeConfig
    equal(used(lab), {}, "elements")


FAULTS = {
    "elements": ("flush map inet roost-ports any4", "8080/tcp does not lead to the pod"),
    "hairpin": ("flush set inet roost-ports hairpin4", "8080/tcp does not lead to the pod"),
    "rules": ("flush table inet roost-ports", "inet roost-ports is missing or not whole"),
    "a chain": ("flush chain inet roost-ports postrouting", "inet roost-ports is missing or not whole"),
    "the table": ("delete table inet roost-ports", "inet roost-ports is missing or not whole"),
    "everything": ("flush ruleset", "inet roost-ports is missing or not whole"),
    "route_localnet": (None, "route_localnet is 0"),
    "local ::1": ("", "route local ::1 via"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_is_missing_is_seen_and_put_back(lab, fault):
    command, words = FAULTS[fault]
    pod = lab.pod()
    want = conf(lab, mapping(8080), mapping(8081, 81, "udp"))
    result = lab.add(pod, want)
    equal(audit(lab), [], "problems of a sound pod")
    if command:
        lab.host.run("nft", command)
    elif command == "":
        lab.host.run("ip", "-6", "route", "del", "local", "::1", "dev", lab.host_links()[0], "table", "local")
    else:
        lab.host.set_sysctl(f"ipv4/conf/{lab.host_links()[0]}/route_localnet", 0)
    found = audit(lab)
    true(any(words in p["seen"] for p in found), f"ipam check to say {words!r}", found)
    lab.check(pod, result, want).refused(999)
    for _ in range(2):  # a table first, then what is in it
        audit(lab, "--repair")
    equal(audit(lab), [], "problems after --repair")
    lab.check(pod, result, want).ok("CHECK after --repair")
    with served(pod.ns, 80):
        equal(asks(lab.router, NODE4, 8080), ROUTER4, "the answer")
        true(asks(lab.host, "127.0.0.1", 8080), "127.0.0.1 to answer")
        true(asks(lab.host, "::1", 8080), "::1 to answer")
    lab.delete(pod)
    equal(used(lab), {}, "elements after DEL")


def test_a_flushed_table_is_whole_again_with_the_next_pod(lab):
    first, second = lab.pod(), lab.pod()
    lab.add(first, conf(lab, mapping(8080)))
    lab.host.run("nft", "flush", "table", "inet", "roost-ports")
    lab.add(second, conf(lab, mapping(8081)))
    with served(first.ns, 80), served(second.ns, 80):
        equal(asks(lab.router, NODE4, 8080), ROUTER4, "the first pod's answer")
        equal(asks(lab.router, NODE4, 8081), ROUTER4, "the second pod's answer")


def test_a_lost_node_state_learns_the_ports_from_the_kernel(lab):
    pod = lab.pod()
    want = conf(lab, mapping(8080), mapping(8081, 81, "udp", NODE4))
    lab.add(pod, want)
    before = used(lab)
    lab.host.run("sh", "-c", f"rm -rf {lab.state}")
    other = lab.pod()
    lab.add(other)
    lab.host.run("nft", "flush", "ruleset")
    for _ in range(2):
        audit(lab, "--repair")
    equal(used(lab), before, "the elements after the repair")
    lab.delete(pod, lab.conf())
    equal(used(lab), {}, "elements after DEL")


def test_UDP_flows_of_before_are_led_to_the_pod_and_none_to_a_pod_that_is_gone(lab):
    pod, next_pod = lab.pod(), lab.pod()
    talk = """
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(("", 5000)); s.settimeout(0.3); s.connect(("10.99.0.2", 8080))
for line in sys.stdin:
    try:
        s.send(b"x"); print(s.recv(100).decode(), flush=True)
    except OSError:
        print("-", flush=True)
"""
    lab.host.run("nft", "add table inet other; add chain inet other c { type filter hook input priority 0; }; "
                        "add rule inet other c ct state new counter")  # flows are tracked
    with inside(lab.router.path):
        client = subprocess.Popen([sys.executable, "-c", talk], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                  text=True)

    def asked():
        client.stdin.write("\n")
        client.stdin.flush()
        return client.stdout.readline().strip()
    try:
        equal(asked(), "-", "the answer without a pod")
        lab.add(pod, conf(lab, mapping(8080, 80, "udp")))
        with served(pod.ns, 80, "udp"):
            wait_for(lambda: asked() == ROUTER4, "the flow of before to reach the pod")
        lab.delete(pod)
        tracked = lab.host.run("conntrack", "-L", "-p", "udp", "--orig-port-dst", "8080")
        true("10.66.0" not in tracked, "no flow to the pod that is gone", tracked)
        lab.add(next_pod, conf(lab, mapping(8080, 81, "udp")))
        with served(next_pod.ns, 81, "udp"):
            wait_for(lambda: asked() == ROUTER4, "the flow to reach the next pod")
    finally:
        client.stdin.close()
        client.kill()
        client.wait()
        client.stdout.close()


def test_a_pod_does_not_reach_127_0_0_1_of_the_host(lab):
    """route_localnet, which a port at 127.0.0.1 needs, would allow it."""
    pod = lab.pod()
    result = lab.add(pod, conf(lab, mapping(8080)))
    del result
    link = lab.host_links()[0]
    equal(lab.host.get_sysctl(f"ipv4/conf/{link}/route_localnet"), "1", "route_localnet of the pod's link")
    pod.ns.set_sysctl("ipv4/conf/eth0/route_localnet", 1)
    pod.ns.ip("addr del 127.0.0.1/8 dev lo", "route add 127.0.0.1/32 via 169.254.1.1 dev eth0")
    with served(lab.host, 9000):
        equal(asks(pod.ns, "127.0.0.1", 9000, wait=1), None, "an answer of the host's loopback")
        lab.host.run("nft", "flush", "chain", "inet", "roost-ports", "guard-roost")
        true(asks(pod.ns, "127.0.0.1", 9000), "the guard to be what stopped it")
    plain = lab.pod()
    lab.add(plain, conf(lab, mapping(8081, at=NODE4)))
    link = next(l for l in lab.host_links() if l != link)
    equal(lab.host.get_sysctl(f"ipv4/conf/{link}/route_localnet"), "0", "route_localnet without a need")


def test_a_pod_does_not_reach_loopback6_of_the_host(lab):
    """Its link has a route to ::1, for the answers to a port there; the kernel lets nothing in that has that address."""
    pod, plain = lab.pod(), lab.pod()
    lab.add(pod, conf(lab, mapping(8080)))
    link = lab.host_links()[0]
    lab.add(plain, conf(lab, mapping(8081, at=NODE6)))
    locals6 = [r["dev"] for r in lab.host.ask("-6 route show table local ::1")]
    equal(sorted(locals6), ["lo", link], "links with a route to ::1")
    pod.ns.ip("addr del ::1/128 dev lo", "route add ::1/128 via fe80::ecee:eeff:feee:eeee dev eth0")
    with served(lab.host, 9000), served(pod.ns, 80):
        true(asks(lab.host, "::1", 8080), "the pod to answer at ::1")
        equal(asks(pod.ns, "::1", 9000, wait=1), None, "an answer of the host's loopback")
    lab.delete(pod)
    equal([r["dev"] for r in lab.host.ask("-6 route show table local ::1")], ["lo"], "links with a route to ::1 after DEL")
    lab.delete(plain)


def test_a_forward_policy_of_drop_and_natOutgoing_of_others_do_not_matter(lab):
    """Like a firewall that accepts what belongs to pods, and masquerades what leaves."""
    pod = lab.pod()
    lab.host.run("nft", """
add table inet fw
add chain inet fw forward { type filter hook forward priority 0; policy drop; }
add rule inet fw forward ct state established,related accept
add rule inet fw forward oifname "roost*" accept
add rule inet fw forward iifname "roost*" accept
add chain inet fw post { type nat hook postrouting priority srcnat; }
add rule inet fw post ip saddr 10.66.0.0/16 oifname != "roost*" masquerade""")
    lab.add(pod, conf(lab, mapping(8080)))
    with served(pod.ns, 80):
        equal(asks(lab.router, NODE4, 8080), ROUTER4, "the answer to the router")
        true(asks(pod.ns, NODE4, 8080), "the pod to reach itself")


def test_portmap_in_the_chain_keeps_working_beside_our_own(lab):
    pod = lab.pod()
    wish = {"portMappings": [mapping(8080)]}
    confs = [lab.conf("1.0.0", runtimeConfig=wish),
             {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True, "runtimeConfig": wish}]
    result = lab.chain(pod, confs, "1.0.0")
    with served(pod.ns, 80):
        equal(asks(lab.router, NODE4, 8080), ROUTER4, "the answer")
    for one in reversed(confs):
        lab.chained("DEL", pod, one, result, "1.0.0")
    equal(used(lab), {}, "elements")


def test_an_ADD_without_ports_makes_no_table_and_with_ports_one_batch(lab):
    pod, ports, more = lab.pod(), lab.pod(), lab.pod()

    def calls(pod, want):
        trace = f"{lab.dir}/trace"
        answer = lab.call("ADD", want, pod, ASAN_OPTIONS="detect_leaks=0",
                          wrapper=("strace", "-f", "-o", trace, "-e", "trace=sendto,recvmsg,socket"))
        if answer.status:
            raise Failed(str(answer))
        with open(trace) as f:
            return sum(1 for line in f if "(" in line)
    lab.add(lab.pod())
    plain = calls(pod, lab.conf())
    equal(elements(lab), None, "the table without a pod that needs it")
    lab.add(ports, conf(lab, mapping(8080)))
    with_ports = calls(more, conf(lab, mapping(8081)))
    # A socket; the look at the rules, its answer and its end; the batch and its answer. What the kernel says of one more
    # message of the link's batch, the route to ::1.
    true(with_ports - plain <= 7, "at most seven calls more", (plain, with_ports))
