# SPDX-License-Identifier: Apache-2.0
"""The store file: between processes: no update is lost, a killed or stopped one hurts nobody."""
import fcntl
import random
import signal
import subprocess
import time

from storelab import STALL_US, TOOL, Tool, check, end, folder, start


def test_three_processes_increment_one_counter_and_lose_nothing():
    url = f"file:{folder()}"
    tools = [Tool(url) for _ in range(3)]
    for t in tools:
        t.send("hammer", key="counter", n=60)
    for t in tools:
        check(t.until(lambda e: e["kind"] in ("HAMMERED", "ERROR"))["kind"] == "HAMMERED", "an error")
    check(tools[0].value("counter").split()[0] == "180", f"counter is {tools[0].value('counter')}")
    for t in tools:
        t.close()


def test_writers_killed_at_any_moment_leave_a_sound_store():
    url = f"file:{folder()}"
    reader = Tool(url)
    watch = reader.watch()
    for _ in range(12):
        writer = Tool(url)
        writer.send("hammer", key="counter", n=100000)
        time.sleep(random.uniform(0.005, 0.06))
        writer.signal(signal.SIGKILL)
        writer.process.wait()
        check(reader.ask("hammer", ("HAMMERED", "ERROR"), key="mine", n=1)["kind"] == "HAMMERED",
              "a commit beside a killed one")
    last = reader.get("counter")
    seen = 0
    while seen != last["revision"]:  # PUTs are told in the order of their revisions
        event = reader.until(lambda e: e.get("id") == watch)
        if event["kind"] == "PUT" and event["key"] == "counter":
            check(event["revision"] > seen, "revisions grow")
            seen = event["revision"]
    check(int(last["value"].split()[0]) > 12, "the writers did write")


def test_a_process_killed_while_it_makes_the_store_leaves_a_usable_one():
    for _ in range(8):
        url = f"file:{folder()}/store"
        maker = start([TOOL, url], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL)
        time.sleep(random.uniform(0.0, 0.006))
        end(maker)
        tool = Tool(url)
        check(tool.put("a", "1")["kind"] == "WRITTEN", "a commit")
        tool.close()


def test_a_stopped_process_that_holds_the_lock_is_named_and_blocks_nobody():
    path = folder()
    tool = Tool(f"file:{path}")
    check(tool.put("a", "1", 0)["result"] == 1, "a first commit")
    with open(path / "lock", "r+", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write("4711\n")
        lock.flush()
        failed = tool.outcome(tool.write("a", "2", tool.get("a")["revision"], timeout=300))
        check(failed["kind"] == "FAILED" and failed["error"] == -110, failed)
        check("locked by process 4711" in failed["what"], failed["what"])
        trouble = tool.trouble()
        check("locked by process 4711" in trouble["what"], trouble)
        check(trouble["stall_us"] < STALL_US, f"a call took {trouble['stall_us']} us")
        check(tool.value("a") == "1", "reading needs no lock")
        late = tool.write("a", "3", tool.get("a")["revision"], timeout=10000)
    check(tool.outcome(late)["kind"] == "DONE", "a commit waits for the lock")
    check(tool.trouble()["what"] is None, "no trouble any more")


def test_a_watch_hears_other_processes_and_itself():
    url = f"file:{folder()}"
    one, two = Tool(url), Tool(url)
    watch = one.watch("x/")
    check([one.event(watch)[0] for _ in range(2)] == ["RESTART", "CURRENT"], "an empty list")
    two.put("y/1", "no")
    two.put("x/1", "yes")
    check(one.event(watch) == ("PUT", "x/1", "yes"), "a put of another process")
    one.put("x/2", "mine")
    check(one.event(watch) == ("PUT", "x/2", "mine"), "a put of its own")
    two.put("x/1", None)
    check(one.event(watch) == ("DELETE", "x/1", None), "a delete of another process")
