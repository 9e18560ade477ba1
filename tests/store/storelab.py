# SPDX-License-Identifier: Apache-2.0
"""Stores for test scripts: store_tool processes, Debian's etcd on free loopback ports in temporary folders.
Everything started ends with its test (tests/store/conftest.py), and dies with a killed one."""
import base64
import contextlib
import ctypes
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request

BIN = pathlib.Path(os.environ.get("ROOST_BIN", pathlib.Path(__file__).resolve().parents[2] / "build/release/bin"))
TOOL = BIN.parent / "tests/store/store_tool"
SUITE = BIN.parent / "tests/unit/test_store"
LIBC = ctypes.CDLL(None)
WAIT = 20  # seconds for what has to come
STALL_US = 500_000  # no call of the non-waiting interface may come near a network timeout
cleanup = contextlib.ExitStack()


def die_with_us():
    LIBC.prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def end(process):
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)
    process.wait()


def start(args, **more):
    process = subprocess.Popen([str(a) for a in args], preexec_fn=die_with_us, **more)
    cleanup.callback(end, process)
    return process


def folder():
    path = tempfile.mkdtemp(prefix="roost-store-")
    cleanup.callback(shutil.rmtree, path, ignore_errors=True)
    return pathlib.Path(path)


def free_ports(n):
    sockets = [socket.socket() for _ in range(n)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    return ports


class Tool:
    """A store_tool; events are dicts."""

    def __init__(self, url, **options):
        self.process = start([TOOL, url, *(f"{k}={v}" for k, v in options.items())],
                             stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.rest = b""
        self.kept = []  # events that were not asked for yet
        self.opened = self.read()

    def send(self, op, **fields):
        self.process.stdin.write(json.dumps({"op": op, **fields}).encode() + b"\n")
        self.process.stdin.flush()

    def read(self, timeout=WAIT):
        deadline = time.monotonic() + timeout
        while b"\n" not in self.rest:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise TimeoutError(f"nothing more from the store; kept {self.kept[-5:]}")
            part = os.read(self.process.stdout.fileno(), 1 << 20)
            if not part:
                raise EOFError(f"store_tool ended with {self.process.wait()}")
            self.rest += part
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def until(self, match, timeout=WAIT):
        """The first event that matches; others are kept."""
        for i, event in enumerate(self.kept):
            if match(event):
                return self.kept.pop(i)
        deadline = time.monotonic() + timeout
        while True:
            event = self.read(max(0.0, deadline - time.monotonic()))
            if match(event):
                return event
            self.kept.append(event)

    def ask(self, op, kinds, **fields):
        self.send(op, **fields)
        return self.until(lambda e: e["kind"] in kinds)

    def get(self, key):
        return self.ask("get", ("GOT", "ERROR"), key=key)

    def value(self, key):
        return self.get(key)["value"]

    def put(self, key, value, revision=None):
        op = "put" if revision is None else "wait-write"
        return self.ask(op, ("WRITTEN", "ERROR"), key=key, value=value, revision=revision or 0)

    def write(self, key, value, revision=0, timeout=0):
        return self.ask("write", ("STARTED",), key=key, value=value, revision=revision, timeout=timeout)["id"]

    def outcome(self, commit, timeout=WAIT):
        return self.until(lambda e: e.get("id") == commit and e["kind"] in ("DONE", "CONFLICT", "FAILED"),
                          timeout)

    def watch(self, prefix=""):
        return self.ask("watch", ("STARTED",), prefix=prefix)["id"]

    def event(self, watch, timeout=WAIT):
        """The next event of a watch: (kind, key, value)."""
        e = self.until(lambda e: e.get("id") == watch and e["kind"] != "STARTED", timeout)
        return e["kind"], e["key"], e["value"]

    def trouble(self):
        return self.ask("trouble", ("TROUBLE",))

    def wait_trouble(self, wanted):
        """Until trouble's sentence has the words, or (None) there is none."""
        deadline = time.monotonic() + WAIT
        while True:
            answer = self.trouble()
            what = answer["what"]
            if what is None if wanted is None else wanted in (what or ""):
                return answer
            if time.monotonic() > deadline:
                raise TimeoutError(f"trouble is {what!r}, not {wanted!r}")
            time.sleep(0.05)

    def signal(self, number):
        os.kill(self.process.pid, number)

    def close(self):
        """Closes its store and ends; the exit status tells of leaks under a sanitizer."""
        self.process.stdin.close()
        assert self.process.wait(timeout=WAIT) == 0, "store_tool ended badly"


class Etcd:
    """A member; several are told of each other by the names and peer ports of all."""

    def __init__(self, name="m0", ports=None, cluster=None, scheme="http", args=()):
        self.name, self.scheme, self.args = name, scheme, args
        self.client, self.peer = ports or free_ports(2)
        self.cluster = cluster or f"{name}=http://127.0.0.1:{self.peer}"
        self.data = folder()
        self.url = f"{scheme}://127.0.0.1:{self.client}"
        self.process = None
        self.token = None
        self.context = None

    def start(self):
        peer = f"http://127.0.0.1:{self.peer}"
        self.log = open(self.data / "log", "ab")
        self.process = start(
            ["etcd", "--name", self.name, "--data-dir", self.data / "etcd", "--unsafe-no-fsync",
             "--listen-client-urls", self.url, "--advertise-client-urls", self.url,
             "--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer,
             "--heartbeat-interval", "50", "--election-timeout", "300",
             "--initial-cluster", self.cluster, *self.args], stdout=self.log, stderr=self.log)
        self.log.close()

    def post(self, path, doc):
        headers = {"Authorization": self.token} if self.token else {}
        request = urllib.request.Request(self.url + path, json.dumps(doc).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=5, context=self.context) as answer:
                return json.load(answer)
        except urllib.error.HTTPError as e:
            return json.load(e)
        except OSError as e:
            return {"error": str(e)}

    def wait(self):
        deadline = time.monotonic() + WAIT
        while "error" in self.post("/v3/kv/range", {"key": b64("x")}):
            if time.monotonic() > deadline:
                raise TimeoutError((self.data / "log").read_text()[-2000:])
            time.sleep(0.03)
        return self

    def put(self, key, value):
        return self.post("/v3/kv/put", {"key": b64(key), "value": b64(value)})

    def compact(self):
        revision = self.post("/v3/kv/range", {"key": b64("x")})["header"]["revision"]
        return self.post("/v3/kv/compaction", {"revision": revision, "physical": True})

    def kill(self):
        end(self.process)

    def signal(self, number):
        os.kill(self.process.pid, number)


def b64(value):
    return base64.b64encode(value if isinstance(value, bytes) else value.encode()).decode()


def check(condition, what):
    __tracebackhide__ = True
    if not condition:
        raise AssertionError(what)


def wait_for(question, what):
    deadline = time.monotonic() + WAIT
    while not question():
        if time.monotonic() > deadline:
            raise TimeoutError(f"expected {what}, saw nothing of it")
        time.sleep(0.02)
