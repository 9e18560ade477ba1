# SPDX-License-Identifier: Apache-2.0
"""The store etcd: with one member: the common suite, then a server that is killed, stopped, compacted,
replaced, and answers that are lost."""
import shutil
import signal
import subprocess

import pytest

from proxy import Liar, Proxy
from storelab import STALL_US, SUITE, Etcd, Tool, b64, check, cleanup, wait_for

pytestmark = pytest.mark.needs("etcd")

FAST = {"timeout": 400}  # ms of a request, so that outages are noticed in a second


def one_member():
    etcd = Etcd()
    etcd.start()
    return etcd.wait()


def opened(watch_of, *expected):
    tool, watch = watch_of
    got = [tool.event(watch) for _ in expected]
    check(got == list(expected), f"told {got}, expected {expected}")


BEGIN, END = ("RESTART", None, None), ("CURRENT", None, None)


def test_the_common_suite_passes_over_etcd():
    etcd = one_member()
    done = subprocess.run([SUITE, f"etcd:{etcd.url}"], capture_output=True, text=True, timeout=60, check=False)
    check(done.returncode == 0, done.stdout + done.stderr)


def test_without_a_server_tools_fail_soon_and_watches_begin_when_it_comes():
    etcd = Etcd()
    tool = Tool(f"etcd:{etcd.url}", **FAST)
    watch = tool.watch()
    refused = tool.get("a")
    check(refused["error"] == -111 and "refused" in refused["what"].lower(), refused)
    check(tool.put("a", "1")["error"] == -111, "a commit, too")
    failed = tool.outcome(tool.write("a", "1", timeout=300))
    check(failed["error"] == -111, failed)  # nothing was sent, so nothing was done
    check(f"etcd at {etcd.url} cannot be used: " in tool.wait_trouble("refused")["what"], "trouble's words")
    etcd.start()
    opened((tool, watch), BEGIN, END)
    check(tool.trouble()["what"] is None, "no trouble any more")


def test_a_watch_goes_on_over_a_restart_on_the_same_data():
    etcd = one_member()
    tool = Tool(f"etcd:{etcd.url}", **FAST)
    etcd.put("/roost/a", "1")
    watch = tool.watch()
    opened((tool, watch), BEGIN, ("PUT", "a", "1"), END)
    for n in range(2):
        etcd.kill()
        tool.wait_trouble("cannot be used")
        commit = tool.write(f"b{n}", "x", timeout=15000)
        etcd.start()
        check(tool.outcome(commit)["kind"] == "DONE", "a commit waits for the server")
        opened((tool, watch), ("PUT", f"b{n}", "x"))
    tool.close()


def test_a_watch_that_missed_a_compaction_lists_again():
    etcd = one_member()
    tool = Tool(f"etcd:{etcd.url}", **FAST)
    etcd.put("/roost/gone", "1")
    etcd.put("/roost/kept", "1")
    watch = tool.watch()
    opened((tool, watch), BEGIN, ("PUT", "gone", "1"), ("PUT", "kept", "1"), END)
    tool.signal(signal.SIGSTOP)
    etcd.kill()
    etcd.start()
    etcd.wait()
    etcd.post("/v3/kv/deleterange", {"key": b64("/roost/gone")})
    etcd.put("/roost/new", "1")
    etcd.compact()
    tool.signal(signal.SIGCONT)
    opened((tool, watch), BEGIN, ("PUT", "kept", "1"), ("PUT", "new", "1"), END)
    etcd.put("/roost/later", "1")
    opened((tool, watch), ("PUT", "later", "1"))


def test_a_store_that_was_replaced_by_an_older_one_is_listed_again():
    etcd = one_member()
    tool = Tool(f"etcd:{etcd.url}", **FAST)
    for n in range(5):
        etcd.put("/roost/a", str(n))
    watch = tool.watch()
    opened((tool, watch), BEGIN, ("PUT", "a", "4"), END)
    etcd.kill()
    shutil.rmtree(etcd.data / "etcd")
    etcd.start()
    opened((tool, watch), BEGIN, END)
    etcd.wait().put("/roost/b", "1")
    opened((tool, watch), ("PUT", "b", "1"))


def test_a_stopped_server_blocks_nobody_and_is_told():
    etcd = one_member()
    tool = Tool(f"etcd:{etcd.url}", **FAST)
    watch = tool.watch()
    opened((tool, watch), BEGIN, END)
    tool.trouble()
    etcd.signal(signal.SIGSTOP)
    check("no answer within 400 ms" in tool.wait_trouble("no answer")["what"], "a silent stream is noticed")
    commit = tool.write("a", "mine", timeout=1500)
    check(tool.get("a")["error"] == -110, "a tool's read ends")
    failed = tool.outcome(commit)
    check(failed["kind"] == "FAILED" and failed["error"] == -110, failed)
    stall = tool.trouble()["stall_us"]
    check(stall < STALL_US, f"a call took {stall} us")
    etcd.signal(signal.SIGCONT)
    tool.wait_trouble(None)
    etcd.put("/roost/b", "1")
    seen = []
    while ("PUT", "b", "1") not in seen:
        seen.append(tool.event(watch))
    check(BEGIN not in seen, "the stream goes on where it was")
    # It was unknown, so both are true; but the watch and the store must agree.
    check((("PUT", "a", "mine") in seen) == (tool.value("a") == "mine"), seen)


def behind(plan, after=lambda etcd: None):
    etcd = one_member()
    proxy = Proxy(etcd.client, plan, lambda: after(etcd))
    cleanup.callback(proxy.close)
    return etcd, Tool(f"etcd:{proxy.url}", **FAST), proxy


def version(etcd, key):
    kvs = etcd.post("/v3/kv/range", {"key": b64(f"/roost/{key}")}).get("kvs")
    return int(kvs[0]["version"]) if kvs else 0


def lose_first(path, n):
    return "lose" if path == "/v3/kv/txn" and n == 1 else "pass"


def drop_first(path, n):
    return "drop" if path == "/v3/kv/txn" and n == 1 else "pass"


def test_a_write_whose_answer_was_lost_is_found_done_and_not_done_twice():
    etcd, tool, proxy = behind(lose_first)
    done = tool.outcome(tool.write("a", "nonce 1"))
    check(done["kind"] == "DONE", done)
    check(done["revision"] == tool.get("a")["revision"], done)
    check(version(etcd, "a") == 1, "it happened once")
    check(proxy.seen["/v3/kv/txn"] == 2, f"nothing is sent behind our back: {proxy.seen}")


def test_a_deletion_whose_answer_was_lost_is_found_done_unless_somebody_wrote():
    for theirs, kind in ((None, "DONE"), ("theirs", "CONFLICT")):
        def meanwhile(etcd, theirs=theirs):
            if theirs:
                etcd.put("/roost/a", theirs)
        etcd, tool, _ = behind(lose_first, meanwhile)
        etcd.put("/roost/a", "1")
        ended = tool.outcome(tool.write("a", None, tool.get("a")["revision"]))
        check(ended["kind"] == kind and tool.value("a") == theirs, ended)


def test_a_commit_on_a_kept_connection_is_not_sent_twice_by_the_library():
    etcd, tool, proxy = behind(lambda path, n: "lose" if path == "/v3/kv/txn" and n == 3 else "pass")
    for n in range(3):
        check(tool.outcome(tool.write(f"k{n}", "x"))["kind"] == "DONE", n)
    check(version(etcd, "k2") == 1, "it happened once")
    check(proxy.seen["/v3/kv/txn"] == 4, f"one question: {proxy.seen}")


def test_a_commit_that_never_arrived_is_tried_again():
    etcd, tool, proxy = behind(drop_first)
    done = tool.outcome(tool.write("a", "nonce 1"))
    check(done["kind"] == "DONE" and version(etcd, "a") == 1, done)
    check(done["revision"] == tool.get("a")["revision"], done)
    check(proxy.seen["/v3/kv/txn"] == 2, proxy.seen)


def test_a_commit_that_never_arrived_and_came_too_late_is_a_conflict():
    _, tool, _ = behind(drop_first, lambda etcd: etcd.put("/roost/a", "theirs"))
    check(tool.outcome(tool.write("a", "nonce 1"))["kind"] == "CONFLICT", "a conflict")
    check(tool.value("a") == "theirs", "nothing was changed")


def test_a_commit_that_was_done_and_overwritten_was_done():
    def overwrite(etcd):
        etcd.put("/roost/a", "theirs")
        etcd.put("/roost/a", "theirs again")
    _, tool, _ = behind(lose_first, overwrite)
    done = tool.outcome(tool.write("a", "nonce 1"))
    check(done["kind"] == "DONE" and done["revision"] < tool.get("a")["revision"], done)


def test_a_commit_whose_history_was_compacted_is_unknown():
    def overwrite(etcd):
        etcd.put("/roost/a", "theirs")
        etcd.put("/roost/a", "theirs again")
        etcd.compact()
    _, tool, _ = behind(lose_first, overwrite)
    failed = tool.outcome(tool.write("a", "nonce 1"))
    check(failed["kind"] == "FAILED" and failed["error"] == -110 and "unknown" in failed["what"], failed)


def test_a_commit_whose_outcome_cannot_be_asked_is_unknown_at_its_deadline():
    _, tool, _ = behind(lambda path, n: "lose" if path == "/v3/kv/txn" else "pass")
    failed = tool.outcome(tool.write("a", "nonce 1", timeout=700))
    check(failed["kind"] == "FAILED" and failed["error"] == -110, failed)
    check("whether this change was made is unknown" in failed["what"], failed)
    check(tool.value("a") == "nonce 1", "it was made, as it happens")


def test_documents_of_strangers_are_told_as_far_as_they_can_be():
    etcd = Etcd(args=("--max-request-bytes", "20000000"))
    etcd.start()
    etcd.wait()
    tool = Tool(f"etcd:{etcd.url}", **FAST)
    strange = {b"/roost/large": b"x" * 1048577, b"/roost/huge": b"y" * 12_000_000, b"/roost/nul": b"a\0b",
               b"/roost/bin\xff": b"1", b"/roost/nul\0": b"1", b"/roost/": b"1", b"/roost/a b": b"1",
               b"/roost/" + b"k" * 512: b"1", b"/roost/fine": b"\xff\xfe", b"/other": b"1"}
    for key, value in strange.items():
        check("error" not in etcd.put(key, value), key)
    watch = tool.watch()
    listed = [("PUT", "huge", None), ("PUT", "large", None), ("PUT", "nul", None)]
    got = []
    while END not in got:
        e = tool.until(lambda e: e.get("id") == watch)
        got.append((e["kind"], e["key"], e["value"]))
    check([g for g in got if g[1] != "fine"] == [BEGIN, *listed, END], got)
    check(any(g[1] == "fine" for g in got), "bytes that are no UTF-8 are text of anybody's making")
    check(tool.get("large")["error"] == -27, "a read of one says so")
    for key, value in strange.items():
        etcd.put(key, value)
    etcd.put("/roost/last", "1")
    told = []
    while ("PUT", "last", "1") not in told:
        told.append(tool.event(watch))
    check(all(t in told for t in listed) and BEGIN not in told, told)


def test_servers_that_are_no_etcd_are_told_and_cost_no_memory():
    for liar, words in (
            (Liar(b"<html>no</html>"), "an answer that is not etcd's"),
            (Liar(b"not found", "404 Not Found"), "not etcd's"),
            (Liar(b'{"kvs":7}'), "a list was expected"),
            (Liar(b'{"header":{"revision":"5"},"more":true}'), "a page of nothing"),
            (Liar(b'{"error":"etcdserver: no leader","code":14}', "503 Service Unavailable"), "no leader"),
            (Liar(b"[" * 65536, endless=True), None),
            (Liar(b'"' + b"x" * 65535, endless=True), None)):
        cleanup.callback(liar.close)
        tool = Tool(f"etcd:{liar.url}", **FAST)
        watch = tool.watch()
        if words:
            check(words in tool.wait_trouble(words)["what"], words)
        else:
            wait_for(lambda: liar.dropped, "the endless answer to be cut off")
        if liar.answer[:9] != b'{"header"':
            check(tool.get("a")["kind"] == "ERROR", "a read fails")
        status = open(f"/proc/{tool.process.pid}/status", encoding="ascii").read()
        peak = int(status.split("VmHWM:")[1].split()[0])
        check(peak < 300_000, f"it took {peak} KiB")
        check(liar.requests < 100, "and it is not asked in a hurry")
        check(watch > 0, "a watch")


def test_commits_at_once_and_a_watch_share_the_connections():
    etcd = one_member()
    tool = Tool(f"etcd:{etcd.url}", **FAST)
    watch = tool.watch()
    opened((tool, watch), BEGIN, END)
    commits = [tool.write(f"k{n}", str(n)) for n in range(100)]
    check(all(tool.outcome(c)["kind"] == "DONE" for c in commits), "all are done")
    told = {tool.event(watch)[1] for _ in commits}
    check(len(told) == 100, "and told")
    sockets = subprocess.run(["ss", "-tnH", "state", "established", f"( dport = :{etcd.client} )"],
                             capture_output=True, text=True, check=True).stdout.splitlines()
    check(len(sockets) <= 20, f"{len(sockets)} connections")
