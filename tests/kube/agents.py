# SPDX-License-Identifier: Apache-2.0
"""The laboratory of tests/cluster with a control plane at its router: agents that have the API server for their
store, or Kubernetes beside one of another kind, each with the token of a pod of its own and no further right
than deploy/ gives.

    with Laboratory(nodes=2, store="kube") as l:
        l.start()
        l.k.apply(...)                          # controlplane.ControlPlane
        l.c.nodes[0].add_pod()                  # lab.Cluster
"""
import contextlib

import controlplane
import lab
from controlplane import ControlPlane
from lab import Cluster, between
from rights_test import bound_account
from store_test import define


@contextlib.contextmanager
def plane(c, lenient=False):
    """A control plane with roost's kinds and rights; lenient: the kinds take any spec."""
    c.router.ip(f"addr add {controlplane.ADDRESS}/32 dev lo")
    with ControlPlane(ns=c.router) as k:
        define(k, lenient)
        k.kubectl("create", "namespace", "roost-system")
        k.kubectl("apply", *(w for f in ("rbac", "policy") for w in ("-f", f"{lab.ROOT}/deploy/{f}.yaml")))
        yield k


def use(k, node, store=True, **settings):
    """The node's agent gets an account. store: its store is the API."""
    config = bound_account(k, node.name)
    if store:
        settings["store"] = f"kube:{config}"
    node.configure(**{"kubernetes": config, **settings})


class Laboratory:
    """Nodes that Kubernetes knows, and agents that are not started yet. What kubelets and controllers write, the
    stories write; the namespace lab is there. store: of roost's documents; "kube": the API server. resources: of
    the cluster, beside its manifest; more: of Cluster."""

    def __init__(self, nodes=2, store="etcd", resources=(), **more):
        self.stack, self.store = contextlib.ExitStack(), store
        self.c = self.stack.enter_context(Cluster(nodes, store="etcd", start=False, **more))
        try:
            self.k = self.stack.enter_context(plane(self.c))
            self.k.kubectl("create", "namespace", "lab")
            if store == "kube":
                self.c.store = Api(self.c, self.k)
            self.c.store.start()
            for node in self.c.nodes:
                self.add_node(node)
                self.configure(node)
            self.c.apply(*self.c.manifest(), *resources)
        except BaseException:
            self.stack.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *what):
        self.stack.__exit__(*what)

    def logs(self):
        return self.k.logs()

    def add_node(self, node):
        """What its kubelet registers."""
        self.k.must("POST", "/api/v1/nodes", {"apiVersion": "v1", "kind": "Node", "metadata": {"name": node.name}})

    def configure(self, node, **settings):
        use(self.k, node, store=self.store == "kube", **settings)

    def start(self):
        for node in self.c.nodes:
            node.start()
        self.c.started()


class Api:
    """The store of a laboratory's cluster: the API server."""

    kind = "kube"

    def __init__(self, c, k):
        self._c, self.k, self.url = c, k, f"kube:{k.admin}"
        c.store.close()

    def start(self):
        pass

    close = start

    def logs(self):
        return []

    def outages(self):
        """Context managers: the store is away meanwhile."""
        address = f"{controlplane.ADDRESS}/32 dev lo"
        server, router = self.k.apiserver, self._c.router
        return [lambda: between(server.freeze, server.thaw), lambda: between(server.kill, self.k.start),
                lambda: between(lambda: router.ip(f"addr del {address}"), lambda: router.ip(f"addr add {address}"))]
