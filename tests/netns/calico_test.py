# SPDX-License-Identifier: Apache-2.0
"""Network configurations and pods' annotations as they were written for Calico's plugin.

What is served is seen in the kernel; what would change something and cannot be served is refused
by name; what has no meaning here is named once in the log.
"""

import os

import pytest

from roostlab import BIN, equal, true

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
    path = f"{lab.dir}/cni.log"
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
