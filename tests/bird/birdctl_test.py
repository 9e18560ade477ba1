# SPDX-License-Identifier: Apache-2.0
"""The control socket against servers that are not BIRD: slow, huge, mute, rude, broken ones. birdtool
keeps "BIRD" equal to a text while a thread here answers as the case wants. Needs no root and no BIRD."""

import collections
import contextlib
import json
import os
import select
import socket
import subprocess
import tempfile
import threading
import time

import pytest

from birdlab import TOOL
from roostlab import Failed, true

WAIT_S = 30
GREETING = b"0001 BIRD 2.0.12 ready.\n"
STATUS = b"1000-BIRD 2.0.12\n1011-Router ID is 10.0.0.1\n0013 Daemon is up and running\n"
BUSY = b"1000-BIRD 2.0.12\n0013 Reconfiguration in progress\n"
RECOVERY = b"1000-BIRD 2.0.12\n0024-Graceful restart recovery in progress\n  Waiting for 1 channels\n" \
           b"0013 Daemon is up and running\n"
SESSIONS = b"2002-Name       Proto      Table      State  Since         Info\n" \
           b"1002-roost_hops BGP        ---        up     10:00:00.000  Established\n" \
           b" roost_10_0_0_2 BGP        ---        start  10:00:00.000  Connect       Socket: x\n0000 \n"


class Fake:
    """A server whose answers a case may replace: self.answers[command word(s)] is bytes, a list of
    bytes for one time after another, or a function of the connection and the command."""

    def __init__(self, path):
        self.path = path
        self.greeting = GREETING
        self.commands = []
        self.connections = 0
        self.answers = {"show status": STATUS, "show protocols": SESSIONS,
                        "show route": b"1007-Table master4:\n0000 \n",
                        "configure check": b"0002-Reading configuration from x\n0020 Configuration OK\n",
                        "configure": b"0002-Reading configuration from x\n0003 Reconfigured\n"}
        self.open()

    def open(self):
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(self.path)
        self.listener.listen(8)
        threading.Thread(target=self._accept, args=(self.listener,), daemon=True).start()

    def close(self):
        with contextlib.suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def _accept(self, listener):
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.connections += 1
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        with connection, contextlib.suppress(OSError):
            connection.sendall(self.greeting)
            pending = b""
            while True:
                data = connection.recv(4096)
                if not data:
                    return
                pending += data
                while b"\n" in pending:
                    line, pending = pending.split(b"\n", 1)
                    self.commands.append(line.decode())
                    self._answer(connection, line.decode())

    def _answer(self, connection, line):
        key = max((k for k in self.answers if line.startswith(k)), key=len)
        answer = self.answers[key]
        if isinstance(answer, collections.deque):
            answer = answer.popleft() if len(answer) > 1 else answer[0]
        if callable(answer):
            answer(connection, line)
        else:
            connection.sendall(answer)

    def asked(self, command):
        return sum(1 for c in self.commands if c == command or c.startswith(command + " \""))


class Tool:
    """birdtool keep, with what it said last."""

    def __init__(self, folder):
        self.file = f"{folder}/run/bird.conf"
        self.socket = f"{folder}/bird.ctl"
        self.wanted = 0
        self.process = subprocess.Popen(
            [TOOL, "keep", self.file, self.socket, f"{folder}/own", ""],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0)
        self.look = {"up": False, "loaded": 0, "refused": 0, "trouble": "", "peers": 0,
                     "peersUp": 0, "recovering": False}
        self.pending = b""

    def want(self, router):
        self.wanted += 1
        self.process.stdin.write(json.dumps({"routerId": router}).encode() + b"\n")
        return self.wanted

    def read(self, timeout):
        if select.select([self.process.stdout], [], [], timeout)[0]:
            data = os.read(self.process.stdout.fileno(), 65536)
            if not data:
                raise Failed(f"expected birdtool to live, saw it end with {self.process.wait()}")
            self.pending += data
        while b"\n" in self.pending:
            line, self.pending = self.pending.split(b"\n", 1)
            self.look = json.loads(line)

    def wait(self, what, condition):
        end = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > end:
                raise Failed(f"expected {what}, saw {self.look}")
            self.read(0.05)

    def wait_loaded(self, generation):
        self.wait(f"generation {generation} to be loaded", lambda: self.look["loaded"] == generation)

    def wait_trouble(self, word):
        self.wait(f"trouble with {word!r}", lambda: word in self.look["trouble"])

    def close(self):
        self.process.stdin.close()
        try:
            status = self.process.wait(timeout=WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed("expected birdtool to end with its input, saw it go on") from None
        if status:
            raise Failed(f"expected birdtool to end well, saw {status}")

    def text(self, suffix=""):
        try:
            with open(self.file + suffix) as f:
                return f.read()
        except FileNotFoundError:
            return None


@pytest.fixture
def folder():
    with tempfile.TemporaryDirectory() as path:  # a socket's path is short
        os.mkdir(f"{path}/own")
        yield path


@pytest.fixture
def fake(folder):
    with contextlib.closing(Fake(f"{folder}/bird.ctl")) as fake:
        yield fake


@pytest.fixture
def tool(fake, folder):
    tool = Tool(folder)
    yield tool
    try:
        tool.close()
    finally:
        tool.process.kill()
        tool.process.wait()


def test_a_text_is_checked_then_put_in_place_then_loaded(fake, tool):
    tool.wait_loaded(tool.want("10.0.0.1"))
    order = [c for c in fake.commands if c.startswith("configure")]
    true(order == [f"configure check \"{tool.file}.check\"", "configure"], "check, then configure",
           order)
    true(fake.commands[0] == "show status", "the status to be asked first", fake.commands[0])
    true("router id 10.0.0.1;" in tool.text(), "the text in the file", tool.text())
    true(os.stat(tool.file).st_mode & 0o777 == 0o600, "mode 0600 without a group")
    true(not any(tool.text(s) for s in (".new", ".old", ".check")), "nothing left beside it")
    tool.wait("one session of two", lambda: (tool.look["peers"], tool.look["peersUp"]) == (2, 1))


def test_the_same_text_again_is_loaded_already(fake, tool):
    tool.wait_loaded(tool.want("10.0.0.1"))
    tool.wait("the sessions", lambda: tool.look["peers"] == 2)  # nothing else will change the look
    tool.wait_loaded(tool.want("10.0.0.1"))
    true(fake.asked("configure") == 1, "one configure", fake.commands)


def test_a_file_that_is_right_already_is_configured_once(fake, tool):
    tool.wait_loaded(tool.want("10.0.0.1"))
    fake.commands.clear()
    other = Tool(os.path.dirname(tool.socket))
    try:
        other.wait_loaded(other.want("10.0.0.1"))
    finally:
        other.close()
    true(fake.asked("configure") == 1 and fake.asked("configure check") == 0,
           "one configure and no check", fake.commands)


def test_replies_may_come_byte_by_byte(fake, tool):
    def slowly(connection, line):
        for byte in (STATUS if line == "show status" else b"0020 Configuration OK\n"):
            connection.sendall(bytes([byte]))
            time.sleep(0.001)
    fake.answers["show status"] = slowly
    fake.answers["configure check"] = slowly
    tool.wait_loaded(tool.want("10.0.0.1"))


def test_a_reply_of_megabytes_is_read_to_its_end(fake, tool):
    row = b"1002-roost_10_0_%d_%d BGP        ---        up     10:00:00.000  Established   \n"
    rows = b"".join(row % (i // 250, i % 250) for i in range(100000))
    fake.answers["show protocols"] = rows + b"0000 \n"
    tool.want("10.0.0.1")
    tool.wait("many sessions", lambda: tool.look["peers"] > 40000)
    true(tool.look["peers"] == tool.look["peersUp"] < 100000, "what fits to be counted", tool.look)
    tool.wait_loaded(tool.want("10.0.0.2"))
    true(fake.connections == 1, "the connection to go on", fake.connections)


def test_lines_that_were_logged_meanwhile_are_no_reply(fake, tool):
    fake.answers["configure check"] = b"+log of something\n0020 Configuration OK\n"
    tool.wait_loaded(tool.want("10.0.0.1"))


def test_a_refused_text_leaves_the_file_alone_and_says_where(fake, tool):
    tool.wait_loaded(tool.want("10.0.0.1"))
    before = tool.text()
    fake.answers["configure check"] = b"0002-Reading configuration from x\n8002 /x/y.conf:7:3 syntax error\n"
    refused = tool.want("10.0.0.2")
    tool.wait("a refusal", lambda: tool.look["refused"] == refused)
    true("/x/y.conf:7:3 syntax error" in tool.look["trouble"], "BIRD's sentence", tool.look)
    true(tool.look["loaded"] == 1, "the old one to be loaded still", tool.look)
    true(tool.text() == before, "the file as it was", tool.text())
    fake.answers["configure check"] = b"0020 Configuration OK\n"
    tool.wait_loaded(tool.want("10.0.0.3"))
    true(tool.look["trouble"] == "" and tool.look["refused"] == 0, "no trouble any more", tool.look)


@pytest.mark.slow
def test_what_is_refused_is_tried_again_by_itself(fake, tool):
    fake.answers["configure check"] = collections.deque(
        [b"8002 own/x.conf:1:1 syntax error\n", b"0020 Configuration OK\n"])
    wanted = tool.want("10.0.0.1")
    tool.wait_trouble("own/x.conf")
    tool.wait_loaded(wanted)
    true(fake.asked("configure check") == 2, "two checks", fake.commands)


def test_a_text_that_configure_refuses_is_taken_back(fake, tool):
    tool.wait_loaded(tool.want("10.0.0.1"))
    before = tool.text()
    fake.answers["configure"] = b"8002 /etc/bird/bird.conf:3:1 syntax error\n"
    refused = tool.want("10.0.0.2")
    tool.wait("a refusal", lambda: tool.look["refused"] == refused)
    tool.wait("the old file", lambda: tool.text() == before)
    tool.want("10.0.0.1")
    fake.answers["configure"] = b"0003 Reconfigured\n"
    tool.wait_loaded(3)


def test_the_first_text_is_removed_if_configure_refuses_it(fake, tool):
    fake.answers["configure"] = b"8002 /etc/bird/bird.conf:3:1 syntax error\n"
    tool.want("10.0.0.2")
    tool.wait_trouble("bird.conf:3:1")
    tool.wait("no file", lambda: tool.text() is None)


def test_an_agent_killed_in_the_middle_leaves_a_file_that_is_judged_again(fake, tool):
    tool.wait_loaded(tool.want("10.0.0.1"))
    before = tool.text()
    fake.answers["configure"] = lambda c, line: tool.process.kill()
    tool.want("10.0.0.2")
    tool.process.wait(timeout=WAIT_S)
    true(tool.text(".old") == before and tool.text() != before, "both files", tool.text())
    fake.answers["configure"] = b"8002 /etc/bird/bird.conf:3:1 syntax error\n"
    other = Tool(os.path.dirname(tool.socket))
    try:
        other.want("10.0.0.2")
        other.wait_trouble("bird.conf:3:1")
        other.wait("the old file", lambda: other.text() == before)
    finally:
        other.close()
    tool.process = subprocess.Popen(["true"], stdin=subprocess.PIPE)


def test_a_load_in_progress_is_waited_for(fake, tool):
    for code in (b"0004 Reconfiguration in progress\n", b"0005 Reconfiguration already in progress\n"):
        done = threading.Event()
        fake.answers["configure"] = code
        fake.answers["show status"] = \
            lambda c, line: c.sendall(STATUS if done.is_set() else BUSY)
        seen = fake.asked("show status")
        wanted = tool.want("10.0.0." + code[3:4].decode())
        tool.wait("polling", lambda: fake.asked("show status") > seen + 5)
        true(tool.look["loaded"] != wanted, "it not to count as loaded yet", tool.look)
        done.set()
        tool.wait_loaded(wanted)


def test_a_graceful_restart_is_seen_and_prodded(fake, tool):
    fake.answers["show status"] = RECOVERY
    tool.wait_loaded(tool.want("10.0.0.1"))
    tool.wait("recovery", lambda: tool.look["recovering"])
    seen = fake.asked("show status")
    tool.wait("prods", lambda: fake.asked("show status") > seen + 10)
    fake.answers["show status"] = STATUS
    tool.wait("its end", lambda: not tool.look["recovering"])


def test_while_bird_is_down_no_text_is_put_in_its_place(fake, tool):
    tool.wait_loaded(tool.want("10.0.0.1"))
    before = tool.text()
    fake.close()
    fake.answers["show status"] = lambda c, line: c.shutdown(socket.SHUT_RDWR)
    tool.wait("BIRD to be gone", lambda: not tool.look["up"])
    true(tool.look["loaded"] == 0, "nothing to be loaded then", tool.look)
    wanted = tool.want("10.0.0.2")
    tool.wait_trouble("cannot reach BIRD")
    true(tool.text() == before, "the file as it was", tool.text())
    fake.answers["show status"] = STATUS
    fake.open()
    tool.wait_loaded(wanted)
    true("10.0.0.2" in tool.text(), "the new text", tool.text())


def test_a_bird_that_ends_while_loading_gets_its_old_file_back(fake, tool):
    tool.wait_loaded(tool.want("10.0.0.1"))
    before = tool.text()
    fake.answers["configure"] = lambda c, line: c.shutdown(socket.SHUT_RDWR)
    tool.want("10.0.0.2")
    tool.wait_trouble("closed the connection")
    tool.wait("the old file", lambda: tool.text() == before)


def test_refusals_of_other_kinds_are_troubles_and_no_refusals(fake, tool):
    for code in (b"8007 Access denied\n", b"9001 syntax error, unexpected CF_SYM_UNDEFINED\n",
                 b"0006 Reconfiguration request ignored, shutting down\n", b"9000 Command too long\n"):
        for command in ("configure check", "configure"):
            other = dict(fake.answers)
            fake.answers[command] = code
            tool.want(f"10.0.{code[3]}.{len(command)}")
            tool.wait_trouble(code.decode()[5:-1])
            true(tool.look["refused"] == 0, "no refusal", tool.look)
            fake.answers.update(other)
            tool.wait_loaded(tool.want(f"10.1.{code[3]}.{len(command)}"))


@pytest.mark.slow
def test_a_greeting_that_never_comes_is_a_trouble(fake, tool):
    tool.wait("BIRD", lambda: tool.look["up"])
    fake.close()
    fake.answers["show status"] = lambda c, line: c.shutdown(socket.SHUT_RDWR)
    fake.greeting = b""
    fake.open()
    wanted = tool.want("10.0.0.1")
    tool.wait_trouble("accepts but says nothing")
    fake.greeting = GREETING
    fake.answers["show status"] = STATUS
    tool.wait_loaded(wanted)


def test_a_full_queue_is_a_trouble(fake, tool):
    fake.close()
    fake.answers["show status"] = lambda c, line: c.shutdown(socket.SHUT_RDWR)
    mute = socket.socket(socket.AF_UNIX)
    mute.bind(fake.path)
    mute.listen(0)
    held = []
    for _ in range(2):
        held.append(socket.socket(socket.AF_UNIX))
        held[-1].setblocking(False)
        with contextlib.suppress(BlockingIOError):
            held[-1].connect(fake.path)
    tool.want("10.0.0.1")
    tool.wait_trouble("it does not answer")


@pytest.mark.slow
def test_a_command_without_an_answer_is_a_trouble(fake, tool):
    tool.wait_loaded(tool.want("10.0.0.1"))
    fake.answers["show status"] = lambda c, line: None
    fake.answers["show protocols"] = lambda c, line: None
    tool.want("10.0.0.2")
    tool.wait_trouble("gave no answer to \"show ")
    fake.answers["show status"] = STATUS
    tool.wait("BIRD again", lambda: tool.look["up"])


@pytest.mark.slow
def test_words_that_are_not_birds_end_the_connection(fake, tool):
    rude = [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\n", b"12\n", b"abcd efg\n", b" continued\n",
            b"0013\tx\n", b"\x00\x00\x00\x00\n", b"00130 \n", b"0013 a\n0013 b\n0013 c\n"]
    for words in rude:
        tool.wait("BIRD", lambda: tool.look["up"])
        fake.answers["show status"] = words
        if words.count(b"\n") < 3:
            tool.wait("the end", lambda: "does not speak as BIRD" in tool.look["trouble"])
        else:
            seen = fake.connections
            tool.wait("the end", lambda: fake.connections > seen)
        fake.answers["show status"] = STATUS
    tool.wait("BIRD", lambda: tool.look["up"] and not tool.look["trouble"])
    fake.greeting = b"220 mail.example\n"
    fake.answers["show status"] = lambda c, line: c.shutdown(socket.SHUT_RDWR)
    tool.wait_trouble("does not speak as BIRD")


def test_control_characters_do_not_come_through(fake, tool):
    fake.answers["configure check"] = b"8002 evil\x1b[2J\x07name:1:1 " + b"x" * 5000 + b"\n"
    tool.want("10.0.0.1")
    tool.wait_trouble("evil?[2J?name:1:1 xxx")
    true(len(tool.look["trouble"]) < 256, "a bounded text", tool.look)


def test_a_line_without_an_end_is_bounded(fake, tool):
    def flood(connection, line):
        for _ in range(400):
            connection.sendall(b"x" * 65536)
        connection.sendall(b"\n")
    fake.answers["show protocols"] = flood
    tool.want("10.0.0.1")
    tool.wait_trouble("does not speak as BIRD")
    with open(f"/proc/{tool.process.pid}/status") as f:
        peak = next(int(l.split()[1]) for l in f if l.startswith("VmHWM"))
    true(peak < 200000, "little memory", peak)  # sanitizers need much by themselves


def test_a_file_that_was_edited_is_written_again(fake, tool):
    tool.wait_loaded(tool.want("10.0.0.1"))
    before = tool.text()
    with open(tool.file, "a") as f:
        f.write("# mine\n")
    tool.wait("the file to be mended", lambda: tool.text() == before)
    os.unlink(tool.file)
    tool.wait("the file to be back", lambda: tool.text() == before)


def test_a_folder_that_cannot_be_written_is_a_trouble(fake, tool):
    with open(os.path.dirname(tool.file), "w"):
        pass
    tool.want("10.0.0.1")
    tool.wait_trouble("a file is in its place")
    true(tool.look["loaded"] == 0, "nothing loaded", tool.look)
