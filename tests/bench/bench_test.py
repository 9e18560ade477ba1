# SPDX-License-Identifier: Apache-2.0
"""The benches work, and no figure of a quick run is missing or absurd."""
import subprocess
import sys

import pytest

from roostlab import ROOT


def quick(program):
    done = subprocess.run([sys.executable, f"{ROOT}/tests/bench/{program}.py", "--quick"],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    print(done.stdout)
    assert done.returncode == 0


@pytest.mark.needs("ip", "strace", "/usr/lib/cni/ptp", "/usr/lib/cni/host-local")
def test_pods():
    quick("bench")


@pytest.mark.needs("ip", "iptables", "/usr/lib/cni/portmap")
def test_host_ports():
    quick("ports_bench")


@pytest.mark.needs("bird", "etcd", "ip", "strace")
def test_clusters():
    quick("cluster_bench")


@pytest.mark.needs("bird", "ip", "ping", "/usr/lib/cni/ptp")
def test_networks():
    quick("network_bench")
