# SPDX-License-Identifier: Apache-2.0
"""What no API server does on demand: the client (store/kube) before one of our own that answers by a
script. A real one is in tests/kube."""
import contextlib
import http.server
import json
import threading
import time

import pytest

from kubetool import KubeTool

PATH = "/api/v1/things"
FRESH = "?limit=1"


def thing(name, version, **more):
    return {"metadata": {"name": name, "resourceVersion": str(version)}, **more}


def page(version, *items, more=""):
    return {"metadata": {"resourceVersion": str(version), "continue": more}, "items": list(items)}


def event(kind, obj):
    return json.dumps({"type": kind, "object": obj}).encode() + b"\n"


def end_of_list(version):
    return event("BOOKMARK", {"metadata": {"resourceVersion": str(version),
                                           "annotations": {"k8s.io/initial-events-end": "true"}}})


def status(code, message="no"):
    return {"kind": "Status", "code": code, "message": message}


class Server:
    """answer(handler, question): writes what the script says; question is method, path and query."""

    def __init__(self, answer):
        self.asked = []
        self.changed = threading.Condition()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):  # pylint: disable=invalid-name
                length = int(self.headers.get("Content-Length") or 0)
                self.sent = self.rfile.read(length)
                with outer.changed:
                    outer.asked.append((self.command, self.path, self.headers.get("Authorization")))
                    outer.changed.notify_all()
                with contextlib.suppress(OSError):
                    answer(self, f"{self.command} {self.path}")

            do_POST = do_PUT = do_DELETE = do_PATCH = do_GET

            def log_message(self, *_):
                pass

            def say(self, code, body, **headers):
                text = json.dumps(body).encode() if not isinstance(body, bytes) else body
                self.send_response(code)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)

            def stream(self, *lines):
                """Begins one, or goes on."""
                if not getattr(self, "streams", False):
                    self.streams = True
                    self.close_connection = True
                    self.send_response(200)
                    self.send_header("Transfer-Encoding", "chunked")
                    self.end_headers()
                for line in lines:
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(line), line))
                self.wfile.flush()

            def finish_stream(self):
                self.wfile.write(b"0\r\n\r\n")
                self.wfile.flush()

            def cut(self):
                self.close_connection = True
                self.connection.close()

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)
        self.thread.start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    def wait_asked(self, wanted, seconds=30):
        """Until somebody asked what contains wanted; how many did before is not counted twice."""
        with self.changed:
            fine = self.changed.wait_for(lambda: any(wanted in f"{m} {p}" for m, p, _ in self.asked), seconds)
        assert fine, f"nobody asked {wanted}: {self.asked}"


@pytest.fixture
def world(tmp_path):
    """A function: begins the server of a script and a client of it; gives both."""
    with contextlib.ExitStack() as stack:
        def begin(answer, token="secret", **options):
            server = Server(answer)
            stack.callback(server.close)
            (tmp_path / "token").write_text(token)
            config = {"current-context": "x", "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u"}}],
                      "clusters": [{"name": "c", "cluster": {"server": server.url}}],
                      "users": [{"name": "u", "user": {"tokenFile": "token"}}]}
            (tmp_path / "config").write_text(json.dumps(config))
            tool = KubeTool(tmp_path / "config", **options)
            stack.callback(lambda: check(tool.close() == 0, "the tool to end well"))
            return server, tool
        yield begin


def check(condition, what):
    assert condition, what


def hold(handler):
    """Keeps a stream open until its client goes, or the test ends."""
    handler.connection.settimeout(30)
    with contextlib.suppress(OSError):
        handler.connection.recv(1)


def kinds(events):
    return [(e["kind"], e["name"]) for e in events]


def test_a_stream_that_ends_goes_on_behind_what_it_told(world):
    def answer(h, question):
        if FRESH in question:
            h.say(200, page(4))
        elif "sendInitialEvents" in question:
            h.stream(event("ADDED", thing("a", 3)), end_of_list(5), event("MODIFIED", thing("a", 6)))
            h.finish_stream()
        elif "resourceVersion=6&" in question:
            h.stream(event("DELETED", thing("a", 7)))
            hold(h)
        else:
            h.say(500, status(500, question))

    _, tool = world(answer)
    watch = tool.begin("watch", path=PATH)
    seen = tool.told(watch) + [tool.event(watch), tool.event(watch)]
    assert kinds(seen) == [("RESTART", None), ("EXISTS", "a"), ("CURRENT", None), ("EXISTS", "a"), ("GONE", "a")]


def test_a_stream_that_is_cut_looks_whether_the_cluster_went_back(world):
    versions = iter([9, 9, 4, 4])

    def answer(h, question):
        if FRESH in question:
            h.say(200, page(next(versions)))
        elif "sendInitialEvents" in question and "resourceVersion=9&" in question:
            h.stream(event("ADDED", thing("new", 8)), end_of_list(9))
            h.cut()
        elif "sendInitialEvents" in question:
            h.stream(event("ADDED", thing("old", 3)), end_of_list(4))
            hold(h)
        else:  # it goes on, and is cut again
            h.stream(event("BOOKMARK", {"metadata": {"resourceVersion": "9"}}))
            h.cut()

    _, tool = world(answer)
    watch = tool.begin("watch", path=PATH)
    assert [e["name"] for e in tool.told(watch)] == [None, "new", None]
    again = tool.told(watch)
    assert [(e["kind"], e["name"], e["version"]) for e in again] == [
        ("RESTART", None, 4), ("EXISTS", "old", 3), ("CURRENT", None, 4)]


@pytest.mark.parametrize("error", [410, 500])
def test_an_error_where_the_list_should_be_falls_back_to_pages(world, error):
    def answer(h, question):
        if FRESH in question:
            h.say(200, page(5))
        elif "sendInitialEvents" in question:
            h.stream(event("ERROR", status(error)))
            h.finish_stream()
        elif "continue=next" in question:
            h.say(200, page(5, thing("b", 4)))
        elif "limit=" in question:
            h.say(200, page(5, thing("a", 3), more="next"))
        else:
            h.stream()
            hold(h)

    server, tool = world(answer)
    assert [e["name"] for e in tool.told(tool.begin("watch", path=PATH))] == [None, "a", "b", None]
    server.wait_asked("resourceVersion=5&allowWatchBookmarks")


def test_a_busy_server_is_asked_again_when_it_said(world):
    began = time.monotonic()
    turns = iter(range(9))

    def answer(h, question):
        if next(turns) == 0:
            h.say(429, status(429, "too many requests"), Retry_After="1")
        else:
            h.say(200, {"fine": True})

    server, tool = world(answer)
    assert tool.request("POST", PATH, {})["object"] == {"fine": True}
    assert len(server.asked) == 2 and time.monotonic() - began >= 1


def test_a_request_of_unknown_outcome_is_not_sent_twice(world):
    def answer(h, question):
        if question.startswith("POST"):
            h.cut()
        else:
            h.say(200, {"fine": True})

    server, tool = world(answer)
    failed = tool.request("POST", PATH, {"a": 1})
    assert (failed["kind"], failed["error"]) == ("FAILED", -110) and "is unknown" in failed["what"]
    assert [m for m, _, _ in server.asked] == ["POST"]
    assert tool.request("GET", PATH)["status"] == 200


def test_a_silent_server_is_given_up_and_a_get_is_asked_again(world):
    turns = iter(range(9))

    def answer(h, _):
        if next(turns) == 0:
            hold(h)
        else:
            h.say(200, {"fine": True})

    _, tool = world(answer, timeout=300)
    assert tool.request("GET", PATH)["status"] == 200


def test_a_server_that_drips_does_not_hold_a_request_for_ever(world):
    def answer(h, _):
        h.send_response(200)
        h.send_header("Content-Length", "1000000")
        h.end_headers()
        while True:
            h.wfile.write(b" ")
            h.wfile.flush()
            time.sleep(0.05)

    _, tool = world(answer)
    failed = tool.request("GET", PATH, timeout=1000)
    assert failed["kind"] == "FAILED" and failed["error"] == -111


def test_objects_too_large_are_taken_in_smaller_pages(world):
    large = {"data": "x" * (5 << 20)}

    def answer(h, question):
        limit = int(question.split("limit=")[1].split("&")[0])
        first = int(question.split("continue=")[1]) if "continue" in question else 0
        names = [f"n{i}" for i in range(first, min(first + limit, 3))]
        more = str(first + limit) if first + limit < 3 else ""
        h.say(200, page(5, *(thing(n, 3, **large) for n in names), more=more))

    server, tool = world(answer)
    watch = tool.begin("list", path=PATH)
    assert [e["name"] for e in tool.told(watch)] == [None, "n0", "n1", "n2", None]
    assert any("limit=1&" in p or p.endswith("limit=1") for _, p, _ in server.asked)


def test_an_object_that_never_fits_is_told_as_a_trouble(world):
    def answer(h, question):
        if FRESH in question:
            h.say(200, page(5))
        else:
            h.stream(b'{"type":"ADDED","object":{"data":"' + b"x" * (9 << 20) + b'"}}\n')
            hold(h)

    _, tool = world(answer)
    tool.begin("watch", path=PATH)
    until(lambda: "too large" in (tool.trouble() or ""))


def until(question):
    end = time.monotonic() + 30
    while not question():
        assert time.monotonic() < end, "it did not come to that"
        time.sleep(0.05)


def test_hostile_objects_are_passed_over(world):
    def answer(h, question):
        if FRESH in question:
            h.say(200, page(5))
            return
        h.stream(event("ADDED", thing("../../etc", 3)), event("ADDED", thing("a\x1b[2J", 3)),
                 event("ADDED", {"metadata": {"name": {"x": 1}, "resourceVersion": "3"}}),
                 event("ADDED", {"metadata": {"name": "b", "resourceVersion": "-1"}}),
                 event("ADDED", thing("c" * 300, 3)),
                 event("ADDED", {"metadata": {"name": "many", "resourceVersion": "3",
                                              "labels": {f"l{i}": "v" for i in range(100000)}}}),
                 event("ADDED", thing("good", 3)), end_of_list(5))
        hold(h)

    _, tool = world(answer)
    assert [e["name"] for e in tool.told(tool.begin("watch", path=PATH))] == [None, "many", "good", None]


@pytest.mark.parametrize("nonsense", [b"<html>", b"[" * 100 + b"\n", b'{"type":"ADDED"}\n', b"\x00\xff\n"])
def test_nonsense_in_a_stream_is_a_trouble_and_no_more(world, nonsense):
    turns = iter(range(99))

    def answer(h, question):
        if FRESH in question:
            h.say(200, page(5))
        elif next(turns) == 0:
            h.stream(nonsense)
            h.finish_stream()
        else:
            h.stream(event("ADDED", thing("a", 3)), end_of_list(5))
            hold(h)

    _, tool = world(answer)
    watch = tool.begin("watch", path=PATH)
    assert [e["name"] for e in tool.told(watch)] == [None, "a", None]


def test_a_new_token_is_used_as_soon_as_it_is_there(world, tmp_path):
    def answer(h, _):
        if h.headers["Authorization"] == "Bearer second":
            h.say(200, {"fine": True})
        else:
            h.say(401, status(401, "Unauthorized"))

    server, tool = world(answer, token="first")
    failed = tool.request("GET", PATH)
    assert failed["error"] == -13 and "does not know us (401): it was shown the token in" in failed["what"]
    watch = tool.begin("watch", path=PATH)
    until(lambda: "(401)" in (tool.trouble() or ""))
    (tmp_path / "token").write_text("second")
    assert tool.request("GET", PATH)["status"] == 200
    assert {a for _, _, a in server.asked} == {"Bearer first", "Bearer second"}
    tool.send("stop", id=watch)


def test_a_token_of_a_wrong_time_is_said_to_be_one(world):
    def answer(h, _):
        h.say(401, status(401, "Unauthorized"))

    _, tool = world(answer, token="a.eyJleHAiOjF9.b")  # {"exp":1}
    assert "it was valid until 1970-01-01T00:00:01Z and this machine's clock says" in tool.request("GET", PATH)["what"]


def test_nobody_is_asked_for_compressed_answers(world):
    seen = []

    def answer(h, _):
        seen.append(h.headers.get("Accept-Encoding"))
        h.say(200, {})

    _, tool = world(answer)
    tool.request("GET", PATH)
    assert seen == [None]


def test_a_list_of_a_tool_does_not_wait_for_a_server_that_is_away(world):
    server, tool = world(lambda h, _: h.cut())
    server.close()
    failed = tool.event(tool.begin("list", path=PATH))
    assert (failed["kind"], failed["error"]) == ("FAILED", -111)
    tool.send("wait", method="GET", path=PATH)
    assert tool.read()["error"] == -111
