# SPDX-License-Identifier: Apache-2.0
"""Network configurations and pods' annotations as they were written for Calico's plugin.

What is served is seen in the kernel; what would change something and cannot be served is refused
by name; what has no meaning here is named once in the log.
"""

import os
import re

import pytest

from roostlab import equal, true

pytestmark = pytest.mark.needs()


def test_a_policy_that_nobody_enforces_refuses_pods_and_the_node(lab):
    pod = lab.pod()
    conf = lab.conf("1.1.0", policy={"type": "k8s"})
    before = lab.snapshot(pod)
    lab.call("ADD", conf, pod).refused(2, "policy.type", "k8s")
    lab.unchanged(before, pod)
    lab.call("STATUS", conf).refused(2, "policy.type")
    lab.delete(pod, conf)  # what was refused can still be taken away
    lab.add(pod, lab.conf("1.1.0", policy={"type": "none"}))


def test_keys_without_a_meaning_are_named_once(lab):
    conf = lab.conf(nodename_file_optional=True, datastore_type="kubernetes",
                    kubernetes={"kubeconfig": "/etc/cni/net.d/calico-kubeconfig"})
    said = []
    for _ in range(3):
        answer = lab.call("ADD", conf, lab.pod())
        equal(answer.status, 0, "the exit status")
        said.append(answer.err)
    for key in ("nodename_file_optional", "datastore_type", "kubernetes"):
        true(key in said[0], f"{key} in the warning", said[0])
    equal(said[1:], ["", ""], "the words of further ADDs")
    again = lab.call("ADD", dict(conf, qps=50), lab.pod())
    true("qps" in again.err, "the new key in the log", again.err)


def test_allow_ip_forwarding_turns_forwarding_on_in_the_pod(lab):
    pod = lab.pod()
    lab.add(pod, lab.conf(container_settings={"allow_ip_forwarding": True}))
    equal(pod.ns.get_sysctl("ipv4/ip_forward"), "1", "ip_forward")


def test_the_log_file_is_begun_anew_at_its_size(lab):
    path = f"{lab.dir}/log/calico/cni.log"  # Calico makes the folder, too
    conf = lab.conf(log_level="Debug", log_file_path=path, log_file_max_size=1)
    lab.add(lab.pod(), conf)
    with open(path) as f:
        true("plan: pod: link eth0" in f.read(), "the plan in the log")
    os.truncate(path, 1 << 20)
    lab.add(lab.pod(), conf)
    equal(os.path.getsize(path + ".1"), 1 << 20, "size of the old file")
    true(0 < os.path.getsize(path) < 65536, "a young file", os.path.getsize(path))


def test_include_default_routes_adds_them_to_those_of_the_IPAM_plugin(lab):
    pod = lab.pod()
    ipam = {"type": "host-local", "dataDir": f"{lab.dir}/leases", "subnet": "10.67.5.0/24",
            "routes": [{"dst": "10.0.0.0/8"}]}
    conf = lab.conf(ipam=ipam, include_default_routes=True)
    lab.add(pod, conf)
    found = [r.split()[0] for r in pod.ns.routes()]
    true({"10.0.0.0/8", "default"} <= set(found), "both routes", found)
    lab.delete(pod, conf)


# ---- pools and families ----

POOLS = [{"name": "default-ipv4", "cidr": "10.66.0.0/24"}, {"name": "other", "cidr": "10.66.1.0/24"},
         {"name": "six", "cidr": "fd66::/120"}]


def annotated(conf, **annotations):
    """The configuration as a runtime passes it on for a pod with these annotations."""
    full = {"cni.projectcalico.org/" + key: value for key, value in annotations.items()}
    return dict(conf, runtimeConfig={"io.kubernetes.cri.pod-annotations": full})


def ipam(lab, **keys):
    return dict(lab.conf(pools=POOLS), ipam=lab.ipam(POOLS, **keys))


def nets(result):
    """The networks of a result's addresses."""
    return [re.sub(r"(.*[.:])[^.:]*/.*", r"\1", ip["address"]) for ip in result["ips"]]


FIRST, OTHER, SIX = "10.66.0.", "10.66.1.", "fd66::"


def test_pools_are_chosen_by_name_or_prefix(lab):
    by_default = lab.conf(pools=POOLS)
    for plugin in ("roost", "roost-ipam"):
        for conf, expected in (
                (by_default, [FIRST, SIX]),
                (annotated(by_default, ipv4pools='["other"]'), [OTHER, SIX]),
                (annotated(by_default, ipv4pools='["10.66.1.0/24"]'), [OTHER, SIX]),
                (ipam(lab, ipv4_pools=["other"], ipv6_pools=["six"]), [OTHER, SIX]),
                (ipam(lab, ipv4_pools=["10.66.1.0/24"], ipv6_pools=[]), [OTHER, SIX]),
                (annotated(ipam(lab, ipv4_pools=["other"]), ipv4pools='["default-ipv4"]'),
                 [FIRST, SIX])):
            equal(nets(lab.add(lab.pod(), conf, plugin=plugin)), expected, "networks")


def test_families_are_those_that_the_pod_or_the_configuration_wants(lab):
    by_default = lab.conf(pools=POOLS)
    for conf, expected in (
            (ipam(lab, assign_ipv4="true", assign_ipv6="false"), [FIRST]),
            (ipam(lab, assign_ipv4=False, assign_ipv6=True), [SIX]),
            (ipam(lab, assign_ipv4="true", assign_ipv6="true"), [FIRST, SIX]),
            (annotated(by_default, ipFamilies='["IPv6"]'), [SIX]),
            (annotated(ipam(lab, assign_ipv6="false"), ipFamilies='["IPv4","IPv6"]'), [FIRST, SIX]),
            (annotated(ipam(lab, assign_ipv6="false"), ipAddrs='["fd66::7"]'), [FIRST, SIX])):
        equal(nets(lab.add(lab.pod(), conf)), expected, "networks")


def test_what_cannot_be_had_is_refused_by_name_and_changes_nothing(lab):
    pod, v4 = lab.pod(), [{"cidr": "10.66.0.0/24"}]
    by_default = lab.conf(pools=POOLS)
    before = lab.snapshot(pod)
    for conf, code, words in (
            (annotated(by_default, ipv4pools='["nope"]'), 7, ["IPv4 pool nope", "ipam.pools"]),
            (annotated(by_default, ipv4pools='["six"]'), 7, ["IPv4 pool six"]),
            (annotated(by_default, ipv4pools='["a b"]'), 7, ["ipv4pools", "a b"]),
            (annotated(by_default, ipFamilies='["IPv5"]'), 7, ["ipFamilies", "IPv5"]),
            (annotated(by_default, ipFamilies='IPv4'), 7, ["ipFamilies"]),
            (annotated(lab.conf(pools=v4), ipFamilies='["IPv6"]'), 7, ["IPv6"]),
            (annotated(by_default, ipAddrsNoIpam='["10.66.0.9"]'), 2, ["ipAddrsNoIpam", "ipAddrs"]),
            (annotated(by_default, floatingIPs='["192.0.2.1"]'), 2, ["floatingIPs"]),
            (annotated(by_default, allowedSourcePrefixes='["192.0.2.0/24"]'), 2,
             ["allowedSourcePrefixes"]),
            (ipam(lab, ipv4_pools=["nope"]), 7, ["IPv4 pool nope"]),
            (ipam(lab, ipv6_pools="six"), 6, ["ipv6_pools"]),
            (ipam(lab, ipv6_pools=[1]), 7, ["ipv6_pools"]),
            (ipam(lab, assign_ipv4="no"), 6, ["assign_ipv4", "no"]),
            (ipam(lab, assign_ipv4="false", assign_ipv6="false"), 7, ["assign_ipv4"]),
            (dict(lab.conf(), ipam=lab.ipam(v4, assign_ipv6="true")), 7, ["IPv6"]),
            (dict(lab.conf(), ipam=lab.ipam(v4, assign_ipv4="false")), 7, ["no pool is left"]),
            (dict(lab.conf(), ipam=lab.ipam([dict(v4[0], name="A")])), 7, ["ipam.pools[0].name"])):
        lab.call("ADD", conf, pod).refused(code, *words)
        lab.delete(pod, conf)
    lab.unchanged(before, pod)


def test_annotations_that_say_nothing_or_limit_are_taken(lab):
    conf = annotated(lab.conf(), floatingIPs="[]", ipAddrsNoIpam="", ipFamilies="[]")
    limits = conf["runtimeConfig"]["io.kubernetes.cri.pod-annotations"]
    limits["qos.projectcalico.org/ingressBandwidth"] = "1M"
    answer = lab.call("ADD", conf, lab.pod())
    equal(answer.status, 0, "the exit status")
    true("qos.projectcalico.org/ingressBandwidth" in answer.err, "the annotation in the log",
         answer.err)
