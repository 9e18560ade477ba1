# SPDX-License-Identifier: Apache-2.0
"""The protocol of the CNI executables: verbs, versions, results, errors, bad input, chains.

What a pod looks like is tested in pod_test.py, which address it gets in ipam_test.py.
"""

import json
import os
import re
import stat
import subprocess
import sys

import pytest

from roostlab import (BIN, GATEWAY4, GATEWAY6, HOST_MAC, VERSIONS, Answer, Cases, at_once,
                      check_result, equal, inside, script, true, wait_for)

pytestmark = pytest.mark.needs()

PLUGINS = ("roost", "roost-ipam")


# ---- without a request ----

def test_without_a_command_a_banner_goes_to_stderr_and_nothing_to_stdout(lab):
    for plugin in PLUGINS:
        for command in (None, ""):
            answer = lab.call(command, "", plugin=plugin)
            equal((answer.status, answer.out), (0, ""), "exit status and stdout")
            true(re.match(rf"CNI {plugin} plugin v\d+\.\d+\.\d+\n", answer.err), "a banner",
                 answer.err)
            true("CNI protocol versions supported: 0.1.0" in answer.err and "1.1.0" in answer.err,
                 "all versions in the banner", answer.err)


def test_version_answers_without_reading_stdin(lab):
    variables = {"CNI_COMMAND": "VERSION", "CNI_CONTAINERID": "", "CNI_NETNS": "dummy",
                 "CNI_IFNAME": "dummy", "CNI_PATH": "dummy", "CNI_ARGS": ""}
    for plugin in PLUGINS:
        silent, writer = os.pipe()  # nothing ever comes, and no end either
        done = subprocess.run([f"{BIN}/{plugin}"], stdin=silent, capture_output=True,
                              env=variables, timeout=30)
        os.close(writer)
        os.close(silent)
        equal(Answer(done).json(), {"cniVersion": "1.1.0", "supportedVersions": VERSIONS},
              "the answer to VERSION")
        for stdin in ("", "garbage", '{"cniVersion":"9.9.9"}'):
            equal(lab.call("VERSION", stdin, plugin=plugin).status, 0, "the exit status")


def test_version_works_with_no_other_variable(lab):
    for plugin in PLUGINS:
        answer = lab.call("VERSION", "", plugin=plugin, CNI_PATH=None, CNI_ARGS=None)
        equal(answer.status, 0, "the exit status")


# ---- results ----

MAC = "02:00:00:00:00:42"


def expected_result(version, pod, host_link):
    """The whole result of a dual stack pod, as the specification of that version writes it."""
    routes4 = [{"dst": "0.0.0.0/0", "gw": GATEWAY4}]
    routes6 = [{"dst": "::/0", "gw": GATEWAY6}]
    if version in ("0.1.0", "0.2.0"):
        return {"cniVersion": version,
                "ip4": {"ip": "10.66.0.0/32", "gateway": GATEWAY4, "routes": routes4},
                "ip6": {"ip": "fd66::/128", "gateway": GATEWAY6, "routes": routes6}}
    interfaces = [{"name": host_link, "mac": HOST_MAC},
                  {"name": "eth0", "mac": MAC, "sandbox": pod.path}]
    ips = [{"interface": 1, "address": "10.66.0.0/32", "gateway": GATEWAY4},
           {"interface": 1, "address": "fd66::/128", "gateway": GATEWAY6}]
    if version < "1":
        ips[0]["version"], ips[1]["version"] = "4", "6"
    if version == "1.1.0":
        for interface in interfaces:
            interface["mtu"] = 1500
    return {"cniVersion": version, "interfaces": interfaces, "ips": ips,
            "routes": routes4 + routes6}


@pytest.mark.parametrize("version", VERSIONS)
def test_the_result_of_a_version_has_exactly_its_shape(lab, version):
    pod = lab.pod()
    result = lab.add(pod, lab.conf(version), CNI_ARGS=f"MAC={MAC}")
    result.pop("dns", None)
    equal(result, expected_result(version, pod, lab.host_links()[0]), "the result")
    if version >= "0.4.0":
        lab.check(pod, result, lab.conf(version)).ok("CHECK")
    lab.delete(pod, lab.conf(version))
    lab.nothing_left(pod)


def test_without_cniVersion_the_answer_is_of_0_1_0(lab):
    for version in (None, ""):
        pod = lab.pod()
        conf = lab.conf()
        conf["cniVersion"] = version
        if version is None:
            del conf["cniVersion"]
        result = lab.add(pod, conf)
        equal(result["cniVersion"], "0.1.0", "cniVersion")


def test_the_result_of_roost_ipam_has_no_interfaces_in_any_version(lab):
    for version in VERSIONS:
        pod = lab.pod()
        result = lab.add(pod, lab.conf(version), plugin="roost-ipam")
        if version >= "0.3.0":
            equal([ip["gateway"] for ip in result["ips"]], [GATEWAY4, GATEWAY6], "gateways")
            true("routes" not in result, "no routes without ipam.gateway", result)
        lab.delete(pod, lab.conf(version), plugin="roost-ipam")


def test_the_error_echoes_the_version_of_the_request(lab):
    pod = lab.pod()
    for plugin in PLUGINS:
        for version in VERSIONS:
            conf = lab.conf(version, pools=["10.66.0.1/24"])
            lab.call("ADD", conf, pod, plugin=plugin).refused(7, "10.66.0.1/24", version=version)


def test_the_sandbox_is_the_path_as_it_was_given(lab):
    pod = lab.pod()
    odd = pod._replace(path=pod.path.replace("/run/netns/", "/run//netns/./"))
    result = lab.add(odd)
    equal(result["interfaces"][1]["sandbox"], odd.path, "sandbox")
    lab.check(odd, result).ok("CHECK")
    lab.check(pod, result).refused(999, "sandbox", "match")


# ---- bad input ----

def environment_rows():
    """(name, verb, changes of the environment, code, words)"""
    need = "required env variables [{}] missing".format
    rows = [
        ("all missing", "ADD", dict(CNI_CONTAINERID=None, CNI_NETNS=None, CNI_IFNAME=None,
                                    CNI_PATH=None), 4,
         [need("CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH")]),
        ("all empty", "ADD", dict(CNI_CONTAINERID="", CNI_NETNS="", CNI_IFNAME="", CNI_PATH=""), 4,
         [need("CNI_CONTAINERID,CNI_NETNS,CNI_IFNAME,CNI_PATH")]),
        ("DEL without anything", "DEL", dict(CNI_CONTAINERID=None, CNI_NETNS=None,
                                             CNI_IFNAME=None, CNI_PATH=None), 4,
         ["CNI_CONTAINERID", "CNI_IFNAME"]),
        ("GC without CNI_PATH", "GC", dict(CNI_PATH=None), 4, [need("CNI_PATH")]),
        ("STATUS without CNI_PATH", "STATUS", dict(CNI_PATH=None), 4, [need("CNI_PATH")]),
        ("invalid wins over missing", "ADD", dict(CNI_CONTAINERID="a b", CNI_NETNS=None), 4,
         ["invalid characters in containerID", "a b"]),
        ("unknown command", "FOO", {}, 4, ["unknown CNI_COMMAND: FOO"]),
        ("lower case command", "add", {}, 4, ["unknown CNI_COMMAND: add"]),
    ]
    for name in ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME", "CNI_PATH"):
        rows.append((f"{name} missing", "ADD", {name: None}, 4, [need(name)]))
    for name in ("CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"):
        rows.append((f"{name} missing for CHECK", "CHECK", {name: None}, 4, [need(name)]))
    for name in ("CNI_CONTAINERID", "CNI_IFNAME"):
        rows.append((f"{name} missing for DEL", "DEL", {name: None}, 4, [need(name)]))
    for bad in ("a b", "../x", "a\n", "-a", ".a", "a/b", "ü"):
        rows.append((f"container {bad!r}", "ADD", {"CNI_CONTAINERID": bad}, 4,
                     ["invalid characters in containerID"]))
    rows.append(("container of 1100 bytes", "ADD", {"CNI_CONTAINERID": "a" * 1100}, 4,
                 ["container id", "long"]))
    for bad, words in (("a" * 16, "interface name is too long"),
                       (".", "interface name is . or .."), ("..", "interface name is . or .."),
                       ("a/b", "contains / or : or whitespace"),
                       ("a:b", "contains / or : or whitespace"),
                       ("a b", "contains / or : or whitespace"),
                       ("a\tb", "contains / or : or whitespace"),
                       ("a\u2003b", "contains / or : or whitespace"),
                       ("a\u00a0b", "contains / or : or whitespace"),
                       ("a%d", "%"), ("a\x01b", "control"), ("a\udcffb", "UTF-8")):
        rows.append((f"interface {bad!r}", "ADD", {"CNI_IFNAME": bad}, 4, [words]))
    rows.append(("namespace not UTF-8", "ADD", {"CNI_NETNS": "/run/\udcff"}, 4, ["CNI_NETNS"]))
    return rows


def deep(levels):
    return '{"cniVersion":"1.0.0","name":"net","x":' + "[" * levels + "]" * levels + "}"


def stdin_rows(conf):
    """(name, stdin, code, words)"""
    good = json.dumps(conf)

    def but(**more):
        changed = dict(conf, **more)
        return json.dumps({k: v for k, v in changed.items() if v is not ...})
    rows = [
        ("empty", "", 6, []), ("blank", " \n", 6, []), ("truncated", good[:-20], 6, []),
        ("one brace", "{", 6, []), ("array", "[]", 6, ["object"]), ("string", '"x"', 6, []),
        ("number", "7", 6, []), ("null", "null", 7, ["missing network name"]),
        ("empty object", "{}", 7, ["missing network name"]),
        ("trailing byte", good + "x", 6, []), ("second document", good + good, 6, []),
        ("trailing NUL", good + "\0", 6, []),
        ("not UTF-8", good.replace('"net"', '"n\udcff"').encode(errors="surrogateescape"), 6, []),
        ("deep array", deep(100_000), 6, []), ("deep object", '{"a":' * 100_000, 6, []),
        ("too deep by a few", deep(100), 6, []),
        ("longer than 1 MiB", good + " " * (1 << 20), 6, ["1048576"]),
        ("much longer than 1 MiB", good[:-1] + ',"x":"' + "y" * (8 << 20) + '"}', 6, []),
        ("name missing", but(name=...), 7, ["missing network name"]),
        ("name empty", but(name=""), 7, ["missing network name"]),
        ("name null", but(name=None), 7, ["missing network name"]),
        ("name a number", but(name=5), 6, ["name"]),
        ("name with space", but(name="a b"), 7, ["invalid characters", "a b"]),
        ("name with slash", but(name="../etc"), 7, ["invalid characters"]),
        ("name with newline", but(name="net\n"), 7, ["invalid characters"]),
        ("name of 300 bytes", but(name="n" * 300), 7, ["name"]),
        ("version a number", but(cniVersion=1), 6, ["version"]),
    ]
    for bad in ("2.0.0", "1.2.0", "abc", "1.0", "0.4.1", "1.0.0 "):
        rows.append((f"version {bad!r}", but(cniVersion=bad), 1,
                     ["incompatible CNI versions", f'"{bad}"', '"0.1.0"', '"1.1.0"']))
    return rows


def ipam_rows():
    """(name, ipam object, code, words), without type"""
    def pools(*list_, **more):
        return {"pools": [p if isinstance(p, dict) else {"cidr": p} for p in list_], **more}
    good = "10.88.0.0/24"
    return [
        ("unknown key in ipam", pools(good, poolz=1), 7, ["poolz"]),
        ("subnet in ipam", {"subnet": "10.88.0.0/24"}, 7, ["subnet"]),
        ("unknown key in a pool", pools({"cidr": good, "size": 3}), 7, ["pools[0]", "size"]),
        ("no pools, no agent", {}, 11, ["roostd", "ipam.pools"]),
        ("pools null, no agent", {"pools": None}, 11, ["roostd", "ipam.pools"]),
        ("a rest without pools", {"cooldownSeconds": 5}, 7, ["ipam.cooldownSeconds"]),
        ("pools empty", {"pools": []}, 7, ["ipam.pools"]),
        ("pools a string", {"pools": good}, 6, ["ipam.pools"]),
        ("a pool that is a string", {"pools": [good]}, 6, ["ipam.pools[0]"]),
        ("cidr missing", pools({"blockSize": 26}), 7, ["cidr"]),
        ("cidr a number", pools({"cidr": 10}), 6, ["cidr"]),
        ("cidr garbage", pools("10.88.0.0.0/24"), (6, 7), ["10.88.0.0.0/24"]),
        ("cidr without length", pools("10.88.0.0"), (6, 7), ["10.88.0.0"]),
        ("cidr with leading zeros", pools("010.88.0.0/24"), (6, 7), ["010.88.0.0/24"]),
        ("cidr too long", pools("10.88.0.0/33"), (6, 7), ["10.88.0.0/33"]),
        ("host bits", pools("10.88.0.1/24"), 7, ["10.88.0.1/24", "10.88.0.0/24"]),
        ("host bits of IPv6", pools("fd66::1/64"), 7, ["fd66::1/64", "fd66::/64"]),
        ("same pool twice", pools(good, good), 7, ["overlap", good]),
        ("overlapping pools", pools("10.88.0.0/16", "10.88.3.0/24"), 7,
         ["overlap", "10.88.0.0/16", "10.88.3.0/24"]),
        ("overlap in reverse", pools("10.88.3.0/24", "fd66::/64", "10.88.0.0/16"), 7, ["overlap"]),
        ("block larger than its pool", pools({"cidr": good, "blockSize": 23}), 7,
         ["/23", "larger", good]),
        ("block longer than an address", pools({"cidr": good, "blockSize": 33}), 7, ["33"]),
        ("block size as text", pools({"cidr": good, "blockSize": "26"}), 6, ["blockSize"]),
        ("cool-down negative", pools(good, cooldownSeconds=-1), (6, 7), ["cooldownSeconds"]),
        ("cool-down of a pool as text", pools({"cidr": good, "cooldownSeconds": "1"}), 6,
         ["cooldownSeconds"]),
        ("loopback", pools("127.0.1.0/24"), 7, ["loopback"]),
        ("multicast", pools("224.1.0.0/16"), 7, ["multicast"]),
        ("link-local", pools("fe80::/64"), 7, ["link-local"]),
        ("everything", pools("0.0.0.0/0"), 7, []),
        ("65 pools", pools(*[f"10.{i}.0.0/24" for i in range(65)]), 7, ["65", "64"]),
        ("gateway garbage", pools(good, gateway="10.88.0"), (6, 7), ["gateway", "10.88.0"]),
        ("gateway a number", pools(good, gateway=1), 6, ["gateway"]),
        ("two gateways of a family", pools(good, gateway=["10.88.0.1", "10.88.0.2"]), 7,
         ["gateway", "family"]),
        ("addresses garbage", pools(good, addresses=["x"]), (6, 7), ["addresses"]),
        ("two addresses of a family", pools(good, addresses=["10.88.0.1", "10.88.0.2"]), (2, 7),
         ["addresses", "family"]),
        ("relative stateDir", pools(good, stateDir="state"), 7, ["stateDir", "absolute"]),
        ("stateDir a number", pools(good, stateDir=1), 6, ["stateDir"]),
    ]


def top_rows(conf, pod):
    """(name, changes of the configuration, CNI_ARGS, code, words) for roost alone"""
    ip = "10.66.0.9"
    prev = {"cniVersion": "1.0.0", "interfaces": [{"name": "x", "mac": MAC, "sandbox": pod.path}],
            "ips": [{"address": "192.0.2.1/24", "interface": 0}]}

    def runtime(**more):
        return {"runtimeConfig": more}

    def annotations(**more):
        return runtime(**{"io.kubernetes.cri.pod-annotations": {
            "cni.projectcalico.org/" + k: v for k, v in more.items()}})

    def prev_with(**more):
        return {"prevResult": dict(prev, **more)}
    return [
        ("no ipam", {"ipam": ...}, "", 7, ["ipam"]),
        ("ipam null", {"ipam": None}, "", 7, ["ipam"]),
        ("ipam a list", {"ipam": []}, "", 6, ["ipam"]),
        ("no ipam.type", {"ipam": {}}, "", 7, ["ipam.type"]),
        ("ipam.type with slash", {"ipam": {"type": "../x"}}, "", 7, ["ipam.type", "../x"]),
        ("ipam.type unknown", {"ipam": {"type": "nope"}}, "", 999, ["nope", BIN]),
        ("mtu negative", {"mtu": -1}, "", (6, 7), ["mtu"]),
        ("mtu too large", {"mtu": 70000}, "", (6, 7), ["mtu"]),
        ("mtu too small", {"mtu": 60}, "", 7, ["mtu", "60"]),
        ("mtu too small for IPv6", {"mtu": 1279}, "", 7, ["mtu", "1279", "1280"]),
        ("mtu as text", {"mtu": "1500"}, "", 6, ["mtu"]),
        ("prefix too long", {"hostInterfacePrefix": "abcdefgh"}, "", 7,
         ["hostInterfacePrefix", "abcdefgh"]),
        ("prefix with slash", {"hostInterfacePrefix": "a/b"}, "", 7, ["hostInterfacePrefix"]),
        ("prefix empty", {"hostInterfacePrefix": ""}, "", 7, ["hostInterfacePrefix"]),
        ("prefix a number", {"hostInterfacePrefix": 1}, "", 6, ["hostInterfacePrefix"]),
        ("allowIPForwarding as text", {"allowIPForwarding": "yes"}, "", 6, ["allowIPForwarding"]),
        ("stateDir relative", {"stateDir": "a", "ipam": dict(conf["ipam"], stateDir=None)}, "", 7,
         ["stateDir"]),
        ("unknown key in log", {"log": {"levle": "info"}}, "", 7, ["levle", "log"]),
        ("log level", {"log": {"level": "loud"}}, "", 7, ["log.level", "loud"]),
        ("log file relative", {"log": {"file": "x.log"}}, "", 7, ["log.file"]),
        ("log a string", {"log": "info"}, "", 6, ["log"]),
        ("runtimeConfig a list", {"runtimeConfig": []}, "", 6, ["runtimeConfig"]),
        ("ips garbage", runtime(ips=["10.66.0"]), "", 7, ["ips", "10.66.0"]),
        ("ips of numbers", runtime(ips=[1]), "", 6, ["ips"]),
        ("ips a string", runtime(ips=ip), "", 6, ["ips"]),
        ("nine ips", runtime(ips=[ip] * 9), "", 7, ["ips"]),
        ("two of a family", runtime(ips=[ip, "10.66.0.10"]), "", 2, ["family"]),
        ("ip outside", runtime(ips=["192.0.2.77"]), "", 999, ["192.0.2.77", "pool"]),
        ("IPv6 outside", runtime(ips=["fd99::77"]), "", 999, ["fd99::77", "pool"]),
        ("mac garbage", runtime(mac="zz"), "", 7, ["mac", "zz"]),
        ("mac multicast", runtime(mac="01:00:5e:00:00:01"), "", 7, ["mac"]),
        ("mac zero", runtime(mac="00:00:00:00:00:00"), "", 7, ["mac"]),
        ("mac a number", runtime(mac=1), "", 6, ["mac"]),
        ("dns a list", runtime(dns=[]), "", 6, ["dns"]),
        ("args a number", {"args": 1}, "", 6, ["args"]),
        ("args.cni.ips garbage", {"args": {"cni": {"ips": ["x"]}}}, "", 7, ["args.cni.ips"]),
        ("IP= garbage", {}, "IP=1.2.3", 7, ["IP", "1.2.3"]),
        ("IP= outside", {}, "IP=192.0.2.3", 999, ["192.0.2.3"]),
        ("MAC= garbage", {}, "MAC=02:00", 7, ["MAC", "02:00"]),
        ("annotation no JSON", annotations(ipAddrs="10.66.0.9"), "", 7, ["ipAddrs"]),
        ("annotation of a pool unknown", annotations(ipv4pools='["10.99.0.0/16"]'), "", 7,
         ["10.99.0.0/16"]),
        ("annotation a number", annotations(ipAddrs=1), "", 6, ["ipAddrs"]),
        ("prevResult a string", {"prevResult": "x"}, "", 6, ["prevResult"]),
        ("prevResult of another version", prev_with(cniVersion="0.2.0"), "", 7,
         ["cniVersion", "0.2.0"]),
        ("prevResult with an index too large",
         prev_with(ips=[{"address": "192.0.2.1/24", "interface": 1}]), "", 6, ["interface"]),
        ("prevResult with a bad address", prev_with(ips=[{"address": "192.0.2.1"}]), "", 6,
         ["192.0.2.1"]),
        ("prevResult with a bad MAC", prev_with(interfaces=[{"name": "x", "mac": "zz"}]), "", 6,
         ["mac"]),
        ("prevResult with a bad route", prev_with(routes=[{"dst": "0.0.0.0"}]), "", 6, ["dst"]),
    ]


def bad_namespaces(lab):
    """(name, path, code, words)"""
    plain, fifo = f"{lab.dir}/plain", f"{lab.dir}/fifo"
    open(plain, "w").close()
    os.mkfifo(fifo)
    return [
        ("missing", "/run/netns/nobody", 999, ["/run/netns/nobody"]),
        ("a plain file", plain, 999, [plain, "plain file"]),
        ("a folder", lab.dir, 999, [lab.dir, "folder"]),
        ("another kind", "/proc/self/ns/mnt", 999, ["/proc/self/ns/mnt", "namespace"]),
        ("a pipe", fifo, 999, [fifo]),
        ("our own", lab.host.path, 8, ["should not be the same"]),
        ("our own by proc", "/proc/self/ns/net", 8, ["should not be the same"]),
    ]


def all_bad_input(lab, pod, plugin, cases, verify):
    """Every row for one executable; verify() is called after each."""
    conf = lab.conf()

    def one(name, codes, words, verb, config, **env):
        with cases.case(f"{plugin}: {name}"):
            lab.call(verb, config, pod, plugin=plugin, **env).refused(codes, *words)
            verify()
    gc = dict(conf, cniVersion="1.1.0", **{"cni.dev/valid-attachments": []})
    for name, verb, env, code, words in environment_rows():
        one(name, code, words, verb, gc if verb in ("GC", "STATUS") else conf, **env)
    for name, stdin, code, words in stdin_rows(conf):
        one(f"stdin {name}", code, words, "ADD", stdin)
    one("unknown command and empty stdin", 6, [], "FOO", "")
    for name, ipam, code, words in ipam_rows():
        one(name, code, words, "ADD",
            dict(conf, ipam={"type": "roost-ipam", "stateDir": lab.state, **ipam}))
    if plugin == "roost":
        for name, change, args, code, words in top_rows(conf, pod):
            config = {k: v for k, v in dict(conf, **change).items() if v is not ...}
            one(name, code, words, "ADD", config, CNI_ARGS=args)
        for name, path, code, words in bad_namespaces(lab):
            with cases.case(f"namespace {name}"):
                lab.call("ADD", conf, pod._replace(path=path)).refused(code, *words)
                verify()


@pytest.mark.slow
def test_bad_input_is_refused_and_changes_nothing_beside_a_living_pod(lab):
    first, pod = lab.pod(), lab.pod()
    lab.add(first)
    before = lab.snapshot(first, pod)
    cases = Cases()
    all_bad_input(lab, pod, "roost", cases, lambda: lab.unchanged(before, first, pod))
    cases.done()
    lab.add(pod)


@pytest.mark.slow
def test_bad_input_is_refused_and_changes_nothing_on_a_fresh_host(lab):
    pod = lab.pod()
    before = lab.snapshot(pod)
    cases = Cases()
    all_bad_input(lab, pod, "roost", cases, lambda: None)
    cases.done()
    lab.unchanged(before, pod)
    equal((lab.ctl("ipam", "show") or {"pools": []})["pools"], [], "pools and blocks")


@pytest.mark.slow
def test_bad_input_of_roost_ipam_is_refused_and_changes_nothing(lab):
    pod = lab.pod()
    before = lab.snapshot(pod)
    cases = Cases()
    all_bad_input(lab, pod, "roost-ipam", cases, lambda: None)
    for name, ips, code in (("outside", ["192.0.2.77"], 999), ("garbage", ["x"], 7),
                            ("two of a family", ["10.66.0.1", "10.66.0.2"], 2)):
        with cases.case(f"ips {name}"):
            conf = lab.conf(runtimeConfig={"ips": ips})
            answer = lab.call("ADD", conf, pod, plugin="roost-ipam")
            answer.refused(code, "family" if code == 2 else ips[0])
    cases.done()
    lab.unchanged(before, pod)
    equal((lab.ctl("ipam", "show") or {"pools": []})["pools"], [], "pools and blocks")


def test_the_own_namespace_is_refused_even_with_the_override_of_the_reference(lab):
    pod = lab.pod()._replace(path=lab.host.path)
    before = lab.snapshot()
    for verb in ("ADD", "CHECK"):
        conf = lab.conf(prevResult={}) if verb == "CHECK" else lab.conf()
        lab.call(verb, conf, pod, CNI_NETNS_OVERRIDE="1").refused(8)
    lab.unchanged(before)


def test_a_configuration_that_arrives_in_pieces_is_read_whole(lab):
    pod = lab.pod()
    text = json.dumps(lab.conf())
    with open(f"{lab.dir}/head", "w") as f:
        f.write(text[:50])
    with open(f"{lab.dir}/tail", "w") as f:
        f.write(text[50:])
    feed = f"(cat {lab.dir}/head; sleep 0.1; cat {lab.dir}/tail) | exec \"$0\""
    answer = lab.call("ADD", "", pod, wrapper=["/bin/sh", "-c", feed])
    check_result(answer.json(), "1.0.0")


def test_an_error_never_repeats_control_characters(lab):
    pod = lab.pod()
    conf = lab.conf(ipam={"type": "roost-ipam", "pools": [{"cidr": "\x1b[31mred\n"}]})
    doc = lab.call("ADD", conf, pod).refused((6, 7))
    true("\x1b" not in doc["msg"] and "\n" not in doc["msg"], "a clean message", doc["msg"])


def test_unreadable_stdin_is_code_5(lab):
    pod = lab.pod()
    for plugin in PLUGINS:
        for redirection in ("<&-", "< /"):
            wrapper = ["/bin/sh", "-c", f'exec "$0" {redirection}']
            lab.call("ADD", "", pod, plugin=plugin, wrapper=wrapper).refused(5, "stdin")


def test_a_document_of_almost_1_MiB_is_read(lab):
    pod = lab.pod()
    conf = lab.conf(filler="x" * ((1 << 20) - 2000))
    lab.add(pod, conf)
    lab.delete(pod, conf)


def test_the_last_of_duplicate_keys_wins(lab):
    pod = lab.pod()
    text = json.dumps(lab.conf())[:-1] + ',"cniVersion":"0.3.1"}'
    answer = lab.call("ADD", text, pod)
    equal(answer.json().get("cniVersion"), "0.3.1", "cniVersion")


def test_unknown_top_level_keys_and_the_runtime_s_own_are_ignored(lab):
    pod = lab.pod()
    conf = lab.conf(capabilities={"ips": True, "portMappings": True}, ipMasq=True,
                    disableCheck=True, foo={"bar": [1, None]}, args={"x": 1},
                    **{"cni.dev/whatever": 1})
    conf["runtimeConfig"] = {"portMappings": [{"HostPort": 1, "ContainerPort": 1}], "aliases": {"net": ["a"]}}
    result = lab.add(pod, conf)
    lab.check(pod, result, conf).ok("CHECK")
    lab.delete(pod, conf)


# ---- wishes ----

CONTAINERD = {
    "portMappings": [{"HostPort": 8081, "ContainerPort": 80, "Protocol": "tcp", "HostIP": ""}],
    "bandwidth": {"IngressRate": 0, "IngressBurst": 4294967295, "EgressRate": 0, "EgressBurst": 0},
}


def addresses(result):
    return [ip["address"].split("/")[0] for ip in result["ips"]]


def test_capabilities_are_read_in_the_spelling_of_containerd(lab):
    pod = lab.pod()
    conf = lab.conf(runtimeConfig=dict(
        CONTAINERD, Ips=["10.66.0.9/24", "fd66::9"], MAC=MAC.upper().replace("00", "aB", 1),
        DNS={"Servers": ["192.0.2.53", "fd99::53"], "Searches": ["a.example"], "Options": None}))
    result = lab.add(pod, conf)
    equal(addresses(result), ["10.66.0.9", "fd66::9"], "addresses")
    equal(result["interfaces"][1]["mac"], "02:ab:00:00:00:42", "mac")
    equal(result["dns"], {"nameservers": ["192.0.2.53", "fd99::53"], "search": ["a.example"]},
          "dns")


def test_null_and_empty_mean_not_requested(lab):
    for runtime in (None, {}, {"ips": None, "mac": None, "dns": None},
                    {"ips": [], "mac": "", "dns": {}}, {"ips": [""]},
                    {"dns": {"Servers": None, "Searches": None, "Options": None}},
                    {"io.kubernetes.cri.pod-annotations": None}):
        pod = lab.pod()
        result = lab.add(pod, lab.conf(runtimeConfig=runtime, args=None))
        equal(result.get("dns", {}), {}, "dns")


def test_dns_comes_from_the_configuration_unless_the_runtime_says_something(lab):
    conf = lab.conf(dns={"nameservers": ["192.0.2.1"], "domain": "d", "search": ["s"],
                         "options": ["ndots:1"]})
    equal(lab.add(lab.pod(), conf)["dns"], conf["dns"], "dns")
    conf["runtimeConfig"] = {"dns": {"servers": ["192.0.2.2"]}}
    equal(lab.add(lab.pod(), conf)["dns"], {"nameservers": ["192.0.2.2"]}, "dns")
    result = lab.add(lab.pod(), dict(conf, cniVersion="0.2.0"))
    equal(result["dns"], {"nameservers": ["192.0.2.2"]}, "dns of 0.2.0")


def test_addresses_are_requested_in_five_ways_and_the_strongest_wins(lab):
    ways = [
        ({}, "IP=10.66.0.11"),
        ({"args": {"cni": {"ips": ["10.66.0.12"]}}}, "IP=10.66.0.11"),
        ({"runtimeConfig": {"io.kubernetes.cri.pod-annotations": {
            "cni.projectcalico.org/ipAddrs": '["10.66.0.13"]'}},
          "args": {"cni": {"ips": ["10.66.0.12"]}}}, "IP=10.66.0.11"),
        ({"runtimeConfig": {"ips": ["10.66.0.14"], "io.kubernetes.cri.pod-annotations": {
            "cni.projectcalico.org/ipAddrs": '["10.66.0.13"]'}}}, "IP=10.66.0.11"),
    ]
    for number, (change, args) in enumerate(ways, 11):
        result = lab.add(lab.pod(), lab.conf(**change), CNI_ARGS=args)
        equal(addresses(result)[0], f"10.66.0.{number}", "the address")
    conf = lab.conf()
    conf["ipam"]["addresses"] = ["10.66.0.15", "fd66::15"]
    equal(addresses(lab.add(lab.pod(), conf)), ["10.66.0.15", "fd66::15"], "addresses")
    result = lab.add(lab.pod(), lab.conf(), CNI_ARGS="IP=10.66.0.16,fd66::16")
    equal(addresses(result), ["10.66.0.16", "fd66::16"], "addresses")


def test_a_pod_s_annotation_chooses_its_pools(lab):
    conf = lab.conf(pools=["10.66.0.0/24", "10.66.7.0/24", "fd66::/120", "fd66:7::/120"])
    conf["runtimeConfig"] = {"io.kubernetes.cri.pod-annotations": {
        "cni.projectcalico.org/ipv4pools": '["10.66.7.0/24"]',
        "cni.projectcalico.org/ipv6pools": '["fd66:7::/120"]', "other": "x"}}
    equal(addresses(lab.add(lab.pod(), conf)), ["10.66.7.0", "fd66:7::"], "addresses")


def test_the_mac_comes_from_runtimeConfig_or_annotation_or_CNI_ARGS(lab):
    for runtime, args, expected in (
            ({}, "MAC=02:00:00:00:00:01", "02:00:00:00:00:01"),
            ({"io.kubernetes.cri.pod-annotations": {
                "cni.projectcalico.org/hwAddr": "02:00:00:00:00:02"}}, "MAC=02:00:00:00:00:01",
             "02:00:00:00:00:02"),
            ({"mac": "02:00:00:00:00:03"}, "MAC=02:00:00:00:00:01", "02:00:00:00:00:03")):
        pod = lab.pod()
        result = lab.add(pod, lab.conf(runtimeConfig=runtime), CNI_ARGS=args)
        equal(result["interfaces"][1]["mac"], expected, "mac")
        equal(pod.ns.link("eth0")["address"], expected, "the link's MAC")


def test_CNI_ARGS_is_read_leniently(lab):
    for args in ("FOO", "FOO=BAR", "IgnoreUnknown=2", "A=B=C;", ";;", "=x", "IgnoreUnknown=true;X",
                 'NOMAD={"a":"b;c=d"}', "K8S_POD_NAME=\x1b[31m\udcff", "x" * 100_000):
        pod = lab.pod()
        lab.add(pod, CNI_ARGS=args)
        lab.delete(pod, CNI_ARGS=args)
    result = lab.add(lab.pod(), CNI_ARGS="A=B=C;IP=10.66.0.99;;FOO")
    equal(addresses(result)[0], "10.66.0.99", "the address")


def test_pod_namespace_and_name_are_recorded(lab):
    pod = lab.pod()
    args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=ns1;K8S_POD_NAME=web-0;K8S_POD_UID=u"
    for plugin in PLUGINS:
        lab.add(pod, plugin=plugin, CNI_ARGS=args)
        for entry in lab.records().values():
            equal((entry["podNamespace"], entry["podName"], entry["containerID"], entry["network"],
                   entry["interface"]),
                  ("ns1", "web-0", pod.container, "net", "eth0"), "the record")
        if plugin == "roost":
            alias = lab.host.link(lab.host_links()[0])["ifalias"]
            true(re.match(r"[0-9a-f]{32} net eth0 container-1 ns1/web-0$", alias), "the alias",
                 alias)
        lab.delete(pod, plugin=plugin)
        lab.nothing_left(pod)


def test_a_long_container_id_is_kept_whole(lab):
    pod = lab.pod("c" * 1000)
    other = lab.pod("c" * 999 + "d")
    lab.add(pod)
    lab.add(other)
    equal(set(lab.used().values()), {pod.container, other.container}, "owners")
    lab.delete(pod)
    equal(set(lab.used().values()), {other.container}, "owners")
    lab.consistent()


# ---- chains ----

def dummy_prev(pod, version):
    """What an earlier plugin of the list has made, and its result."""
    pod.ns.ip("link add net0 type veth peer name net0-peer", "link set net0-peer up",
              f"link set net0 address {MAC}", "link set net0 up",
              "addr add 192.0.2.1/24 dev net0", "route add 198.51.100.0/24 via 192.0.2.254")
    if version < "0.3":
        return {"cniVersion": version, "dns": {"nameservers": ["192.0.2.53"]},
                "ip4": {"ip": "192.0.2.1/24", "routes": [{"dst": "198.51.100.0/24",
                                                          "gw": "192.0.2.254"}]}}
    ip = {"address": "192.0.2.1/24", "interface": 0}
    if version < "1":
        ip["version"] = "4"
    return {"cniVersion": version,
            "interfaces": [{"name": "net0", "mac": MAC, "sandbox": pod.path}],
            "ips": [ip], "routes": [{"dst": "198.51.100.0/24", "gw": "192.0.2.254"}],
            "dns": {"nameservers": ["192.0.2.53"]}}


def test_an_earlier_plugin_s_result_is_passed_through(lab):
    for version in ("0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"):
        pod = lab.pod()
        prev = dummy_prev(pod, version)
        result = lab.add(pod, lab.conf(version, prevResult=prev))
        equal(result["interfaces"][0], prev["interfaces"][0], "the first interface")
        equal(len(result["interfaces"]), 3, "the number of interfaces")
        equal(result["ips"][0], prev["ips"][0], "the first address")
        equal([ip["interface"] for ip in result["ips"]], [0, 2, 2], "interface indexes")
        equal(result["routes"][0], prev["routes"][0], "the first route")
        equal(result["dns"], prev["dns"], "dns")
        if version >= "0.4":
            lab.check(pod, result, lab.conf(version)).ok("CHECK")
    pod = lab.pod()
    result = lab.add(pod, lab.conf("0.2.0", prevResult=dummy_prev(pod, "0.2.0")))
    equal(result["ip4"]["ip"], "192.0.2.1/24", "the first IPv4 address")


def test_a_prevResult_without_version_is_read_as_the_configuration_s(lab):
    pod = lab.pod()
    prev = dummy_prev(pod, "1.0.0")
    del prev["cniVersion"]
    equal(len(lab.add(pod, lab.conf(prevResult=prev))["interfaces"]), 3, "interfaces")


def test_unknown_keys_of_a_prevResult_do_not_reach_the_result(lab):
    pod = lab.pod()
    prev = dummy_prev(pod, "1.0.0")
    prev["private"] = 1
    prev["interfaces"][0]["secret"] = 1
    prev["interfaces"][0]["mtu"] = 1400
    lab.add(pod, lab.conf(prevResult=prev))  # checked there: only keys of 1.0.0


TUNING = {"type": "tuning", "mac": "02:00:00:00:00:77", "mtu": 1400}
PORTMAP = {"type": "portmap", "capabilities": {"portMappings": True}, "snat": True,
           "runtimeConfig": {"portMappings": [
               {"HostPort": 18080, "ContainerPort": 80, "Protocol": "tcp", "HostIP": ""}]}}
BANDWIDTH = {"type": "bandwidth", "ingressRate": 8_000_000, "ingressBurst": 8_000_000,
             "egressRate": 8_000_000, "egressBurst": 8_000_000}


@pytest.mark.parametrize("chain", [[TUNING], [PORTMAP], [BANDWIDTH], [TUNING, PORTMAP, BANDWIDTH]],
                         ids=["tuning", "portmap", "bandwidth", "all three"])
def test_a_chain_is_added_checked_and_deleted(lab, chain):
    """CHECK of portmap itself is left out: 1.1.1 looks for IPv4 rules in the IPv6 table."""
    for version in ("0.4.0", "1.0.0"):
        pod = lab.pod()
        confs = [lab.conf(version), *chain]
        result = lab.chain(pod, confs, version)
        for conf in confs:
            if conf is not PORTMAP:
                lab.chained("CHECK", pod, conf, result, version).ok(f"CHECK of {conf['type']}")
        true(pod.ns.pings("10.99.0.1"), "the router to answer")
        for conf in reversed(confs):
            lab.chained("DEL", pod, conf, result, version).ok(f"DEL of {conf['type']}")
        lab.nothing_left(pod)


def test_portmap_reaches_the_pod_through_the_host_s_port(lab):
    pod = lab.pod()
    result = lab.chain(pod, [lab.conf("1.0.0"), PORTMAP], "1.0.0")
    with inside(pod.path):
        server = subprocess.Popen([sys.executable, "-c", (
            "import socket;s=socket.socket();s.setsockopt(1,2,1);s.bind(('0.0.0.0',80));s.listen();"
            "print('ready',flush=True);c,a=s.accept();c.sendall(b'hello');c.close()")],
            stdout=subprocess.PIPE)
        server.stdout.readline()
    try:
        seen = lab.router.run(sys.executable, "-c", (
            "import socket;s=socket.create_connection(('10.99.0.2',18080),10);"
            "print(s.recv(9).decode())"))
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    equal(seen.strip(), "hello", "what the pod's server says")
    for conf in (PORTMAP, lab.conf("1.0.0")):
        lab.chained("DEL", pod, conf, result, "1.0.0")


# ---- CHECK ----

def test_CHECK_names_each_missing_piece(lab):
    def breaks(*lines):
        return lambda pod, link: pod.ns.ip(*lines)

    def breaks_host(*lines):
        return lambda pod, link: lab.host.ip(*[l.replace("LINK", link) for l in lines])
    pieces = [
        ("IPv4 address", breaks("addr del 10.66.0.0/32 dev eth0"), ["10.66.0.0", "eth0"]),
        ("IPv6 address", breaks("addr del fd66::/128 dev eth0"), ["fd66::", "eth0"]),
        ("IPv4 route", breaks("route del 0.0.0.0/0"), ["0.0.0.0/0", GATEWAY4]),
        ("IPv6 route", breaks("route del ::/0"), ["::/0"]),
        ("MAC", breaks("link set eth0 address 02:00:00:00:00:99"), ["MAC", "02:00:00:00:00:99"]),
        ("interface", breaks("link set eth0 down", "link set eth0 name eth9", "link set eth9 up"),
         ["eth0"]),
        ("interface up", breaks("link set eth0 down"), ["eth0"]),
        ("whole link", breaks("link del eth0"), ["eth0"]),
        ("host link up", breaks_host("link set LINK down"), ["roost"]),
        ("host link's label", breaks_host("link set LINK alias somebody"), ["eth0"]),
        ("host route", breaks_host("route del 10.66.0.0/32"), ["10.66.0.0", "host"]),
        ("IPv6 host route", breaks_host("route del fd66::/128"), ["fd66::", "host"]),
    ]
    cases = Cases()
    pool = lab.conf()
    pool["ipam"]["cooldownSeconds"] = 0
    for name, break_it, words in pieces:
        with cases.case(name):
            pod = lab.pod()
            conf = dict(pool, runtimeConfig={"ips": ["10.66.0.0", "fd66::"]})
            result = lab.add(pod, conf)
            lab.check(pod, result, pool).ok("CHECK")
            break_it(pod, lab.host_links()[0])
            lab.check(pod, result, pool).refused(999, *words)
        lab.delete(pod, pool)
        for link in lab.host_links():  # the one whose label was taken away
            lab.host.ip(f"link del {link}")
    cases.done()


def test_CHECK_finds_a_wrong_identity(lab):
    pod, other = lab.pod(), lab.pod()
    result = lab.add(pod)
    lab.check(pod._replace(container="stranger"), result).refused(999, "eth0")
    lab.check(pod._replace(path=other.path), result).refused(999, "sandbox", other.path)
    lab.check(pod._replace(ifname="eth1"), result).refused(999, "eth1")
    lab.check(pod, result, lab.conf(name="other")).refused(999)
    changed = json.loads(json.dumps(result).replace("10.66.0.0/32", "10.66.0.5/32"))
    lab.check(pod, changed).refused(999, "10.66.0.5")
    lab.check(pod, result).ok("CHECK")


def test_CHECK_accepts_more_than_prevResult_says(lab):
    pod = lab.pod()
    result = lab.add(pod)
    pod.ns.ip("link add net1 type bridge", "link set net1 up", "addr add 192.0.2.1/24 dev net1",
              "addr add 192.0.2.9/32 dev eth0", "route add 198.51.100.0/24 via 192.0.2.2")
    lab.check(pod, result).ok("CHECK")


def test_CHECK_does_not_insist_on_the_gateway_s_neighbour(lab):
    pod = lab.pod()
    result = lab.add(pod)
    pod.ns.ip("neigh flush all nud permanent")
    lab.check(pod, result).ok("CHECK")


def test_CHECK_needs_prevResult_a_record_and_a_version_that_has_it(lab):
    pod = lab.pod()
    result = lab.add(pod)
    for prev in ({}, {"prevResult": None}):
        lab.call("CHECK", dict(lab.conf(), **prev), pod).refused(999, "Required prevResult missing")
    for version in VERSIONS[:4]:
        lab.check(pod, result, lab.conf(version)).refused(
            1, "config version does not allow CHECK", version=version)
    lab.check(pod, result, lab.conf("abc")).refused(6, "abc")
    lab.check(pod, result, lab.conf("1.0.0", pools=["10.66.0.9/24"])).refused(7, "10.66.0.9/24")
    lab.call("CHECK", dict(lab.conf(), prevResult=result), pod, plugin="roost-ipam").ok("CHECK")
    lab.host.run(f"{BIN}/roostctl", "--state-dir", lab.state, "ipam", "release", "10.66.0.0",
                 check=False)
    if "10.66.0.0" not in lab.used():
        lab.check(pod, result).refused(999, "record")


def test_CHECK_of_roost_ipam_looks_at_the_record(lab):
    pod = lab.pod()
    conf = lab.conf()
    result = lab.add(pod, conf, plugin="roost-ipam")
    lab.check(pod, result, conf, plugin="roost-ipam").ok("CHECK")
    stranger = pod._replace(container="stranger")
    lab.check(stranger, result, conf, plugin="roost-ipam").refused(999, "stranger")
    other = json.loads(json.dumps(result).replace("10.66.0.0/", "10.66.0.9/"))
    lab.check(pod, other, conf, plugin="roost-ipam").refused(999, "10.66.0.0")


def test_CHECK_changes_nothing(lab):
    pod = lab.pod()
    result = lab.add(pod)
    before = lab.snapshot(pod)
    lab.check(pod, result).ok("CHECK")
    lab.host.run("nft", "flush", "ruleset")
    before["nft"] = ""
    lab.check(pod, result)
    lab.unchanged(before, pod)


# ---- DEL ----

def tolerated(lab):
    """(name, path or None, changes of the configuration, CNI_ARGS) that DEL takes without a word"""
    plain = f"{lab.dir}/was-a-namespace"
    open(plain, "w").close()
    return [
        ("everything as it was", ..., {}, ""),
        ("CNI_NETNS empty", "", {}, ""), ("CNI_NETNS unset", None, {}, ""),
        ("CNI_NETNS missing", "/run/netns/gone", {}, ""),
        ("a folder on the way missing", "/run/no/where", {}, ""),
        ("CNI_NETNS a plain file", plain, {}, ""), ("CNI_NETNS a folder", lab.dir, {}, ""),
        ("another kind of namespace", "/proc/self/ns/mnt", {}, ""),
        ("prevResult garbage", ..., {"prevResult": "garbage"}, ""),
        ("prevResult of another version", ..., {"prevResult": {"cniVersion": "0.1.0"}}, ""),
        ("prevResult null", ..., {"prevResult": None}, ""),
        ("bad CNI_ARGS", ..., {}, "FOO;IP=garbage;MAC=zz"),
        ("bad runtimeConfig", ..., {"runtimeConfig": {"ips": ["x"], "mac": 5}}, ""),
        ("runtimeConfig of a wrong type", ..., {"runtimeConfig": "x"}, ""),
        ("bad pools", ..., {"ipam": {"type": "roost-ipam", "pools": [{"cidr": "x"}]}}, ""),
        ("no pools, unknown keys", ..., {"ipam": {"type": "roost-ipam", "foo": 1}}, ""),
        ("bad mtu and log", ..., {"mtu": "x", "log": {"foo": 1}}, ""),
    ]


def test_DEL_cleans_up_whatever_the_request_looks_like(lab):
    cases = Cases()
    for plugin in PLUGINS:
        for name, path, change, args in tolerated(lab):
            with cases.case(f"{plugin}: {name}"):
                pod = lab.pod()
                lab.add(pod, plugin=plugin)
                conf = dict(lab.conf(), **change)
                conf["ipam"].setdefault("stateDir", lab.state)
                asked = pod if path is ... else pod._replace(path=path)
                for turn in ("the first DEL", "the second DEL"):
                    answer = lab.call("DEL", conf, asked, plugin=plugin, CNI_ARGS=args)
                    answer.ok(turn)
                lab.nothing_left(pod)
    cases.done()


def reported(lab):
    """(name, changes of the call, code): DEL that cleans up and then reports"""
    return [
        ("unsupported version", {"conf": dict(lab.conf(), cniVersion="2.0.0")}, 1),
        ("version a number", {"conf": dict(lab.conf(), cniVersion=5)}, 6),
        ("CNI_PATH unset", {"CNI_PATH": None}, 4),
        ("our own namespace", {"path": lab.host.path}, 8),
    ]


def test_DEL_cleans_up_before_it_reports_what_was_wrong(lab):
    cases = Cases()
    for plugin in PLUGINS:
        for name, change, code in reported(lab):
            if plugin == "roost-ipam" and code == 8:
                continue  # the main plugin's affair
            with cases.case(f"{plugin}: {name}"):
                pod = lab.pod()
                lab.add(pod, plugin=plugin)
                change = dict(change)
                conf = change.pop("conf", None) or lab.conf()
                asked = pod._replace(path=change.pop("path", pod.path))
                lab.call("DEL", conf, asked, plugin=plugin, **change).refused(code)
                lab.nothing_left(pod)
    cases.done()


def test_DEL_of_an_unknown_container_succeeds_and_touches_nobody(lab):
    pod = lab.pod()
    lab.add(pod)
    before = lab.snapshot(pod)
    for stranger in (pod._replace(container="stranger"), pod._replace(ifname="eth1"),
                     pod._replace(ifname="a%d")):
        for plugin in PLUGINS:
            lab.call("DEL", lab.conf(), stranger, plugin=plugin).ok("DEL")
    lab.call("DEL", lab.conf(name="other"), pod).ok("DEL")
    lab.unchanged(before, pod)


def test_DEL_that_cannot_know_the_attachment_is_an_error(lab):
    pod = lab.pod()
    lab.add(pod)
    before = lab.snapshot(pod)
    for stdin, code in (("", 6), ("{", 6), ("[]", 6), ("null", 7), ("{}", 7)):
        lab.call("DEL", stdin, pod).refused(code)
    lab.call("DEL", lab.conf(name="a b"), pod).refused(7)
    lab.unchanged(before, pod)


def test_DEL_works_when_there_was_never_a_state_folder(lab):
    for plugin in PLUGINS:
        lab.call("DEL", lab.conf(), lab.pod(), plugin=plugin).ok("DEL")


def test_DEL_works_when_the_link_is_gone_or_the_namespace_died(lab):
    pod = lab.pod()
    lab.add(pod)
    pod.ns.ip("link del eth0")
    lab.delete(pod)
    lab.nothing_left(pod)
    pod = lab.pod()
    lab.add(pod)
    pod.ns.remove()
    lab.delete(pod)
    lab.nothing_left(pod)


def test_DEL_finds_the_link_by_its_label_when_the_record_is_gone(lab):
    pod = lab.pod()
    lab.add(pod)
    lab.call("DEL", lab.conf(), pod, plugin="roost-ipam").ok("DEL")
    equal(len(lab.host_links()), 1, "links without record")
    lab.delete(pod._replace(path=""))
    lab.nothing_left(pod)


# ---- GC ----

def test_GC_removes_what_is_not_listed_and_nothing_else(lab):
    pods = [lab.pod() for _ in range(4)]
    for pod in pods:
        lab.add(pod)
    other = lab.pod()
    lab.add(other, lab.conf(name="other"))
    lab.gc(pods[:2])
    equal(sorted(set(lab.used().values())), sorted([p.container for p in pods[:2] + [other]]),
          "owners")
    lab.consistent()
    lab.gc([pods[0]._replace(ifname="eth1"), pods[1]])
    equal(sorted(set(lab.used().values())), sorted([pods[1].container, other.container]), "owners")
    lab.gc(None)
    equal(set(lab.used().values()), {other.container}, "owners")
    lab.consistent()
    lab.gc([], lab.conf(name="other"))
    lab.nothing_left(*pods, other)
    lab.gc([])


def test_GC_tells_long_and_similar_network_names_apart(lab):
    names = ("n", "n" * 199, "n" * 200, "n" * 198 + "-")
    pods = {name: lab.pod("c" * 300 + str(i)) for i, name in enumerate(names)}
    args = f"K8S_POD_NAME={'p' * 400};K8S_POD_NAMESPACE=a b"
    for name, pod in pods.items():
        lab.add(pod, lab.conf(name=name), CNI_ARGS=args)
    for name, pod in pods.items():
        before = len(lab.host_links())
        lab.call("DEL", lab.conf(name=name), pod, plugin="roost-ipam").ok("DEL")  # leaves the link
        lab.gc([], lab.conf(name=name))
        equal(len(lab.host_links()), before - 1, "host links")
        equal(pod.ns.link("eth0"), None, "the pod's interface")
    lab.nothing_left(*pods.values())


def test_GC_without_a_readable_list_is_refused_and_removes_nothing(lab):
    pod = lab.pod()
    lab.add(pod)
    before = lab.snapshot(pod)
    conf = lab.conf("1.1.0")
    key = "cni.dev/valid-attachments"
    for plugin in PLUGINS:
        for bad in ("x", 1, {}, [1], [{}], [{"containerID": "a"}],
                    [{"containerID": 1, "ifname": "x"}]):
            lab.call("GC", dict(conf, **{key: bad}), plugin=plugin).refused(6, key)
        for version in VERSIONS[:-1]:
            lab.call("GC", dict(lab.conf(version), **{key: []}), plugin=plugin).refused(
                1, "config version does not allow GC", version=version)
        lab.call("GC", dict(lab.conf("abc"), **{key: []}), plugin=plugin).refused(6)
    lab.unchanged(before, pod)


def test_GC_that_names_no_list_keeps_whoever_may_live(lab):
    """libcni's GC without arguments, as cnitool sends it."""
    living, other, dead, no_link, served = (lab.pod() for _ in range(5))
    for pod in (living, dead, no_link):
        lab.add(pod)
    lab.add(other, lab.conf(name="other"))
    lab.add(served, plugin="roost-ipam")  # of another main plugin: nobody can see whether it lives
    dead.ns.remove()
    no_link.ns.ip("link del eth0")
    wait_for(lambda: len(lab.host_links()) == 2, "the dead pods' links to be gone")
    for plugin in PLUGINS:
        lab.call("GC", lab.conf("1.1.0"), plugin=plugin).ok("GC")
    equal(sorted(set(lab.used().values())), sorted(p.container for p in (living, other, served)),
          "owners")
    true(living.ns.pings("10.99.0.1"), "the living pod to reach the router")
    lab.call("GC", dict(lab.conf("1.1.0"), **{"cni.dev/valid-attachments": None})).ok("GC")
    equal(set(lab.used().values()), {other.container}, "owners when none is valid")


def test_GC_knows_the_early_spelling_of_its_list(lab):
    pod, stale = lab.pod(), lab.pod()
    lab.add(pod)
    lab.add(stale)
    valid = [{"containerID": pod.container, "ifname": "eth0"}]
    lab.call("GC", dict(lab.conf("1.1.0"), **{"cni.dev/attachments": valid})).ok("GC")
    equal(set(lab.used().values()), {pod.container}, "owners")


def test_GC_removes_pods_just_created_links_without_record_and_records_without_link(lab):
    fresh, no_record, no_link, dead = (lab.pod() for _ in range(4))
    for pod in (no_record, no_link, dead, fresh):
        lab.add(pod)
    lab.call("DEL", lab.conf(), no_record, plugin="roost-ipam").ok("DEL")
    no_link.ns.ip("link del eth0")
    dead.ns.remove()
    lab.gc([])
    lab.nothing_left(fresh, no_record, no_link)


def test_GC_of_roost_ipam_frees_records_by_network(lab):
    pods = [lab.pod() for _ in range(3)]
    other = lab.pod()
    for pod in pods:
        lab.add(pod, plugin="roost-ipam")
    lab.add(other, lab.conf(name="other"), plugin="roost-ipam")
    lab.gc(pods[:1], plugin="roost-ipam")
    equal(sorted(set(lab.used().values())), sorted([pods[0].container, other.container]), "owners")
    lab.gc(None, plugin="roost-ipam")
    equal(set(lab.used().values()), {other.container}, "owners")


# ---- STATUS ----

def test_STATUS_is_silent_when_the_network_is_usable_and_changes_nothing(lab):
    before = lab.snapshot()
    for plugin in PLUGINS:
        lab.call("STATUS", lab.conf("1.1.0"), plugin=plugin).ok("STATUS")
    lab.unchanged(before)
    true(not os.path.exists(lab.state), "no state folder after STATUS")
    lab.add(lab.pod())
    before = lab.snapshot()
    for plugin in PLUGINS:
        lab.call("STATUS", lab.conf("1.1.0"), plugin=plugin).ok("STATUS")
    lab.unchanged(before)


def test_STATUS_of_an_exhausted_pool_is_good_as_its_pods_are_well(lab):
    conf = lab.conf("1.1.0", pools=["10.66.0.0/31"])
    for _ in range(2):
        lab.add(lab.pod(), conf)
    lab.call("ADD", conf, lab.pod()).refused(11, "10.66.0.0/31")
    for plugin in PLUGINS:
        lab.call("STATUS", conf, plugin=plugin).ok("STATUS")


def test_STATUS_refuses_a_bad_configuration_and_old_versions(lab):
    for plugin in PLUGINS:
        lab.call("STATUS", lab.conf("1.1.0", pools=["10.66.0.1/24"]), plugin=plugin).refused(
            7, "10.66.0.1/24")
        for version in VERSIONS[:-1]:
            lab.call("STATUS", lab.conf(version), plugin=plugin).refused(
                1, "config version does not allow STATUS", version=version)
        lab.call("STATUS", lab.conf("abc"), plugin=plugin).refused(6, "abc")


# ---- foreign IPAM plugins ----

def host_local(lab, **more):
    return {"type": "host-local", "dataDir": f"{lab.dir}/host-local",
            "ranges": [[{"subnet": "10.66.9.0/24"}], [{"subnet": "fd66:0:0:9::/64"}]], **more}


def leases(lab):
    folder = f"{lab.dir}/host-local/net"
    names = os.listdir(folder) if os.path.isdir(folder) else []
    return sorted(n for n in names if not n.startswith("l"))


def test_host_local_gives_the_addresses_and_gets_them_back(lab):
    for version in ("0.2.0", "0.3.1", "0.4.0", "1.0.0"):
        pod = lab.pod()
        conf = lab.conf(version, ipam=host_local(lab))
        result = lab.add(pod, conf)
        equal(len(leases(lab)), 2, "leases")
        if version >= "0.4":
            lab.check(pod, result, conf).ok("CHECK")
            lab.check(pod._replace(container="stranger"), result, conf).refused(999)
        equal(len(lab.pod_routes()), 2, "pod routes")
        equal(lab.blackholes(), [], "blackholes")
        true(all(a.endswith(("/32", "/128")) for a in pod.ns.addresses("eth0")
                 if not a.startswith("fe80")), "host addresses", pod.ns.addresses("eth0"))
        true(pod.ns.pings("10.99.0.1"), "the router to answer IPv4")
        true(pod.ns.pings("fd99::1"), "the router to answer IPv6")
        lab.delete(pod, conf)
        equal(leases(lab), [], "leases")
        equal((lab.host_links(), lab.pod_routes()), ([], {}), "links and routes")
        lab.delete(pod._replace(path=""), conf)


def test_a_foreign_plugin_s_routes_and_dns_are_the_pod_s(lab):
    pod = lab.pod()
    resolv = f"{lab.dir}/resolv.conf"
    with open(resolv, "w") as f:
        f.write("nameserver 192.0.2.53\nsearch a.example\n")
    ipam = host_local(lab, routes=[{"dst": "10.0.0.0/8"}, {"dst": "fd00::/8"}], resolvConf=resolv)
    result = lab.add(pod, lab.conf(ipam=ipam))
    equal(result["routes"], [{"dst": "10.0.0.0/8", "gw": GATEWAY4},
                             {"dst": "fd00::/8", "gw": GATEWAY6}], "routes")
    equal(result["dns"], {"nameservers": ["192.0.2.53"], "search": ["a.example"]}, "dns")
    true(not [r for r in pod.ns.routes() if r.startswith("default")], "no default route",
         pod.ns.routes())
    lab.check(pod, result, lab.conf(ipam=ipam)).ok("CHECK")


def test_static_gives_the_addresses_it_is_told(lab):
    pod = lab.pod()
    ipam = {"type": "static", "addresses": [{"address": "10.66.8.8/32"},
                                            {"address": "fd66:0:0:8::8/128"}],
            "routes": [{"dst": "0.0.0.0/0"}]}
    result = lab.add(pod, lab.conf(ipam=ipam))
    equal(sorted(lab.pod_routes()), ["10.66.8.8", "fd66:0:0:8::8"], "pod routes")
    lab.check(pod, result, lab.conf(ipam=ipam)).ok("CHECK")
    lab.delete(pod, lab.conf(ipam=ipam))
    equal((lab.host_links(), lab.pod_routes()), ([], {}), "links and routes")


def fake(lab, answer, status=0, name="fake", versions=VERSIONS):
    """A made-up IPAM plugin that writes a line for each call, and answers ADD with this text."""
    log = f"{lab.dir}/{name}.log"
    script(f"{lab.dir}/{name}", f"""
cat > {lab.dir}/{name}.$CNI_COMMAND.stdin
echo "$CNI_COMMAND $CNI_CONTAINERID $CNI_IFNAME" >> {log}
case $CNI_COMMAND in
VERSION) echo '{json.dumps({"cniVersion": "1.1.0", "supportedVersions": list(versions)})}' ;;
ADD) echo '{answer}'; exit {status} ;;
*) if [ -e {lab.dir}/{name}.fail ]; then cat {lab.dir}/{name}.fail; exit 1; fi ;;
esac
""")
    return {"ipam": {"type": name, "whatever": [1, 2]}}, {"CNI_PATH": f"/nonexistent:{lab.dir}",
                                                          "PATH": "/usr/bin:/bin"}


def calls(lab, name="fake"):
    path = f"{lab.dir}/{name}.log"
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return [line.split()[0] for line in f if not line.startswith("VERSION")]


GIVEN = '{"cniVersion":"1.0.0","ips":[{"address":"10.66.4.4/24"}]}'


def test_a_foreign_plugin_gets_our_stdin_byte_for_byte(lab):
    pod = lab.pod()
    change, env = fake(lab, GIVEN)
    text = json.dumps(lab.conf(**change), indent=3) + " \n"
    equal(lab.call("ADD", text, pod, **env).status, 0, "the exit status of ADD")
    with open(f"{lab.dir}/fake.ADD.stdin") as f:
        equal(f.read(), text, "the plugin's stdin")
    lab.call("DEL", text, pod, **env).ok("DEL")
    equal(calls(lab), ["ADD", "DEL"], "calls")


def test_a_foreign_plugin_s_error_is_passed_on_with_its_code(lab):
    pod = lab.pod()
    change, env = fake(lab, '{"code":123,"msg":"boom","details":"bang"}', status=1)
    doc = lab.call("ADD", lab.conf(**change), pod, **env).refused(123)
    equal((doc["msg"], doc["details"]), ("boom", "bang"), "msg and details")
    equal((lab.host_links(), pod.ns.link("eth0")), ([], None), "links")
    with open(f"{lab.dir}/fake.fail", "w") as f:
        f.write('{"code":124,"msg":"busy"}')
    change, env = fake(lab, GIVEN)
    lab.add(pod, lab.conf(**change), **env)
    lab.call("DEL", lab.conf(**change), pod, **env).refused(124, "busy")
    equal((lab.host_links(), lab.pod_routes()), ([], {}), "links and routes after the failed DEL")


def test_a_foreign_plugin_that_dies_or_talks_nonsense_is_an_error(lab):
    pod = lab.pod()
    cases = Cases()
    for name, answer, status, words in (
            ("silent failure", "", 3, ["fake", "3"]), ("text and failure", "oops", 1, ["oops"]),
            ("not JSON", "oops", 0, ["fake"]), ("nothing", "", 0, ["fake"]),
            ("no address", '{"cniVersion":"1.0.0"}', 0, ["address"]),
            ("bad address", GIVEN.replace("10.66.4.4/24", "10.66.4.4"), 0, ["10.66.4.4"]),
            ("another version", GIVEN.replace("1.0.0", "0.2.0"), 0, ["0.2.0"])):
        with cases.case(name):
            change, env = fake(lab, answer, status)
            doc = lab.call("ADD", lab.conf(**change), pod, **env).refused(range(1, 1000), *words)
            true(doc["code"] != 0, "a code", doc)
            equal((lab.host_links(), pod.ns.link("eth0")), ([], None), "links")
    cases.done()
    true("DEL" in calls(lab), "a DEL after unusable answers", calls(lab))


def test_a_failed_ADD_gives_foreign_addresses_back(lab):
    pod = lab.pod()
    change, env = fake(lab, GIVEN)
    lab.host.ip("route add 10.66.4.4/32 via 10.99.0.1")
    before = lab.snapshot(pod)
    lab.call("ADD", lab.conf(**change), pod, **env).refused(999, "10.66.4.4")
    equal(calls(lab), ["ADD", "DEL"], "calls")
    name = f"{lab.host.name}: kernel"
    equal(lab.snapshot(pod)[name], before[name], name)
    equal(pod.ns.link("eth0"), None, "the pod's interface")


def test_a_missing_foreign_plugin_is_named_and_DEL_cleans_our_part_first(lab):
    pod = lab.pod()
    change, env = fake(lab, GIVEN)
    conf = lab.conf(**change)
    lab.add(pod, conf, **env)
    os.unlink(f"{lab.dir}/fake")
    lab.call("DEL", conf, pod, **env).refused(999, "fake", lab.dir)
    equal((lab.host_links(), lab.pod_routes()), ([], {}), "links and routes")
    lab.call("ADD", conf, pod, **env).refused(999, "fake", lab.dir)


def test_roost_is_not_its_own_IPAM_plugin_under_any_name(lab):
    pod = lab.pod()
    os.symlink(f"{BIN}/roost", f"{lab.dir}/other")
    for name, code in (("roost", 7), ("other", 7)):
        conf = lab.conf("1.1.0", ipam={"type": name})
        path = {"CNI_PATH": f"{lab.dir}:{BIN}"}
        lab.call("ADD", conf, pod, **path).refused(code, f"plugin {name}", "is this very plugin")
        lab.call("STATUS", conf, **path).refused(50, f"plugin {name}")
        lab.call("DEL", conf, pod, **path).refused(code, "is this very plugin")
    equal((lab.host_links(), lab.pod_routes()), ([], {}), "links and routes")


def test_GC_and_STATUS_go_to_foreign_plugins_that_know_them(lab):
    change, env = fake(lab, GIVEN)
    conf = lab.conf("1.1.0", **change)
    lab.call("STATUS", conf, **env).ok("STATUS")
    lab.call("GC", dict(conf, **{"cni.dev/valid-attachments": []}), **env).ok("GC")
    equal(calls(lab), ["STATUS", "GC"], "calls")
    with open(f"{lab.dir}/fake.fail", "w") as f:
        f.write('{"code":51,"msg":"half dead"}')
    lab.call("STATUS", conf, **env).refused((50, 51), "half dead")
    os.unlink(f"{lab.dir}/fake")
    lab.call("STATUS", conf, **env).refused(50, "fake")
    old, env = fake(lab, GIVEN, name="old", versions=VERSIONS[:-1])
    conf = lab.conf("1.1.0", **old)
    lab.call("GC", dict(conf, **{"cni.dev/valid-attachments": []}), **env).ok("GC")
    equal(calls(lab, "old"), [], "calls of a plugin without GC")
    lab.call("STATUS", conf, **env).refused(50, "old", "1.1.0")


def test_a_foreign_plugin_gets_our_environment_and_no_other_descriptor(lab):
    pod = lab.pod()
    change, env = fake(lab, GIVEN)
    with open(f"{lab.dir}/fake") as f:
        text = f.read().split("\n", 1)[1]
    script(f"{lab.dir}/fake", f"env > {lab.dir}/env; ls /proc/self/fd > {lab.dir}/fds\n{text}")
    lab.add(pod, lab.conf(**change), CNI_ARGS="A=B;IP=10.66.4.4", TRACEPARENT="00-1-2-3", **env)
    with open(f"{lab.dir}/env") as f:
        seen = dict(line.split("=", 1) for line in f.read().splitlines() if "=" in line)
    for name, value in (("CNI_COMMAND", "ADD"), ("CNI_CONTAINERID", pod.container),
                        ("CNI_NETNS", pod.path), ("CNI_IFNAME", "eth0"),
                        ("TRACEPARENT", "00-1-2-3"), ("CNI_ARGS", "A=B;IP=10.66.4.4"),
                        ("CNI_PATH", env["CNI_PATH"])):
        equal(seen.get(name), value, name)
    with open(f"{lab.dir}/fds") as f:
        equal(f.read().split(), ["0", "1", "2", "3"], "descriptors (3 is the listing itself)")


def test_a_foreign_plugin_dies_with_us(lab):
    pod = lab.pod()
    change, env = fake(lab, GIVEN)
    script(f"{lab.dir}/fake", f"echo $$ > {lab.dir}/pid.new; mv {lab.dir}/pid.new {lab.dir}/pid\n"
                              "exec sleep 300")
    with inside(lab.host.path):
        ours = subprocess.Popen([f"{BIN}/roost"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, env=dict(
                                    env, CNI_COMMAND="ADD", CNI_CONTAINERID=pod.container,
                                    CNI_NETNS=pod.path, CNI_IFNAME="eth0"))
    try:
        ours.stdin.write(json.dumps(lab.conf(**change)).encode())
        ours.stdin.close()
        wait_for(lambda: os.path.exists(f"{lab.dir}/pid"), "the plugin to run")
        with open(f"{lab.dir}/pid") as f:
            child = int(f.read())
    finally:
        ours.kill()
        ours.wait()
    equal(ours.stdout.read(), b"", "stdout, which nobody else holds open")
    ours.stdout.close()
    ours.stderr.close()
    wait_for(lambda: not os.path.exists(f"/proc/{child}") or
             open(f"/proc/{child}/stat").read().rsplit(")", 1)[1].split()[0] == "Z",
             "the plugin to die")


def test_many_ADDs_at_once_with_foreign_addresses_work(lab):
    conf = lab.conf(ipam=host_local(lab))
    pods = [lab.pod() for _ in range(15)]
    results = at_once([lambda p=p: lab.add(p, conf) for p in pods])
    equal(len({a for r in results for a in addresses(r)}), 30, "different addresses")
    equal((len(lab.pod_routes()), len(lab.host_links())), (30, 15), "routes and links")
    for answer in at_once([lambda p=p: lab.call("DEL", conf, p) for p in pods]):
        answer.ok("DEL")
    equal((lab.pod_routes(), lab.host_links(), leases(lab)), ({}, [], []), "what is left")


def test_GC_removes_links_of_pods_with_foreign_addresses(lab):
    pods = [lab.pod(), lab.pod()]
    conf = lab.conf(ipam=host_local(lab))
    for pod in pods:
        lab.add(pod, conf)
    lab.gc(pods[:1], conf)
    equal(len(lab.host_links()), 1, "the number of links")
    equal(pods[1].ns.link("eth0"), None, "the stale pod's interface")


# ---- a failed ADD ----

def test_an_ADD_without_stdout_is_refused(lab):
    pod = lab.pod()
    for plugin in PLUGINS:
        closed = ("/bin/sh", "-c", 'exec "$0" >&-')
        equal(lab.call("ADD", lab.conf(), pod, plugin=plugin, wrapper=closed).status, 1, "the exit status")
        lab.nothing_left(pod)


def test_DEL_without_ipam_cleans_up_and_then_complains(lab):
    conf = lab.conf()
    for broken in ({}, {"type": ""}, {"type": "../x"}):
        pod = lab.pod()
        lab.add(pod)
        lab.call("DEL", dict(conf, ipam=broken), pod).refused(7, "ipam")
        lab.nothing_left(pod)


def test_an_ADD_that_cannot_write_its_answer_undoes_itself(lab):
    pod = lab.pod()
    for plugin in PLUGINS:
        with open("/dev/full", "wb") as full:
            answer = lab.call("ADD", lab.conf(), pod, plugin=plugin, stdout=full)
        equal(answer.status, 1, "the exit status")
        lab.nothing_left(pod)
        reader, writer = os.pipe()
        os.close(reader)
        answer = lab.call("ADD", lab.conf(), pod, plugin=plugin, stdout=writer)
        os.close(writer)
        true(answer.status != 0, "a failure", answer.status)
        lab.nothing_left(pod)
    result = lab.add(pod)
    equal(addresses(result), ["10.66.0.0", "fd66::"], "addresses, as if never given")


def test_an_ADD_with_a_host_route_in_its_way_names_it_and_leaves_nothing(lab):
    for family, route in (("IPv4", "10.66.0.0/32 via 10.99.0.1"),
                          ("IPv6", "fd66::/128 via fd99::1")):
        pod = lab.pod()
        conf = lab.conf(pools=["10.66.0.0/24" if family == "IPv4" else "fd66::/120"])
        lab.host.ip(f"route add {route}")
        lab.call("ADD", conf, pod).refused(999, route.split("/")[0], "route", "uplink")
        lab.nothing_left(pod)
        lab.host.ip(f"route del {route}")
        lab.add(pod, conf)
        lab.delete(pod, conf)


def test_a_second_ADD_is_refused_while_the_interface_lives_and_changes_nothing(lab):
    pod = lab.pod()
    lab.add(pod)
    before = lab.snapshot(pod)
    for plugin in PLUGINS:
        lab.call("ADD", lab.conf(), pod, plugin=plugin).refused(999, "eth0", "exists")
    lab.call("ADD", lab.conf(), pod._replace(container="other")).refused(999, "eth0", "exists")
    lab.unchanged(before, pod)
    true(pod.ns.pings("10.99.0.1"), "the pod to live")


def test_roost_ipam_answers_for_an_interface_that_its_main_plugin_has_made_already(lab):
    pod = lab.pod()
    pod.ns.ip("link add eth0 type veth peer name eth0-peer")
    lab.add(pod, plugin="roost-ipam")
    before = lab.snapshot(pod)
    lab.call("ADD", lab.conf(), pod, plugin="roost-ipam").refused(999, "eth0", "exists")
    lab.unchanged(before, pod)


def test_the_log_goes_to_its_file_and_never_to_stdout(lab):
    pod = lab.pod()
    path = f"{lab.dir}/roost.log"
    conf = lab.conf(log={"level": "debug", "file": path})
    answer = lab.call("ADD", conf, pod)
    check_result(answer.json(), "1.0.0")
    with open(path) as f:
        text = f.read()
    true("10.66.0.0" in text, "the plan in the log", text)
    equal(stat.S_IMODE(os.stat(path).st_mode) & 0o022, 0, "write permission of others")


def test_the_default_state_folder_is_below_run(lab):
    pod = lab.pod()
    conf = lab.conf()
    del conf["stateDir"], conf["ipam"]["stateDir"]
    lab.add(pod, conf)
    equal(set(lab.used("/run/roost/state").values()), {pod.container}, "owners")
    equal(stat.S_IMODE(os.stat("/run/roost/state").st_mode), 0o700, "the folder's mode")
    lab.delete(pod, conf)
