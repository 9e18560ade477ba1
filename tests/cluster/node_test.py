# SPDX-License-Identifier: Apache-2.0
"""One node and what happens to it: a reboot while the store is away, another address, DEL with and
without its agent, and what its agent says about obstacles it cannot remove itself."""
import json
import os
import shutil
import signal
import subprocess
import sys

import pytest

import lab
import traffic
from lab import BIN, Cluster, PROGRAMS, Process, equal, inside, resource, step, true, until, until_it_passes

pytestmark = pytest.mark.needs(*PROGRAMS)


def test_a_node_that_boots_without_the_store_waits_for_it():
    with Cluster(encap="vxlan-cross-subnet", store="etcd") as c:
        c.started()
        node = c.nodes[2]
        blocks = {f: node.blackholes(f) for f in c.families}
        c.store.kill()
        node.reboot()
        node.bird.start()
        until(lambda: node.birdc("show status"), "BIRD to run without our file")
        node.agent.start()
        until(node.status, "the agent to answer")
        pod = node.new_pod()
        refusal = node.call("ADD", pod).refused(11)
        step(f"ADD: {refusal['msg']}; {refusal.get('details', '')}")
        refusal = node.call("STATUS", None, "1.1.0").refused(50)
        step(f"STATUS: {refusal['msg']}; {refusal.get('details', '')}")
        for family in c.families:
            equal(node.blackholes(family), [], "blocks in use before the store was asked:")

        c.store.start()
        until(node.ready, "the node to be ready with the store")
        node.add(pod)
        c.wait_converged()
        for family in c.families:
            equal(node.blackholes(family), blocks[family], "the blocks after the reboot")
        c.matrix()
        step("the store is back: the same blocks, and everybody is reached")


def test_a_node_that_trusts_its_last_blocks_boots_without_the_store():
    with Cluster(encap="vxlan-cross-subnet", store="etcd",
                 settings={"trustLastBlocks": True}) as c:
        c.started()
        node = c.nodes[2]
        blocks = {f: node.blackholes(f) for f in c.families}
        c.store.kill()
        node.reboot()
        node.start()
        until(node.ready, "the node to be ready without the store")
        pod = node.add_pod()
        for family in c.families:
            true(node.blackholes(family) and
                 set(node.blackholes(family)) <= set(blocks[family]), "its last known blocks",
                 node.blackholes(family))
        step(f"{pod.ip4} without the store")
        c.store.start()
        c.wait_converged()
        c.matrix()
        node.consistent()


def test_a_clone_does_not_trust_the_last_blocks_of_its_original():
    """It boots without the store, so nobody can tell it that the original lives."""
    with Cluster(encap="none", families=(4,), store="etcd", nodes=2, subnets=1,
                 settings={"trustLastBlocks": True}) as c:
        c.started()
        node = c.nodes[1]
        c.store.kill()
        node.reboot()
        with open(f"{node.data}/blocks.json") as f:
            known = json.load(f)
        if not known["machine"]:
            step("this machine has neither a machine-id nor a board with one: nothing tells clones apart")
            return

        def written_on(machine):
            with open(f"{node.data}/blocks.json", "w") as f:
                json.dump({**known, "machine": machine}, f)

        written_on("0123456789abcdef0123456789abcdef")
        node.start()
        step(until(lambda: problem(node, "those of another machine"), "it to say it"))
        node.call("ADD", node.new_pod()).refused(11)
        equal(node.blackholes(), [], "blocks in use")
        node.agent.stop()
        written_on(known["machine"])
        node.agent.start()
        until(node.ready, "the machine itself to trust them")
        node.add_pod()


def test_a_node_that_trusts_its_last_blocks_says_which_blackhole_is_missing():
    with Cluster(encap="vxlan-cross-subnet", families=(4,), store="etcd",
                 settings={"trustLastBlocks": True}) as c:
        c.started()
        node = c.nodes[2]
        blocks = node.blackholes()
        c.store.kill()
        node.reboot()
        node.ns.ip(f"route add blackhole {blocks[0]}")
        node.start()

        def said():
            return [p for p in node.status().get("problems", [])
                    if "somebody else's route has the place of a block's blackhole" in p]

        step(until(said, "the problem to be said")[0])
        true(blocks[0] not in node.blackholes(), "the place to be taken")
        node.ns.ip(f"route del blackhole {blocks[0]} proto boot")
        node.sync()
        until(lambda: node.blackholes() == blocks, "the blackhole to be made after all")
        until(lambda: not said(), "the problem to be over")
        step("still without the store: made as soon as the place is free")


def problem(node, *words):
    """The problem of its status with these words, or None."""
    return next((p for p in node.status().get("problems", []) if all(w in p for w in words)), None)


def test_a_clone_of_a_machine_is_refused_and_both_say_so():
    """Two containers on one kernel, which tells them apart least of all: also the boot id is the same,
    so the clone has even the original's node state."""
    with Cluster(nodes=2, encap="none", subnets=1, families=(4,), start=False) as c:
        node, clone = c.nodes
        c.apply(*c.manifest())
        node.start()
        until(node.ready, "the node to be ready")
        pod = node.add_pod()
        blocks = node.blackholes()
        shutil.copytree(node.data, clone.data)
        shutil.copytree(node.state, clone.state)
        clone.configure(node=node.name)
        late = clone.new_pod()
        refusal = clone.call("ADD", late).refused(11)
        true("another network namespace" in refusal["msg"], "the copied state to be named", refusal)
        clone.start()
        step(until(lambda: problem(clone, "runs on another machine"), "the clone to say it"))
        step(until(lambda: problem(node, "has a copy of this one's data folder"),
                   "the original to say it"))
        refusal = clone.call("ADD", late).refused(11)
        step(f"ADD: {refusal['msg']}; {refusal.get('details', '')}")
        true("runs on another machine" in clone.agent.said(), "the clone's log to say it",
             clone.agent.said())
        equal(clone.blackholes(), [], "the blocks that the clone uses:")
        node.agent.must_run()
        later = node.add_pod()
        equal(node.blackholes(), blocks, "the blocks of the original:")
        true(traffic.answers(pod.path, later.ip4), "its pods to reach each other")
        true(node.address[4] in node.ctl("get", "node", node.name, "-o", "yaml"),
             "the Node document to be the original's")

        node.agent.stop()
        node.agent.start()
        until(node.ready, "the original to be back after a restart")
        until(lambda: problem(clone, "runs on another machine"), "the clone to be refused still")
        clone.agent.stop()
        until(lambda: node.status() and not problem(node, "another machine"),
              "the original's problem to be over")
        node.consistent()


def test_a_machine_that_lost_its_power_has_its_name_again():
    """Its heartbeat is young, and of another boot. It waits until it is sure, and says so."""
    with Cluster(nodes=2, encap="none", subnets=1, families=(4,)) as c:
        c.started()
        node = c.nodes[0]
        blocks = node.blackholes()
        node.reboot()
        node.start()
        step(until(lambda: problem(node, "was last run in another boot"), "the node to wait"))
        until(node.ready, "the node to be ready")
        until(lambda: node.blackholes() == blocks, "its blocks")
        node.add_pod()
        c.wait_converged()
        c.matrix()


def test_settings_that_need_a_start_are_named_after_a_reload():
    with Cluster(nodes=1, encap="none", families=(4,)) as c:
        node = c.nodes[0]
        until(node.ready, "the node to be ready")
        node.configure(heartbeatSeconds=2, headroom=17)
        node.agent.signal(signal.SIGHUP)
        said = until(lambda: problem(node, "from the next start only"), "the agent to say it")
        true("heartbeatSeconds" in said and "headroom" not in said, "the setting's name", said)
        node.configure(heartbeatSeconds=1)
        node.agent.signal(signal.SIGHUP)
        until(lambda: node.status() and not problem(node, "next start"), "it to be over")


def test_one_state_folder_that_cannot_be_read_stops_no_other():
    with Cluster(nodes=2, encap="none", subnets=1, families=(4,), start=False) as c:
        node, other = c.nodes
        c.apply(*c.manifest())
        second = f"{node.dir}/second"
        node.configure(stateDirs=[node.state, second])
        node.start()
        until(node.ready, "the node to be ready")
        pod = node.new_pod()
        until(lambda: node.call("ADD", pod, stateDir=second).status == 0, "ADD of the second folder")
        before = until(lambda: len(node.blackholes()) == 2 and node.blackholes(), "both blocks")
        os.rename(second, f"{second}.aside")
        with open(second, "w"):
            pass
        step(until(lambda: problem(node, "cannot be read, and counts as it was"), "it to be said"))
        other.start()  # what happens meanwhile is followed, and both blocks are told
        until(other.ready, "the other node to be ready")
        until(lambda: set(before) <= set(other.bird_routes()), "the other node to reach both blocks")
        node.add_pod()
        equal(node.blackholes(), before, "the blocks")
        warnings = [l for l in node.agent.said().splitlines() if "warning" in l and "second" in l]
        equal(len(warnings), 1, f"warnings about it, {warnings}:")
        os.unlink(second)
        os.rename(f"{second}.aside", second)
        until(lambda: node.status() and not problem(node, "counts as it was"), "it to be over")


def called(node, host):
    """From its next start on the node's programs see this name of the host."""
    node.wrapper[:] = ["unshare", "--uts", "sh", "-c", 'hostname "$0" && exec "$@"', host]


def test_a_host_that_gets_another_name_stays_the_node_that_it_was():
    with Cluster(nodes=2, encap="vxlan", families=(4,), start=False) as c:
        node, other = c.nodes
        c.apply(*c.manifest(), resource("IPAMConfiguration", "default", ipCooldownSeconds=0))
        del node.settings["node"]
        node.configure()
        called(node, node.name)
        for n in c.nodes:
            n.start()
        c.started()
        blocks = node.blackholes()
        node.agent.stop()
        called(node, "renamed")
        with c.pinger() as pinger:
            pinger.goes_on()
            node.agent.start()
            said = until(lambda: problem(node, "this machine was node1", "renamed"), "the problem")
            step(said)
            true("remove" not in said, "nobody to be told to remove it", said)
            until(node.ready, "the node to be ready")
            node.add_pod()
            c.wait_converged()
            c.matrix()
            pinger.goes_on()
        pinger.lost_nothing()
        equal(node.blackholes(), blocks, "its blocks")
        true("renamed" not in other.ctl("node", "list"), "no other node to be there")

        node.agent.stop()
        node.configure(node="chosen")  # while it has pods
        node.agent.start()
        step(until(lambda: problem(node, "this machine was node1", "not as chosen"), "it to go on"))
        c.matrix()
        node.ctl("node", "drain", "node1")
        for pod in list(node.pods.values()):
            node.del_pod(pod)
        until(lambda: not node.blackholes(), "its blocks to go back")
        node.agent.stop()
        other.ctl("node", "remove", "node1")
        node.agent.start()
        until(lambda: "chosen" in node.ctl("get", "nodes"), "the new name to be taken")
        equal(node.status()["problems"], [], "problems after the move")
        until(node.blackholes, "blocks of its own")
        node.name = "chosen"
        node.add_pod()
        c.wait_converged()
        c.matrix()


def test_no_pod_gets_the_address_of_a_tunnel_that_was_released_by_force():
    """Neither while the agent is stopped, so that the device has it, nor while it takes a new one."""
    with Cluster(nodes=2, encap="vxlan", families=(4,), pools=False, start=False,
                 settings={"headroom": 1}) as c:
        c.apply(c.pool("small", "100.66.0.0/28", 30),
                resource("IPAMConfiguration", "default", ipCooldownSeconds=0))
        for node in c.nodes:
            node.start()
        node = c.nodes[0]
        address = until(node.vtep, "the device to have its address")
        until(node.ready, "the node to be ready")
        done = node.ctl("ipam", "release", address, ok=False)
        equal(done.returncode, 1, "the status without --force")
        true("--force" in done.stderr, "what to do", done.stderr)

        def exhaust():
            while True:
                pod = node.new_pod()
                answer = node.try_add(pod)
                if answer.status:
                    return answer.refused(11)
                true(pod.ip4 != node.vtep(), f"no pod to have {node.vtep()}", pod.ip4)

        node.agent.freeze()
        node.ctl("ipam", "release", "--force", address)
        equal(node.vtep(), None, "the address of the device, before somebody else may have it:")
        step(exhaust()["msg"])
        node.agent.thaw()
        until(node.vtep, "the agent to take another one for it")
        exhaust()
        until_it_passes(node.consistent, "the node to be consistent")
        true(node.vtep() not in {p.ip4 for p in node.pods.values()}, "no pod to have it", node.vtep())


def test_however_many_problems_there_are_they_are_counted():
    with Cluster(nodes=1, encap="none", families=(4,)) as c:
        c.started()
        node = c.nodes[0]
        for i in range(40):
            c.store.put(f"resources/ippools/wrong-{i:02}".encode(), b"{}")

        def listed():
            return json.loads(node.ctl("-o", "json", "node", "list"))[0]

        until(lambda: listed()["problemCount"] == 40, "node list to count all of them")
        equal(len(listed()["problems"]), 8, "the sentences of the status document:")
        equal(listed()["problems"][-1], "and 33 more", "the last of them:")
        status = node.status()
        equal(status["problemCount"], 40, "the agent's own count:")
        equal(len(status["problems"]), 25, "the sentences of the agent's answer:")
        equal(status["problems"][-1], "and 16 more", "the last of them:")
        until(lambda: "and 16 more problems" in node.agent.said(), "the log to say it")
        for i in range(40):
            c.store.delete(f"resources/ippools/wrong-{i:02}".encode())
        until(lambda: listed()["problemCount"] == 0, "the problems to be over")


def test_a_node_with_another_address_is_followed():
    with Cluster(encap="vxlan-cross-subnet", families=(4,)) as c:
        c.started()
        node = c.nodes[2]
        node.ns.ip("addr del 10.1.1.13/24 dev eth0", "addr add 10.1.1.33/24 dev eth0",
                   "route replace default via 10.1.1.1")
        node.address[4] = "10.1.1.33"
        c.wait_converged()
        until(lambda: "10.1.1.33" in c.nodes[0].ctl("node", "show", "node3"),
              "the Node to have the new address")
        c.matrix()
        step("everybody follows")


def test_an_uplink_that_goes_and_comes_is_survived():
    with Cluster(encap="vxlan", families=(4,)) as c:
        c.started()
        node = c.nodes[0]
        node.ns.ip("link set eth0 down")
        other = next(iter(c.nodes[1].pods.values()))
        true(not traffic.answers(other.path, next(iter(node.pods.values())).ip4),
             "no answer from behind a cut uplink")
        node.agent.must_run()
        pod = node.add_pod()
        node.del_pod(pod)
        node.ns.ip("link set eth0 up", "route replace default via 10.1.1.1")
        c.wait_converged()
        until(lambda: c.matrix(), "every probe to pass again")


def test_links_of_deleted_pods_go_at_once_or_soon():
    with Cluster(nodes=1, encap="none", subnets=1) as c:
        node = c.nodes[0]
        until(node.ready, "the node to be ready")
        keeper = node.add_pod()

        def gone(pod):
            """What DEL itself must have done, agent or not."""
            for family in c.families:
                true(pod.ip(family) not in node.used(), "the address to be released", pod.ip(family))
                true(not traffic.answers(keeper.path, pod.ip(family)), "no answer from it")

        with c.pinger_within([keeper, node.add_pod()]) as pinger:
            for _ in range(5):
                pod = node.add_pod()
                link = pod.host_link()
                node.del_pod(pod, keep_namespace=True)
                shown = node.ns.link(link)
                true(not shown or "UP" not in shown["flags"], "the link gone, or down", shown)
                node.add(pod)  # into the same namespace under the same name, without a pause
                traffic.icmp(keeper.path, pod.ip4)
                node.del_pod(pod)
            pods = [node.add_pod() for _ in range(10)]
            for pod in pods:
                node.del_pod(pod)
            until(lambda: len(node.host_links()) == 2, "the agent to delete the links")
            step("with the agent: deleted soon")

            pod = node.add_pod()
            node.agent.freeze()  # it holds its lock, but deletes nothing
            node.del_pod(pod)
            gone(pod)
            node.add(node.new_pod("again"))
            node.agent.kill()
            last = node.add_pod()
            node.del_pod(last)
            true(last.host_link() not in node.host_links(), "DEL to delete the link itself",
                 node.host_links())
            true(pod.host_link() not in node.host_links() or
                 pod.host_link() in {p.host_link() for p in node.pods.values()},
                 "links that a dead agent left to be swept", node.host_links())
            step("without the agent: deleted by DEL")
        pinger.lost_nothing()
        node.consistent()


def test_obstacles_are_named_in_status():
    with Cluster(nodes=2, encap="vxlan", families=(4,)) as c:
        c.started()
        node = c.nodes[0]

        def says(*words):
            node.sync()
            text = node.status_text()
            for word in words:
                true(word.lower() in text.lower(), f"{word!r} in roostctl status", text)
            return True

        # Docker's.
        node.run("nft", "add table ip filter; add chain ip filter FORWARD "
                 "{ type filter hook forward priority 0; policy drop; }")
        until(lambda: says("FORWARD", "drop"), "status to tell of the FORWARD policy")
        node.run("nft", f"add rule ip filter FORWARD ip saddr {lab.POOL4} accept; "
                 f"add rule ip filter FORWARD ip daddr {lab.POOL4} accept")
        until(lambda: node.sync() or "FORWARD" not in node.status_text(),
              "status to be content again")
        node.run("nft", "delete table ip filter")
        step("FORWARD policy: named, and no longer when mended")

        # Two nodes that say they have one address.
        twin = resource("Node", "impostor", bgp={"ipv4Address": f"{node.ip(4)}/24"})
        refused = node.ctl("apply", "-f", "-", stdin=json.dumps(twin), ok=False)
        equal(refused.returncode, 1, "the exit status of roostctl apply")
        true(node.name in refused.stderr, "the refusal to name the node", refused.stderr)
        c.store.put("resources/nodes/impostor", json.dumps(twin).encode())
        until(lambda: says("impostor", node.ip(4)), "status to tell of the other node")
        c.store.delete("resources/nodes/impostor")
        until(lambda: "impostor" not in node.status_text(), "status to be content again")
        c.wait_converged()
        step("another node with this one's address: named")

        # BIRD refuses what the operator wrote: the old configuration stays in force.
        broken = f"{node.dir}/bird.d/broken.conf"
        with open(broken, "w") as f:
            f.write("protocol nonsense {\n")
        with c.pinger() as pinger:
            c.apply(c.pool("second", "100.77.0.0/24", 26))
            until(lambda: says("BIRD", "broken.conf"), "status to tell why BIRD refuses")
            step("refused configuration: " + next(
                l.strip() for l in node.status_text().splitlines() if "broken.conf" in l))
            pinger.goes_on()
        pinger.lost_nothing()
        os.unlink(broken)
        until(lambda: "broken.conf" not in node.status_text(), "BIRD to take it again")
        c.matrix()

        os.unlink(node.bird_file)
        c.apply(c.pool("third", "100.78.0.0/24", 26))
        until(lambda: os.path.exists(node.bird_file), "the file to be written again")

        node.bird.kill()
        until(lambda: says("BIRD"), "status to tell that BIRD is away")
        node.start_bird()
        c.wait_converged()
        c.matrix()


def test_a_node_that_was_applied_is_unchanged_beside_its_living_agent():
    """Labels, an export, a drain: no writer of the document undoes another one."""
    with Cluster(nodes=1, encap="vxlan", subnets=1) as c:
        c.started()
        node = c.nodes[0]

        def apply(text):
            return node.ctl("apply", "-f", "-", stdin=text).split()[-1]
        labels = json.dumps({**resource("Node", node.name), "metadata": {
            "name": node.name, "labels": {"rack": "r1"}}})
        equal(apply(labels), "configured", "the first apply")
        node.sync()
        equal(apply(labels), "unchanged", "the second one, after the agent has looked")
        export = node.ctl("get", "node", node.name, "-o", "yaml")
        true("kubernetes.io/hostname" in export, "the agent's label beside ours", export)
        equal(apply(export), "unchanged", "an export that is applied")
        equal(node.ctl("diff", "-f", "-", stdin=export), "", "its difference")
        node.ctl("node", "drain", node.name)
        node.sync()
        for text in (labels, export):
            equal(apply(text), "unchanged", "a file that says nothing of drain")
        true("drain: true" in node.ctl("get", "node", node.name, "-o", "yaml"), "a node that stays drained")
        node.ctl("node", "undrain", node.name)
        node.sync()
        equal(apply(labels), "unchanged", "the file after undrain")


def test_a_second_agent_of_one_kernel_is_refused_whatever_it_calls_its_own():
    """Two clusters on one machine: nothing of the second one's settings is the first one's."""
    with Cluster(nodes=2, encap="vxlan", families=(4,)) as c:
        c.started()
        node, other = c.nodes
        folder = f"{c.dir}/stranger"
        os.makedirs(folder)
        with open(f"{folder}/roostd.json", "w", encoding="utf8") as f:
            json.dump({**node.settings, "node": "stranger", "store": f"file:{folder}/store", "stateDirs": [f"{folder}/state"],
                       "dataDir": f"{folder}/data", "socket": f"{folder}/agent.sock",
                       "bird": {"file": f"{folder}/bird.conf", "socket": f"{folder}/bird.ctl", "include": folder, "group": ""}}, f)
        second = Process("the second roostd", node.ns, f"{folder}/log", [f"{BIN}/roostd", "--config", f"{folder}/roostd.json"])
        routes = node.run("ip", "route")
        second.start()
        equal(second.wait("to end"), 1, "its status")
        for words in (f"another roostd (process {node.agent.pid})", "network namespace"):
            true(words in second.said(), words, second.said())
        equal(node.run("ip", "route"), routes, "the routes of the first")
        c.matrix()
        # In a namespace of its own, or after the first one, it is an agent like any other.
        node.agent.kill()
        second.start()
        until(lambda: os.path.exists(f"{folder}/agent.sock"), "the second one to run")
        second.stop()
        node.agent.start()
        until(node.ready, "the first one to be ready again")
        c.wait_converged()
        c.matrix()


def test_what_another_user_holds_is_no_agent():
    with Cluster(nodes=1, families=(4,), start=False) as c:
        node, = c.nodes
        c.store.start()
        c.apply(*c.manifest())
        holds = ("import os, socket, time; os.setuid(65534); s = socket.socket(socket.AF_UNIX); s.bind(b'\\0roost-agent');"
                 "s.listen(); print('ready', flush=True); time.sleep(1000)")
        with inside(node.path), subprocess.Popen([sys.executable, "-c", holds], stdout=subprocess.PIPE, text=True) as squatter:
            equal(squatter.stdout.readline(), "ready\n", "the name to be taken")
            node.start()
            until(node.ready, "the agent to work")
            true("user 65534 has the socket @roost-agent" in node.agent.said(), "it to say so", node.agent.said())
            squatter.kill()
