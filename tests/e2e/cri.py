# SPDX-License-Identifier: Apache-2.0
"""containerd with its CRI socket, and the pods that a kubelet would ask it for.

cri.proto is compiled into the scratch folder when the test runs; gRPC needs no generated stubs,
only the name of a method and how its two messages are written and read.
"""
import importlib
import json
import socket
import subprocess
import sys
import threading

import grpc

import e2e
import world
from e2e import Failed

PAUSE = "localhost/pause:1"
IMAGE = "localhost/busybox:1"

CONFIG = """
version = 2
root = "{scratch}/containerd"
state = "{scratch}/containerd-run"
oom_score = 0
disabled_plugins = ["io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
  "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper",
  "io.containerd.tracing.processor.v1.otlp", "io.containerd.internal.v1.tracing"]
[grpc]
  address = "{scratch}/containerd.sock"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{cni_bin}"
    conf_dir = "{net_d}"
"""


class Containerd:
    """The daemon in the node's network namespace, its clients, and the pods made through it."""

    def __init__(self, node, image_tar):
        self.node = node
        self.socket = node.scratch + "/containerd.sock"
        self.messages = _compile(node.scratch)
        with open(node.scratch + "/containerd.toml", "w") as file:
            file.write(CONFIG.format(**vars(node)))
        self.log = open(node.scratch + "/containerd.log", "w")
        self.start()
        for space in ("k8s.io", "default"):
            self.ctr("-n", space, "images", "import", "--no-unpack", image_tar)

    def start(self):
        self.daemon = subprocess.Popen(
            e2e.in_netns("node", "containerd", "-c", self.node.scratch + "/containerd.toml"),
            stdout=self.log, stderr=self.log)
        # A gRPC client that comes too early waits for seconds before its next try; so knock first.
        e2e.eventually("containerd listens", self._listens)
        self.channel = grpc.insecure_channel("unix://" + self.socket)
        e2e.eventually("containerd and its network are ready", self._is_ready)

    def kill(self):
        """The daemon is gone from one moment to the next; the shims and the pods live on."""
        self.channel.close()
        self.daemon.kill()
        self.daemon.wait()

    def _listens(self):
        with socket.socket(socket.AF_UNIX) as knock:
            return knock.connect_ex(self.socket) == 0

    def _is_ready(self):
        try:
            return all(c.status for c in self.call("Status").status.conditions)
        except Failed:
            return False

    def ctr(self, *words):
        return self.node.run("ctr", "-a", self.socket, *words)

    def call(self, method, **fields):
        """One call of the CRI; Failed, with the runtime's own sentence, when it is refused."""
        request = getattr(self.messages, method + "Request")
        answer = getattr(self.messages, method + "Response")
        stub = self.channel.unary_unary("/runtime.v1.RuntimeService/" + method,
                                        request_serializer=request.SerializeToString,
                                        response_deserializer=answer.FromString)
        try:
            return stub(request(**fields), timeout=60)
        except grpc.RpcError as why:
            raise Failed(f"{method}: {why.details()}") from None

    # --- Pods -------------------------------------------------------------------------------------

    def run_pod(self, name, annotations=None, ports=()):
        """A sandbox in the namespace `tests`; ports are pairs of a host's and a pod's port."""
        config = {"metadata": {"name": name, "uid": "uid-" + name, "namespace": "tests"},
                  "annotations": annotations or {},
                  "port_mappings": [{"host_port": h, "container_port": c} for h, c in ports],
                  "log_directory": self.node.scratch,
                  "linux": {"cgroup_parent": "/" + world.cgroup()}}
        return Pod(self, self.call("RunPodSandbox", config=config).pod_sandbox_id, config)

    def in_parallel(self, action, items):
        """Runs action(item) for each item at once; the results in order, or the first failure."""
        results = [None] * len(items)

        def one(index, item):
            try:
                results[index] = action(item)
            except Failed as why:
                results[index] = why
        threads = [threading.Thread(target=one, args=pair) for pair in enumerate(items)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for result in results:
            if isinstance(result, Failed):
                raise result
        return results

    def remove_all(self):
        for sandbox in self.call("ListPodSandbox").items:
            Pod(self, sandbox.id).remove()


class Pod:
    """One sandbox and, when asked for, one container in it."""

    def __init__(self, containerd, ident, config=None):
        self.containerd, self.id, self.config = containerd, ident, config

    def status(self, **more):
        return self.containerd.call("PodSandboxStatus", pod_sandbox_id=self.id, **more)

    def addresses(self):
        network = self.status().status.network
        return [network.ip] + [more.ip for more in network.additional_ips]

    def netns(self):
        info = json.loads(self.status(verbose=True).info["info"])
        spaces = info["runtimeSpec"]["linux"]["namespaces"]
        return next(s["path"] for s in spaces if s["type"] == "network")

    def start_container(self, *command):
        call = self.containerd.call
        config = {"metadata": {"name": "main"}, "image": {"image": IMAGE}, "command": command,
                  "log_path": self.id + ".log"}
        self.container = call("CreateContainer", pod_sandbox_id=self.id, config=config,
                              sandbox_config=self.config).container_id
        call("StartContainer", container_id=self.container)
        return self

    def inside(self, *command):
        done = self.containerd.call("ExecSync", container_id=self.container, cmd=command,
                                    timeout=20)
        said = done.stdout.decode() + done.stderr.decode()
        if done.exit_code != 0:
            raise Failed(f"`{' '.join(command)}` in the pod exits {done.exit_code}: {said}")
        return said

    def stop(self):
        self.containerd.call("StopPodSandbox", pod_sandbox_id=self.id)

    def remove(self):
        self.stop()
        self.containerd.call("RemovePodSandbox", pod_sandbox_id=self.id)


def _compile(scratch):
    folder = __file__.rpartition("/")[0]
    e2e.run("protoc", "-I", folder, "--python_out", scratch, "cri.proto")
    sys.path.insert(0, scratch)
    return importlib.import_module("cri_pb2")
