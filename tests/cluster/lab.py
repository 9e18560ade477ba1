# SPDX-License-Identifier: Apache-2.0
"""A cluster in one machine: nodes, a router between two subnets, a host outside, and a store.

                        [ outside ] 192.0.2.10
                             |
    [ etcd ] 10.1.9.x --- [ router ] --- 10.1.1.0/24, fd00:1::/64 --- [ node1 ] [ node3 ] ...
                             |
                             +---------- 10.1.2.0/24, fd00:2::/64 --- [ node2 ] [ node4 ] ...

Each box is a network namespace. A node has its own BIRD, roostd, folders and CNI configuration,
and nothing else tells it apart from a machine: executables are started in its namespace with
paths of its own. Nodes take turns between the subnets. The router is what joins subnets in real
life: it forwards, and knows no pods unless it is told so by BGP (tor=True: it runs a BIRD of its
own, AS 64513, to which every node is a peer).

Stories run in a world of their own (tests/world.py: private mounts, /run in memory, a process table
of its own), so that every process and namespace ends with it, however it ends. A story makes its
clusters in with-blocks; when it fails, what the cluster's processes said is printed.

Nothing is ever waited for by the clock: until() asks until the answer is right. Its limit is for
faults only.
"""
import concurrent.futures
import contextlib
import fcntl
import itertools
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path[:0] = [f"{ROOT}/tests", f"{ROOT}/tests/netns"]
sys.dont_write_bytecode = True
import roostlab
import traffic
import world
from roostlab import Answer, Failed, Namespace, check_result, equal, inside, true

BIN = roostlab.BIN
WORK = "/run/lab"
PROGRAMS = ("bird", "etcd", "ip", "nft")  # that stories need
UNTIL_S = 45 * roostlab.SLOW  # nothing that works takes that long, even on a busy machine
HANG_S = roostlab.HANG_S
POOL4, POOL6 = "100.66.0.0/16", "fd66::/48"
OUTSIDE4, OUTSIDE6 = "192.0.2.10", "2001:db8:2::10"
ENCAPS = {"none": ("Never", "Never"), "vxlan": ("Never", "Always"),
          "vxlan-cross-subnet": ("Never", "CrossSubnet"), "ipip": ("Always", "Never"),
          "ipip-cross-subnet": ("CrossSubnet", "Never")}  # ipipMode, vxlanMode
DEVICE = {4: "vxlan.roost", 6: "vxlan.roost6"}
IPIP = "tunl0"
FAMILIES = (4, 6)


def until(question, what, seconds=UNTIL_S):
    """Asks until the answer is true and gives it; a Failed within the question is an answer, too."""
    end = time.monotonic() + seconds
    pause = 0.01
    while True:
        try:
            answer = question()
            seen = None
        except Failed as e:
            answer, seen = None, e
        if answer:
            return answer
        if time.monotonic() > end:
            raise Failed(f"expected {what}; at the end: {seen or repr(answer)}")
        time.sleep(pause)
        pause = min(pause * 1.5, 0.2)


def until_it_passes(check, what):
    """Until a check raises no Failed any more; what it returns is nothing."""
    def passes():
        check()
        return True
    until(passes, what)


# ---- processes ----

def documents(cluster, prefix=""):
    """{key: text} of what the store has."""
    with inside(cluster.router.path):
        done = subprocess.run([f"{BIN}/../tests/cluster/storeput", cluster.store.url, prefix, "--list"],
                              capture_output=True, text=True, timeout=HANG_S)
    true(done.returncode == 0, "the store to be listed", done.stderr)
    return {k: v for k, v in (l.split("\t", 1) for l in done.stdout.splitlines() if "\t" in l)}


class Process:
    """A long-lived process in a namespace. Its output goes to a file that grows over restarts."""

    def __init__(self, name, ns, log, argv, wrapper=()):
        self.name, self.ns, self.log, self.argv, self.wrapper = name, ns, log, argv, wrapper
        self._popen = None

    def start(self):
        true(not self.running(), f"{self.name} to be stopped before it is started")
        with open(self.log, "ab") as log, inside(self.ns.path):
            log.write(b"--- started\n")
            log.flush()
            self._popen = subprocess.Popen([*self.wrapper, *self.argv], stdout=log, stderr=log,
                                           stdin=subprocess.DEVNULL, cwd="/",
                                           start_new_session=True)
        return self

    def running(self):
        return self._popen is not None and self._popen.poll() is None

    @property
    def pid(self):
        return self._popen.pid

    def must_run(self):
        if not self.running():
            raise Failed(f"expected {self.name} to run, saw it ended with status "
                         f"{self._popen and self._popen.returncode}")

    def signal(self, number):
        self._popen.send_signal(number)

    def freeze(self):
        self.signal(signal.SIGSTOP)

    def thaw(self):
        self.signal(signal.SIGCONT)

    def wait(self, what="to end"):
        try:
            return self._popen.wait(UNTIL_S)
        except subprocess.TimeoutExpired:
            raise Failed(f"expected {self.name} {what}, saw it run on") from None

    def stop(self, status=0):
        """SIGTERM; status: what it must end with, None for anything."""
        self.signal(signal.SIGTERM)
        seen = self.wait("to end on SIGTERM")
        if status is not None and seen != status:
            raise Failed(f"expected {self.name} to end with status {status} on SIGTERM, "
                         f"saw {seen}")

    def kill(self):
        if self.running():
            self._popen.kill()
            self._popen.wait()

    def said(self):
        """Everything since its last start."""
        with open(self.log, errors="replace") as f:
            return f.read().rsplit("--- started\n", 1)[-1]


# ---- stores ----

@contextlib.contextmanager
def between(begin, end):
    """What was begun ends, whatever happens meanwhile."""
    begin()
    try:
        yield
    finally:
        end()


class FileStore:
    """The embedded store in a folder of the cluster."""

    kind = "file"

    def __init__(self, cluster):
        self.url = f"file:{cluster.dir}/store"

    def start(self):
        pass

    close = start

    def put(self, key, value):
        """Past roostctl. Failed: the store itself does not take such a thing."""
        self._change(key, value)

    def delete(self, key):
        self._change(key, b"", "--delete")

    def outages(self):
        """Context managers: the store is away meanwhile."""
        return [self._locked]

    @contextlib.contextmanager
    def _locked(self):
        with open(f"{self.url.removeprefix('file:')}/lock", "r+", encoding="ascii") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield

    def _change(self, key, value, *options):
        done = subprocess.run([f"{BIN}/../tests/cluster/storeput", self.url, key, *options],
                              input=value, capture_output=True, timeout=HANG_S)
        if done.returncode:
            raise Failed(f"expected the store to take {key!r}, saw {done.stderr.decode()}")

    def logs(self):
        return []


class EtcdStore:
    """etcd of one or three members in a namespace behind the router."""

    kind = "etcd"

    def __init__(self, cluster, members):
        self._ns, self._router = cluster.namespace("etcd"), cluster.router
        cluster.router.ip("link add to-etcd type veth peer name eth0 netns " + self._ns.name,
                          "link set to-etcd addrgenmode none", "link set to-etcd up",
                          "addr add 10.1.9.1/24 dev to-etcd")
        self._ns.ip("link set lo up", "link set eth0 up",
                    *(f"addr add 10.1.9.{10 + n}/24 dev eth0" for n in range(1, members + 1)),
                    "route add default via 10.1.9.1")
        addresses = {f"m{n}": f"10.1.9.{10 + n}" for n in range(1, members + 1)}
        peers = ",".join(f"{m}=http://{a}:2380" for m, a in addresses.items())
        self.endpoints = [f"http://{a}:2379" for a in addresses.values()]
        self.members = [
            Process(f"etcd {m}", self._ns, f"{cluster.dir}/etcd-{m}.log",
                    ["etcd", "--name", m, "--data-dir", f"{cluster.dir}/etcd-{m}",
                     "--listen-client-urls", f"http://{a}:2379",
                     "--advertise-client-urls", f"http://{a}:2379",
                     "--listen-peer-urls", f"http://{a}:2380",
                     "--initial-advertise-peer-urls", f"http://{a}:2380",
                     "--initial-cluster", peers, "--log-level", "warn",
                     "--max-request-bytes", "4194304", "--logger", "zap"])
            for m, a in addresses.items()]
        self.url = "etcd:" + ",".join(self.endpoints)

    def start(self):
        for m in self.members:
            if not m.running():
                m.start()
        until(self.healthy, "etcd to be healthy")

    def healthy(self):
        """Every member that runs takes part."""
        try:
            for m, url in zip(self.members, self.endpoints):
                if m.running() and self._ask(f"{url}/health", timeout_s=1).get("health") != "true":
                    return False
        except OSError:
            return False
        return True

    def stop(self):
        for m in self.members:
            m.stop(None)

    def kill(self):
        for m in self.members:
            m.kill()

    def empty(self, token=None):
        """Stopped, without its data, started: by the same flags it has the same cluster id; with a
        token another one."""
        self.kill()
        for m in self.members:
            shutil.rmtree(m.argv[m.argv.index("--data-dir") + 1])
            if token:
                m.argv += ["--initial-cluster-token", token]
        self.start()

    def backup(self):
        """The data of a single member as they are now; restore() takes them."""
        self.kill()
        folder = self.members[0].argv[self.members[0].argv.index("--data-dir") + 1]
        copy = f"{folder}.copy-{uuid.uuid4()}"
        shutil.copytree(folder, copy)
        self.start()
        return folder, copy

    def restore(self, backup):
        folder, copy = backup
        self.kill()
        shutil.rmtree(folder)
        shutil.copytree(copy, folder)
        self.start()

    def freeze(self):
        for m in self.members:
            m.freeze()

    def thaw(self):
        for m in self.members:
            m.thaw()

    def outages(self):
        """Context managers: the store is away meanwhile."""
        link = "link set to-etcd"
        return [lambda: between(self.freeze, self.thaw), lambda: between(self.kill, self.start),
                lambda: between(lambda: self._router.ip(f"{link} down"), lambda: self._router.ip(f"{link} up"))]

    close = kill

    def logs(self):
        return [m.log for m in self.members]

    def _ask(self, url, document=None, timeout_s=10):
        data = None if document is None else json.dumps(document).encode()
        with inside(self._ns.path):  # the connection is made in this thread
            with urllib.request.urlopen(urllib.request.Request(url, data),
                                        timeout=timeout_s) as answer:
                return json.loads(answer.read())

    def raw(self, call, **document):
        """A call of etcd's key-value service, see ask()."""
        return self.ask(f"kv/{call}", **document)

    def ask(self, call, **document):
        """A call of etcd's JSON gateway, past everything of ours; keys and values are bytes."""
        import base64
        for name in ("key", "value", "range_end"):
            if name in document:
                document[name] = base64.b64encode(document[name]).decode()
        try:
            return self._ask(f"{self.endpoints[0]}/v3/{call}", document)
        except urllib.error.HTTPError as e:
            raise Failed(f"expected etcd to take {call}, saw {e.read()[:200]!r}") from None

    def put(self, key, value):
        self.raw("put", key=b"/roost/" + key, value=value)

    def delete(self, key):
        self.raw("deleterange", key=b"/roost/" + key)


# ---- pods ----

class Pod:
    """A pod that was wired by ADD; gone after Node.del_pod()."""

    def __init__(self, node, name, ns):
        self.node, self.name, self.ns = node, name, ns
        self.path = ns.path
        self.container = f"{node.name}-{name}"
        self.namespace = "lab"  # of Kubernetes
        self.result = None

    def ip(self, family):
        for entry in self.result["ips"]:
            address = entry["address"].split("/")[0]
            if (":" in address) == (family == 6):
                return address
        return None

    @property
    def ip4(self):
        return self.ip(4)

    def host_link(self):
        return self.result["interfaces"][0]["name"]

    def __str__(self):
        return f"{self.node.name}/{self.name}"


class Place:
    """The host outside, or the router: something with addresses."""

    def __init__(self, name, ns, addresses):
        self.name, self.ns, self.path, self._addresses = name, ns, ns.path, addresses

    families = FAMILIES

    def ip(self, family):
        return self._addresses.get(family)

    def __str__(self):
        return self.name


# ---- nodes ----

# Starts a program that sees another boot id.
BOOTED = 'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"'

BIRD_MAIN = """\
log stderr all;
router id 0.0.0.1;
protocol device {{ scan time 10; }}
include "{file}[f]";
include "{include}/*.conf";
"""


def birdc(path, command):
    """The lines of one answer of a BIRD's control socket, without codes; None: nobody answers."""
    lines = []
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(10)
            s.connect(path)
            stream = s.makefile("rw", newline="\n")
            stream.readline()
            stream.write(command + "\n")
            stream.flush()
            for line in stream:
                lines.append(line[5:].rstrip("\n") if line[:1] != " " else line[1:].rstrip())
                if re.match(r"\d{4} ", line):
                    return lines
    except OSError:
        pass
    return None


class Node:
    """A machine of the cluster."""

    def __init__(self, cluster, number):
        self.cluster, self.number = cluster, number
        self.name = f"node{number}"
        self.subnet = cluster.lans[(number - 1) % len(cluster.lans)]
        self.ns = cluster.namespace(self.name)
        self.path = self.ns.path
        self.dir = f"{cluster.dir}/{self.name}"
        self.state, self.data = f"{self.dir}/state", f"{self.dir}/data"
        self.socket, self.conf_file = f"{self.dir}/agent.sock", f"{self.dir}/roostd.json"
        self.bird_file, self.bird_socket = f"{self.dir}/roost-bird.conf", f"{self.dir}/bird.ctl"
        self.pods = {}
        self.also = set()  # further addresses of its own, when a story gives it some
        self.wrapper = []  # what the node's own programs are started by
        for folder in (self.dir, f"{self.dir}/bird.d"):
            os.makedirs(folder)
        self.host = cluster.first + number - 1
        self.uplink = cluster.uplinks[(number - 1) % len(cluster.uplinks)]
        every = {4: f"10.1.{self.subnet}.{self.host}", 6: f"fd00:{self.subnet}::{self.host}"}
        self.address = {f: every[f] for f in cluster.node_families.get(number, cluster.families)}
        self._wire()
        with open(f"{self.dir}/bird.conf", "w") as f:
            f.write(BIRD_MAIN.format(file=self.bird_file[:-1], include=f"{self.dir}/bird.d"))
        self.bird = Process(f"BIRD of {self.name}", self.ns, f"{self.dir}/bird.log",
                            ["bird", "-f", "-R", "-c", f"{self.dir}/bird.conf",
                             "-s", self.bird_socket])
        self.agent = Process(f"roostd of {self.name}", self.ns, f"{self.dir}/roostd.log",
                             [f"{BIN}/roostd", "--config", self.conf_file],
                             wrapper=self.wrapper)
        self.settings = {
            "node": self.name, "store": cluster.store.url, "stateDirs": [self.state],
            "dataDir": self.data, "socket": self.socket,
            "address": {f"ipv{f}": "first-found" if f in cluster.families else "none" for f in FAMILIES},
            "bird": {"file": self.bird_file, "socket": self.bird_socket,
                     "include": f"{self.dir}/bird.d", "group": ""},
            "routes": "static" if cluster.static else "bgp", "heartbeatSeconds": 1,
            "log": {"level": "debug" if os.environ.get("LAB_DEBUG") else "info"},
        }
        self.settings.update(cluster.settings)
        self.configure()

    def reboot(self):
        """Power off and on: a new kernel without pods, an empty /run, another boot id; what is on
        disk stays. No process of the node runs afterwards."""
        for process in (self.agent, self.bird):
            process.kill()
        for pod in list(self.pods.values()):
            self.cluster.echo.leave(pod.path)
            self.cluster.drop(pod.ns)
        self.pods = {}
        self.cluster.echo.leave(self.path)
        self.cluster.router.ip(f"link del to-{self.name}")
        self.cluster.drop(self.ns)
        self.ns = self.cluster.namespace(self.name)
        self.agent.ns = self.bird.ns = self.ns
        self._wire()
        self.cluster.echo.serve(self.path)
        shutil.rmtree(self.state, ignore_errors=True)
        for path in (self.socket, self.bird_file, self.bird_socket):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        with open(f"{self.dir}/boot_id", "w") as f:
            f.write(f"{uuid.uuid4()}\n")
        self.wrapper[:] = ["unshare", "--mount", "sh", "-c", BOOTED, f"{self.dir}/boot_id"]

    def _wire(self):
        subnet, uplink = self.subnet, self.uplink
        self._wire_port("eth0", f"to-{self.name}")
        # A machine keeps its MAC over a reboot; its neighbours would take long to learn another.
        self.ns.ip("link set lo up",
                   f"link set eth0 address 02:00:0a:01:{subnet:02x}:{self.host:02x}")
        if uplink == "bond0":
            self._wire_port("eth1", f"to-{self.name}-1")
            self.ns.ip("link add bond0 type bond mode active-backup miimon 50",
                       "link set eth0 master bond0", "link set eth1 master bond0")
        elif uplink == "br-ex":
            self.ns.ip("link add br-ex type bridge", "link set eth0 master br-ex", "link set eth0 up")
        elif uplink == "eth0.7":
            self.ns.ip("link set eth0 up", "link add link eth0 name eth0.7 type vlan id 7")
        self.ns.ip(f"link set {uplink} addrgenmode none", f"link set {uplink} up")
        if self.cluster.bare:
            self.ns.ip(*self._bare_words())
            return
        if 4 in self.address:
            self.ns.ip(f"addr add {self.address[4]}/24 dev {uplink}",
                       f"route add default via 10.1.{subnet}.1")
        if 6 in self.address:
            self.ns.ip(f"addr add fe80::{self.host}/64 dev {uplink} nodad",
                       f"addr add {self.address[6]}/64 dev {uplink} nodad",
                       f"route add default via fd00:{subnet}::1")

    def _wire_port(self, link, port):
        """A link of the node, and its end at the router: in the subnet's bridge, or its VLAN 7 is."""
        router, end = self.cluster.router, port
        self.ns.ip(f"link add {link} type veth peer name {port} netns {router.name}")
        router.ip(f"link set {port} up")
        if self.uplink == "eth0.7":
            end = f"{port}.7"
            router.ip(f"link add link {port} name {end} type vlan id 7")
        router.ip(f"link set {end} master lan{self.subnet}", f"link set {end} up")

    def _bare_words(self):
        gateways = {4: f"10.1.{self.subnet}.1", 6: f"fd00:{self.subnet}::1"}
        words = [f"addr add fe80::{self.host}/64 dev eth0 nodad"]
        for family, address in self.address.items():
            gateway, length, nodad = gateways[family], *{4: (32, ""), 6: (128, "nodad")}[family]
            way = (self.number - 1) % 3
            peer = f"peer {gateway}" if way == 2 else ""
            words.append(f"addr add {address} {peer}/{length} dev eth0 {nodad}" if peer else
                         f"addr add {address}/{length} dev eth0 {nodad}")
            if way == 0:
                words.append(f"route add {gateway} dev eth0" + (" scope link" if family == 4 else ""))
            late = way == 2 and family == 6  # the kernel makes the peer's route a moment later
            words.append(f"route add default via {gateway} dev eth0"
                         + (" onlink" if way == 1 or late else ""))
        return words

    def ip(self, family):
        return self.address.get(family)

    @property
    def families(self):
        return tuple(self.address)

    def __str__(self):
        return self.name

    # ---- its processes ----

    def configure(self, **settings):
        """Writes the agent's configuration; settings replace keys."""
        self.settings.update(settings)
        with open(self.conf_file + ".new", "w") as f:
            json.dump(self.settings, f, indent=2)
        os.rename(self.conf_file + ".new", self.conf_file)

    def start(self):
        self.bird.start()
        self.agent.start()

    def start_bird(self):
        """Starts BIRD as a service manager would after a crash."""
        self.bird.start()
        until(lambda: self.birdc("show status"), f"{self.bird.name} to answer")

    def birdc(self, command):
        return birdc(self.bird_socket, command)

    def sessions(self):
        """{protocol: established?} of BIRD's BGP sessions."""
        found = {}
        for line in self.birdc("show protocols") or []:
            words = line.split()
            if len(words) > 3 and words[1] == "BGP":
                found[words[0]] = "Established" in words
        return found

    # ---- what people run on it ----

    def run(self, *argv, **more):
        return self.ns.run(*argv, **more)

    def ctl(self, *words, stdin="", ok=True, env=None):
        """roostctl on this node, in text. ok: it must succeed; else its CompletedProcess."""
        argv = [*self.wrapper, f"{BIN}/roostctl", "--config", self.conf_file, "--store", self.cluster.store.url,
                "--socket", self.socket, "--state-dir", self.state, *words]
        with inside(self.path):
            done = subprocess.run(argv, input=stdin, capture_output=True, text=True,
                                  timeout=HANG_S, env={**os.environ, **(env or {})})
        if ok and done.returncode:
            raise Failed(f"expected roostctl {' '.join(words)} to succeed, saw status "
                         f"{done.returncode}: {(done.stderr or done.stdout).strip()[:600]}")
        return done.stdout if ok else done

    def ask(self, *words):
        """The JSON answer of roostctl."""
        return json.loads(self.ctl("-o", "json", *words))

    def status(self):
        """The agent's answer to roostctl status; {} while it does not answer."""
        done = self.ctl("-o", "json", "status", ok=False)
        try:
            return json.loads(done.stdout)
        except ValueError:
            return {}

    def sync(self):
        """The agent looks at everything anew, also at what it looks at every half minute only."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(HANG_S)
            s.connect(self.socket)
            s.sendall(b'{"op":"sync"}\n')
            s.recv(4096)

    def status_text(self):
        done = self.ctl("status", ok=False)
        return done.stdout + done.stderr

    # ---- pods ----

    def call(self, verb, pod, version="1.0.0", **more):
        """A call of a container runtime."""
        conf = {"cniVersion": version, "name": "roost", "type": "roost", "stateDir": self.state,
                "ipam": {"type": "roost-ipam"}, **more}
        env = {"CNI_COMMAND": verb, "CNI_PATH": BIN,
               "PATH": os.environ["PATH"] if self.wrapper else "/nonexistent"}
        if pod:
            env |= {"CNI_CONTAINERID": pod.container, "CNI_NETNS": pod.path, "CNI_IFNAME": "eth0",
                    "CNI_ARGS": f"K8S_POD_NAMESPACE={pod.namespace};K8S_POD_NAME={pod.name}"}
        with inside(self.path):
            done = subprocess.run([*self.wrapper, f"{BIN}/roost"], input=json.dumps(conf).encode(), env=env,
                                  capture_output=True, timeout=HANG_S, cwd="/")
        return Answer(done)

    def ready(self):
        """Whether STATUS is good: the agent has told its pools, though an address may be lacking."""
        return self.call("STATUS", None, "1.1.0").status == 0

    def new_pod(self, name=None):
        """A pod that no ADD was called for yet."""
        name = name or f"pod{next(self.cluster.serial)}"
        return Pod(self, name, self.cluster.namespace(f"{self.name}-{name}"))

    def try_add(self, pod, **more):
        """ADD of a pod, which may be refused; the answer."""
        answer = self.call("ADD", pod, **more)
        if not answer.status:
            pod.result = answer.json()
            self.pods[pod.name] = pod
        return answer

    def add(self, pod):
        """ADD of a pod, which must succeed; it answers what probes ask."""
        answer = self.try_add(pod)
        if answer.status:
            raise Failed(f"expected ADD of {pod} to succeed, saw {answer}")
        check_result(pod.result, "1.0.0")
        self.cluster.echo.serve(pod.path)
        return pod

    def add_pod(self, name=None):
        return self.add(self.new_pod(name))

    def del_pod(self, pod, keep_namespace=False):
        """DEL, which must succeed; then the namespace goes, as runtimes do it."""
        self.call("DEL", pod).ok(f"DEL of {pod}")
        self.pods.pop(pod.name, None)
        self.cluster.echo.leave(pod.path)
        if not keep_namespace:
            self.cluster.drop(pod.ns)

    def conformance_host(self):
        """This node in a cluster file of roostctl conformance, with a CNI configuration of its own."""
        plugins = [{"type": "roost", "stateDir": self.state, "ipam": {"type": "roost-ipam"},
                    "capabilities": {"portMappings": True}}]
        os.makedirs(f"{self.dir}/net.d", exist_ok=True)
        with open(f"{self.dir}/net.d/10-roost.conflist", "w") as f:
            json.dump({"cniVersion": "1.0.0", "name": "roost", "plugins": plugins}, f)
        return {"name": self.name, "command": ["nsenter", f"--net={self.path}", *self.wrapper],
                "roostctl": f"{BIN}/roostctl", "confDir": f"{self.dir}/net.d",
                "options": ["--config", self.conf_file, "--state-dir", self.state],
                "cniPath": [BIN, "/usr/lib/cni"]}

    # ---- looks ----

    def bird_routes(self, family=4):
        """{destination: route} of BIRD's routes in the kernel, as ip -j shows them."""
        found = self.ns.ask(f"-{family} route show proto 12")
        return {r["dst"]: r for r in found}

    def announced(self, family=4):
        """The blocks that this node's BIRD calls its own."""
        lines = self.birdc(f"show route protocol roost_own{family}") or []
        return {m[1] for m in (re.match(r"(\S*/\d+) ", line) for line in lines) if m}

    def blackholes(self, family=4):
        """This node's blocks, as the kernel has them."""
        found = self.ns.ask(f"-{family} route show proto 82")
        return sorted(r["dst"] for r in found if r.get("type") == "blackhole")

    def vtep(self, family=4, scope="global"):
        """The address of the node's VXLAN device, or None."""
        for link in self.ns.ask("addr show"):  # of all, as the device may go at any moment
            for entry in link["addr_info"] if link.get("ifname") == DEVICE[family] else ():
                if entry["family"] == ("inet6" if family == 6 else "inet") and \
                        entry["scope"] == scope:
                    return entry["local"]
        return None

    def ends(self, family):
        """The addresses of the node's tunnels."""
        found = {self.vtep(family)} - {None}
        if family == 4:
            found |= {e["local"] for l in self.ns.ask("-4 addr show") if l.get("ifname") == IPIP
                      for e in l["addr_info"]}
        return found

    def next_hop(self, family):
        """What other nodes' routes through VXLAN say."""
        return self.vtep(6, "link") if family == 6 else self.vtep(4)

    def host_links(self):
        return sorted(l["ifname"] for l in self.ns.ask("link show")
                      if l.get("address") == roostlab.HOST_MAC)

    def used(self):
        """{address: container} of the node state."""
        return {e["address"]: e["containerID"] for e in self.ask("ipam", "list")
                if e["state"] == "used"}

    def consistent(self):
        """Pods, records, links and routes tell one story."""
        expected = {p.ip(f): p.container for p in self.pods.values() for f in FAMILIES if p.ip(f)}
        own = self.ends(4) | self.ends(6)
        equal({a: c for a, c in self.used().items() if a not in own}, expected,
              f"the used addresses of {self.name}")
        equal(self.host_links(), sorted(p.host_link() for p in self.pods.values()),
              f"the host links of {self.name}")
        done = self.ctl("ipam", "check", ok=False)
        true(done.returncode == 0, f"ipam check on {self.name} to find all right",
             done.stdout + done.stderr)


# ---- the cluster ----

class Cluster:
    """All of it. Leave by with or close()."""

    _numbers = itertools.count(1)

    def __init__(self, nodes=3, store="file", encap="none", subnets=2, families=FAMILIES,
                 static=False, tor=False, nat=False, block=26, pools=True, settings=None,
                 start=True, plain_names=False, encap6=None, node_families=None, lans=None,
                 first=11, bare=False, uplinks=("eth0",)):
        """encap6: of the IPv6 pool, where it is another one than encap. node_families: {number of a
        node: the families it has addresses of}, where these are not the cluster's. lans: numbers
        of the subnets, 10.1.LAN.0/24; first: the last byte of the first node's address. bare:
        nodes' addresses have no subnet, as on machines of clouds: the router is told by a route to it
        through the device, by onlink, or as the address's peer, node by node. uplinks: the links that
        have the nodes' addresses, in turns: eth0, a bridge (br-ex), a bond over eth0 and eth1 (bond0), a
        VLAN (eth0.7)."""
        self.number = next(Cluster._numbers)
        self.dir = f"{WORK}/{self.number}"
        self._prefix = "" if plain_names else f"{self.number}-"
        self.lans, self.first = lans or range(1, subnets + 1), first
        self.families, self.static = families, static
        self.encap, self.encap6, self.nat, self.block, self.tor = encap, encap6, nat, block, tor
        self.node_families = node_families or {}
        self.settings = settings or {}
        self.bare = bare
        self.uplinks = uplinks
        self.serial = itertools.count(1)
        self._namespaces = []
        self.nodes = []
        self.router_bird = None
        self.reflected = False
        os.makedirs(self.dir)
        start_clock()
        self.echo = traffic.Echo()
        try:
            self._build(nodes, store, pools, start)
        except BaseException:
            self.dump()
            self.close()
            raise

    def _build(self, nodes, store, pools, start):
        self.router = self.namespace("router")
        self._add_router()
        self.store = FileStore(self) if store == "file" else \
            EtcdStore(self, 3 if store == "etcd3" else 1)
        self.nodes = [Node(self, n) for n in range(1, nodes + 1)]
        for place in (self.outside, *self.nodes):
            self.echo.serve(place.path)
        if self.tor:
            self._add_tor()
        if not start:
            return
        self.store.start()
        if pools:
            self.apply(*self.manifest())
        for node in self.nodes:
            node.start()

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            self.dump()
        self.close()

    def close(self):
        """Ends every process, then every namespace. May be called twice."""
        for process in self._processes():
            with contextlib.suppress(Exception):
                process.kill()
        with contextlib.suppress(AttributeError):
            self.store.close()
        self.echo.close()
        for ns in self._namespaces:
            ns.remove()
        self._namespaces = []
        shutil.rmtree(self.dir, ignore_errors=True)

    def _processes(self):
        found = [p for n in self.nodes for p in (n.agent, n.bird)]
        return found + ([self.router_bird] if self.router_bird else [])

    def namespace(self, name):
        ns = Namespace(self._prefix + name)
        self._namespaces.append(ns)
        return ns

    def drop(self, ns):
        ns.remove()
        self._namespaces.remove(ns)

    # ---- the network ----

    def _add_router(self):
        router, outside = self.router, self.namespace("outside")
        router.ip("link set lo up")
        for n in self.lans:  # a bridge without a MAC of its own takes a port's
            router.ip(f"link add lan{n} address 02:00:00:00:01:{n:02x} type bridge", f"link set lan{n} addrgenmode none",
                      f"link set lan{n} up", f"addr add 10.1.{n}.1/24 dev lan{n}",
                      f"addr add fe80::1/64 dev lan{n} nodad",
                      f"addr add fd00:{n}::1/64 dev lan{n} nodad")
        router.ip(f"link add to-outside type veth peer name eth0 netns {outside.name}",
                  "link set to-outside addrgenmode none", "link set to-outside up",
                  "addr add 192.0.2.1/24 dev to-outside",
                  "addr add fe80::1/64 dev to-outside nodad",
                  "addr add 2001:db8:2::1/64 dev to-outside nodad")
        outside.ip("link set lo up", "link set eth0 addrgenmode none", "link set eth0 up",
                   f"addr add {OUTSIDE4}/24 dev eth0", "addr add fe80::2/64 dev eth0 nodad",
                   f"addr add {OUTSIDE6}/64 dev eth0 nodad",
                   "route add default via 192.0.2.1", "route add default via 2001:db8:2::1")
        router.set_sysctl("ipv4/ip_forward", 1)
        router.set_sysctl("ipv6/conf/all/forwarding", 1)
        self.outside = Place("outside", outside, {4: OUTSIDE4, 6: OUTSIDE6})

    def _add_tor(self):
        """The router becomes a BGP peer of each node and learns the pods' blocks."""
        self._write_tor("")
        self.router_bird = Process("BIRD of the router", self.router, f"{self.dir}/router-bird.log",
                                   ["bird", "-f", "-R", "-c", f"{self.dir}/router-bird.conf",
                                    "-s", f"{self.dir}/router-bird.ctl"]).start()

    def router_says(self, destinations):
        """From now on the router announces these IPv4 networks to every node as its own."""
        self._write_tor(" ".join(f"route {d} blackhole;" for d in destinations))
        true(birdc(f"{self.dir}/router-bird.ctl", "configure"), "the router's BIRD to answer")

    def heard(self, node, destination):
        """Whether a node's session took in what the router announced; a filter may drop it then."""
        for line in birdc(f"{self.dir}/router-bird.ctl",
                          f"show route export {node.name}_4") or []:
            if line.startswith(destination + " "):
                return True
        return False

    def _write_tor(self, static):
        lines = ["log stderr all;", "router id 10.1.1.1;", "protocol device {}",
                 "protocol kernel { ipv4 { import none; export where source = RTS_BGP; }; }",
                 "protocol kernel { ipv6 { import none; export where source = RTS_BGP; }; }",
                 f"protocol static {{ ipv4; {static} }}"]
        for node in self.nodes:
            for f in node.families:
                mine = f"10.1.{node.subnet}.1" if f == 4 else f"fd00:{node.subnet}::1"
                lines.append(
                    f"protocol bgp {node.name}_{f} {{ local {mine} as 64513; connect delay time 1;"
                    f" connect retry time 2; error wait time 1,2; graceful restart on;"
                    f" neighbor {node.ip(f)} as 64512; ipv{f} {{ import all;"
                    f" export where source = RTS_STATIC; }}; }}")
        with open(f"{self.dir}/router-bird.conf", "w") as f:
            f.write("\n".join(lines) + "\n")

    # ---- resources ----

    def manifest(self):
        """The pools, and the router as a peer of each node."""
        documents = []
        if 4 in self.families:
            documents.append(self.pool("pool4", POOL4, self.block))
        if 6 in self.families:
            documents.append(self.pool("pool6", POOL6, self.block + 96))
        if self.tor:
            for node in self.nodes:
                for f in node.families:
                    documents.append(resource(
                        "BGPPeer", f"router-{node.name}-{f}", node=node.name, asNumber=64513,
                        peerIP=f"10.1.{node.subnet}.1" if f == 4 else f"fd00:{node.subnet}::1"))
        return documents

    def pool(self, name, cidr, block, **more):
        encap = self.encap_of(6 if ":" in cidr else 4)
        ipip, vxlan = ENCAPS[encap]
        return resource("IPPool", name, cidr=cidr, blockSize=block, ipipMode=ipip,
                        vxlanMode=vxlan, natOutgoing=self.nat, **more)

    def encap_of(self, family):
        if family == 6 and self.encap.startswith("ipip"):  # which carries IPv4 only
            return self.encap6 or "none"
        return self.encap6 if family == 6 and self.encap6 else self.encap

    def apply(self, *documents, node=None):
        """roostctl apply of resources, as one text."""
        text = "---\n".join(json.dumps(d, indent=2) + "\n" for d in documents)
        return (node or self.nodes[0]).ctl("apply", "-f", "-", stdin=text)

    def reflect(self):
        """The first node becomes a route reflector, and the others have a session with it alone."""
        reflector, *clients = self.nodes
        document = json.loads(reflector.ctl("get", "node", reflector.name, "-o", "json"))
        document["spec"]["bgp"]["routeReflectorClusterID"] = "1.0.0.1"
        self.apply(document, resource("BGPConfiguration", "default", nodeToNodeMeshEnabled=False),
                   resource("BGPPeer", "to-reflector", peerIP=reflector.ip(4), asNumber=64512),
                   *(resource("BGPPeer", f"to-{n.name}", node=reflector.name, peerIP=n.ip(4),
                              asNumber=64512) for n in clients))
        self.reflected = True

    # ---- a cluster that works ----

    def wait_ready(self):
        for node in self.nodes:
            until(node.ready, f"STATUS of {node} to be good")

    def fill(self, pods=1):
        """Pods on every node."""
        self.wait_ready()
        for node in self.nodes:
            for _ in range(pods):
                node.add_pod()

    def started(self, pods=1):
        """Pods on every node, and the routes between them."""
        self.fill(pods)
        self.wait_converged()

    # ---- what must hold ----

    def converged(self, nodes=None):
        """Every node routes every other node's blocks as the mode says. Raises Failed."""
        nodes = nodes or self.nodes
        for family in self.families:
            blocks = {n: n.blackholes(family) for n in nodes}
            vteps = {n: n.next_hop(family) for n in nodes}
            for node in nodes:
                true(blocks[node], f"{node} to own an IPv{family} block")
                seen = {d: _route_words(r) for d, r in node.bird_routes(family).items()}
                expected = {b: self._expected(node, other, family, vteps[other])
                            for other in nodes if shared(node, other, family)
                            if other is not node for b in blocks[other]}
                equal(seen, expected, f"BIRD's IPv{family} routes of {node}:")

    def _expected(self, node, other, family, vtep):
        near, encap = node.subnet == other.subnet and not self.bare, self.encap_of(family)
        if encap == "vxlan" or (encap == "vxlan-cross-subnet" and not near):
            return f"via {vtep} dev {DEVICE[family]}" + (" onlink" if family == 4 else "")
        if encap == "ipip" or (encap == "ipip-cross-subnet" and not near):
            return f"via {other.ip(4)} dev {IPIP} onlink"
        return (f"via {self.gateway(node, other, family)} dev {node.uplink}"
                + (" onlink" if self.bare else ""))

    @staticmethod
    def gateway(node, other, family):
        """Whom a node sends packets for another node to, without a tunnel."""
        if node.subnet == other.subnet and not node.cluster.bare:
            return other.ip(family)
        return f"10.1.{node.subnet}.1" if family == 4 else f"fd00:{node.subnet}::1"

    def wait_converged(self, nodes=None):
        until_it_passes(lambda: self.converged(nodes), "the routes of every node to be right")
        if self.tor:
            until_it_passes(lambda: self._router_knows(nodes or self.nodes),
                            "the router to know every block")

    def _router_knows(self, nodes):
        for family in self.families:
            known = {r["dst"] for r in self.router.ask(f"-{family} route show proto 12")}
            blocks = {b for n in nodes if family in n.families for b in n.blackholes(family)}
            equal(known & blocks, blocks, f"IPv{family} blocks that the router knows")

    def sessions_up(self, node):
        """The node's BGP sessions stand, one for each other node with which it has a family in
        common (or with the reflector alone) and one for each of the router's addresses, and no
        graceful restart is under way. Raises Failed."""
        others = self.nodes[:1] if self.reflected and node is not self.nodes[0] else self.nodes
        count = sum(n is not node and not set(n.families).isdisjoint(node.families)
                    for n in others) + (len(node.families) if self.tor else 0)
        found = node.sessions()
        if len(found) != count or not all(found.values()):
            raise Failed(f"BGP sessions of {node}, expected {count}: {found}")
        if "Waiting for" in "\n".join(node.birdc("show status") or ["Waiting for"]):
            raise Failed(f"graceful restart is under way on {node}")
        return True

    def matrix(self, nodes=None, outside=None):
        """Every pair by ICMP, TCP and UDP, in each family: pods of one node and of two, pods and
        nodes both ways, pods and the host outside. What TCP and UDP show of the source must be
        right, too. outside: whether pods reach it (where someone routes or translates); default:
        when the mode says so."""
        nodes = nodes or self.nodes
        pods = [p for n in nodes for p in n.pods.values()]
        pairs = [(a, b) for a in pods for b in pods if a is not b]
        pairs += [(p, n) for p in pods for n in nodes] + [(n, p) for n in nodes for p in pods]
        if outside if outside is not None else (self.nat or self.tor):
            pairs += [(p, self.outside) for p in pods]
        failures = []
        jobs = [(a, b, f, kind) for a, b in pairs for f in self.families
                for kind in traffic.PROBES if a.ip(f) and b.ip(f) and shared(a, b, f)]
        true(pods and jobs, "pods to try")
        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for job, problem in zip(jobs, pool.map(self._probe, jobs)):
                if problem:
                    a, b, family, kind = job
                    failures.append(f"{kind} {a} to {b} ({a.ip(family)} to {b.ip(family)}): "
                                    f"{problem}")
        if failures:
            raise Failed(f"expected all of {len(jobs)} probes to pass, saw {len(failures)} "
                         "failures:\n      " + "\n      ".join(failures[:12]))
        return len(jobs)

    def _probe(self, job):
        a, b, family, kind = job
        try:
            seen = traffic.PROBES[kind](a.path, b.ip(family))
        except OSError as e:
            return str(e)
        expected = self._sources(a, b, family)
        if seen is not None and seen not in expected:
            return f"the source was {seen}, expected {' or '.join(sorted(expected))}"
        return None

    def _sources(self, a, b, family):
        """What b may see as the source of a's packets."""
        if isinstance(a, Node):
            return {a.ip(family)} | a.ends(family) | a.also
        leaves = isinstance(b, Place) or (isinstance(b, Node) and b is not a.node)
        return {a.node.ip(family)} if self.nat and leaves else {a.ip(family)}

    def write_conformance(self, path, outside=True, edit=None):
        """The cluster file of roostctl conformance over all nodes and the host outside. edit: changes it
        before it is written."""
        file = {"nodes": [n.conformance_host() for n in self.nodes], "seed": 1,
                "families": list(self.families)}
        if outside:
            file["outside"] = {"command": ["nsenter", f"--net={self.outside.path}"],
                               "roostctl": f"{BIN}/roostctl", "routed": bool(self.tor)}
        if edit:
            edit(file)
        with open(path, "w") as f:
            json.dump(file, f, indent=1)

    def conformance(self, *options, ok=True, **file):
        """roostctl conformance, as a person would run it; file: see write_conformance(). ok: no check may
        fail, and some must have been made; answers the JSON document. Else the CompletedProcess."""
        path = f"{self.dir}/conformance-{next(self.serial)}.json"
        self.write_conformance(path, **file)
        argv = [f"{BIN}/roostctl", "conformance", "--cluster", path, "--store", self.store.url,
                "--config", self.nodes[0].conf_file, *(options or ("-o", "json"))]
        with inside(self.nodes[0].path):  # from where the store can be reached
            done = subprocess.run(argv, capture_output=True, text=True, timeout=3 * HANG_S)
        if not ok:
            return done
        try:
            answer = json.loads(done.stdout)
        except ValueError:
            raise Failed(f"expected roostctl conformance to answer, saw status {done.returncode}: "
                         f"{done.stdout[-400:]} {done.stderr[-400:]}") from None
        bad = [k for k in answer["checks"] if k["verdict"] == "failed"]
        if done.returncode or bad or not answer["summary"]["ok"]:
            raise Failed(f"expected every check of roostctl conformance to pass, saw status "
                         f"{done.returncode}, {answer['summary']}, {done.stderr[-400:]}\n      "
                         + "\n      ".join(conformance_line(k) for k in bad[:12]))
        return answer

    def pinger_within(self, pods):
        """A pinger between pods of one node."""
        return traffic.Pinger({f"{a} to {b} IPv{f}": (a.path, b.ip(f)) for a in pods for b in pods
                               for f in self.families if a is not b})

    def pinger(self, pods=None, outside=False):
        """A pinger between all pods of different nodes, in each family."""
        pods = pods or [p for n in self.nodes for p in n.pods.values()]
        flows = {f"{a} to {b} IPv{f}": (a.path, b.ip(f)) for a in pods for b in pods
                 for f in self.families if a is not b and a.node is not b.node and a.ip(f)
                 and shared(a, b, f)}
        if outside:
            flows |= {f"{a} to outside IPv{f}": (a.path, self.outside.ip(f)) for a in pods
                      for f in a.node.families if a.ip(f)}
        return traffic.Pinger(flows)

    # ---- when it failed ----

    def dump(self, lines=25):
        """What the processes of the cluster said last, and what the nodes' kernels have."""
        say(f"==== cluster {self.number} ====")
        for node in self.nodes:
            say(f"---- {node.name}: routes")
            for family in self.families:
                with contextlib.suppress(Exception):
                    say(node.run("ip", f"-{family}", "route").rstrip())
            for name in ("roostd.log", "bird.log"):
                _tail(f"{node.dir}/{name}", lines)
            with contextlib.suppress(Exception):
                say(f"---- {node.name}: roostctl status\n" + node.status_text().rstrip())
        with contextlib.suppress(AttributeError):
            for log in self.store.logs():
                _tail(log, 8)


def conformance_line(check):
    return f"{check['check']}: expected {check['expected']}, saw {check['saw']}" \
        + (f" ({check['cause']})" if "cause" in check else "")


def shared(a, b, family):
    """Whether packets of a family get from a to b: within one node, or both nodes have the family."""
    here, there = (getattr(x, "node", x) for x in (a, b))
    return here is there or all(family in x.families for x in (here, there))


def _tail(path, lines):
    with contextlib.suppress(OSError), open(path, errors="replace") as f:
        say(f"---- {path}")
        say("".join(f.readlines()[-lines:]).rstrip())


def _route_words(route):
    words = [f"via {route['gateway']}"] if "gateway" in route else []
    if "via" in route:
        words.append(f"via {route['via']['host']}")
    words.append(f"dev {route.get('dev')}")
    if route.get("type", "unicast") != "unicast":
        words.insert(0, route["type"])
    if "nexthops" in route:
        words.append(f"nexthops {len(route['nexthops'])}")
    if "onlink" in route.get("flags", []):
        words.append("onlink")
    return " ".join(words)


def resource(kind, name, **spec):
    return {"apiVersion": "projectcalico.org/v3", "kind": kind, "metadata": {"name": name},
            "spec": spec}


def has_ipip():
    """Whether this kernel has IPIP."""
    ns = Namespace("kernel")
    try:
        ns.ip("link add tunnel type ipip local 192.0.2.1")
        return True
    except Failed:
        return False
    finally:
        ns.remove()


# ---- what a story says ----

_began = time.monotonic()


def start_clock():
    """step() counts from here."""
    global _began
    _began = time.monotonic()


def say(text):
    """A line of a story's own output: pytest shows it when the story fails."""
    print(text, flush=True)


def step(text):
    """What the story shows next, and how long after its cluster began."""
    say(f"    {time.monotonic() - _began:5.1f} s  {text}")


def leftovers():
    """What stories left in this world: processes and namespaces."""
    return world.leftovers() + [f"namespace {n}" for n in os.listdir("/run/netns")]
