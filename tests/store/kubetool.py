# SPDX-License-Identifier: Apache-2.0
"""The client of the Kubernetes API (store/kube) at the end of a pipe: kube_tool."""
import contextlib
import json
import os
import pathlib
import select
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(__file__), ".."))
from namespaces import inside

BIN = pathlib.Path(os.environ.get("ROOST_BIN", pathlib.Path(__file__).resolve().parents[2] / "build/release/bin"))
TOOL = BIN.parent / "tests/store/kube_tool"
WAIT = 60  # seconds for what has to come


class KubeTool:
    """Leave by with. ns: the path of the network namespace it runs in."""

    def __init__(self, config, ns=None, **options):
        args = [str(TOOL), str(config), *(f"{k}={v}" for k, v in options.items())]
        with inside(ns) if ns else contextlib.nullcontext():
            self.process = subprocess.Popen(args, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.rest = b""
        self.kept = []  # events of others than who was asked for
        self.opened = self.read()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """Returns its exit status, which tells of a leak under the sanitizers."""
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            return self.process.wait(WAIT)
        except subprocess.TimeoutExpired:
            self.process.kill()
            return self.process.wait()

    def send(self, op, **fields):
        self.process.stdin.write(json.dumps({"op": op, **fields}).encode() + b"\n")
        self.process.stdin.flush()

    def line(self, timeout=WAIT):
        """The next line; None when none came in time."""
        end = time.monotonic() + timeout
        while b"\n" not in self.rest:
            left = end - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                return None
            got = os.read(self.process.stdout.fileno(), 1 << 20)
            if not got:
                raise EOFError("kube_tool ended")
            self.rest += got
        line, self.rest = self.rest.split(b"\n", 1)
        return json.loads(line)

    def read(self, timeout=WAIT):
        """The next answer of the tool itself; events are kept."""
        while True:
            line = self.line(timeout)
            if line is None:
                raise TimeoutError("kube_tool said nothing")
            if "id" not in line or line["kind"] == "STARTED":
                return line
            self.kept.append(line)

    def begin(self, op, **fields):
        self.send(op, **fields)
        return self.read()["id"]

    def event(self, id_, timeout=WAIT):
        """The next event of a request or watch; None when none came in time."""
        for i, line in enumerate(self.kept):
            if line["id"] == id_:
                return self.kept.pop(i)
        end = time.monotonic() + timeout
        while True:
            line = self.line(max(end - time.monotonic(), 0))
            if line is None and timeout != WAIT:
                return None
            if line is None:
                raise TimeoutError("no event came")
            if line["id"] == id_:
                return line
            self.kept.append(line)

    def told(self, id_):
        """Events up to CURRENT."""
        events = [self.event(id_)]
        while events[-1]["kind"] != "CURRENT":
            events.append(self.event(id_))
        return events

    def request(self, method, path, body=None, timeout=0):
        return self.event(self.begin("request", method=method, path=path, timeout=timeout,
                                     **({"body": body} if body is not None else {})))

    def trouble(self):
        self.send("trouble")
        return self.read()["what"]
