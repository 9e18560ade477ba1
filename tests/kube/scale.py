#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What one roostd costs in a large Kubernetes: tests/kube/scale.py [--nodes N] [--pods N] [--seconds N].

A control plane, and a roostd with its BIRD on one node of it. All other nodes are objects: for each a Node, a
RoostNode, an IPBlock and a NodeStatus, as agents of them would have written; pods are bound to them. They are put
into etcd, as JSON: through the API server they would take an hour. A span in which nobody writes follows. Printed are
roostd's memory, its processor time and its requests, by the API server's audit log.
"""
import argparse
import base64
import contextlib
import http.client
import ipaddress
import json
import os
import sys
import time
import uuid

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [HERE, os.path.dirname(HERE), f"{os.path.dirname(HERE)}/cluster", f"{os.path.dirname(HERE)}/netns"]
sys.dont_write_bytecode = True
import world
from bench import AUDIT, now, requests
from controlplane import ControlPlane
from lab import BIN, Failed, ROOT, Process, until
from namespaces import inside

BIRD = """\
log stderr all;
router id 0.0.0.1;
protocol device { scan time 10; }
include "/run/roost/bird.con[f]";
include "/etc/bird/roost.d/*.conf";
"""
ACCOUNT = ("roost-system", "roostd")
AT_ONCE = 100  # objects of one transaction


def address(n):
    return str(ipaddress.ip_address("10.128.0.0") + n)


def block(n):
    return ipaddress.ip_network((int(ipaddress.ip_address("100.64.0.0")) + n * 64, 26))


def objects(nodes, pods):
    """(etcd's key, object) of all that exists, as an API server keeps it."""
    for n in range(1, nodes + 1):
        name, prefix = f"node{n}", str(block(n))
        node = {"kind": "Node", "apiVersion": "v1", "metadata": meta(name), "status": {
            "addresses": [{"type": "InternalIP", "address": address(n)}]}}
        yield f"minions/{name}", node
        yield f"roost.io/nodestatuses/{name}", {
            "kind": "NodeStatus", "apiVersion": "roost.io/v1", "metadata": meta(name),
            "spec": {"installation": str(uuid.uuid4()), "instance": str(uuid.uuid4()), "boot": str(uuid.uuid4()),
                     "nodeUid": node["metadata"]["uid"], "heartbeat": f"{now()}Z", "heartbeatSeconds": 3600,
                     "version": "0.1.0", "bird": "up", "problems": [], "problemCount": 0,
                     "addressesUsed": 20, "addressesFree": 44,
                     "blocks": [{"cidr": prefix, "pool": "100.64.0.0/10", "used": 20, "cooling": 0, "reserved": 0,
                                 "quarantined": 0, "free": 44, "draining": False}]}}
        yield f"roost.io/roostnodes/{name}", {
            "kind": "RoostNode", "apiVersion": "roost.io/v1", "metadata": meta(name),
            "spec": {"bgp": {"ipv4Address": f"{address(n)}/9"}, "ipv4VXLANTunnelAddr": str(block(n)[0]),
                     "vxlanTunnelMACAddr": f"66:00:00:00:{n >> 8:02x}:{n & 255:02x}"}}
        name = prefix.replace(".", "-").replace("/", "-")
        yield f"roost.io/ipblocks/{name}", {
            "kind": "IPBlock", "apiVersion": "roost.io/v1", "metadata": meta(name),
            "spec": {"node": f"node{n}", "cidr": prefix, "state": "owned", "since": "2026-01-01T00:00:00Z",
                     "nonce": f"{n:032x}"}}
    for n in range(pods):
        yield f"pods/default/pod{n}", {
            "kind": "Pod", "apiVersion": "v1", "metadata": {**meta(f"pod{n}"), "namespace": "default"},
            "spec": {"nodeName": f"node{1 + n % nodes}", "containers": [{"name": "c", "image": "i"}]},
            "status": {"phase": "Running"}}


def meta(name):
    return {"name": name, "uid": str(uuid.uuid4()), "creationTimestamp": "2026-01-01T00:00:00Z", "generation": 1}


def write(plane, made):
    """Puts objects where the API server reads them: through it they would take as many requests."""
    connection = http.client.HTTPConnection("127.0.0.1", 2379, timeout=60)
    with inside(plane.path):
        connection.connect()
    with contextlib.closing(connection):
        for first in range(0, len(made), AT_ONCE):
            puts = [{"requestPut": {"key": base64.b64encode(f"/registry/{key}".encode()).decode(),
                                    "value": base64.b64encode(json.dumps(body).encode()).decode()}}
                    for key, body in made[first:first + AT_ONCE]]
            connection.request("POST", "/v3/kv/txn", json.dumps({"success": puts}))
            answer = connection.getresponse()
            said = answer.read()
            if answer.status != 200:
                raise Failed(f"expected etcd to take {AT_ONCE} objects, saw {answer.status}: {said[:300]}")


def cost(pid):
    """(resident MiB, seconds of processor) of a process."""
    with open(f"/proc/{pid}/status") as f:
        rss = next(int(line.split()[1]) for line in f if line.startswith("VmRSS"))
    with open(f"/proc/{pid}/stat") as f:
        words = f.read().rsplit(")", 1)[1].split()
    return rss / 1024, (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


def quiet(log):
    """Whether few requests ended in the last seconds."""
    end = time.time() - 1
    stamp = [time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(t)) for t in (end - 5, end)]
    return sum(requests(log, *stamp).values()) < 10


def span(title, agent, bird, log, seconds):
    before, begin = cost(agent), now()
    time.sleep(seconds)  # a span of time is what is measured
    after = cost(agent)
    said = requests(log, begin, now())
    print(f"{title}: roostd {after[0]:.1f} MiB, {(after[1] - before[1]) / seconds * 100:.2f} % of a processor; "
          f"bird {cost(bird)[0]:.1f} MiB; requests a minute {sum(said.values()) * 60 / seconds:.0f}: "
          + ", ".join(f"{v} {r} {n}" for (v, r), n in sorted(said.items(), key=lambda i: -i[1])), flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--nodes", type=int, default=5000)
    parser.add_argument("--pods", type=int, default=100000)
    parser.add_argument("--seconds", type=int, default=60)
    options = parser.parse_args()
    world.enter()
    os.makedirs("/run/audit")
    with open("/run/audit/policy.json", "w") as f:
        json.dump(AUDIT, f)
    with ControlPlane(apiserver_options=["--audit-policy-file=/run/audit/policy.json",
                                         "--audit-log-path=/run/audit/log"]) as plane:
        measure(plane, options)


def measure(plane, options):
    plane.kubectl("apply", "-f", f"{ROOT}/deploy/namespace.yaml", "-f", f"{ROOT}/deploy/crds", "-f",
                  f"{ROOT}/deploy/rbac.yaml")
    plane.kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    plane.apply({"apiVersion": "roost.io/v1", "kind": "IPPool", "metadata": {"name": "pods"},
                 "spec": {"cidr": "100.64.0.0/10", "vxlanMode": "Always"}},
                {"apiVersion": "roost.io/v1", "kind": "BGPConfiguration", "metadata": {"name": "default"},
                 "spec": {"nodeToNodeMeshEnabled": False}},  # as with route reflectors
                {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": "default"}})
    made = list(objects(options.nodes, options.pods))
    own = {"kind": "Node", "apiVersion": "v1", "metadata": meta("this"), "status": {
        "addresses": [{"type": "InternalIP", "address": address(options.nodes + 1)}]}}
    write(plane, [*made, ("minions/this", own)])
    print(f"{len(made)} objects: {options.nodes} nodes, {options.pods} pods", flush=True)
    for path in ("/api/v1/pods", "/apis/roost.io/v1/ipblocks"):
        rest = plane.must("GET", f"{path}?limit=1")["metadata"].get("remainingItemCount", 0)
        print(f"the API server has {rest + 1} below {path}", flush=True)
    plane.ns.ip("link add uplink type veth peer name port", "link set uplink up", "link set port up",
                 f"addr add {address(options.nodes + 1)}/9 dev uplink")
    config = plane.account(*ACCOUNT)
    for folder in ("/etc/bird/roost.d", "/run/roost", "/var/lib/roost"):
        os.makedirs(folder, exist_ok=True)
    with open("/run/bird.conf", "w") as f:
        f.write(BIRD)
    with open("/run/roostd.json", "w") as f:
        json.dump({"node": "this", "store": f"kube:{config}",
                   "bird": {"socket": "/run/roost/bird.ctl", "file": "/run/roost/bird.conf",
                            "include": "/etc/bird/roost.d", "group": ""}}, f)
    bird = Process("bird", plane.ns, "/run/bird.log", ["/usr/sbin/bird", "-f", "-R", "-c", "/run/bird.conf", "-s",
                                                       "/run/roost/bird.ctl"]).start()
    agent = Process("roostd", plane.ns, "/run/roostd.log", [f"{BIN}/roostd", "--config", "/run/roostd.json"])
    began = time.monotonic()
    agent.start()
    try:
        until(lambda: "is used from now on" in agent.said(), "roostd to use a block", 300)
        print(f"after {time.monotonic() - began:.1f} s it has a block of its own", flush=True)
        span("its first minute, in which it looks after deleted nodes", agent.pid, bird.pid, "/run/audit/log", options.seconds)
        until(lambda: quiet("/run/audit/log"), "roostd to have read what it reads once", 300)
        span("at rest", agent.pid, bird.pid, "/run/audit/log", options.seconds)
    finally:
        agent.must_run()
        print("\n".join(agent.said().splitlines()[-8:]))
        for process in (agent, bird):
            process.kill()


if __name__ == "__main__":
    main()
