# SPDX-License-Identifier: Apache-2.0
"""Services: load balancers get addresses from our pools, and a router outside hears of addresses where their
endpoints are, whatever happens to the API server and to roostd meanwhile.

The laboratory is that of tests/cluster, with a router that speaks BGP; the API server has an address at it.
What kubelets and controllers write, Nodes and EndpointSlices, the stories write."""
import re

import pytest

import controlplane
import lab
from agents import Laboratory
from lab import birdc, equal, resource, true, until

pytestmark = [pytest.mark.needs(*lab.PROGRAMS, *controlplane.PROGRAMS), pytest.mark.built(*controlplane.BUILT)]
CLUSTER, BALANCERS, SIX = "10.96.0.0/16", "198.51.100.0/29", "2001:db8:77::/126"
FIRST = "198.51.100.0"
SERVICES = "/api/v1/namespaces/default/services"
SLICES = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"
MERGE = "application/merge-patch+json"


class Balancers(Laboratory):
    """Two nodes and a router."""

    def __init__(self):
        ranges = {"serviceClusterIPs": [{"cidr": CLUSTER}], "serviceLoadBalancerIPs": [{"cidr": BALANCERS}]}
        super().__init__(tor=True, families=(4,), resources=[
            resource("BGPConfiguration", "default", **ranges),
            resource("IPPool", "public", cidr=BALANCERS, allowedUses=["LoadBalancer"])])
        self.start()

    # ---- what people and controllers write ----

    def serve(self, name, port=80, notes=None, **spec):
        """A load balancer; the API server gives it a cluster address."""
        return self.k.must("POST", SERVICES, {
            "apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "annotations": notes or {}},
            "spec": {"type": "LoadBalancer", "loadBalancerClass": "roost.io/bgp", "externalTrafficPolicy": "Local",
                     "selector": {"app": name}, "ports": [{"port": port}], **spec}})

    def endpoints(self, service, *nodes, **conditions):
        """One endpoint at each of these nodes, and no others."""
        name = f"{service}-1"
        slice_ = {"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
                  "metadata": {"name": name, "labels": {"kubernetes.io/service-name": service}},
                  "ports": [{"port": 80}],
                  "endpoints": [{"addresses": [f"100.66.0.{i}"], "nodeName": n.name,
                                 "conditions": conditions or {"ready": True}} for i, n in enumerate(nodes)]}
        status, _ = self.k.ask("POST", SLICES, slice_)
        if status == 409:
            self.k.must("PUT", f"{SLICES}/{name}", slice_)

    # ---- what is seen ----

    def address(self, name):
        ingress = self.k.must("GET", f"{SERVICES}/{name}")["status"]["loadBalancer"].get("ingress", [])
        true(all(i["ipMode"] == "VIP" for i in ingress), "nodes to take the address as theirs", ingress)
        return [i["ip"] for i in ingress]

    def known(self, destination):
        """The nodes from which the router hears a prefix."""
        lines = birdc(f"{self.c.dir}/router-bird.ctl", f"show route {destination}") or []
        return {m[1] for m in (re.search(r"\[(node\d+)_[46] ", line) for line in lines) if m}

    def is_known_from(self, destination, *nodes):
        until(lambda: self.known(destination) == {n.name for n in nodes},
              f"{destination} to be heard from {[n.name for n in nodes]}, not {self.known(destination)}")

    def gets(self, name, *addresses):
        until(lambda: self.address(name) == list(addresses), f"{name} to have {addresses}, not {self.address(name)}")

    def events(self, name):
        found = self.k.list("/api/v1/namespaces/default/events")
        return [e["message"] for e in found if e["involvedObject"]["name"] == name]


@pytest.fixture(scope="module")
def it():
    with Balancers() as laboratory:
        yield laboratory


@pytest.fixture(autouse=True)
def clean(request):
    yield
    it = request.getfixturevalue("it")
    for path in (SERVICES, SLICES):
        for one in it.k.list(path):
            if one["metadata"]["name"] != "kubernetes":
                it.k.ask("DELETE", f"{path}/{one['metadata']['name']}")
    until(lambda: not any(it.known(f"198.51.100.{i}/32") for i in range(8)), "all addresses to be withdrawn")


def test_an_address_is_given_and_follows_its_endpoints(it):
    first, second = it.c.nodes
    it.is_known_from(BALANCERS, first, second)
    it.is_known_from(CLUSTER, first, second)
    cluster = it.serve("web")["spec"]["clusterIP"]
    it.gets("web", FIRST)
    it.endpoints("web", first)
    it.is_known_from(f"{FIRST}/32", first)
    it.is_known_from(f"{cluster}/32", first)
    it.endpoints("web", first, second)
    it.is_known_from(f"{FIRST}/32", first, second)
    it.endpoints("web", second)
    it.is_known_from(f"{FIRST}/32", second)
    it.endpoints("web", second, ready=False, serving=True, terminating=True)
    it.endpoints("web", first, second, ready=False, serving=False)
    it.is_known_from(f"{FIRST}/32")
    it.endpoints("web", second, ready=False, serving=True, terminating=True)
    it.is_known_from(f"{FIRST}/32", second)
    true(FIRST not in second.bird_routes() and not second.ns.ask(f"route show {FIRST}"),
         "the kernel to know nothing of it")
    it.k.must("PATCH", f"{SERVICES}/web", {"spec": {"externalTrafficPolicy": "Cluster"}}, kind=MERGE)
    it.is_known_from(f"{FIRST}/32")
    equal(it.known(BALANCERS), {first.name, second.name}, "who announces the whole prefix")


def test_a_deleted_service_s_address_is_the_next_one_s(it):
    it.serve("a")
    it.gets("a", FIRST)
    it.serve("b")
    it.gets("b", "198.51.100.1")
    it.k.must("DELETE", f"{SERVICES}/a")
    it.serve("c")
    it.gets("c", FIRST)
    equal(it.address("b"), ["198.51.100.1"], "the other one's address")


def test_what_cannot_be_had_is_said(it):
    it.serve("a", notes={"roost.io/load-balancer-ips": "198.51.100.3"})
    it.gets("a", "198.51.100.3")
    it.serve("b", notes={"roost.io/load-balancer-ips": "198.51.100.3"})
    it.serve("c", notes={"roost.io/load-balancer-ips": "203.0.113.1"})
    for name, words in (("b", "it asks for 198.51.100.3, which Service default/a has"),
                        ("c", "it asks for 203.0.113.1, which is in no IPPool")):
        until(lambda n=name, w=words: any(w in e for e in it.events(n)), f"an Event of {name} to say {words}")
        until(lambda n=name, w=words: any(f"Service default/{n}: {w}" in p for node in it.c.nodes
                                          for p in node.status().get("problems", [])), "a node to say so, too")
        equal(it.address(name), [], f"the address of {name}")
    it.k.must("DELETE", f"{SERVICES}/a")
    it.gets("b", "198.51.100.3")


def test_a_pool_that_is_exhausted_is_said_and_another_address_helps(it):
    names = [f"s{i}" for i in range(9)]
    for name in names:
        it.serve(name)
    addresses = [f"198.51.100.{i}" for i in range(8)]
    until(lambda: sorted(a for n in names for a in it.address(n)) == addresses, "eight to have an address each")
    unlucky = next(n for n in names if not it.address(n))
    until(lambda: any("are taken: make another one" in e for e in it.events(unlucky)), "an Event to say so")
    lucky = next(n for n in names if n != unlucky)
    free = it.address(lucky)
    it.k.must("DELETE", f"{SERVICES}/{lucky}")
    it.gets(unlucky, *free)


def test_two_services_share_an_address_by_a_key(it):
    key = {"roost.io/load-balancer-sharing-key": "one"}
    for name, port in (("a", 80), ("b", 443)):
        it.serve(name, port, key, externalTrafficPolicy="Cluster")
        it.gets(name, FIRST)
    it.serve("c", 80, key, externalTrafficPolicy="Cluster")
    it.gets("c", "198.51.100.1")


def test_other_classes_and_somebody_s_changes(it):
    it.serve("other", loadBalancerClass="example.com/other")
    it.serve("none", loadBalancerClass=None)
    it.serve("ours")
    it.gets("ours", FIRST)
    equal((it.address("other"), it.address("none")), ([], []), "addresses of other classes")
    it.k.must("PATCH", f"{SERVICES}/ours/status", {"status": {"loadBalancer": {"ingress": None}}}, kind=MERGE)
    it.gets("ours", FIRST)


def test_routes_stay_while_the_api_server_is_away(it):
    first, second = it.c.nodes
    it.serve("web")
    it.gets("web", FIRST)
    it.endpoints("web", first)
    it.is_known_from(f"{FIRST}/32", first)
    it.k.apiserver.kill()
    try:
        first.agent.kill()
        first.agent.start()
        # A marker that does arrive: the agent reads the cluster store and tells BIRD of something else.
        it.c.apply(resource("BGPConfiguration", "default", serviceClusterIPs=[{"cidr": CLUSTER}],
                            serviceExternalIPs=[{"cidr": "203.0.113.0/24"}],
                            serviceLoadBalancerIPs=[{"cidr": BALANCERS}]))
        it.is_known_from("203.0.113.0/24", first, second)
        equal(it.known(f"{FIRST}/32"), {first.name}, "who announces the address meanwhile")
    finally:
        it.k.start()
    it.endpoints("web", second)
    it.is_known_from(f"{FIRST}/32", second)


def test_a_killed_bird_of_the_node_and_a_killed_roostd_withdraw_nothing(it):
    first, _ = it.c.nodes
    it.serve("web")
    it.gets("web", FIRST)
    it.endpoints("web", first)
    it.is_known_from(f"{FIRST}/32", first)
    first.agent.kill()
    first.agent.start()
    first.bird.kill()
    first.start_bird()
    true(it.known(f"{FIRST}/32") == {first.name}, "the router to have the route meanwhile")
    until(lambda: first.status().get("bird", {}).get("peersUp") == 2, "the sessions to be up again")
    it.is_known_from(f"{FIRST}/32", first)
