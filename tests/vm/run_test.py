# SPDX-License-Identifier: Apache-2.0
"""The test kernel itself: what tests/vm/run promises to those who use it."""
import os
import pathlib
import pty
import re
import signal
import subprocess
import tempfile

from roostlab import Failed, equal, true, wait_for

HERE = pathlib.Path(__file__).resolve().parent
RUN = str(HERE / "run")
HANG_S = 200  # only a fault takes that long


def vm(*argv, **more):
    return subprocess.run([RUN, *argv], capture_output=True, text=True, timeout=HANG_S, **more)


def guest(*argv, **more):
    """What a command that must end well prints."""
    done = vm(*argv, **more)
    equal((done.returncode, done.stderr), (0, ""), "status and standard error")
    return done.stdout


def test_status_and_both_outputs_come_back_and_nothing_else_does():
    done = vm("sh", "-c", "echo out; echo err >/dev/stderr; printf %70000s x; cat; pwd; "
              "echo $CI $ROOST_X; sleep 1000 & exit 3", cwd="/usr",
              env={**os.environ, "CI": "yes", "ROOST_X": "a b", "OTHER": "c"})
    equal((done.returncode, done.stderr), (3, "err\n"), "status and standard error")
    equal(done.stdout, "out\n" + " " * 69999 + "x/usr\nyes a b\n", "standard output")


def test_the_kernel_has_the_tunnels_and_ipvs_and_loads_modules_by_itself():
    script = """set -e
        uname -r
        ip link add vx0 type vxlan id 1 dstport 4789 dev lo
        ip link add br0 type bridge
        modprobe ipip; cat /sys/class/net/tunl0/type
        ipvsadm -A -t 127.0.0.1:80 -s rr; ipvsadm -Ln | grep -c rr
        nft add table t; nft list tables
        unshare --net ip -br link show lo | cut -c1-2
        ping -c1 -q 127.0.0.1 | grep -c ' 0% packet loss'
        mount | grep -c cgroup2"""
    lines = guest("--load", "wireguard", "bash", "-c", script + "; ls -d /sys/module/wireguard"
                  ).splitlines()
    true(re.fullmatch(r"\d+\.\d+\.\d.*-amd64", lines[0]), "Debian's kernel", lines[0])
    equal(lines[1:], ["768", "1", "table ip t", "lo", "1", "1", "/sys/module/wireguard"],
          "what the commands print")


def test_the_hosts_files_stay_as_they_are_but_for_the_folder_given():
    with tempfile.TemporaryDirectory(prefix="roost vm,", dir="/var/tmp") as folder:
        kept, out = pathlib.Path(folder, "kept"), pathlib.Path(folder, "out")
        kept.write_text("kept")
        out.mkdir()
        text = guest("--out", str(out), "sh", "-c", 'echo inside >"$1"; cat "$1"; '
                     'mkdir /new-folder; rm -r "$2"; echo result >"$3/file"; umount / ;'
                     'mount -t 9p -o trans=virtio root /mnt 2>&1 || true;'
                     'rm -f "/mnt$1"; true', "sh", str(kept), str(HERE), str(out))
        equal(text.splitlines()[0], "inside", "the file as seen inside")
        equal(kept.read_text(), "kept", "the file")
        true(HERE.is_dir() and not os.path.exists("/new-folder"), "the host's folders untouched")
        equal((out / "file").read_text(), "result\n", "what is kept")


def processes_with(word):
    found = []
    for folder in pathlib.Path("/proc").glob("[0-9]*"):
        try:
            if word in (folder / "cmdline").read_bytes().decode(errors="replace"):
                found.append(folder.name)
        except OSError:
            pass
    return [p for p in found if int(p) != os.getpid()]


def test_a_machine_that_hangs_is_ended_at_its_deadline():
    with tempfile.TemporaryDirectory(prefix="roost-vm-test-") as folder:
        done = vm("--timeout", "15", "--out", folder, "sh", "-c", "echo on; sleep 1000")
        equal((done.returncode, done.stdout), (124, "on\n"), "status and output")
        true("killed after 15 s" in done.stderr, "a word about the deadline", done.stderr)
        equal(processes_with(folder), [], "machines left")


def test_the_machine_goes_when_whoever_started_it_goes():
    for number, status in ((signal.SIGKILL, -9), (signal.SIGTERM, 143)):
        with tempfile.TemporaryDirectory(prefix="roost-vm-test-") as folder:
            with subprocess.Popen([RUN, "--out", folder, "sh", "-c", "echo on; sleep 1000"],
                                  stdout=subprocess.PIPE, text=True) as runner:
                equal(runner.stdout.readline(), "on\n", "the first line, while it runs")
                runner.send_signal(number)
                equal(runner.wait(HANG_S), status, "the status")
            wait_for(lambda: not processes_with(folder), "the machine to be gone")


def test_a_kernel_that_crashes_is_a_failure_that_shows_why():
    done = vm("sh", "-c", "echo c >/proc/sysrq-trigger")
    equal((done.returncode, done.stdout), (125, ""), "status and output")
    true("sysrq triggered crash" in done.stderr, "the kernel's words", done.stderr)


def test_what_cannot_be_run_is_said():
    done = vm("no-such-command")
    equal((done.returncode, done.stderr),
          (127, "no-such-command: No such file or directory\n"), "status and standard error")
    with tempfile.TemporaryDirectory() as folder:
        done = vm("true", env={"ROOST_VM_CACHE": folder, "PATH": folder})
    equal((done.returncode, done.stderr),
          (126, "tests/vm/run: apt-get: No such file or directory\n"), "status and standard error")
    done = vm("--load", "no-such-module", "true")
    equal(done.returncode, 125, "the status")
    true("Module no-such-module not found" in done.stderr, "modprobe's words", done.stderr)
    equal(vm().returncode, 2, "the status without a command")


def test_a_shell_has_a_terminal_and_a_status():
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv(RUN, [RUN, "--shell", "--timeout", str(HANG_S)])
    until_interrupted = "sh -c 'trap \"exit 5\" INT; echo $((6*7)); while :; do sleep 1; done'\n"
    seen = await_text(terminal, "# ", "tty; echo $((6+7))-$HOSTNAME\n")
    seen = await_text(terminal, "13-testkernel\r", until_interrupted)
    true("/dev/ttyS0" in seen, "a terminal", seen)
    await_text(terminal, "42\r", "\x03")
    await_text(terminal, "# ", "exit $?\n")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    equal(os.waitstatus_to_exitcode(status), 5, "the status")


def await_text(terminal, text, answer):
    """What is seen until the text comes, upon which the answer is typed."""
    seen = ""
    while text not in seen:
        try:
            seen += os.read(terminal, 4096).decode(errors="replace")
        except OSError:
            raise Failed(f"expected {text!r} on the terminal, saw {seen!r}") from None
    os.write(terminal, answer.encode())
    return seen
