#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Network policy on one node of a large Kubernetes, roost beside others:
tests/kube/policy_scale.py [--pods N] [--policies N] [--local N] [--own N] [--events N] [--rounds N] [ENGINE...]

A control plane, and one node with real pods, which roost's CNI made. All else are objects: namespaces, pods of other
nodes, NetworkPolicies; they are put into etcd, as JSON. The engines (none, roost, kube-router,
kube-network-policies) take turns, each alone: roostd enforces nothing in the others' turns. Measured are

    burst, dial   rates between two pods of the node, of which one has --own policies (tests/bench/netload.c)
    label         a peer's label changes, so that it may, or may no longer: ms from the API's answer to the first
                  packet that comes through, or the last one. A prober sends new flows, one a millisecond
    policy        the same, by an edit of the policy
    ADD           processor time of CNI's ADD of a pod that policies may select (tests/bench/spawn.c), the median
    memory, CPU   resident MiB at the end, and processor ms for each of these events

Connections are tracked in all turns. Ratios are to none, where that has any. What is compared with is built by
tests/kube/binaries.py kube-router kube-network-policies. An engine that does not run here is said to be so, with its
last words.
"""
import argparse
import contextlib
import http.client
import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time

import scale
from scale import HERE, ROOT, BIN, address, meta, world

import binaries
from controlplane import ControlPlane
from lab import Failed, Process, until
from namespaces import inside
from roostlab import Namespace

PORT, PROBE_PORT = 7000, 7001
NETLOAD, SPAWN = (f"{os.path.dirname(BIN)}/tests/bench/{name}" for name in ("netload", "spawn"))
CONF = {"cniVersion": "1.0.0", "name": "net", "type": "roost", "ipam": {"type": "roost-ipam"}}
SPARES, ADDS = 10, 100  # namespaces for pods that come and go, pods of a turn
QUIET_S = 0.5  # so long nothing has come: the way is closed
LONG_S = 120


def node_address(n):
    return address(n + 1)


def namespace(n):
    return f"ns{n}"


def pod(ns, name, labels, node, ip, uid=None):
    m = {**meta(name), "namespace": ns, "labels": labels}
    if uid:
        m["uid"] = uid
    return f"pods/{ns}/{name}", {
        "kind": "Pod", "apiVersion": "v1", "metadata": m,
        "spec": {"nodeName": node, "containers": [{"name": "c", "image": "i"}]},
        "status": {"phase": "Running", "podIP": ip, "podIPs": [{"ip": ip}], "hostIP": node_address(0),
                   "hostIPs": [{"ip": node_address(0)}],
                   "conditions": [{"type": "Ready", "status": "True"}]}}


def policy(ns, name, selector, peers, ports=()):
    rule = {"from": peers}
    if ports:
        rule["ports"] = [{"protocol": "TCP", "port": p} for p in ports]
    return f"networkpolicies/{ns}/{name}", {
        "kind": "NetworkPolicy", "apiVersion": "networking.k8s.io/v1",
        "metadata": {**meta(name), "namespace": ns},
        "spec": {"podSelector": selector, "ingress": [rule], "policyTypes": ["Ingress"]}}


def crowd(options):
    """All that exists beside the node's own pods: a namespace for each policy, and pods in them."""
    for n in range(options.policies):
        ns = namespace(n)
        yield f"namespaces/{ns}", {"kind": "Namespace", "apiVersion": "v1", "metadata": {
            **meta(ns), "labels": {"team": f"t{n % 20}", "kubernetes.io/metadata.name": ns}},
            "spec": {"finalizers": ["kubernetes"]}, "status": {"phase": "Active"}}
        if n:
            yield policy(ns, "p", {}, [
                {"podSelector": {"matchLabels": {"role": f"r{n % 5}"}}},
                {"namespaceSelector": {"matchLabels": {"team": f"t{n % 20}"}},
                 "podSelector": {"matchLabels": {"role": f"r{n % 5}"}}}], [80])
    for n in range(options.pods - options.local):
        ip = f"100.{100 + (n >> 14)}.{n >> 6 & 255}.{(n & 63) + 1}"
        yield pod(namespace(n % options.policies), f"far{n}",
                  {"app": f"a{n % 20}", "role": f"r{n % 5}", "pod-template-hash": "5d4f8c7b9"}, "far", ip)


def environment(verb, space, ns, uid):
    return {"CNI_COMMAND": verb, "CNI_CONTAINERID": space.name, "CNI_NETNS": space.path, "CNI_IFNAME": "eth0",
            "CNI_PATH": BIN, "CNI_ARGS": f"IgnoreUnknown=1;K8S_POD_NAMESPACE={ns};K8S_POD_NAME={space.name};"
                                         f"K8S_POD_UID={uid}"}


class Node:
    """The one node: its BIRD, its roostd, and pods that CNI made; the first two are the server and the client."""

    def __init__(self, plane, options):
        self.plane, self.ns, self.options = plane, plane.ns, options
        self.config = plane.account(*scale.ACCOUNT)
        for folder in ("/etc/bird/roost.d", "/run/roost", "/var/lib/roost"):
            os.makedirs(folder, exist_ok=True)
        with open("/run/bird.conf", "w") as f:
            f.write(scale.BIRD)
        self.bird = Process("bird", self.ns, "/run/bird.log", [
            "/usr/sbin/bird", "-f", "-R", "-c", "/run/bird.conf", "-s", "/run/roost/bird.ctl"]).start()
        self.roostd = Process("roostd", self.ns, "/run/roostd.log",
                              [f"{BIN}/roostd", "--config", "/run/roostd.json"])
        self.start("none")
        until(lambda: "is used from now on" in self.roostd.said(), "roostd to use a block", LONG_S)
        self.pods = [self.add(i) for i in range(options.local)]
        self.spares = [Namespace(f"spare{i}") for i in range(SPARES)]
        with open("/run/conf.json", "w") as f:
            json.dump(CONF, f)

    def start(self, enforce):
        with open("/run/roostd.json", "w") as f:
            json.dump({"node": "this", "store": f"kube:{self.config}", "policy": {"enforce": enforce},
                       "bird": {"socket": "/run/roost/bird.ctl", "file": "/run/roost/bird.conf",
                                "include": "/etc/bird/roost.d", "group": ""}}, f)
        self.roostd.start()

    def add(self, i):
        ns, name, uid = namespace(max(0, i - 1)), f"near{i}", f"00000000-0000-4000-8000-{i:012x}"
        space = Namespace(name)
        with inside(self.ns.path):
            done = subprocess.run([f"{BIN}/roost"], input=json.dumps(CONF), capture_output=True, text=True,
                                  env=environment("ADD", space, ns, uid), check=False)
        if done.returncode:
            raise Failed(f"expected ADD to succeed, saw {done.stdout}{done.stderr}")
        ip = json.loads(done.stdout)["ips"][0]["address"].split("/")[0]
        labels = {"app": "near", "role": f"r{i % 5}", **({"server": "yes"} if i == 0 else {"access": "no"})}
        scale.write(self.plane, [pod(ns, name, labels, "this", ip, uid)])
        return space, ip

    def add_cpu_us(self):
        """What each ADD cost, of pods of a namespace that has a policy."""
        plan = []
        for i in range(ADDS):
            space = self.spares[i % SPARES]
            for verb in ("ADD", "DEL"):
                env = environment(verb, space, namespace(1), f"11111111-0000-4000-8000-{i:012x}")
                plan.append("\t".join([verb, self.ns.path, "/run/conf.json", *(f"{k}={v}" for k, v in env.items()),
                                       "--", f"{BIN}/roost"]))
        done = subprocess.run([SPAWN, "1"], input="\n".join(plan) + "\n", capture_output=True, text=True, check=True)
        *answers, _ = (json.loads(line) for line in done.stdout.splitlines())
        bad = [a for a in answers if a["status"]]
        if bad:
            raise Failed(f"expected {ADDS} pods to come and go, saw {bad[0]}")
        return [a["cpu_us"] for a in answers if a["label"] == "ADD"]

    def close(self):
        for process in (self.roostd, self.bird):
            process.kill()


class Prober:
    """New flows from the client to the server, one a millisecond, and when one came last."""

    def __init__(self, node):
        (self.server, self.to), (self.client, _) = node.pods[:2]
        self.arrivals, self.ending = [], False
        self.threads = [threading.Thread(target=f, daemon=True) for f in (self._send, self._hear)]
        for t in self.threads:
            t.start()

    def _send(self):
        with inside(self.client.path):
            while not self.ending:
                with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
                    s.sendto(b"x", (self.to, PROBE_PORT))
                time.sleep(0.001)

    def _hear(self):
        with inside(self.server.path):
            s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        with s:
            s.bind(("0.0.0.0", PROBE_PORT))
            s.settimeout(0.2)
            while not self.ending:
                with contextlib.suppress(TimeoutError):
                    s.recv(16)
                    self.arrivals.append(time.monotonic())

    def last(self):
        return self.arrivals[-1] if self.arrivals else 0

    def is_open(self):
        return time.monotonic() - self.last() < 0.02

    def is_closed(self):
        return time.monotonic() - self.last() > QUIET_S

    def behind(self, change, to_open):
        """ms from the answer to a change until it holds."""
        until(self.is_closed if to_open else self.is_open, "the way to be as it was left", LONG_S)
        asked = time.monotonic()
        change()
        answered = time.monotonic()
        if to_open:
            until(lambda: self.last() > asked, "a packet to come through", LONG_S)
            held = next(t for t in self.arrivals if t > asked)
        else:
            until(self.is_closed, "packets to be denied", LONG_S)
            held = self.last()
        return max(0, held - answered) * 1000

    def close(self):
        self.ending = True
        for t in self.threads:
            t.join()


class Engine:
    """What enforces; a subclass says how it is started."""
    name, process = "none", None  # a lab.Process

    def __init__(self, node):
        self.node = node

    def start(self):
        pass

    def stop(self):
        if self.process:
            self.process.stop(None)
            self.clean()

    def clean(self):
        with inside(self.node.ns.path):
            for words in (("iptables", "-F"), ("iptables", "-X"), ("ip6tables", "-F"), ("ip6tables", "-X"),
                          ("ipset", "destroy"), ("nft", "delete", "table", "inet", "kube-network-policies")):
                subprocess.run(words, capture_output=True, check=False)


class Roost(Engine):
    name = "roost"

    def start(self):
        self.node.roostd.stop(None)
        self.node.start("auto")
        self.process = self.node.roostd

    def stop(self):
        self.node.roostd.stop(None)
        self.node.start("none")


class KubeRouter(Engine):
    name = "kube-router"

    def start(self):
        self.process = Process(self.name, self.node.ns, f"/run/{self.name}.log", [
            binaries.path(self.name), "--run-router=false", "--run-service-proxy=false", "--run-firewall=true",
            f"--kubeconfig={self.node.plane.admin}", "--hostname-override=this", "--health-port=0",
            "--service-cluster-ip-range=10.96.0.0/16"]).start()


class KubeNetworkPolicies(Engine):
    name = "kube-network-policies"

    def start(self):
        plane = self.node.plane
        plane.make_account("kube-system", self.name)
        plane.apply({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding",
                     "metadata": {"name": self.name},
                     "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole",
                                 "name": "cluster-admin"},
                     "subjects": [{"kind": "ServiceAccount", "name": self.name, "namespace": "kube-system"}]})
        plane.account_folder("/var/run/secrets/kubernetes.io/serviceaccount", "kube-system", self.name)
        self.process = Process(self.name, self.node.ns, f"/run/{self.name}.log", [
            binaries.path(self.name), "--hostname-override=this", "--disable-nri", "--v=2",
            "--metrics-bind-address=127.0.0.1:9080"],
            ["env", f"KUBERNETES_SERVICE_HOST={plane.address}", "KUBERNETES_SERVICE_PORT=6443"]).start()


ENGINES = {e.name: e for e in (Engine, Roost, KubeRouter, KubeNetworkPolicies)}


class Api:
    """Changes by one connection that stays."""

    def __init__(self, plane):
        self.connection = http.client.HTTPSConnection(plane.address, 6443, context=plane.tls(None), timeout=60)
        self.headers = {"Content-Type": "application/merge-patch+json", **plane._bearer(None)}
        with inside(plane.path):
            self.connection.connect()

    def patch(self, path, body):
        self.connection.request("PATCH", path, json.dumps(body), self.headers)
        answer = self.connection.getresponse()
        said = answer.read()
        if answer.status != 200:
            raise Failed(f"expected {path} to be changed, saw {answer.status}: {said[:300]}")

    def label(self, access):
        self.patch("/api/v1/namespaces/ns0/pods/near1", {"metadata": {"labels": {"access": access}}})

    def policy(self, access):
        self.patch("/apis/networking.k8s.io/v1/namespaces/ns0/networkpolicies/own0", {"spec": {"ingress": [
            {"from": [{"podSelector": {"matchLabels": {"access": access}}}]}]}})


def load(node, mode, seconds=2):
    (server, ip), (client, _) = node.pods[:2]
    with inside(server.path):
        serving = subprocess.Popen([NETLOAD, "serve", str(PORT)], stdout=subprocess.PIPE)
    try:
        serving.stdout.readline()
        with inside(client.path):
            done = subprocess.run([NETLOAD, mode, ip, str(PORT), str(seconds * 1000)], capture_output=True, text=True,
                                  check=False)
        if done.returncode:
            raise Failed(f"expected netload {mode} to end well, saw {done.stderr}")
        return json.loads(done.stdout)["per_s"]
    finally:
        serving.kill()
        serving.wait()


def take_turn(engine, api, options, result):
    node = engine.node
    engine.start()
    try:
        api.label("yes")
        prober = Prober(node)
        try:
            until(prober.is_open, f"{engine.name} to let the client in", LONG_S)
            if engine.process:
                began = time.monotonic()
                api.label("no")
                until(lambda: engine.process.must_run() or prober.is_closed(),
                      f"{engine.name} to keep the client out", LONG_S)
                result.setdefault("first_s", time.monotonic() - began)
                before = scale.cost(engine.process.pid)
                events = 0
                for change in ("label", "policy"):
                    for i in range(2 * options.events):
                        to_open = i % 2 == 0
                        value = {"label": ("no", "yes"), "policy": ("never", "yes")}[change][to_open]
                        ms = prober.behind(lambda: getattr(api, change)(value), to_open)
                        result.setdefault(change, []).append(ms)
                        events += 1
                    if change == "label":
                        api.policy("never")
                        api.label("yes")
                        until(prober.is_closed, "the policy to let nobody in", LONG_S)
                api.policy("yes")
                until(prober.is_open, "the client to be let in again", LONG_S)
                after = scale.cost(engine.process.pid)
                result["mib"] = after[0]
                result["cpu_ms"] = (after[1] - before[1]) * 1000 / events
        finally:
            prober.close()
        for mode in ("burst", "dial"):
            result[mode] = max(result.get(mode, 0), load(node, mode))
        result.setdefault("add", []).extend(node.add_cpu_us())
    finally:
        engine.stop()


def report(results):
    base = results.get("none", {})
    print("engine                  burst   dial    ADD   label p50/p99 ms   policy p50/p99 ms      MiB  CPU ms an event")
    for name, r in results.items():
        def part(key):
            if key == "add":
                return f"{statistics.median(r[key]) / statistics.median(base.get(key, r[key])):.2f}"
            return f"{r[key] / base[key]:.2f}" if base.get(key) else f"{r[key]:.0f}"

        def spread(key):
            v = sorted(r.get(key, []))
            return f"{v[len(v) // 2]:.1f} / {v[min(len(v) - 1, len(v) * 99 // 100)]:.1f}" if v else "-"
        if "burst" in r:
            print(f"{name:22} {part('burst'):>6} {part('dial'):>6} {part('add'):>6}   {spread('label'):>16}   {spread('policy'):>17}"
                  f"   {r.get('mib', 0):6.1f}  {r.get('cpu_ms', 0):6.1f}")
        else:
            print(f"{name:22} does not run here: {r['trouble']}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("engines", nargs="*", metavar="ENGINE", help=", ".join(ENGINES))
    parser.add_argument("--pods", type=int, default=10000)
    parser.add_argument("--policies", type=int, default=1000)
    parser.add_argument("--local", type=int, default=50)
    parser.add_argument("--own", type=int, default=5)
    parser.add_argument("--events", type=int, default=30)
    parser.add_argument("--rounds", type=int, default=2)
    options = parser.parse_args()
    world.enter()
    with ControlPlane() as plane:
        measure(plane, options)


def prepare(plane, options):
    plane.kubectl("apply", "-f", f"{ROOT}/deploy/namespace.yaml", "-f", f"{ROOT}/deploy/crds", "-f",
                  f"{ROOT}/deploy/rbac.yaml")
    plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    plane.apply({"apiVersion": "roost.io/v1", "kind": "IPPool", "metadata": {"name": "pods"},
                 "spec": {"cidr": "100.64.0.0/16"}})
    own = {"kind": "Node", "apiVersion": "v1", "metadata": meta("this"), "status": {
        "addresses": [{"type": "InternalIP", "address": node_address(0)}]}}
    far = {"kind": "Node", "apiVersion": "v1", "metadata": meta("far"), "status": {
        "addresses": [{"type": "InternalIP", "address": node_address(1)}]}}
    made = list(crowd(options))
    made += [policy("ns0", f"own{i}", {"matchLabels": {"server": "yes"}}, [{"podSelector": {"matchLabels": {
        "access": "yes" if i == 0 else f"never{i}"}}}], [] if i == 0 else [9000 + i]) for i in range(options.own)]
    scale.write(plane, [*made, ("minions/this", own), ("minions/far", far)])
    with inside(plane.path):  # connections are tracked whoever enforces: kube-proxy has it so
        subprocess.run(["nft", "add table inet tracks; add chain inet tracks forward { type filter hook forward "
                        "priority 0; }; add rule inet tracks forward ct state invalid counter"], check=True)
    plane.ns.ip("link add uplink type veth peer name port", "link set uplink up", "link set port up",
                f"addr add {node_address(0)}/9 dev uplink")


def measure(plane, options):
    prepare(plane, options)
    node = Node(plane, options)
    api = Api(plane)
    results = {}
    try:
        print(f"{options.pods} pods, {options.local} of them here, {options.policies} policies, {options.own} of the "
              f"server", flush=True)
        for _ in range(options.rounds):
            for name in options.engines or ENGINES:
                result = results.setdefault(name, {})
                if "trouble" in result:
                    continue
                engine = ENGINES[name](node)
                try:
                    take_turn(engine, api, options, result)
                except (Failed, OSError) as e:
                    words = open(engine.process.log).read().strip().splitlines()[-3:] if engine.process else []
                    result["trouble"] = f"{e}; " + " | ".join(words)
        report(results)
        print("\n".join(line for line in node.roostd.said().splitlines()[-3:]))
    finally:
        node.close()


if __name__ == "__main__":
    main()
