# SPDX-License-Identifier: Apache-2.0
"""Pods under the policies of a real API server: two nodes of the laboratory of tests/cluster, and what kubelets
write of their pods."""
from agents import Laboratory

MERGE = "application/merge-patch+json"
PODS = "/api/v1/namespaces/lab/pods"


class Policies(Laboratory):
    """web on the first node, a client and a stranger on each."""

    def __init__(self, **more):
        super().__init__(subnets=1, nat=True, **more)
        self.k.kubectl("create", "serviceaccount", "default", "-n", "lab")
        self.start()
        a, b = self.c.nodes
        self.c.web = self.add(a, "web", app="web")
        self.c.clients = [self.add(n, f"client-{n}", role="client") for n in (a, b)]
        self.c.strangers = [self.add(n, f"stranger-{n}") for n in (a, b)]

    def announce(self, node, name, **labels):
        """The API's Pod, before its ADD."""
        self.k.must("POST", PODS, {
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "labels": labels},
            "spec": {"nodeName": node.name, "containers": [
                {"name": "c", "image": "c", "ports": [{"name": "echo", "containerPort": 7777}]}]}})

    def add(self, node, name, **labels):
        """A pod as kubelet starts it: its ADD, then its status."""
        self.announce(node, name, **labels)
        return self.start_pod(node, name)

    def start_pod(self, node, name):
        pod = node.add_pod(name)
        self.tell(pod)
        return pod

    def tell(self, pod):
        self.k.must("PATCH", f"{PODS}/{pod.name}/status", {"status": {
            "phase": "Running", "podIP": pod.ip(4), "podIPs": [{"ip": pod.ip(4)}, {"ip": pod.ip(6)}]}}, kind=MERGE)

    def relabel(self, pod, **labels):
        self.k.must("PATCH", f"{PODS}/{pod.name}", {"metadata": {"labels": labels}}, kind=MERGE)
