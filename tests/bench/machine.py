"""A node of a cluster for the benchmark: its namespace, BIRD, roostd, and a store to fill.

tests/cluster/lab.py makes clusters whose pods reach each other; this is a single node, alone in a
large cluster that exists only as documents (crowd.c). Its etcd, when it has one, is in the same
namespace, and keeps its data where the machine is told to.
"""

import contextlib
import json
import os
import shutil
import socket
import subprocess
import time
import urllib.request

import sandbox

ETCD_PORT = 2379
LONG_S = 120  # nothing that works takes so long
BIRD_MAIN = """\
log "{dir}/bird.log" all;
protocol device {{
	scan time 10;
}}
include "{dir}/roost-bird.con[f]";
"""


class Trouble(Exception):
    """What stands in the way of a measurement."""


def until(question, what, seconds=LONG_S):
    end = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > end:
            raise Trouble(f"waited {seconds} s in vain for {what}")
        time.sleep(0.005)


class Machine:
    """Leave it by close(). Executables come from bin_dir."""

    def __init__(self, netns, folder, bin_dir, **settings):
        self.netns, self.dir, self.bin = netns, folder, bin_dir
        self.state, self.socket = f"{folder}/state", f"{folder}/agent.sock"
        self.store = f"file:{folder}/store"
        self.agent = self.bird = self.etcd = None
        self.settings = settings
        os.makedirs(folder)
        with open(f"{folder}/bird.conf", "w") as f:
            f.write(BIRD_MAIN.format(dir=folder))

    def start(self, *argv, log):
        with open(f"{self.dir}/{log}", "ab") as out, sandbox.inside(self.netns):
            return subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, cwd="/")

    def run(self, *argv, stdin=None):
        with sandbox.inside(self.netns):
            done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=600)
        if done.returncode:
            raise Trouble(f"{' '.join(argv)[:200]} ended with {done.returncode}: "
                          f"{(done.stderr or done.stdout)[-800:]}")
        return done.stdout

    # ---- etcd ----

    def start_etcd(self, data):
        url = f"http://127.0.0.1:{ETCD_PORT}"
        peer = f"http://127.0.0.1:{ETCD_PORT + 1}"
        self.etcd = self.start("etcd", "--data-dir", data, "--listen-client-urls", url,
                               "--advertise-client-urls", url, "--listen-peer-urls", peer,
                               "--initial-advertise-peer-urls", peer,
                               "--initial-cluster", f"default={peer}", "--log-level", "error",
                               "--logger", "zap", log="etcd.log")
        until(lambda: self._is_healthy(url), "etcd")
        self.store = f"etcd:{url}"

    def _is_healthy(self, url):
        with contextlib.suppress(OSError), sandbox.inside(self.netns), \
                urllib.request.urlopen(f"{url}/health", timeout=1) as answer:
            return json.loads(answer.read()).get("health") == "true"

    # ---- roostd and BIRD ----

    def start_bird(self):
        self.bird = self.start("bird", "-f", "-R", "-c", f"{self.dir}/bird.conf", "-s",
                               f"{self.dir}/bird.ctl", log="bird.out")
        until(lambda: os.path.exists(f"{self.dir}/bird.ctl"), "BIRD")

    def start_agent(self):
        document = {
            "node": "bench", "store": self.store, "stateDirs": [self.state],
            "dataDir": f"{self.dir}/data", "socket": self.socket,
            "address": {"ipv4": "first-found", "ipv6": "none"},
            "bird": {"file": f"{self.dir}/roost-bird.conf", "socket": f"{self.dir}/bird.ctl",
                     "include": f"{self.dir}/bird.d", "group": ""}, **self.settings}
        with open(f"{self.dir}/roostd.json", "w") as f:
            json.dump(document, f)
        self.agent = self.start(f"{self.bin}/roostd", "--config", f"{self.dir}/roostd.json",
                                log="roostd.log")

    def ask(self, **request):
        """A request to the agent, and its answer; {} when nobody answers."""
        with contextlib.suppress(OSError, ValueError), \
                socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(LONG_S)
            s.connect(self.socket)
            s.sendall(json.dumps(request).encode() + b"\n")
            return json.loads(s.makefile().readline())
        return {}

    def must_run(self):
        if self.agent.poll() is not None:
            with open(f"{self.dir}/roostd.log") as f:
                raise Trouble(f"roostd ended with {self.agent.returncode}: {f.read()[-800:]}")
        return True

    def is_settled(self, bird):
        """It has a block, and BIRD runs with what it wrote."""
        self.must_run()
        report = self.ask(op="status")
        return report.get("blocks") and (not bird or report["bird"]["loaded"]) and report

    def settle(self, bird=True):
        return until(lambda: self.is_settled(bird), f"the agent in {self.dir} to have a block"
                     + (" and BIRD to have its text" if bird else ""))

    def apply(self, *documents):
        text = "---\n".join(json.dumps(d) + "\n" for d in documents)
        self.run(f"{self.bin}/roostctl", "--store", self.store, "apply", "-f", "-", stdin=text)

    def stop_agent(self):
        self.agent.terminate()
        self.agent.wait(LONG_S)

    def close(self):
        for process in (self.agent, self.bird, self.etcd):
            if process and process.poll() is None:
                process.kill()
                process.wait()
        shutil.rmtree(self.dir, ignore_errors=True)

    # ---- figures ----

    def memory_kib(self):
        """{VmRSS, VmHWM, RssAnon}: of the agent, now, at most, and what is not a file."""
        with open(f"/proc/{self.agent.pid}/status") as f:
            lines = [line.split() for line in f]
        return {w[0][:-1]: int(w[1]) for w in lines if w[0] in ("VmRSS:", "VmHWM:", "RssAnon:")}

    def cpu_ns(self, process=None):
        """Processor time of a process so far."""
        with open(f"/proc/{(process or self.agent).pid}/schedstat") as f:
            return int(f.read().split()[0])

    def sync_ms(self):
        """A pass, from the request until the agent answers again; and processor time. The pass
        begins when no request waits, hence the moment between the two; what is shorter than it is
        not seen."""
        cpu, began = self.cpu_ns(), time.perf_counter()
        asked = self.ask(op="sync").get("ok")
        time.sleep(0.001)
        if not asked or not self.ask(op="status"):
            self.must_run()
            raise Trouble("the agent does not answer")
        return (time.perf_counter() - began) * 1e3, (self.cpu_ns() - cpu) / 1e6

    def configure_ms(self):
        """BIRD reads its configuration again: until its answer is complete."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as s:
            s.settimeout(LONG_S)
            s.connect(f"{self.dir}/bird.ctl")
            stream = s.makefile("rw", newline="\n")
            stream.readline()
            began = time.perf_counter()
            stream.write("configure\n")
            stream.flush()
            for line in stream:
                if line[:4].isdigit() and line[4] == " ":
                    break
            took = (time.perf_counter() - began) * 1e3
        if line[:4] not in ("0003", "0004"):
            raise Trouble(f"BIRD says {line.strip()} to configure")
        return took

    def routes(self, protocol):
        return len(self.run("ip", "route", "show", "proto", protocol).splitlines())

    def links(self):
        with sandbox.inside(self.netns):
            return len(socket.if_nameindex())
