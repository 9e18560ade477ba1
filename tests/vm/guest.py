# SPDX-License-Identifier: Apache-2.0
"""Process 1 of the test kernel: completes the machine, runs the job, says how it ended, stops.

The job is a JSON document in /run (tests/vm/run writes it). What the command prints passes through
pipes, not straight to the ports: a port can be opened by one process only, and a pipe's other end
knows when nobody writes any more. When the command ends, everything else is killed, so that what
it left running can neither delay the end nor print after it.
"""
import ctypes
import glob
import json
import os
import signal
import subprocess
import termios
import threading
import traceback

JOB = "/run/vm-job"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MOUNTS = (("proc", "/proc", "nosuid,nodev,noexec"),
          ("sysfs", "/sys", "nosuid,nodev,noexec"),
          ("cgroup2", "/sys/fs/cgroup", "nosuid,nodev,noexec"),
          ("devpts", "/dev/pts", "mode=0620,ptmxmode=0666"),
          ("tmpfs", "/dev/shm", "mode=1777"),
          ("mqueue", "/dev/mqueue", "nosuid,nodev,noexec"))
LINKS = (("/proc/self/fd", "/dev/fd"), ("/proc/self/fd/0", "/dev/stdin"),
         ("/proc/self/fd/1", "/dev/stdout"), ("/proc/self/fd/2", "/dev/stderr"))
NO_COMMAND = 127


def main():
    os.environ.clear()
    os.environ["PATH"] = PATH
    with open(JOB) as f:
        job = json.load(f)
    furnish(job)
    tell = port("roost.status")
    os.write(tell, b"started\n")
    for name in job["load"]:
        run("modprobe", name)
    status = shell(job) if job["shell"] else command(job)
    os.sync()
    os.write(tell, b"ended %d\n" % status)


def furnish(job):
    for kind, where, options in MOUNTS:
        os.makedirs(where, exist_ok=True)
        run("mount", "-t", kind, "-o", options, kind, where)
    for target, link in LINKS:
        if not os.path.lexists(link):
            os.symlink(target, link)
    os.makedirs("/run/lock", exist_ok=True)
    where = f"/lib/modules/{os.uname().release}"
    os.makedirs(where, exist_ok=True)
    run("mount", "--bind", job["modules"], where)
    for tag, folder in job["shares"].items():
        os.makedirs(folder, exist_ok=True)
        run("mount", "-t", "9p", "-o", job["share_options"], tag, folder)
    run("ip", "link", "set", "lo", "up")
    with open("/proc/sys/kernel/hostname", "w") as f:
        f.write("testkernel")


def run(*argv):
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)


def port(name):
    for file in glob.glob("/sys/class/virtio-ports/*/name"):
        with open(file) as f:
            if f.read().strip() == name:
                return os.open(f"/dev/{file.split('/')[-2]}", os.O_RDWR | os.O_CLOEXEC)
    raise OSError(f"no port {name}")


def command(job):
    relays = []
    ends = {}
    for stream in ("stdout", "stderr"):
        reader, ends[stream] = os.pipe()
        relays.append(threading.Thread(target=relay, args=(reader, port(f"roost.{stream}"))))
        relays[-1].start()
    status = start_and_wait(job, **ends)
    for end in ends.values():
        os.close(end)
    kill_everything()
    for thread in relays:
        thread.join()
    return status


def relay(reader, writer):
    while data := os.read(reader, 65536):
        while data:
            data = data[os.write(writer, data):]


def shell(job):
    """On the serial line, which becomes its controlling terminal."""
    def open_line():
        return os.open("/dev/ttyS0", os.O_RDWR | os.O_NOCTTY)

    line = open_line()
    run("stty", "-F", "/dev/ttyS0", "sane", *job["stty"])
    status = start_and_wait(job, line, line, line, wrapper=("setsid", "--ctty", "--wait"))
    termios.tcdrain(open_line())  # the first was hung up when the session ended
    return status


def start_and_wait(job, stdout, stderr, stdin=subprocess.DEVNULL, wrapper=()):
    """The command's status as a shell tells it. Orphans are reaped meanwhile."""
    try:
        child = subprocess.Popen([*wrapper, *job["argv"]], stdin=stdin, stdout=stdout,
                                 stderr=stderr, cwd=job["cwd"], start_new_session=not wrapper,
                                 env={"PATH": PATH, "HOME": "/root", "USER": "root",
                                      "LOGNAME": "root", "LANG": "C.UTF-8", **job["env"]})
    except OSError as e:
        os.write(stderr, f"{job['argv'][0]}: {e.strerror}\n".encode())
        return NO_COMMAND
    while True:
        pid, status = os.wait()
        if pid == child.pid:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


def kill_everything():
    """Process 1 is spared by the kernel."""
    try:
        os.kill(-1, signal.SIGKILL)
    except ProcessLookupError:
        pass


def stop(told):
    """tests/vm/run ends the machine when it is told a status; without one the kernel does."""
    if not told:
        ctypes.CDLL(None).reboot(0x4321FEDC)  # LINUX_REBOOT_CMD_POWER_OFF
    while True:
        signal.pause()


told = False
try:
    main()
    told = True
except BaseException:
    traceback.print_exc()
finally:
    stop(told)
