# SPDX-License-Identifier: Apache-2.0
"""roostctl ipam against the real kernel: pods are started through the CNI executables, then every
command is asked, and links, routes and records are taken away to see whether `ipam check` notices
and mends it. Each test has a host and a node state of its own."""

import contextlib
import fcntl
import json
import os
import pty
import re
import shutil
import subprocess

import pytest

from roostlab import BIN, Failed, inside

pytestmark = pytest.mark.needs()

POOL4, POOL6 = "10.77.0.0/16", "fd77::/64"
EVIL = "evil\x1b[2J\x7f\u009b\u202epod"


def check(what, fine, *seen):
    __tracebackhide__ = True
    if not fine:
        raise Failed(f"expected that holds: {what}; saw\n" + "\n".join(str(s).rstrip() for s in seen))


class Node:
    """A state folder on a lab's host, and the pods that were started on it."""

    def __init__(self, lab, name, pools):
        self.lab, self.ip = lab, lambda *words: lab.host.run("ip", *words)
        self.state = f"{lab.dir}/{name}"
        self.conf = {"cniVersion": "1.1.0", "name": name, "type": "roost", "stateDir": self.state,
                     "ipam": {"type": "roost-ipam", "pools": pools}}
        self.pods = {}

    def run(self, *words, env=None):
        with inside(self.lab.host.path):
            return subprocess.run(words, env={**os.environ, **(env or {})}, capture_output=True,
                                  text=True, errors="surrogateescape", timeout=60)

    def cni(self, command, pod, plugin="roost", pod_name=None):
        args = f"IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME={pod_name}"
        answer = self.lab.call(command, self.conf, self.pods[pod], plugin=plugin,
                               CNI_ARGS=args if pod_name else None)
        check(f"{plugin} {command} {pod} succeeds", answer.status == 0, answer)
        return answer.json() if answer.out.strip() else {}

    def add(self, pod, **more):
        """Starts a pod; its addresses."""
        self.pods[pod] = self.lab.pod(pod)
        result = self.cni("ADD", pod, **more)
        return [i["address"].split("/")[0] for i in result.get("ips", [])]

    def remove(self, pod, **more):
        self.cni("DEL", pod, **more)
        self.pods.pop(pod).ns.remove()

    def ctl(self, *words, env=None):
        return self.run(f"{BIN}/roostctl", "--state-dir", self.state, *words, env=env)

    def json(self, *words):
        p = self.ctl("-o", "json", *words)
        try:
            return json.loads(p.stdout)
        except ValueError:
            raise Failed(f"expected JSON of {words}, saw {p.stdout!r} {p.stderr!r}") from None

    def on_terminal(self, *words, env=None):
        """What roostctl writes to a terminal."""
        words = [f"{BIN}/roostctl", "--state-dir", self.state, *words]
        with inside(self.lab.host.path):
            pid, fd = pty.fork()
        if pid == 0:
            os.execvpe(words[0], words, {**os.environ, "TERM": "xterm", **(env or {})})
        out = b""
        with contextlib.suppress(OSError):
            while part := os.read(fd, 65536):
                out += part
        os.waitpid(pid, 0)
        return out.decode(errors="replace")

    def entry(self, address):
        found = [e for e in self.json("ipam", "list") if e["address"] == address]
        return found[0] if found else {"state": "free"}

    def link(self, address):
        """The host interface that leads to an address."""
        words = self.ip("-6" if ":" in address else "-4", "route", "show", address).split()
        return words[words.index("dev") + 1] if "dev" in words else ""

    def problems(self, *words):
        p = self.ctl("ipam", "check", "-o", "json", *words)
        check(f"check {' '.join(words)} prints JSON", p.stdout, p.stderr)
        return p.returncode, json.loads(p.stdout)["problems"]

    def expect_problem(self, what, kind, obj, mends=True):
        """Exactly this one is found, told in text, and mended by --repair (or not)."""
        status, found = self.problems()
        seen = [(p["kind"], p["object"], p["repaired"]) for p in found]
        check(f"{what}: found", status == 1 and seen == [(kind, obj, False)],
              status, json.dumps(found, indent=1))
        p = self.ctl("ipam", "check")
        check(f"{what}: told in a line", p.returncode == 1 and p.stderr == "" and
              p.stdout.startswith(f"{kind:<8} {obj}: expected: ") and "1 problem" in p.stdout,
              p.stdout, p.stderr)
        status, found = self.problems("--repair")
        seen = [(p["kind"], p["object"], p["repaired"]) for p in found]
        if mends:
            check(f"{what}: repaired", status == 0 and all(r for _, _, r in seen) and
                  (kind, obj, True) in seen, status, json.dumps(found, indent=1))
            self.expect_peace(f"{what}: right afterwards")
        else:
            check(f"{what}: not repaired", status == 1 and seen == [(kind, obj, False)],
                  status, json.dumps(found, indent=1))

    def expect_peace(self, what):
        status, found = self.problems()
        check(what, status == 0 and found == [], status, json.dumps(found, indent=1))


@pytest.fixture
def bare(lab):
    """A node without pods."""
    return Node(lab, "lan", [{"cidr": POOL4, "blockSize": 28}, {"cidr": POOL6}])


@pytest.fixture
def n(bare):
    """A node with three pods, of which the last one has no link."""
    node = bare
    node.web = node.add("container-of-web", pod_name="web")
    node.evil = node.add("pod-evil", pod_name=EVIL)
    node.other = node.add("pod-other", plugin="roost-ipam")
    check("three pods have two addresses each",
          [len(a) for a in (node.web, node.evil, node.other)] == [2, 2, 2], vars(node))
    return node


def is_clean(text):
    return not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", text)


def test_usage(bare):
    for words, status in [
            ([], 2), (["ipam"], 2), (["ipam", "shwo"], 2), (["nope", "list"], 2),
            (["ipam", "list", "--nope"], 2), (["ipam", "list", "--ip", "10.0.0.1"], 2),
            (["ipam", "list", "extra"], 2), (["-o", "yaml", "ipam", "list"], 2),
            (["ipam", "release"], 2), (["ipam", "release", "--idle-blocks", "10.0.0.1"], 2),
            (["ipam", "release", "bogus"], 2), (["ipam", "show", "--ip", "10.0.0"], 2),
            (["ipam", "check", "--rep"], 2)]:
        p = bare.run(f"{BIN}/roostctl", *words)
        check(f"usage: {' '.join(words) or 'nothing'}: exit 2, a sentence on stderr, no stdout",
              p.returncode == status and p.stdout == "" and p.stderr.startswith("roostctl: "),
              p.returncode, p.stdout, p.stderr)
        check("in one line, which says where to look",
              re.fullmatch(r".*\(roostctl help( [a-z]+)*\)\n", p.stderr), p.stderr)
    for words, meant in [(["ipam", "shwo"], '"ipam show"'), (["drain", "n1"], '"node drain"'),
                         (["stauts"], '"status"'), (["ipam", "list", "--wdie"], "--wide"),
                         (["get", "ippols"], "ippools"), (["get", "pool"], "ippools"),
                         (["describe", "node"], '"get -o yaml"'), (["node", "cordon", "n"], '"node drain"')]:
        p = bare.run(f"{BIN}/roostctl", *words)
        check(f"{' '.join(words)}: what may be meant", f"did you mean {meant}?" in p.stderr, p.stderr)
    for words in [["--help"], ["ipam", "--help"], ["help"], ["help", "ipam"], ["help", "ipam", "show"]] + [
            ["ipam", v, "--help"] for v in ("show", "list", "map", "check", "release")]:
        p = bare.run(f"{BIN}/roostctl", *words)
        check(f"{' '.join(words)}: help on stdout",
              p.returncode == 0 and p.stdout.startswith("usage: roostctl") and p.stderr == "",
              p.returncode, p.stdout, p.stderr)
    p = bare.run(f"{BIN}/roostctl", "--version")
    check("--version", p.returncode == 0 and re.match(r"roostctl \d+\.\d+\.\d+\n$", p.stdout),
          p.stdout)


def test_no_state(lab):
    n = Node(lab, "none", [])
    empty = {"show": {"pools": []}, "list": [], "map": {"blocks": []},
             "check": {"ok": True, "problems": []},
             "release": {"released": [], "blocks": [], "tableRemoved": False}}
    for verb, document in empty.items():
        more = ["--idle-blocks"] if verb == "release" else []
        p = n.ctl("ipam", verb, *more)
        check(f"no state: {verb} says so and prints nothing", p.returncode == 0 and
              p.stdout == "" and p.stderr ==
              f"roostctl: no state of this boot in {n.state}: no pod has been started "
              "with this state folder (--state-dir)\n",
              p.returncode, p.stdout, p.stderr)
        check(f"no state: {verb} as JSON is empty", n.json("ipam", verb, *more) == document)
    check("no state: nothing was made", not os.path.exists(n.state), os.listdir(lab.dir))
    p = n.run(f"{BIN}/roostctl", "ipam", "list", env={"ROOST_STATE_DIR": n.state})
    check("ROOST_STATE_DIR names the folder", n.state in p.stderr, p.stderr)


def test_list(n):
    p = n.ctl("ipam", "list")
    lines = p.stdout.splitlines()
    check("list: titles", lines[0].split() ==
          "ADDRESS STATE SINCE NETWORK POD CONTAINER INTERFACE".split(), p.stdout)
    check("list: six addresses, sorted", len(lines) == 7 and lines[1].startswith("10.77.") and
          lines[-1].startswith("fd77:"), p.stdout)
    check("list: nothing that a terminal obeys", is_clean(p.stdout), repr(p.stdout))
    check("list: container ids are cut", "container-of-web" not in p.stdout, p.stdout)
    p = n.ctl("ipam", "list", "--wide")
    check("list --wide: whole container ids", "container-of-web" in p.stdout, p.stdout)
    e = n.entry(n.web[0])
    check("list: JSON has exactly the promised keys", set(e) == {
        "address", "network", "containerID", "interface", "podNamespace", "podName", "state",
        "since", "stateDir"}, e)
    check("list: JSON values", e["network"] == "lan" and e["containerID"] == "container-of-web" and
          e["interface"] == "eth0" and e["podNamespace"] == "default" and e["podName"] == "web" and
          e["state"] == "used" and re.match(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$", e["since"]), e)
    p = n.ctl("ipam", "list", "-o", "json")
    check("list: JSON is clean ASCII", is_clean(p.stdout) and p.stdout.isascii(), repr(p.stdout))
    check("list: pods of other plugins are there", n.entry(n.other[0])["containerID"] == "pod-other")
    check("list: the evil name is in the JSON", "evil" in n.entry(n.evil[0])["podName"])


def test_show(n):
    pools = n.json("ipam", "show")["pools"]
    check("show: pools", [(p["cidr"], p["blockSize"], p["cooldownSeconds"]) for p in pools] ==
          [(POOL4, 28, 60), (POOL6, 122, 60)], pools)
    check("show: counts", pools[0]["used"] == 3 and pools[0]["size"] == 65536 and
          pools[0]["blocks"][0]["used"] == 3 and pools[0]["blocks"][0]["free"] == 13 and
          pools[1]["used"] == 3, pools)
    p = n.ctl("ipam", "show")
    check("show: a pool line and its block lines", p.returncode == 0 and
          re.search(r"^10\.77\.0\.0/16 +1 of 4096 /28 +65536 +3 ", p.stdout, re.M) and
          re.search(r"^  10\.77\.\d+\.\d+/28 +16 +3 +0 +0 +0 +13 +18\.8%$", p.stdout, re.M),
          p.stdout)
    p = n.ctl("ipam", "show", "--ip", n.web[0])
    check("show --ip: who has it", p.returncode == 0 and "default/web" in p.stdout and
          "container-of-web" in p.stdout and n.link(n.web[0]) in p.stdout, p.stdout)
    check("show --ip: JSON", n.json("ipam", "show", "--ip", n.web[0])["hostInterface"] ==
          n.link(n.web[0]))
    p = n.ctl("ipam", "show", "--ip", n.evil[0])
    check("show --ip: clean", is_clean(p.stdout) and "evil?[2J" in p.stdout, repr(p.stdout))
    block = pools[0]["blocks"][0]["cidr"]
    p = n.ctl("ipam", "show", "--ip", block.split("/")[0].rsplit(".", 1)[0] + "." +
              str(int(block.split("/")[0].rsplit(".", 1)[1]) + 15))
    check("show --ip: a free one says so", p.returncode == 0 and "is free (block" in p.stdout,
          p.stdout, p.stderr)
    for outside, words in [("192.0.2.1", "in no pool"), ("fd77::ffff:1", "in no block")]:
        p = n.ctl("ipam", "show", "--ip", outside)
        check(f"show --ip: {outside} is {words}", p.returncode == 1 and p.stdout == "" and
              words in p.stderr, p.stdout, p.stderr)


def test_map(n):
    p = n.ctl("ipam", "map")
    check("map: a block a line", re.search(
        r"^10\.77\.\d+\.\d+/28 +[.#]{16} +3 used, 13 free$", p.stdout, re.M) and
        p.stdout.count("#") == 7, p.stdout)
    check("map: plain when piped, with a legend", "\x1b" not in p.stdout and
          "# used   ~ cooling down" in p.stdout, p.stdout)
    words = ["ipam", "map"]
    env = {"NO_COLOR": ""}
    check("map: colours on a terminal", "\x1b[1;32m#" in n.on_terminal(*words, env=env))
    check("map: NO_COLOR", "\x1b" not in n.on_terminal(*words, env={"NO_COLOR": "1"}))
    check("map: --color=never", "\x1b" not in n.on_terminal(*words, "--color=never", env=env))
    check("map: no colours on a dumb terminal",
          "\x1b" not in n.on_terminal(*words, env={"NO_COLOR": "", "TERM": "dumb"}))
    p = n.ctl("ipam", "map", "--color=always", env={"NO_COLOR": "1"})
    check("map: --color=always decides", "\x1b[1;32m#" in p.stdout)
    blocks = n.json("ipam", "map")["blocks"]
    check("map: JSON", [len(b["addresses"]) for b in blocks] == [3, 3] and
          blocks[0]["addresses"][0]["state"] == "used", blocks)


def test_check(n):
    n.expect_peace("check: a healthy node is right")
    p = n.ctl("ipam", "check")
    check("check: says what it looked at", p.returncode == 0 and
          p.stdout == "all is right (6 addresses in use, 2 blocks, 2 host links)\n", p.stdout)
    link = n.link(n.web[0])
    n.ip("route", "del", n.web[0])
    n.expect_problem("a host route is gone", "missing", n.web[0])
    n.ip("-6", "route", "del", n.web[1])
    n.expect_problem("an IPv6 host route is gone", "missing", n.web[1])
    block = n.json("ipam", "map")["blocks"][0]["cidr"]
    n.ip("route", "del", "blackhole", block)
    n.expect_problem("a blackhole is gone", "missing", block)
    n.ip("route", "add", "blackhole", "10.77.200.0/28", "proto", "82")
    n.expect_problem("a blackhole for no block of ours", "foreign", "10.77.200.0/28")
    n.ip("route", "add", "blackhole", "10.99.0.0/28", "proto", "82")
    n.expect_problem("a blackhole in no pool", "foreign", "10.99.0.0/28", mends=False)
    n.ip("route", "del", "blackhole", "10.99.0.0/28")
    n.ip("-6", "address", "flush", "dev", link)
    n.expect_problem("the IPv6 gateway of a pod is gone", "missing", n.web[1])
    n.ip("link", "set", link, "down")
    status, found = n.problems("--repair")
    check("a link that is down is set up again", status == 0 and len(found) == 1 and
          n.link(n.web[0]) == link, found)
    p = n.run("ip", "netns", "exec", n.pods["container-of-web"].ns.name, "ping", "-c1", "-W2",
              "10.99.0.2")
    check("the repaired pod reaches the host", p.returncode == 0, p.stdout, p.stderr)
    p = n.run("ip", "netns", "exec", n.pods["container-of-web"].ns.name, "ping", "-6", "-c1",
              "-W2", "fd99::2")
    check("the repaired pod reaches the host over IPv6", p.returncode == 0, p.stdout, p.stderr)


def test_check_foreign(n):
    free = n.json("ipam", "map")["blocks"][0]["cidr"].split("/")[0]
    free = free.rsplit(".", 1)[0] + "." + str(int(free.rsplit(".", 1)[1]) + 14)
    n.ip("route", "add", free, "dev", "uplink", "proto", "82")
    n.expect_problem("a route of ours through a strange device", "foreign", f"{free}/32")
    n.ip("address", "add", f"{free}/32", "dev", "uplink")
    n.expect_problem("an address of a block on the host", "foreign", free, mends=False)
    n.ip("address", "del", f"{free}/32", "dev", "uplink")
    n.ip("route", "add", free, "dev", n.link(n.web[0]), "proto", "82")
    n.expect_problem("a second address led to a pod", "foreign", free, mends=False)
    n.ip("route", "del", free)


def test_check_routes_of_others(n):
    """In the place of a block of another node, and told with the command that deletes them."""
    for words, block in (("blackhole 10.77.200.16/28 proto bird", "10.77.200.16/28"),
                         ("10.77.200.16/28 dev uplink proto static metric 9", "10.77.200.16/28"),
                         ("prohibit 10.77.200.16/30 proto 11", "10.77.200.16/30"),
                         ("10.77.128.0/17 via 10.99.0.1 dev uplink proto boot table 100",
                          "10.77.128.0/17")):
        n.ip("route", "add", *words.split())
        if "table" in words:
            n.expect_peace("a table that nobody asks")
            n.ip("rule", "add", "priority", "99", "fwmark", "7", "lookup", "100")
            n.expect_peace("a table for packets that somebody chose")
            n.ip("rule", "add", "priority", "100", "lookup", "100")
        n.expect_problem("a route of others", "foreign", block, mends=False)
        _, found = n.problems()
        check("the command", found[0]["advice"] == f"ip route del {words}", found)
        n.ip(*found[0]["advice"].split()[1:])
        n.expect_peace("right afterwards")
    n.ip("rule", "del", "priority", "99")
    n.ip("rule", "del", "priority", "100")
    n.ip("route", "add", "unreachable", "10.77.200.16/28", "proto", "bird", "metric", "32")
    n.expect_problem("a route of BIRD's that leads nowhere", "missing", "10.77.200.16/28",
                     mends=False)
    n.ip("route", "del", "unreachable", "10.77.200.16/28")


def test_lost_records(n):
    gone = n.add("pod-gone", pod_name="gone")
    n.ip("link", "del", n.link(gone[0]))
    status, found = n.problems()
    check("a link was deleted: both addresses are leaked", status == 1 and
          [(p["kind"], p["object"]) for p in found] == [("leaked", a) for a in gone], found)
    p = n.ctl("ipam", "show", "--ip", gone[0])
    check("show --ip: says that it is leaked", "leaked" in p.stdout, p.stdout)
    status, found = n.problems("--repair")
    check("leaked addresses are released", status == 0 and [p["repaired"] for p in found] ==
          [True, True] and n.entry(gone[0])["state"] == "cooling", status, found)
    p = n.ctl("ipam", "show", "--ip", gone[0])
    check("show --ip: a cooling one names its last pod", "cooling: released, free again in" in
          p.stdout and re.search(r"^last pod +default/gone$", p.stdout, re.M), p.stdout)
    check("map: cooling addresses", "~" in n.ctl("ipam", "map").stdout)
    n.remove("pod-gone")

    alive = n.add("pod-alive", pod_name="alive")
    n.cni("DEL", "pod-alive", plugin="roost-ipam")
    check("(the record of a living pod was taken away)", n.entry(alive[0])["state"] == "cooling")
    status, found = n.problems()
    check("a living link without record is found", status == 1 and
          [(p["kind"], p["object"]) for p in found] == [("missing", a) for a in alive], found)
    status, found = n.problems("--repair")
    e = n.entry(alive[0])
    check("it is entered again, with its pod", status == 0 and e["state"] == "used" and
          e["podName"] == "alive" and e["containerID"] == "pod-alive" and
          n.entry(alive[1])["state"] == "used" and n.link(alive[0]), status, found, e)
    n.expect_peace("and right afterwards")
    n.remove("pod-alive")
    check("DEL finds the record that was entered again",
          n.entry(alive[0])["state"] == "cooling" and not n.link(alive[0]))


def test_dead_ends(n):
    bare = n.add("pod-bare")
    link = n.link(bare[0])
    n.cni("DEL", "pod-bare", plugin="roost-ipam")
    n.ip("route", "del", bare[0])
    n.ip("-6", "route", "del", bare[1])
    n.expect_problem("a link with neither record nor route", "missing", link)
    n.remove("pod-bare")
    gone = n.add("pod-gone2")
    n.ip("link", "del", n.link(gone[0]))
    p = n.ctl("ipam", "release", *gone)
    check("release: leaked addresses need no force", p.returncode == 0 and
          p.stdout.count("released, was used by container pod-gone2") == 2, p.stdout, p.stderr)
    n.remove("pod-gone2")


def test_folders(lab, n):
    """Two state folders of one host, and one that was lost."""
    p = Node(lab, "empty", []).ctl("ipam", "check")
    check("check: links of another folder are explained, which is named", p.returncode == 0 and
          p.stderr.splitlines()[1:] == [f"roostctl: there is one in {n.state}"], p.returncode, p.stderr)
    lost = Node(lab, "lost", [{"cidr": "10.79.0.0/24"}])
    address = lost.add("pod-lost", pod_name="lost")
    shutil.rmtree(lost.state)
    p = lost.ctl("ipam", "check")
    check("check: links without a state are remarked", p.returncode == 1 and p.stdout == "" and
          "1 host link of roost: is this the right folder?" in p.stderr, p.stdout, p.stderr)
    p = lost.ctl("ipam", "check", "--repair")
    check("check --repair: without a state nothing is touched", p.returncode == 1 and
          lost.link(address[0]) != "" and not os.path.exists(lost.state), p.stdout, p.stderr)
    n.expect_problem("the blackhole of a lost folder", "foreign", "10.79.0.0/26", mends=False)
    lost.remove("pod-lost")
    n.ip("route", "del", "blackhole", "10.79.0.0/26")
    lost.ctl("ipam", "release", "--idle-blocks")


def settings(lab, *dirs, **more):
    path = f"{lab.dir}/roostd-{len(os.listdir(lab.dir))}.json"
    with open(path, "w") as f:
        json.dump({"stateDirs": list(dirs), **more}, f)
    return path


def test_all_folders_of_the_settings_are_looked_at(lab):
    a, b = (Node(lab, name, [{"cidr": cidr}]) for name, cidr in
            (("left", "10.81.0.0/24"), ("right", "10.82.0.0/24")))
    one, two = a.add("pod-left")[0], b.add("pod-right")[0]
    conf = settings(lab, a.state, b.state)

    def ctl(*words):
        return a.run(f"{BIN}/roostctl", "--config", conf, *words)

    def objects(*words):
        return json.loads(ctl(*words, "-o", "json").stdout)
    for words in (["list"], ["show"], ["map"], ["check"]):
        p = ctl("ipam", *words)
        heads = [line for line in p.stdout.splitlines() if line.startswith("state folder")]
        check(f"ipam {words[0]}: both folders, each with its name", p.returncode == 0 and heads ==
              [f"state folder {a.state}", f"state folder {b.state}"], p.stdout, p.stderr)
    check("list: each entry names its folder", {(e["address"], e["stateDir"]) for e in
          objects("ipam", "list")} == {(one, a.state), (two, b.state)}, objects("ipam", "list"))
    check("show: so does each pool", [(e["cidr"], e["stateDir"]) for e in objects("ipam", "show")["pools"]] ==
          [("10.81.0.0/24", a.state), ("10.82.0.0/24", b.state)], objects("ipam", "show"))
    check("map: and each block", [e["stateDir"] for e in objects("ipam", "map")["blocks"]] ==
          [a.state, b.state], objects("ipam", "map"))
    check("--state-dir picks one", [e["address"] for e in objects("ipam", "list", "--state-dir", b.state)] == [two])
    check("show --ip: found in the second one", objects("ipam", "show", "--ip", two)["stateDir"] == b.state and
          f"state folder  {b.state}" in ctl("ipam", "show", "--ip", two).stdout, ctl("ipam", "show", "--ip", two))
    check("show --ip: in none", "in no block" in ctl("ipam", "show", "--ip", "10.82.0.200").stderr)
    check("all is right", objects("ipam", "check") == {"ok": True, "problems": []}, objects("ipam", "check"))

    b.ip("link", "del", b.link(two))
    found = objects("ipam", "check")
    check("check: what is wrong in the second one", not found["ok"] and ctl("ipam", "check").returncode == 1 and
          [(p["object"], p["stateDir"]) for p in found["problems"]] == [(two, b.state)], found)
    p = ctl("ipam", "release", two, one)
    check("release: one refused, nothing released in any folder", p.returncode == 1 and p.stdout == "" and
          b.entry(two)["state"] == "used", p.stdout, p.stderr)
    p = ctl("ipam", "release", two, "192.0.2.1")
    check("release: the same of an address that none has", p.returncode == 1 and
          b.entry(two)["state"] == "used", p.stdout, p.stderr)
    p = ctl("ipam", "release", two)
    check("release: in the folder that has it", p.returncode == 0 and b.entry(two)["state"] == "cooling", p)
    a.remove("pod-left")
    b.remove("pod-right")
    released = objects("ipam", "release", "--idle-blocks")
    check("release --idle-blocks: in both", len(released["blocks"]) == 2 and released["tableRemoved"], released)


def test_settings_are_read_as_roostd_reads_them(lab):
    """What roostd refuses is not passed over by the tool that shares its file."""
    n = Node(lab, "typo", [])
    for words in (["ipam", "check"], ["get", "ippool"], ["status"], ["node", "list"]):
        p = n.run(f"{BIN}/roostctl", "--config", settings(lab, n.state, stroe="x"), *words)
        check(f"{' '.join(words)}: an unknown key", p.returncode == 1 and p.stdout == "" and
              'unknown key "stroe" in the document: did you mean store?' in p.stderr, p.stderr)
        p = n.run(f"{BIN}/roostctl", "--config", settings(lab, n.state, headroom="x"), *words)
        check(f"{' '.join(words)}: a value of another type", p.returncode == 1 and "headroom" in p.stderr, p.stderr)
    p = n.run(f"{BIN}/roostctl", "--config", settings(lab, n.state, stroe="x"), "--state-dir", n.state,
              "ipam", "check")
    check("with --state-dir the file is not needed", p.returncode == 0 and "stroe" not in p.stderr, p.stderr)


def test_release(n):
    p = n.ctl("ipam", "release", n.web[0])
    check("release: a living pod is refused, and named", p.returncode == 1 and p.stdout == "" and
          "default/web" in p.stderr and n.link(n.web[0]) in p.stderr and "--force" in p.stderr,
          p.stdout, p.stderr)
    p = n.ctl("ipam", "release", n.other[0], n.web[0])
    check("release: one refused, nothing released", p.returncode == 1 and
          n.entry(n.other[0])["state"] == "used", p.stdout, p.stderr)
    p = n.ctl("ipam", "release", "192.0.2.1")
    check("release: an address of nobody is refused", p.returncode == 1 and
          "in no block" in p.stderr, p.stdout, p.stderr)
    p = n.ctl("ipam", "release", n.other[0])
    check("release: another plugin's address", p.returncode == 0 and
          p.stdout.startswith(f"{n.other[0]}: released, was used by container pod-other") and
          n.entry(n.other[0])["state"] == "cooling", p.stdout, p.stderr)
    p = n.ctl("ipam", "release", n.other[0])
    check("release: twice is fine", p.returncode == 0 and "nothing to release" in p.stderr,
          p.stdout, p.stderr)
    link = n.link(n.web[0])
    p = n.ctl("ipam", "release", "--force", "-o", "json", n.web[0])
    done = json.loads(p.stdout or "{}").get("released", [])
    check("release --force: cuts the pod off, with all its addresses", p.returncode == 0 and
          sorted(d["address"] for d in done) == sorted(n.web) and
          all(d["linkDeleted"] == link for d in done) and not n.link(n.web[0]), p.stdout, p.stderr)
    n.expect_peace("release --force: right afterwards")


def test_damage(bare):
    n = bare
    pod = n.add("pod-damage", pod_name="damage")
    state = [f for f in os.listdir(n.state) if f.endswith(".mdb")][0]
    with open(f"{n.state}/{state}", "r+b") as f:
        f.write(b"\xff" * 64)
    for verb in ("list", "show", "map", "check"):
        p = n.ctl("ipam", verb)
        check(f"damaged state: {verb} says so", p.returncode == 1 and p.stdout == "" and
              p.stderr.startswith("roostctl: ") and "damaged" in p.stderr, p.returncode,
              p.stdout, p.stderr)
    p = n.ctl("ipam", "check", "--repair")
    check("damaged state: --repair sets it aside", p.returncode == 0 and "set aside as" in
          p.stderr, p.returncode, p.stdout, p.stderr)
    e = n.entry(pod[0])
    check("damaged state: the living pod is adopted", e["state"] == "used" and
          e["podName"] == "damage", e)
    blocks = n.json("ipam", "map")["blocks"]
    check("damaged state: the rest of its blocks is quarantined",
          blocks and blocks[0]["quarantined"] == 15, blocks)
    p = n.ctl("ipam", "map")
    check("damaged state: the map shows it", p.stdout.count("#") >= 2 and
          p.stdout.split("\n")[0].count("?") == 15, p.stdout)
    p = n.ctl("ipam", "show")
    check("damaged state: show has the block", blocks and blocks[0]["cidr"] in p.stdout, p.stdout)
    quarantined = next(i for i in range(16) if blocks and n.json(
        "ipam", "show", "--ip", nth(blocks[0]["cidr"], i))["state"] == "quarantined")
    address = nth(blocks[0]["cidr"], quarantined)
    p = n.ctl("ipam", "release", address)
    check("release: a quarantined address", p.returncode == 0 and
          p.stdout == f"{address}: released, was quarantined\n", p.stdout, p.stderr)
    n.remove("pod-damage")


def nth(cidr, i):
    head, last = cidr.split("/")[0].rsplit(".", 1)
    return f"{head}.{int(last) + i}"


def test_idle_blocks(n):
    n.remove("container-of-web")
    n.ctl("ipam", "release", *n.other)
    p = n.ctl("ipam", "release", "--idle-blocks")
    check("release --idle-blocks: used blocks are kept", p.returncode == 0 and
          "kept, 1 used" in p.stdout, p.stdout, p.stderr)
    n.remove("pod-evil")
    p = n.ctl("ipam", "release", "--idle-blocks")
    check("release --idle-blocks: cooling counts as idle", p.returncode == 0 and
          p.stdout.count("given up, its blackhole route removed") == 2, p.stdout, p.stderr)
    check("release --idle-blocks: the table goes with the last block",
          "nf_tables table inet roost: removed" in p.stdout, p.stdout)
    routes = n.ip("-4", "route", "show", "proto", "82") + n.ip("-6", "route", "show", "proto", "82")
    check("release --idle-blocks: no route of ours is left", routes == "", routes)
    check("release --idle-blocks: no block is left", n.json("ipam", "map") == {"blocks": []})
    p = n.ctl("ipam", "release", "--idle-blocks")
    check("release --idle-blocks: twice is fine", p.returncode == 0 and "no blocks" in p.stderr,
          p.stdout, p.stderr)
    n.expect_peace("release --idle-blocks: right afterwards")


def test_huge(lab):
    n = Node(lab, "huge", [{"cidr": "fd88::/48", "blockSize": 64}])
    address = n.add("pod-huge")
    blocks = n.json("ipam", "show")["pools"][0]["blocks"]
    check("a block of 2^64 addresses: saturated JSON", blocks[0]["size"] == 2 ** 63 - 1, blocks)
    p = n.ctl("ipam", "show")
    check("a block of 2^64 addresses: readable sizes", re.search(
        r"^fd88::/48 +1 of 65536 /64 +2\^80 ", p.stdout, re.M) and "2^64" in p.stdout, p.stdout)
    p = n.ctl("ipam", "map")
    check("a block of 2^64 addresses: one row", p.stdout.count("\n") == 5 and
          "#" in p.stdout.split("\n")[1], p.stdout)
    n.expect_peace("a block of 2^64 addresses: right")
    check("(huge pod has an address)", len(address) == 1)
    n.remove("pod-huge")
    n.ctl("ipam", "release", "--idle-blocks")


@pytest.mark.slow
def test_a_held_lock_ends_in_a_sentence(n):
    """A command that waits for a lock held by us; it must give up by itself."""
    with open(f"{n.state}/lock", "r+b") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        p = n.ctl("ipam", "list", "-o", "json")
    check("a held lock ends in a sentence", p.returncode == 1 and p.stdout == "" and
          "holds its lock" in p.stderr, p.returncode, p.stdout, p.stderr)


def test_output(n):
    with open("/dev/full", "w") as full:
        p = subprocess.run([f"{BIN}/roostctl", "--state-dir", n.state, "ipam", "list"],
                           stdout=full, stderr=subprocess.PIPE, text=True)
    check("a full disk is an error", p.returncode == 1 and "stdout" in p.stderr, p.stderr)
