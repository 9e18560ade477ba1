# SPDX-License-Identifier: Apache-2.0
"""A node of a cluster with a runtime: its network configuration appears when pods can be started, and not
before; it is put back, and left behind; what an upgrade and a kubelet ask the agent."""
import json
import os
import pathlib
import signal

import pytest

from lab import BIN, Cluster, PROGRAMS, equal, resource, step, true, until

pytestmark = pytest.mark.needs(*PROGRAMS)

TEXT = json.dumps({"cniVersion": "1.0.0", "cniVersions": ["0.3.1", "1.0.0", "1.1.0"], "name": "roost",
                   "plugins": [{"type": "roost", "ipam": {"type": "roost-ipam"}}]}, indent=1)


class Runtime:
    """What a runtime has on a node: its folder of configurations."""

    def __init__(self, node):
        self.node = node
        self.folder = pathlib.Path(node.dir, "cni/net.d")
        self.file = self.folder / "10-roost.conflist"
        self.template = pathlib.Path(node.dir, "10-roost.conflist")
        self.template.write_text(TEXT)
        node.configure(conflist={"file": str(self.file), "template": str(self.template)})

    def has(self, text=TEXT):
        return self.file.exists() and self.file.read_text() == text

    def comes(self, what, text=TEXT):
        until(lambda: self.has(text), what)

    def problems(self):
        return "\n".join(self.node.status().get("problems", ()))


def probe(node, option):
    """Exit status and sentence of a probe, as a kubelet asks."""
    done = node.ctl("status", option, ok=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def lacks(node):
    return node.status().get("lacks")


def test_the_configuration_of_the_runtime_appears_last():
    with Cluster(nodes=1, start=False, pools=False) as c:
        node = c.nodes[0]
        runtime = Runtime(node)
        equal(probe(node, "--live")[0], 1, "nobody is alive:")
        c.store.start()
        node.agent.start()
        until(lambda: probe(node, "--live")[0] == 0, "the agent to answer")
        until(lambda: lacks(node) == "BIRD does not answer", "the agent to miss BIRD")
        equal(probe(node, "--ready"), (1, "roostctl: not ready: BIRD does not answer"), "without BIRD:")
        node.bird.start()
        until(lambda: lacks(node) == "this node has no block of addresses yet", "the agent to miss a block")
        true(not runtime.file.exists(), "no configuration without a block")
        step("an agent, and BIRD, and no pool: alive, not ready, no configuration")

        c.apply(*c.manifest())
        runtime.comes("the configuration, as the node has a block")
        equal(set(os.listdir(runtime.folder)), {runtime.file.name}, "nothing else in the folder:")
        until(lambda: probe(node, "--ready") == (0, "ready"), "the node to be ready")
        true(node.announced(4), "the block to be BIRD's")
        node.add_pod()


def test_a_node_is_ready_with_a_block_of_each_family_that_its_pools_have():
    with Cluster(nodes=2, start=False, pools=False) as c:
        one, two = c.nodes
        c.store.start()
        four, six = c.manifest()
        six["spec"] |= {"cidr": "fd66::/122", "blockSize": 122}
        c.apply(four, six, resource("IPAMConfiguration", "default", strictAffinity=True))
        one.start()
        until(lambda: one.announced(6), "the only block of IPv6 to be the first node's")
        two.start()
        until(lambda: two.announced(4), "a block of IPv4 of the second node")
        until(lambda: lacks(two) == "this node has no block of IPv6 addresses yet", "the second node to miss a block")
        equal(probe(two, "--ready")[0], 1, "the second node is ready:")
        until(lambda: lacks(one) is None, "the first node to be ready")
        six["spec"]["nodeSelector"] = f"kubernetes.io/hostname == '{one.name}'"
        c.apply(six)
        until(lambda: lacks(two) is None, "the second node, for which there is no pool of IPv6, to be ready")


def test_the_configuration_is_put_back_and_left_behind():
    with Cluster(nodes=1, store="etcd", start=False) as c:
        node = c.nodes[0]
        runtime = Runtime(node)
        c.store.start()
        c.apply(*c.manifest())
        node.start()
        runtime.comes("the configuration")
        step("somebody deletes it, changes it, removes the folder")
        runtime.file.unlink()
        runtime.comes("the configuration to come back")
        true("put right: " in node.agent.said() and "which somebody deleted" in node.agent.said(), "the log to say so")
        runtime.file.write_text("{}")
        runtime.comes("the configuration to be as it was")
        runtime.file.unlink()
        runtime.folder.rmdir()
        node.sync()
        runtime.comes("the configuration to come back with its folder")
        until(lambda: "again and again" in runtime.problems(), "the fight to be a problem")

        step("the same while the store is away")
        c.store.kill()
        until(lambda: node.status()["store"]["trouble"], "the store to be away")
        runtime.file.unlink()
        runtime.comes("the configuration to come back without the store")
        equal(probe(node, "--ready"), (0, "ready"), "a node that lost the store is served:")

        step("a new template")
        fresh = TEXT.replace("1.1.0", "1.1.0 ")
        runtime.template.write_text(fresh)
        node.sync()
        runtime.comes("the new text", fresh)
        runtime.template.write_text('{"plugins": [{"type": "bridge"}]}')
        node.sync()
        until(lambda: 'has no plugin of the type "roost"' in runtime.problems(), "a foreign template to be refused")
        true(runtime.has(fresh), "the text to stay")
        runtime.template.write_text(fresh)

        step("the agent ends and starts, without the store")
        node.agent.stop()
        true(runtime.has(fresh), "the configuration to stay behind")
        node.agent.start()
        until(lambda: probe(node, "--live")[0] == 0, "the agent to answer")
        equal(probe(node, "--ready")[0], 1, "the store was not read yet:")
        true(runtime.has(fresh), "the configuration to stay")
        runtime.file.unlink()
        runtime.comes("what was there when the agent began to come back", fresh)


def test_configurations_of_others_are_named():
    with Cluster(nodes=1, start=False) as c:
        node = c.nodes[0]
        runtime = Runtime(node)
        runtime.folder.mkdir(parents=True)
        (runtime.folder / "99-loopback.conf").write_text('{"cniVersion": "1.0.0", "type": "loopback"}')
        (runtime.folder / "05-other.conflist").write_text('{"plugins": [{"type": "bridge"}]}')
        (runtime.folder / "87-podman-bridge.conflist").write_text('{"plugins": [{"type": "bridge"}, {"type": "portmap"}]}')
        (runtime.folder / "README").write_text("no configuration")
        c.store.start()
        c.apply(*c.manifest())
        node.start()
        runtime.comes("the configuration")
        until(lambda: f"pods get another network: {runtime.folder}/05-other.conflist comes before 10-roost.conflist"
              in runtime.problems(), "the one before ours to be named")
        true(f"{runtime.folder}/87-podman-bridge.conflist is another network's" in runtime.problems(),
             "the one beside ours to be named", runtime.problems())
        true("loopback" not in runtime.problems(), "nothing to be said of the loopback", runtime.problems())
        for name in ("05-other.conflist", "87-podman-bridge.conflist"):
            (runtime.folder / name).unlink()
        until(lambda: not runtime.problems(), "the problems to be over")


def test_a_folder_that_cannot_be_written_is_said():
    with Cluster(nodes=1, start=False) as c:
        node = c.nodes[0]
        runtime = Runtime(node)
        runtime.folder.parent.mkdir()
        runtime.folder.write_text("a file")
        c.store.start()
        c.apply(*c.manifest())
        node.start()
        until(lambda: "cannot be put in place" in runtime.problems(), "the obstacle to be said")
        equal(lacks(node), "the runtime's network configuration is not in place", "what is missing:")
        runtime.folder.unlink()
        node.sync()
        runtime.comes("the configuration, as soon as nothing is in the way")


def test_a_frozen_agent_is_not_alive():
    with Cluster(nodes=1) as c:
        node = c.nodes[0]
        until(lambda: probe(node, "--ready")[0] == 0, "the node to be ready")
        node.bird.signal(signal.SIGSTOP)
        until(lambda: lacks(node) == "BIRD does not answer", "the agent to miss BIRD")
        equal(probe(node, "--live")[0], 0, "an agent without BIRD is alive:")
        node.bird.signal(signal.SIGCONT)
        until(lambda: probe(node, "--ready")[0] == 0, "the node to be ready again")
        node.agent.freeze()
        done = node.ctl("status", "--live", "--timeout", "500ms", ok=False)
        node.agent.thaw()
        equal(done.returncode, 1, f"a frozen agent is not alive ({done.stderr.strip()}):")


def test_executables_are_put_in_place():
    with Cluster(nodes=1, start=False, pools=False) as c:
        node = c.nodes[0]
        folder = pathlib.Path(node.dir)
        source, target = folder / "from", folder / "host/opt/cni/bin"
        source.mkdir()
        for name in ("roost", "roost-ipam"):
            (source / name).write_bytes(pathlib.Path(BIN, name).read_bytes())
        (target / "roost").mkdir(parents=True)
        done = node.ctl("node", "install", str(source), str(target), ok=False)
        true(done.returncode == 1 and f"{target}/roost" in done.stderr, "a folder in the way to be named", done.stderr)
        (target / "roost").rmdir()
        (target / "bridge").write_text("somebody else's")
        equal(node.ctl("node", "install", str(source), str(target)).splitlines(),
              [f"{target}/roost installed", f"{target}/roost-ipam installed"], "what was done:")
        equal(sorted(os.listdir(target)), ["bridge", "roost", "roost-ipam"], "the folder:")
        for name in ("roost", "roost-ipam"):
            equal((target / name).stat().st_mode & 0o7777, 0o755, f"the mode of {name}:")
        before = (target / "roost").stat().st_ino
        running = (target / "roost").open("rb")  # as a process that runs it
        true("is there already" in node.ctl("node", "install", str(source), str(target)), "nothing to be done again")
        equal((target / "roost").stat().st_ino, before, "the file that was the same:")
        (source / "roost").write_bytes(b"#!/bin/false\n")
        node.ctl("node", "install", str(source), str(target))
        true((target / "roost").stat().st_ino != before and len(running.read()) > 1000, "another file in its place")
        running.close()
        done = node.ctl("node", "install", str(folder / "none"), str(target), ok=False)
        true(done.returncode == 1 and "cannot open folder" in done.stderr, "a missing folder to be named", done.stderr)


def test_the_first_pools_are_made_once():
    pools = [resource("IPPool", "default", cidr="100.66.0.0/16", blockSize=26),
             resource("IPPool", "default6", cidr="fd66::/48", blockSize=122)]
    with Cluster(nodes=3, store="etcd", start=False) as c:
        for node in c.nodes:
            file = pathlib.Path(node.dir, "pools.json")
            file.write_text(json.dumps(pools))
            node.configure(firstPools=str(file), idleBlockSeconds=1)
        c.store.start()
        for node in c.nodes:
            node.start()
        c.wait_converged()
        node = c.nodes[0]
        equal([p["metadata"]["name"] for p in node.ask("get", "ippools")["items"]], ["default", "default6"], "the pools:")
        until(lambda: len(node.ask("get", "ipamconfigurations")["items"]) == 1, "the mark")

        step("people delete one and change the other: agents that start anew leave that")
        c.apply(resource("IPPool", "default6", cidr="fd66::/48", blockSize=122, disabled=True))
        until(lambda: node.ctl("delete", "ippool", "default6", ok=False).returncode == 0, "the pool to be deleted")
        c.apply(resource("IPPool", "default", cidr="100.66.0.0/16", blockSize=26, natOutgoing=True))
        for n in c.nodes:
            n.agent.stop()
            n.agent.start()
        c.families = (4,)
        c.started()
        left = node.ask("get", "ippools")["items"]
        equal([(p["metadata"]["name"], p["spec"]["natOutgoing"]) for p in left], [("default", True)], "what people want:")


def test_a_wrong_file_of_first_pools_is_named():
    with Cluster(nodes=1, start=False, pools=False) as c:
        node = c.nodes[0]
        file = pathlib.Path(node.dir, "pools.json")
        file.write_text(json.dumps([resource("IPPool", "default", cidr="100.66.0.0/16", blokSize=26)]))
        node.configure(firstPools=str(file))
        c.store.start()
        node.start()
        until(lambda: any(f"the first pools cannot be made: {file}" in p for p in node.status().get("problems", ())),
              "the mistake to be named")
        file.write_text(json.dumps([resource("IPPool", "default", cidr="100.66.0.0/16", blockSize=26)]))
        node.sync()
        until(lambda: node.announced(4), "a block of the pool")


# As a container that is not privileged: its /proc/sys is read-only, and maybe the host's is there, too.
CONTAINER = ('mkdir -p /run/host/proc/sys/net && {} mount --bind /proc/sys /proc/sys && '
             'mount -o remount,ro,bind /proc/sys && exec "$@"')
HOSTS = "mount --bind /proc/sys/net /run/host/proc/sys/net &&"


def test_an_agent_in_a_container_changes_the_settings_of_its_host():
    with Cluster(nodes=2, encap="vxlan", start=False) as c:
        inside, outside = c.nodes
        inside.agent.wrapper = ("unshare", "--mount", "sh", "-c", CONTAINER.format(HOSTS), "sh")
        outside.agent.wrapper = ("unshare", "--mount", "sh", "-c", CONTAINER.format(""), "sh")
        for node in c.nodes:
            node.ns.set_sysctl("ipv4/ip_forward", 0)
            node.ns.set_sysctl("ipv6/conf/all/forwarding", 0)
        c.store.start()
        c.apply(*c.manifest())
        for node in c.nodes:
            node.start()
        until(lambda: inside.ns.get_sysctl("ipv4/ip_forward") == "1", "IPv4 forwarding through the host's folder")
        until(lambda: inside.ns.get_sysctl("ipv6/conf/all/forwarding") == "1", "IPv6 forwarding through it")
        until(lambda: any("cannot be written: Read-only file system" in p for p in outside.status().get("problems", ())),
              "an agent without it to say so")
        equal(outside.ns.get_sysctl("ipv4/ip_forward"), "0", "what it could not change:")
