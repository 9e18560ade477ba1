#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""How long a pod takes from the moment it is bound to a node until it is Ready, with roost, ptp and bridge under
the same kubelet, and what roost costs a node: tests/kube/bench.py [--rounds N] [--pods N].

One cluster of two nodes. Pods are started on node2 one after the other; between groups containerd is given
another network, in turns, so that what else the machine does meets all of them alike. The times are those at
which a watch of the API shows nodeName and the condition Ready. Figures of requests come from the API server's
own audit log, of a minute in which no pod starts or stops.
"""
import argparse
import json
import os
import statistics
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE), f"{os.path.dirname(HERE)}/cluster", f"{os.path.dirname(HERE)}/netns"]
sys.dont_write_bytecode = True
import images
import kubelab
import world
from lab import Failed, until
from objects import is_ready

REFERENCE = ("ptp", "bridge", "host-local")
LOCAL = {"type": "host-local", "ranges": [[{"subnet": "10.200.0.0/16"}]], "routes": [{"dst": "0.0.0.0/0"}]}
NETWORKS = {
    "roost": None,
    "ptp": {"type": "ptp", "ipam": LOCAL},
    "bridge": {"type": "bridge", "bridge": "bench0", "isGateway": True, "ipam": LOCAL},
}
BEFORE_OURS = "/etc/cni/net.d/00-bench.conflist"
AUDIT = {"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"], "rules": [
    {"level": "Metadata", "users": ["system:serviceaccount:roost-system:roostd"]}, {"level": "None"}]}
QUIET_S = 60


def use(node, name):
    """New pods of the node get this network."""
    if NETWORKS[name] is None:
        node.run("rm", "-f", BEFORE_OURS)
    else:
        node.write(BEFORE_OURS, json.dumps({"cniVersion": "1.0.0", "name": name, "plugins": [NETWORKS[name]]}))


def has(pod, name):
    return pod["status"].get("podIP", "").startswith("10.200.") == (name != "roost")


def start(cluster, name, node):
    """Seconds from bound to Ready of a fresh pod, and the pod."""
    path = "/api/v1/namespaces/default/pods"
    body = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": name}, "spec": {
        "nodeSelector": {"kubernetes.io/hostname": node.name}, "terminationGracePeriodSeconds": 0,
        "automountServiceAccountToken": False, "enableServiceLinks": False,
        "containers": [{"name": "main", "image": images.PAUSE, "imagePullPolicy": "Never"}]}}
    version = cluster.kube.must("GET", path)["metadata"]["resourceVersion"]
    cluster.kube.must("POST", path, body)
    bound = None
    for event in cluster.kube.watch(f"{path}?fieldSelector=metadata.name={name}&resourceVersion={version}"):
        pod = event["object"]
        if pod["spec"].get("nodeName") and bound is None:
            bound = time.monotonic()
        if is_ready(pod):
            return time.monotonic() - bound, pod
    raise Failed(f"expected {name} to become Ready, saw its watch end")


def remove(cluster, name):
    path = f"/api/v1/namespaces/default/pods/{name}"
    cluster.kube.must("DELETE", path)
    until(lambda: cluster.kube.ask("GET", path)[0] == 404, f"{name} to be gone")


def group(cluster, node, network, pods, serial):
    """Times of pods that begin after the network is in use."""
    use(node, network)

    def in_use():
        name = f"first-{network}-{next(serial)}"
        pod = start(cluster, name, node)[1]
        remove(cluster, name)
        return has(pod, network)
    until(in_use, f"containerd to use {network}", kubelab.READY_S)
    times = []
    for _ in range(pods):
        name = f"{network}-{next(serial)}"
        seconds, pod = start(cluster, name, node)
        assert has(pod, network), f"{name} has the address {pod['status']['podIP']}"
        times.append(seconds)
        remove(cluster, name)
    return times


def memory(node, cluster):
    """{process: MiB of its own and its share of what others map, too} of roost's pod on a node."""
    pod = cluster.network.pods(cluster)[node.name]
    found = {}
    for container in ("roostd", "bird"):
        with open(f"/proc/{node.pid_of(pod, container)}/smaps_rollup") as f:
            lines = {line.split()[0]: int(line.split()[1]) for line in f if line.startswith(("Rss", "Pss:"))}
        found[container] = (lines["Rss:"] / 1024, lines["Pss:"] / 1024)
    return found


def requests(path, begin, end):
    """{(verb, resource): number} of requests that ended in a span of the audit log."""
    found = {}
    with open(path) as f:
        for line in f:
            event = json.loads(line)
            if begin <= event["stageTimestamp"] <= end:
                key = (event["verb"], event.get("objectRef", {}).get("resource", event["requestURI"]))
                found[key] = found.get(key, 0) + 1
    return found


def now():
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--pods", type=int, default=10)
    options = parser.parse_args()
    world.enter()
    audit = "/run/audit"
    os.makedirs(audit)
    with open(f"{audit}/policy.json", "w") as f:
        json.dump(AUDIT, f)
    with kubelab.Cluster(nodes=2, families=(4,), apiserver_options=[
            f"--audit-policy-file={audit}/policy.json", f"--audit-log-path={audit}/log"]) as c:
        measure(c, options, f"{audit}/log")


def measure(c, options, log):
    import itertools
    node, serial = c.nodes[1], itertools.count(1)
    begin = now()
    time.sleep(QUIET_S)  # what is measured is a span of time
    said = requests(log, begin, now())
    for name in REFERENCE:
        node.run("cp", f"/usr/lib/cni/{name}", "/opt/cni/bin/")
    times = {name: [] for name in NETWORKS}
    for _ in range(options.rounds):
        for name in NETWORKS:
            times[name] += group(c, node, name, options.pods, serial)
    print("\nfrom bound to Ready, ms of a pod of one container\n")
    print(f"{'network':10}{'pods':>6}{'median':>9}{'p90':>7}{'worst':>7}")
    for name, found in times.items():
        found.sort()
        print(f"{name:10}{len(found):6}{statistics.median(found) * 1e3:9.0f}{found[int(len(found) * .9) - 1] * 1e3:7.0f}"
              f"{found[-1] * 1e3:7.0f}")
    print("\nmemory of roost on a node, MiB\n")
    for name, (rss, pss) in memory(node, c).items():
        print(f"{name:10}RSS {rss:5.1f}   PSS {pss:5.1f}")
    print(f"\nrequests of {len(c.nodes)} agents at rest in {QUIET_S} s: {sum(said.values())}\n")
    for (verb, what), n in sorted(said.items(), key=lambda item: -item[1]):
        print(f"{n:6}  {verb} {what}")


if __name__ == "__main__":
    main()
