# SPDX-License-Identifier: Apache-2.0
"""What goes wrong in a Kubernetes with roost, and what pods notice of it."""
import json
import time

import pytest

import images
import kubelab
from clients import Requests
from lab import equal, step, true, until

pytestmark = [pytest.mark.needs(*kubelab.PROGRAMS), pytest.mark.built(*kubelab.BUILT)]

AWAY_S = 120


def owners(node):
    """{pod: its IPv4 address} as the node state has them."""
    found = json.loads(node.ctl("-o", "json", "ipam", "list"))
    return {a["podName"]: a["address"] for a in found if a.get("podName") and ":" not in a["address"]}


def must_be_right(node):
    """Pods, records, links and routes of a node tell one story."""
    done = node.attempt(f"{kubelab.BIN}/roostctl", "ipam", "check")
    true(done.returncode == 0, f"roostctl ipam check on {node} to find all right", done.stdout + done.stderr)


def test_a_kubelet_that_dies_while_pods_start_and_stop_leaks_nothing(cluster):
    node = cluster.nodes[1]
    many = cluster.deploy("many", replicas=1, nodeName=node.name)
    for replicas in (8, 0, 8):
        cluster.kube.kubectl("scale", "deployment/many", f"--replicas={replicas}")
        until(lambda n=replicas: len(many.pods()) == n, f"the API to know {replicas} pods")
        step(f"SIGKILL of kubelet on {node}, on the way to {replicas} pods")
        node.kubelet.kill()
        node.kubelet.start()
    cluster.until_rolled("deployment/many")

    def only_those_have_addresses():
        equal(sorted(n for n in owners(node) if n.startswith("many-")),
              sorted(p["metadata"]["name"] for p in many.pods()), "pods with an address")
        return True
    until(only_those_have_addresses, "just the pods that are there to have addresses", kubelab.READY_S)
    cluster.kube.kubectl("delete", "deployment/many")
    until(lambda: not [n for n in owners(node) if n.startswith("many-")], "their addresses to be free",
          kubelab.READY_S)
    must_be_right(node)


def static_pod(name):
    return json.dumps({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
        "spec": {"terminationGracePeriodSeconds": 0, "containers": [
            {"name": "web", "image": images.AGNHOST, "imagePullPolicy": "Never",
             "args": ["netexec", "--http-port=8080"]}]}})


def test_a_cordoned_node_stays_ready(cluster):
    node = cluster.nodes[2]
    cluster.kube.kubectl("cordon", node.name)
    try:
        cluster.deploy("elsewhere", replicas=4)
        equal([p["metadata"]["name"] for p in cluster.pods("app=elsewhere")
               if p["spec"]["nodeName"] == node.name], [], f"pods on {node}:")
        equal(cluster.unready_nodes(), [], "nodes that are not Ready:")
    finally:
        cluster.kube.kubectl("uncordon", node.name)
        cluster.kube.kubectl("delete", "deployment/elsewhere", "service/elsewhere")


def answers(node, address):
    """kubelet may give a pod a second sandbox, and with it another address."""
    return address and node.attempt("curl", "-gsfm", "2", f"http://{address}:8080/hostname").returncode == 0


def test_pods_start_and_stop_while_the_api_server_is_away(cluster):
    """kubelet starts and stops pods of a folder by itself. What runs goes on, for two minutes."""
    node = cluster.nodes[1]
    web = cluster.deploy("lasting", replicas=3)
    web.must_be_served()
    flows = {"node3": (cluster.nodes[2].path, web.address(4), 80),
             "a pod": (cluster.client().path, web.address(4), 80)}
    with Requests(flows, rate=10) as stream:
        cluster.kube.apiserver.kill()
        end, number = time.monotonic() + AWAY_S, 0
        try:
            while time.monotonic() < end:
                number += 1
                name = f"static{number}"
                node.write(f"/etc/kubernetes/manifests/{name}.json", static_pod(name))
                until(lambda n=name: owners(node).get(f"{n}-{node.name}"), f"{name} to get an address",
                      kubelab.READY_S)
                until(lambda n=name: answers(cluster.nodes[0], owners(node).get(f"{n}-{node.name}")),
                      f"{name} to answer node1", kubelab.READY_S)
                node.run("rm", f"/etc/kubernetes/manifests/{name}.json")
                until(lambda n=name: f"{n}-{node.name}" not in owners(node), f"the address of {name} to be free",
                      kubelab.READY_S)
        finally:
            cluster.kube.start()
        step(f"{number} pods were started and stopped meanwhile")
        stream.goes_on(20)
    stream.lost_nothing()
    cluster.until_ready()
    must_be_right(node)
