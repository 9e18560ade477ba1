# SPDX-License-Identifier: Apache-2.0
"""Debian's stock kernel, unpacked and never installed, and the initial file system that starts it.

The package lands in a folder of its own name below CACHE, made complete before it gets that name:
what is there is usable, whoever else is fetching at the same time. To follow Debian's newest
kernel, remove the folder.
"""
import fcntl
import lzma
import os
import pathlib
import re
import shlex
import shutil
import stat
import struct
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
CACHE = pathlib.Path(os.environ.get("ROOST_VM_CACHE", ROOT / "build/vm"))
BUSYBOX = "/bin/busybox"
# What it takes to see the host's files and to talk to the host; the rest comes from there.
EARLY = ("virtio_pci", "9pnet_virtio", "9p", "overlay", "virtio_console")


class Trouble(Exception):
    """One sentence for the person who started this."""


class Kernel:
    """An unpacked package."""

    def __init__(self, image):
        self.image = image
        self.modules = next(image.parent.glob("lib/modules/*"))

    def files_of(self, names):
        """The files of modules and of what they need, in the order of loading."""
        needs = {}
        for line in (self.modules / "modules.dep").read_text().splitlines():
            file, _, rest = line.partition(":")
            needs[pathlib.Path(file).stem.replace("-", "_")] = [*reversed(rest.split()), file]
        files = [f for name in names for f in needs[name]]
        return [self.modules / f for f in dict.fromkeys(files)]


def get():
    """The kernel in CACHE, fetched if there is none."""
    CACHE.mkdir(parents=True, exist_ok=True)
    with open(CACHE / "lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        images = sorted(CACHE.glob("linux-image-*/image"), key=lambda f: f.stat().st_mtime)
        return Kernel(images[-1] if images else _fetch())


def _fetch():
    new = CACHE / "new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir()
    try:
        package = _download(new)
    except Trouble:
        _run("apt-get", "update", "-qq")  # lists may be absent, or name what is gone
        package = _download(new)
    tree = new / "tree"
    _run("dpkg-deb", "-x", package, tree)
    _run("depmod", "-b", tree, next(tree.glob("lib/modules/*")).name)
    (tree / "image").write_bytes(_uncompressed(next(tree.glob("boot/vmlinuz-*")).read_bytes()))
    folder = CACHE / package.stem
    shutil.rmtree(folder, ignore_errors=True)
    tree.rename(folder)
    shutil.rmtree(new)
    return folder / "image"


def _uncompressed(image):
    """The kernel within a bzImage (kernel: Documentation/x86/boot.rst, payload_offset), as QEMU can
    start it. Emulated, uncompressing takes as long as all the rest of the start."""
    sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    payload = image[(sectors + 1) * 512 + offset:][:length]
    if not payload.startswith(b"\xfd7zXZ\0"):
        return image
    return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(payload)


def _download(folder):
    depends = _run("apt-cache", "depends", "linux-image-amd64")
    found = re.search(r"Depends: (linux-image-\d\S*)", depends)
    if not found:
        raise Trouble("apt knows no package linux-image-amd64")
    _run("apt-get", "download", "-qq", "-o", "APT::Sandbox::User=root", found[1], cwd=folder)
    return next(folder.glob("*.deb"))


def _run(*argv, cwd=None):
    try:
        done = subprocess.run([str(a) for a in argv], cwd=cwd, capture_output=True, text=True,
                              stdin=subprocess.DEVNULL)
    except OSError as e:
        raise Trouble(f"{argv[0]}: {e.strerror}") from None
    if done.returncode:
        raise Trouble(f"{shlex.join(map(str, argv))}: {(done.stderr or done.stdout).strip()}")
    return done.stdout


# ---- the initial file system ----

INIT = """#!/bin/sh
# Mounts the host's root, read-only, below a file system in memory, and goes on in there.
/bin/busybox mount -t devtmpfs dev /dev
for module in {modules}; do /bin/busybox insmod /$module || exit 1; done
/bin/busybox mount -t 9p -o {options},ro root /host || exit 1
/bin/busybox mount -t tmpfs -o size=90%,mode=0755 memory /memory
/bin/busybox mkdir /memory/upper /memory/work
/bin/busybox chmod 0755 /memory/upper
/bin/busybox mount -t overlay -o lowerdir=/host,upperdir=/memory/upper,workdir=/memory/work \\
	root /root || exit 1
/bin/busybox mount -t devtmpfs dev /root/dev
/bin/busybox mount -t tmpfs -o mode=0755 run /root/run
/bin/busybox cp /job /root/run/vm-job
exec /bin/busybox switch_root /root /usr/bin/python3 -IS {guest}
"""
OPTIONS = "trans=virtio,version=9p2000.L,msize=512000,access=any"


def initramfs(kernel, job):
    """An archive that holds init, the modules it loads, and the job for tests/vm/guest.py."""
    modules = kernel.files_of(EARLY)
    init = INIT.format(modules=" ".join(m.name for m in modules), options=OPTIONS + ",cache=loose",
                       guest=shlex.quote(str(ROOT / "tests/vm/guest.py")))
    folder, executable, plain = stat.S_IFDIR | 0o755, stat.S_IFREG | 0o755, stat.S_IFREG | 0o600
    return b"".join([
        *(_entry(name, folder) for name in ("bin", "dev", "host", "memory", "root")),
        _entry("bin/busybox", executable, pathlib.Path(BUSYBOX).read_bytes()),
        _entry("bin/sh", stat.S_IFLNK | 0o777, b"busybox"),
        _entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
        _entry("init", executable, init.encode()),
        _entry("job", plain, job.encode()),
        *(_entry(m.name, plain, m.read_bytes()) for m in modules),
        _entry("TRAILER!!!", 0)])


def _entry(name, mode, content=b"", device=(0, 0)):
    """A file in cpio's "newc" form (kernel: Documentation/driver-api/early-userspace)."""
    fields = [0, mode, 0, 0, 1, 0, len(content), 0, 0, *device, len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08x" % f for f in fields) + name.encode() + b"\0"
    return head + bytes(-len(head) % 4) + content + bytes(-len(content) % 4)
