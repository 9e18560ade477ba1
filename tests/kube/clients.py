# SPDX-License-Identifier: Apache-2.0
"""Clients of a web server that ask at a steady rate, each time by a new connection, and count what is not
answered.

    with Requests({"node2": (path, "10.96.3.4", 80)}) as stream:
        ...
        stream.goes_on(100)
    stream.lost_nothing()
"""
import socket
import threading
import time

import lab
from lab import Failed, until
from namespaces import inside

PATIENCE_S = 3 * lab.roostlab.SLOW  # for one answer


class Requests:
    """One client for each of flows: {name: (path of a network namespace, address, port)}."""

    def __init__(self, flows, rate=50):
        self._pause = 1 / rate
        self._end = threading.Event()
        self.answered = {name: 0 for name in flows}
        self.failures = []
        self._threads = [threading.Thread(target=self._ask_on, args=(name, *flow), daemon=True)
                         for name, flow in flows.items()]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self._end.set()
        for thread in self._threads:
            thread.join()

    def goes_on(self, more):
        """Returns when each client was answered that many times more, or had that many failures."""
        before, failed = dict(self.answered), len(self.failures)
        until(lambda: all(n >= before[name] + more for name, n in self.answered.items())
              or len(self.failures) >= failed + more, f"{more} more answers for each client")

    def lost_nothing(self):
        total = sum(self.answered.values())
        lab.say(f"    {total} requests answered, {len(self.failures)} not")
        if self.failures or not all(self.answered.values()):
            raise Failed(f"expected every request to be answered, saw {len(self.failures)} of "
                         f"{total + len(self.failures)} fail:\n      " + "\n      ".join(self.failures[:12]))

    def _ask_on(self, name, path, address, port):
        due = time.monotonic()
        with inside(path):
            while not self._end.is_set():
                try:
                    self._ask(address, port)
                    self.answered[name] += 1
                except OSError as e:
                    self.failures.append(f"{time.strftime('%T')} {name}: {e!r}")
                due = max(due + self._pause, time.monotonic() - 1)
                self._end.wait(max(0, due - time.monotonic()))

    @staticmethod
    def _ask(address, port):
        with socket.create_connection((address, port), PATIENCE_S) as s:
            s.settimeout(PATIENCE_S)
            s.sendall(b"GET /hostname HTTP/1.0\r\n\r\n")
            answer = b""
            while more := s.recv(4096):
                answer += more
        if not answer.startswith((b"HTTP/1.0 200", b"HTTP/1.1 200")):
            raise OSError(f"the answer is {answer[:40]!r}")
