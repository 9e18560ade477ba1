# SPDX-License-Identifier: Apache-2.0
"""The laboratory of tests/cluster with a control plane at its router: agents that have the API server for their
store, or Kubernetes beside one of another kind, each with the token of a pod of its own and no further right
than deploy/ gives.

    with Cluster(nodes=2, start=False) as c, plane(c) as k:     # k: controlplane.ControlPlane
        c.store = Api(c, k)
        for node in c.nodes:
            k.must("POST", "/api/v1/nodes", ...)
            use(k, node)                                        # its token; settings
"""
import contextlib

import controlplane
import lab
from controlplane import ControlPlane
from lab import between
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
