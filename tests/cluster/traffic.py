# SPDX-License-Identifier: Apache-2.0
"""Packets between the namespaces of a lab: echo servers, probes, and a pinger that misses nothing.

All of it lives in the test's own process. A socket stays in the network namespace in which it was
made, so one thread serves every pod, and a pod needs no process of its own.

An Echo answers on TCP and UDP with the address that it saw, so that a probe learns whether somebody
on the way changed it. A Pinger sends an ICMP echo request on each of its flows every few
milliseconds and keeps the numbers of those that were never answered: the kernel answers them, so a
lost one was lost on the way, however busy the machine is.
"""
import contextlib
import os
import select
import selectors
import socket
import struct
import sys
import threading
import time

sys.path.append(f"{os.path.dirname(os.path.dirname(os.path.abspath(__file__)))}/netns")
sys.dont_write_bytecode = True
from roostlab import SLOW, Failed, inside

PORT = 7777
PROBE_S = 5 * SLOW  # until a packet counts as lost; only a fault gets there
PERIOD_S = 0.01 * SLOW  # between two pings of a flow: a slow machine's queues overflow otherwise
LATE_S = 3 * SLOW

IP_PKTINFO = 8
PKTINFO = {socket.AF_INET: (socket.IPPROTO_IP, IP_PKTINFO),
           socket.AF_INET6: (socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO)}
SOL_RAW, ICMP_FILTER, ICMP6_FILTER = 255, 1, 1


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def open_socket(path, address, kind, protocol=0):
    """A socket in the namespace at path, of the family of address."""
    with inside(path):
        return socket.socket(family_of(address), kind | socket.SOCK_CLOEXEC, protocol)


# ---- servers ----

class Echo:
    """TCP and UDP servers in many namespaces, all in one thread. named: a TCP connection is greeted with
    the server's own address, too."""

    def __init__(self, port=PORT, named=False):
        self._port, self._named = port, named
        self._selector = selectors.DefaultSelector()
        self._wake_read, self._wake_write = os.pipe()
        self._sockets = {}  # path: its sockets
        self._commands = []
        self._lock = threading.Lock()
        self._selector.register(self._wake_read, selectors.EVENT_READ, None)
        self._ended = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def serve(self, path):
        """Starts to answer in a namespace; the sockets listen when this returns."""
        made = []
        for any_address in ("0.0.0.0", "::"):
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                s = open_socket(path, any_address, kind)
                if family_of(any_address) == socket.AF_INET6:
                    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.setsockopt(*PKTINFO[s.family], 1)
                s.setblocking(False)
                s.bind((any_address, self._port))
                if kind == socket.SOCK_STREAM:
                    s.listen(64)
                made.append(s)
        self._tell(lambda: self._add(path, made))

    def leave(self, path):
        """Closes every socket of a namespace, so that nothing of ours keeps it alive."""
        done = threading.Event()
        self._tell(lambda: (self._close(path), done.set()))
        done.wait(PROBE_S)

    def close(self):
        def end():
            for path in list(self._sockets):
                self._close(path)
            self._ended = True
        self._tell(end)
        self._thread.join(PROBE_S)

    def _tell(self, command):
        with self._lock:
            self._commands.append(command)
        os.write(self._wake_write, b"x")

    def _add(self, path, made):
        for s in made:
            self._register(path, s, self._accept if s.type == socket.SOCK_STREAM else self._reply)

    def _register(self, path, s, handler):
        self._sockets.setdefault(path, set()).add(s)
        self._selector.register(s, selectors.EVENT_READ, (path, handler))

    def _close(self, path):
        for s in self._sockets.pop(path, ()):
            self._selector.unregister(s)
            s.close()

    def _run(self):
        while not self._ended:
            for key, _ in self._selector.select():
                if key.data is None:
                    os.read(self._wake_read, 4096)
                    with self._lock:
                        commands, self._commands = self._commands, []
                    for command in commands:
                        command()
                    break  # what was selected may be closed by now
                path, handler = key.data
                with contextlib.suppress(OSError):
                    handler(path, key.fileobj)

    def _accept(self, path, listener):
        s, peer = listener.accept()
        s.setblocking(False)
        words = [peer[0]] + ([s.getsockname()[0]] if self._named else [])
        s.send(" ".join(words).encode() + b"\n")
        self._register(path, s, self._copy)

    def _copy(self, path, s):
        try:
            data = s.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            s.send(data)
            return
        self._sockets[path].discard(s)
        self._selector.unregister(s)
        s.close()

    @staticmethod
    def _reply(_, s):
        """From the very address that was asked: a node has several, its tunnels' among them, and
        the kernel would take the one nearest to the asker."""
        _, ancillary, _, peer = s.recvmsg(4096, 128)
        info = ancillary[0][2]
        if s.family == socket.AF_INET6:
            control = (socket.IPPROTO_IPV6, socket.IPV6_PKTINFO, info[:16] + bytes(4))
        else:
            control = (socket.IPPROTO_IP, IP_PKTINFO, bytes(4) + info[4:8] + bytes(4))
        s.sendmsg([peer[0].encode()], [control], 0, peer)


# ---- probes: each gives the source address that the other side saw, or raises OSError ----

def tcp(path, target, port=PORT):
    with open_socket(path, target, socket.SOCK_STREAM) as s:
        s.settimeout(PROBE_S)
        s.connect((target, port))
        return s.recv(128).decode().strip()


def udp(path, target):
    with open_socket(path, target, socket.SOCK_DGRAM) as s:
        s.settimeout(PROBE_S)
        s.connect((target, PORT))
        s.send(b"who am i")
        return s.recv(64).decode()


def icmp(path, target, timeout_s=PROBE_S):
    """One echo request; None, as ping has no way to say whom it saw."""
    with _Flow("", path, target) as flow:
        flow.send()
        end = time.monotonic() + timeout_s
        while flow.waiting:
            left = end - time.monotonic()
            if left <= 0 or not select.select([flow.socket], [], [], left)[0]:
                raise TimeoutError(f"no answer from {target}")
            flow.receive()
        if flow.refused:
            raise OSError(next(iter(flow.refused.values())))


PROBES = {"icmp": icmp, "tcp": tcp, "udp": udp}


def answers(path, target):
    """Whether one ping is answered soon; for what must not be reachable, too."""
    try:
        icmp(path, target, 1)
    except OSError:
        return False
    return True


class Stream:
    """A TCP connection that lives through a story: says() proves that it still carries bytes."""

    def __init__(self, path, target):
        self.socket = open_socket(path, target, socket.SOCK_STREAM)
        self.socket.settimeout(PROBE_S)
        self.socket.connect((target, PORT))
        self.target = target
        self._buffer = b""
        self._line()
        self._count = 0

    def _line(self):
        while b"\n" not in self._buffer:
            data = self.socket.recv(4096)
            if not data:
                raise Failed(f"expected the connection to {self.target} to live, saw its end")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line

    def still_works(self):
        self._count += 1
        text = b"line %d" % self._count
        try:
            self.socket.send(text + b"\n")
            seen = self._line()
        except OSError as e:
            raise Failed(f"expected the connection to {self.target} to live, saw {e}") from None
        if seen != text:
            raise Failed(f"expected {text!r} back from {self.target}, saw {seen!r}")

    def close(self):
        self.socket.close()


# ---- the pinger ----

class _Flow:
    """Echo requests from one namespace to one address, numbered."""

    _identifiers = iter(range(1, 65536))

    def __init__(self, name, path, target):
        self.name, self.target = name, target
        self.v6 = ":" in target
        self.ident = next(_Flow._identifiers)
        protocol = socket.IPPROTO_ICMPV6 if self.v6 else socket.IPPROTO_ICMP
        self.socket = open_socket(path, target, socket.SOCK_RAW, protocol)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        if self.v6:  # blocks everything but echo replies (RFC 3542)
            passed = [0xffffffff] * 8
            passed[129 // 32] &= ~(1 << 129 % 32) & 0xffffffff
            self.socket.setsockopt(socket.IPPROTO_ICMPV6, ICMP6_FILTER, struct.pack("8I", *passed))
        else:
            self.socket.setsockopt(SOL_RAW, ICMP_FILTER, struct.pack("I", 0xfffffffe))
        self.socket.setblocking(False)
        self.socket.connect((target, 0))
        self.sent = 0
        self.waiting = {}  # number: when it was sent
        self.refused = {}  # number: what the kernel said
        self.last = None   # when the last answer came
        self.gap = 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self):
        number = self.sent
        self.sent += 1
        kind = 128 if self.v6 else 8
        body = struct.pack("!BBHHHI", kind, 0, 0, self.ident, number & 0xffff, number)
        if not self.v6:
            total = sum(struct.unpack("!6H", body))
            total = (total >> 16) + (total & 0xffff)
            total += total >> 16
            body = body[:2] + struct.pack("!H", ~total & 0xffff) + body[4:]
        self.waiting[number] = time.monotonic()
        try:
            self.socket.send(body)
        except OSError as e:
            self.refused[number] = str(e)
            del self.waiting[number]

    def receive(self):
        while True:
            try:
                packet = self.socket.recv(256)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error; its request stays unanswered
                continue
            if not self.v6:
                packet = packet[(packet[0] & 15) * 4:]
            if len(packet) < 12:
                continue
            _, _, _, ident, _, number = struct.unpack("!BBHHHI", packet[:12])
            if ident != self.ident or self.waiting.pop(number, None) is None:
                continue
            now = time.monotonic()
            if self.last:
                self.gap = max(self.gap, now - self.last)
            self.last = now


class Pinger:
    """Pings on many flows for as long as the block lasts:

        with Pinger({"a to b": (path, address)}) as pinger:
            ...
        pinger.lost_nothing()
    """

    def __init__(self, flows, period_s=PERIOD_S):
        self.flows = [_Flow(name, path, target) for name, (path, target) in flows.items()]
        self.period_s = period_s
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self):
        self._start = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._stop.set()
        self._thread.join()
        for flow in self.flows:
            flow.socket.close()

    def _run(self):
        sockets = {f.socket.fileno(): f for f in self.flows}
        epoll = select.epoll()
        for fd in sockets:
            epoll.register(fd, select.EPOLLIN)
        due = time.monotonic()
        while not self._stop.is_set():
            now = time.monotonic()
            if now >= due:
                for flow in self.flows:
                    flow.send()
                due = max(due + self.period_s, now)
            for fd, _ in epoll.poll(max(0, due - time.monotonic())):
                sockets[fd].receive()
        end = time.monotonic() + LATE_S
        while any(f.waiting for f in self.flows) and time.monotonic() < end:
            for fd, _ in epoll.poll(0.05):
                sockets[fd].receive()
        epoll.close()

    def answered(self):
        """How many answers came so far, of all flows."""
        return sum(f.sent - len(f.waiting) - len(f.refused) for f in self.flows)

    def goes_on(self, packets=20):
        """Lets every flow have that many more requests on their way."""
        goals = [f.sent + packets for f in self.flows]
        while any(f.sent < goal for f, goal in zip(self.flows, goals)):
            time.sleep(self.period_s)

    def sent(self):
        return sum(f.sent for f in self.flows)

    def losses(self):
        """A line for each flow that lost something; meanwhile what may still come does not count."""
        lines = []
        late = time.monotonic() - (LATE_S if self._thread.is_alive() else 0)
        for flow in self.flows:
            lost = sorted({n for n, sent in list(flow.waiting.items()) if sent <= late}
                          | set(flow.refused))
            if not lost:
                continue
            at = [flow.waiting[n] - self._start for n in lost if n in flow.waiting]
            why = sorted(set(flow.refused.values()))
            lines.append(f"{flow.name}: {len(lost)} of {flow.sent} lost, the first is number "
                         f"{lost[0]}" + (f", {at[0]:.2f} s to {at[-1]:.2f} s after the start"
                                         if at else "") + (f" ({', '.join(why)})" if why else ""))
        return lines

    def lost_nothing(self):
        """Every request of every flow was answered."""
        if not self.sent():
            raise Failed("expected pings to be sent, saw none")
        if self.losses():
            raise Failed("expected no lost ping, saw " + "; ".join(self.losses()))
