# SPDX-License-Identifier: Apache-2.0
"""A Kubernetes in one machine: a router between two subnets, nodes on both, a host outside.

                        [ outside ] 192.0.2.10
                             |
                         [ router ] --- 10.1.1.0/24, fd00:1::/64 --- [ node1 ] [ node3 ]
                             |
                             +--------- 10.1.2.0/24, fd00:2::/64 --- [ node2 ]

A node is a network namespace and a machine of its own in it (machine.py), with containerd, kubelet and
kube-proxy. The control plane (controlplane.py) is on node1, as kubeadm puts it there. Images are made
here (images.py). What is roost's is installed as a user does it.

    with Cluster() as c:
        c.kube.kubectl("get", "nodes")
        web = c.deploy("web", replicas=2)            # agnhost's web server, Ready
        c.nodes[1].run("curl", "-s", web.url())      # by its ClusterIP

Stories run in a world (tests/world.py): what they make ends with them. Control groups are the exception:
they are below world.cgroup(), which the world removes. Nothing is waited for by the clock.
"""
import concurrent.futures
import contextlib
import hashlib
import itertools
import json
import os
import shutil
import subprocess
import sys
import time

import binaries
import controlplane
import images
import lab
import world
from controlplane import ControlPlane, DNS_SERVICE
from lab import BIN, Failed, HANG_S, Namespace, Place, Process, until
from namespaces import inside
from network import Installed
from objects import container_id, is_ready

HERE = os.path.dirname(os.path.abspath(__file__))
PROGRAMS = ("runc", "nft", "conntrack", "bird", "nsenter", "openssl", *images.PROGRAMS)  # to be installed
BUILT = (*controlplane.BUILT, "kubelet", "kube-proxy", "containerd", "containerd-shim-runc-v2", "ctr", "agnhost",
         "coredns", "e2e.test")
SOCKET = "unix:///run/containerd/containerd.sock"
READY_S = 180 * lab.roostlab.SLOW  # nothing that works takes that long, even on a busy machine

CONTAINERD = """\
version = 3
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.blockfile",
  "io.containerd.snapshotter.v1.erofs", "io.containerd.tracing.processor.v1.otlp",
  "io.containerd.internal.v1.tracing", "io.containerd.nri.v1.nri"]
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "{pause}"
[plugins."io.containerd.cri.v1.runtime"]
  restrict_oom_score_adj = true
  disable_apparmor = true
"""


class Node:
    """A machine of the cluster."""

    def __init__(self, cluster, number):
        self.cluster, self.number, self.name = cluster, number, f"node{number}"
        self.subnet = 1 + (number - 1) % 2
        self.dir = f"{cluster.dir}/{self.name}"
        self.ns = cluster.namespace(self.name)
        self.path = self.ns.path
        every = {4: f"10.1.{self.subnet}.{10 + number}", 6: f"fd00:{self.subnet}::{10 + number}"}
        self.address = {f: every[f] for f in cluster.families}
        self._machine, self.wrapper = None, []
        os.makedirs(f"{self.dir}/log")
        self._wire()

    def __str__(self):
        return self.name

    def ip(self, family=4):
        return self.address.get(family)

    def _wire(self):
        router, port = self.cluster.router, f"to-{self.name}"
        self.ns.ip(f"link add eth0 type veth peer name {port} netns {router.name}", "link set lo up",
                   "link set eth0 addrgenmode none", "link set eth0 up")
        router.ip(f"link set {port} up", f"link set {port} master lan{self.subnet}")
        if 4 in self.address:
            self.ns.ip(f"addr add {self.address[4]}/24 dev eth0", f"route add default via 10.1.{self.subnet}.1")
        if 6 in self.address:
            self.ns.ip(f"addr add fe80::{10 + self.number}/64 dev eth0 nodad",
                       f"addr add {self.address[6]}/64 dev eth0 nodad",
                       f"route add default via fd00:{self.subnet}::1")

    # ---- the machine and its processes ----

    def boot(self):
        """The machine, containerd with the images; neither kubelet nor network yet."""
        with inside(self.path):
            self._machine = subprocess.Popen(
                [sys.executable, f"{HERE}/machine.py", self.name, f"{self.dir}/disk"], text=True,
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
        if self._machine.stdout.readline() != "ready\n":
            raise Failed(f"expected {self.name} to become a machine, saw it end")
        self.wrapper[:] = ["nsenter", "-t", str(self._machine.pid), "-m", "-u"]
        self.containerd = self.process("containerd", "containerd", "-c", "/etc/containerd.toml")
        self.kubelet = self.process("kubelet", "kubelet", "--config", "/etc/kubelet.json", "--kubeconfig",
                                    self.cluster.kube.node_config(self.name), "--hostname-override", self.name,
                                    "--node-ip", ",".join(self.address.values()))
        self.proxy = self.process("kube-proxy", "kube-proxy", "--config", "/etc/kube-proxy.json")
        self.write("/etc/containerd.toml", CONTAINERD.format(pause=images.PAUSE))
        self.write("/etc/kubelet.json", json.dumps(self._kubelet_settings(), indent=1))
        self.write("/etc/kube-proxy.json", json.dumps(self._proxy_settings(), indent=1))
        self.write("/run/resolv.conf", "nameserver 192.0.2.1\n")
        self.write("/etc/machine-id", hashlib.sha256(self.name.encode()).hexdigest()[:32] + "\n")
        self.run("sh", "-c", "rm -f /etc/cni/net.d/*")  # networks of the real machine
        self.run("cp", "/usr/lib/cni/loopback", "/opt/cni/bin/")  # as kubelet's package brings it
        make_cgroup(f"{world.cgroup()}/{self.name}")
        self.containerd.start()
        until(lambda: self.attempt("test", "-S", SOCKET.removeprefix("unix://")).returncode == 0,
              f"containerd of {self} to listen")
        for archive in self.cluster.images:
            self.import_image(archive)

    def start(self):
        """kubelet and kube-proxy."""
        self.kubelet.start()
        self.proxy.start()

    def import_image(self, archive):
        self.ctr("images", "import", "--local", archive)

    def ctr(self, *words):
        """containerd's own client, where kubelets keep their things."""
        return self.run(binaries.path("ctr"), "-n", "k8s.io", *words)

    def pid_of(self, pod, container):
        """The process of a container; Failed: it does not run."""
        wanted = container_id(pod, container)
        for line in self.ctr("tasks", "ls").splitlines():
            words = line.split()
            if words[0] == wanted and words[2] == "RUNNING":
                return int(words[1])
        raise Failed(f"expected {container} of {pod['metadata']['name']} to run on {self}")

    def kill_container(self, pod, container):
        """SIGKILL of a container's process."""
        os.kill(self.pid_of(pod, container), 9)

    def process(self, name, program, *options):
        """A long-lived process of the machine that is not started yet."""
        path = program if program.startswith("/") else binaries.path(program)
        folder = os.path.dirname(binaries.path("containerd"))
        return Process(f"{name} of {self.name}", self.ns, f"{self.dir}/log/{name}.log", [path, *options],
                       wrapper=[*self.wrapper, "env", f"PATH={folder}:{os.environ['PATH']}"])

    def processes(self):
        found = [getattr(self, n, None) for n in ("kubelet", "proxy", "containerd")]
        return [p for p in found if p]

    def power_off(self):
        """Every process of the machine ends without a word, its pods' too."""
        for process in self.processes():
            with contextlib.suppress(Exception):
                process.kill()
        if self._machine:
            kill_cgroup(f"{world.cgroup()}/{self.name}")
            self._machine.kill()
            self._machine.wait()
            self._machine = None

    # ---- what people run on it ----

    def run(self, *argv, **more):
        """What a program prints that must succeed."""
        done = self.attempt(*argv, **more)
        if done.returncode:
            raise Failed(f"expected {' '.join(argv)} on {self} to succeed, saw status {done.returncode}: "
                         f"{(done.stderr or done.stdout).strip()[-800:]}")
        return done.stdout

    def attempt(self, *argv, stdin=None, timeout_s=3 * HANG_S):
        with inside(self.path):
            return subprocess.run([*self.wrapper, *argv], input=stdin, capture_output=True, text=True,
                                  timeout=timeout_s)

    def write(self, path, text):
        """A file of the machine."""
        self.run("sh", "-c", 'mkdir -p "${1%/*}" && cat > "$1.new" && mv "$1.new" "$1"', "-", path, stdin=text)

    def read(self, path):
        return self.run("cat", path)

    def get(self, url, seconds=5):
        """What a web server answers."""
        return self.run("curl", "-sSgf", "-m", str(seconds), url)

    def ctl(self, *words, **more):
        """roostctl on this node."""
        return self.run(f"{BIN}/roostctl", *words, **more)

    # ---- settings ----

    def _kubelet_settings(self):
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "authentication": {"anonymous": {"enabled": False}, "webhook": {"enabled": True},
                               "x509": {"clientCAFile": self.cluster.kube.pki.ca}},
            "authorization": {"mode": "Webhook"},
            "containerRuntimeEndpoint": SOCKET,
            "cgroupDriver": "cgroupfs", "cgroupRoot": f"/{world.cgroup()}/{self.name}",
            "enforceNodeAllocatable": [], "failCgroupV1": False, "failSwapOn": False, "oomScoreAdj": 0,
            "clusterDNS": [DNS_SERVICE[f] for f in self.cluster.families], "clusterDomain": "cluster.local",
            "resolvConf": "/run/resolv.conf", "volumePluginDir": "/var/lib/kubelet/volumeplugins",
            "evictionHard": {s: "0%" for s in ("memory.available", "nodefs.available", "nodefs.inodesFree",
                                               "imagefs.available", "imagefs.inodesFree")},
            "imageGCHighThresholdPercent": 100, "imageGCLowThresholdPercent": 99,
            "serializeImagePulls": False, "staticPodPath": "/etc/kubernetes/manifests", "nodeStatusUpdateFrequency": "5s", "maxPods": 250}

    def _proxy_settings(self):
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1", "kind": "KubeProxyConfiguration",
            "mode": self.cluster.proxy, "hostnameOverride": self.name, "bindAddress": {4: "0.0.0.0", 6: "::"}[self.cluster.families[0]],
            "clientConnection": {"kubeconfig": self.cluster.kube.config("system:kube-proxy")},
            "detectLocalMode": "InterfaceNamePrefix",
            "detectLocal": {"interfaceNamePrefix": self.cluster.network.prefix},
            "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s",
                          "tcpCloseWaitTimeout": "0s"}}


class Deployment:
    """Pods of a Deployment and their Service."""

    def __init__(self, cluster, name, service):
        self.cluster, self.name = cluster, name
        self._addresses = service["spec"]["clusterIPs"]
        self._ports = service["spec"]["ports"]

    def address(self, family=4):
        """Of the Service."""
        return next(a for a in self._addresses if (":" in a) == (family == 6))

    def node_port(self):
        return self._ports[0]["nodePort"]

    def url(self, path="hostname", family=4):
        address = self.address(family)
        return f"http://[{address}]/{path}" if family == 6 else f"http://{address}/{path}"

    def pods(self):
        """Those that are not about to go."""
        return [p for p in self.cluster.pods(f"app={self.name}")
                if "deletionTimestamp" not in p["metadata"]]

    def must_be_served(self):
        """Until each pod has answered each node in each family: kube-proxy follows a little later."""
        names = {p["metadata"]["name"] for p in self.pods()}
        for node in self.cluster.nodes:
            for family in self.cluster.families:
                seen = set()
                until(lambda: seen.add(node.get(self.url(family=family))) or seen == names,
                      f"each pod of {self.name} to answer {self.url(family=family)} on {node}")

    @contextlib.contextmanager
    def rolling(self):
        """All pods are replaced meanwhile; at the end that is complete."""
        self.cluster.kube.kubectl("set", "env", f"deployment/{self.name}", f"GENERATION={time.time()}")
        yield
        self.cluster.until_rolled(f"deployment/{self.name}")

    def roll(self):
        with self.rolling():
            pass


class Pod:
    """A running pod: its object, its node, and the path of its network namespace."""

    def __init__(self, cluster, body):
        self.body, self.name = body, body["metadata"]["name"]
        self.node = cluster.node(body["spec"]["nodeName"])
        self.path = f"/proc/{self.node.pid_of(body, body['spec']['containers'][0]['name'])}/ns/net"

    def ip(self, family=4):
        return next((e["ip"] for e in self.body["status"]["podIPs"] if (":" in e["ip"]) == (family == 6)), None)


class Cluster:
    """All of it. Leave by with or close()."""

    _numbers = itertools.count(1)

    def __init__(self, nodes=3, families=(4, 6), network=None, proxy="nftables", dns=True, start=True,
                 controllers_options=(), apiserver_options=()):
        """network: what connects pods (network.py), roost as it is installed by default. proxy: kube-proxy's mode."""
        self.number = next(Cluster._numbers)
        self.dir = f"{controlplane.WORK}/cluster-{self.number}"
        self.families, self.proxy = families, proxy
        self.network = network or Installed()
        self._namespaces, self.nodes, self.kube = [], [], None
        os.makedirs(self.dir)
        lab.start_clock()
        try:
            self.images = images.make(f"{controlplane.WORK}/images") if not self._made_images() \
                else self._made_images()
            self._add_router()
            self.nodes = [Node(self, n) for n in range(1, nodes + 1)]
            self.kube = ControlPlane(self.nodes[0].ns, self.nodes[0].ip(families[0]), controllers=True,
                                     scheduler=True, families=families, start=False,
                                     apiserver_options=apiserver_options,
                                     controllers_options=["--node-monitor-grace-period=20s",
                                                          *controllers_options])
            if start:
                self.start(dns)
        except BaseException:
            lab.say(self.logs())
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            lab.say(self.logs())
        self.close()

    def start(self, dns=True):
        """Machines and control plane at once, then kubelets, then the network."""
        with concurrent.futures.ThreadPoolExecutor() as pool:
            for done in [pool.submit(self.kube.start), *(pool.submit(n.boot) for n in self.nodes)]:
                done.result()
        for node in self.nodes:
            node.start()
        self.until_registered()
        self.network.install(self)
        if dns:
            self.add_dns()
        self.until_ready()
        if dns:
            self.until_rolled("deployment/coredns", "kube-system")

    def close(self):
        """Ends every process, then every namespace. May be called twice."""
        for node in self.nodes:
            node.power_off()
        if self.kube:
            self.kube.close()
        for ns in self._namespaces:
            ns.remove()
        self._namespaces = []
        shutil.rmtree(self.dir, ignore_errors=True)

    def namespace(self, name):
        ns = Namespace(f"k{self.number}-{name}")
        self._namespaces.append(ns)
        return ns

    def _made_images(self):
        folder = f"{controlplane.WORK}/images"
        return sorted(f"{folder}/{n}" for n in os.listdir(folder)) if os.path.isdir(folder) else []

    def _add_router(self):
        router = self.router = self.namespace("router")
        outside = self.namespace("outside")
        router.ip("link set lo up")
        for n in (1, 2):
            router.ip(f"link add lan{n} address 02:00:00:00:02:{n:02x} type bridge",
                      f"link set lan{n} addrgenmode none", f"link set lan{n} up",
                      f"addr add 10.1.{n}.1/24 dev lan{n}", f"addr add fe80::1/64 dev lan{n} nodad",
                      f"addr add fd00:{n}::1/64 dev lan{n} nodad")
        router.ip(f"link add to-outside type veth peer name eth0 netns {outside.name}",
                  "link set to-outside up", "addr add 192.0.2.1/24 dev to-outside",
                  "addr add 2001:db8:2::1/64 dev to-outside nodad")
        outside.ip("link set lo up", "link set eth0 up", f"addr add {lab.OUTSIDE4}/24 dev eth0",
                   f"addr add {lab.OUTSIDE6}/64 dev eth0 nodad", "route add default via 192.0.2.1",
                   "route add default via 2001:db8:2::1")
        router.set_sysctl("ipv4/ip_forward", 1)
        router.set_sysctl("ipv6/conf/all/forwarding", 1)
        self.outside = Place("outside", outside, {4: lab.OUTSIDE4, 6: lab.OUTSIDE6})

    # ---- what is in it ----

    def node(self, name):
        return next(n for n in self.nodes if n.name == name)

    def add_dns(self):
        with open(f"{HERE}/coredns.yaml") as f:
            text = f.read()
        addresses = [DNS_SERVICE[f] for f in self.families]
        for word, value in (("IMAGE", images.COREDNS), ("FIRST", json.dumps(addresses[0])),
                            ("ADDRESSES", json.dumps(addresses)),
                            ("FAMILIES", json.dumps([f"IPv{f}" for f in self.families])),
                            ("POLICY", "RequireDualStack" if len(addresses) > 1 else "SingleStack")):
            text = text.replace(f": {word}\n", f": {value}\n")
        self.kube.apply(text)

    def deploy(self, name, replicas=1, port=8080, **spec):
        """A Deployment of agnhost's web server, ready, and a Service for its port 80, which has a node port, too.
        spec: of its pods."""
        pod = {"terminationGracePeriodSeconds": 10, "containers": [{
            "name": "web", "image": images.AGNHOST, "imagePullPolicy": "Never",
            "args": ["netexec", f"--http-port={port}", f"--udp-port={port}"],
            "lifecycle": {"preStop": {"sleep": {"seconds": 4}}},
            "readinessProbe": {"httpGet": {"path": "/hostname", "port": port}, "periodSeconds": 1}}], **spec}
        self.kube.apply(
            {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": name},
             "spec": {"replicas": replicas, "selector": {"matchLabels": {"app": name}},
                      "strategy": {"rollingUpdate": {"maxUnavailable": 0}},
                      "template": {"metadata": {"labels": {"app": name}}, "spec": pod}}},
            {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name},
             "spec": {"type": "NodePort", "selector": {"app": name}, "ipFamilyPolicy": "PreferDualStack",
                      "ports": [{"name": "http", "port": 80, "targetPort": port}]}})
        self.until_rolled(f"deployment/{name}")
        return Deployment(self, name, self.kube.must("GET", f"/api/v1/namespaces/default/services/{name}"))

    def pod(self, name, **spec):
        """A pod of its own that runs agnhost, Ready. spec: what is different from that."""
        self.kube.apply({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
            "terminationGracePeriodSeconds": 0,
            "containers": [{"name": "main", "image": images.AGNHOST, "imagePullPolicy": "Never",
                            "args": ["netexec", "--http-port=8080"]}], **spec}})
        path = f"/api/v1/namespaces/default/pods/{name}"
        until(lambda: is_ready(self.kube.must("GET", path)), f"pod {name} to be Ready", READY_S)
        return Pod(self, self.kube.must("GET", path))

    def client(self):
        """A pod from which stories ask; one for all of them, on node1."""
        return self.pod("client", nodeName="node1")

    def pods(self, selector="", namespace="default"):
        """Objects of pods."""
        return self.kube.list(f"/api/v1/namespaces/{namespace}/pods?labelSelector={selector}")

    # ---- until it works ----

    def until_registered(self):
        until(lambda: len(self.kube.list("/api/v1/nodes")) == len(self.nodes), "every kubelet to be known")

    def until_ready(self):
        """Every node, and every pod."""
        until(lambda: not self._raise(self.unready_nodes()), "every node to be Ready", READY_S)
        until(lambda: not self._raise(self.unready_pods()), "every pod to be Ready", READY_S)

    def until_rolled(self, what, namespace="default"):
        """Until a Deployment or DaemonSet has the pods that it wants."""
        done = self.kube.kubectl("-n", namespace, "rollout", "status", what, f"--timeout={READY_S}s", ok=False)
        if done.returncode:
            raise Failed(f"expected {what} to be rolled out, saw: {done.stderr.strip()[-300:]}\n      "
                         + "\n      ".join(self.unready_pods()))

    @staticmethod
    def _raise(sentences):
        if sentences:
            raise Failed("; ".join(sentences))

    def unready_nodes(self):
        """A sentence for each node that is not Ready."""
        found = []
        for node in self.kube.list("/api/v1/nodes"):
            ready = next((c for c in node["status"].get("conditions", []) if c["type"] == "Ready"), {})
            if ready.get("status") != "True":
                found.append(f"node {node['metadata']['name']}: {ready.get('message', 'said nothing yet')}")
        return found

    def unready_pods(self):
        """A sentence for each pod that is neither Ready nor complete, with what its events say last."""
        found = []
        for pod in self.kube.list("/api/v1/pods"):
            meta, status = pod["metadata"], pod["status"]
            if is_ready(pod) or status.get("phase") == "Succeeded":
                continue
            events = self.kube.list(f"/api/v1/namespaces/{meta['namespace']}/events?fieldSelector="
                                    f"involvedObject.name={meta['name']}")
            last = events[-1].get("message", "") if events else "no event"
            found.append(f"pod {meta['namespace']}/{meta['name']} on {pod['spec'].get('nodeName')}: "
                         f"{status.get('phase')}: {last[:300]}")
        return found

    # ---- when it failed ----

    def logs(self, lines=12):
        """What its processes said last, and what is not ready."""
        parts = [self.kube.logs(lines)] if self.kube else []
        for node in self.nodes:
            for process in node.processes():
                with contextlib.suppress(OSError):
                    parts += [f"---- {process.name} ({'runs' if process.running() else 'does not run'})",
                              *process.said().splitlines()[-lines:]]
            for family in self.families:
                with contextlib.suppress(Exception):
                    parts += [f"---- routes of {node}", node.run("ip", f"-{family}", "route").rstrip()]
        with contextlib.suppress(Exception):
            parts += self.network.logs(self, lines)
        with contextlib.suppress(Exception):
            parts += ["---- not ready", *self.unready_nodes(), *self.unready_pods()]
        return "\n".join(parts)


# ---- control groups ----

def _hierarchies():
    top = "/sys/fs/cgroup"
    found = [f"{top}/{n}" for n in os.listdir(top)
             if os.path.exists(f"{top}/{n}/cgroup.procs") and not os.path.islink(f"{top}/{n}")]
    return [top] if os.path.exists(f"{top}/cgroup.controllers") else found


def make_cgroup(name):
    """A control group in each hierarchy, complete: a kubelet wants its root to be there."""
    for top in _hierarchies():
        folder = top
        for part in name.split("/"):
            above, folder = folder, f"{folder}/{part}"
            os.makedirs(folder, exist_ok=True)
            _fill_cgroup(above, folder)


def _fill_cgroup(above, folder):
    """cpuset of version 1 is empty at first; version 2 gives the controllers that are passed on."""
    for name in ("cpuset.cpus", "cpuset.mems"):
        if os.path.exists(f"{above}/{name}") and not os.path.exists(f"{above}/cgroup.controllers"):
            with open(f"{above}/{name}") as source, open(f"{folder}/{name}", "w") as target:
                target.write(source.read())
    if os.path.exists(f"{above}/cgroup.controllers"):
        with open(f"{above}/cgroup.controllers") as source:
            words = " ".join(f"+{c}" for c in source.read().split())
        with open(f"{above}/cgroup.subtree_control", "w") as target:
            target.write(words)


def kill_cgroup(name):
    """Whatever runs below a control group is killed."""
    for top in _hierarchies():
        for folder, _, _ in os.walk(f"{top}/{name}"):
            with contextlib.suppress(OSError), open(f"{folder}/cgroup.procs") as f:
                for pid in f.read().split():
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(int(pid), 9)
