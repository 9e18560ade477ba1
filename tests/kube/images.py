# SPDX-License-Identifier: Apache-2.0
"""Container images made here, of this machine's executables and of what binaries.py built: no registry is
asked. An image is a docker-archive, which `ctr images import` takes.

    pause      busybox that sleeps: the sandbox of every pod
    agnhost    what Kubernetes' own tests run in their pods, under the names that they ask for: agnhost, with
               bash, curl, wget, nc, dig, getent, ip, ss, socat and busybox; nginx is its web server. Before it
               stands what speaks SCTP where the kernel has none (agnhost_sctp.c)
    coredns    the names of Services
"""
import hashlib
import io
import json
import os
import re
import subprocess
import tarfile
import tempfile

import binaries
from lab import BIN, Failed, HANG_S

PACKAGED = {"bash": "bin/bash", "curl": "usr/bin/curl", "nc": "usr/bin/nc", "dig": "usr/bin/dig",
            "getent": "usr/bin/getent", "ip": "sbin/ip", "ss": "bin/ss", "socat": "usr/bin/socat",
            "iperf": "usr/bin/iperf", "wget": "usr/bin/wget"}
PROGRAMS = ("busybox", "openssl", *PACKAGED)  # that must be installed
PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
PAUSE, AGNHOST, COREDNS = "localhost/pause:1", "localhost/agnhost:1", "localhost/coredns:1"
OF_SUITES = ("registry.k8s.io/e2e-test-images/agnhost:2.45",)  # what suites.py's suites run
OF_UPSTREAM = r"/(pause|agnhost|glibc-dns-testing|busybox|nginx):\S+$"  # that tests ask for

_PASSWD = "root:x:0:0:root:/root:/bin/sh\nuser-defined-in-image:x:1000:1000::/home:/bin/sh\n"
_GROUP = "root:x:0:\ngroup-defined-in-image:x:50000:user-defined-in-image\n"


class Root:
    """A root file system as one layer."""

    def __init__(self):
        self._made, self._bytes = set(), io.BytesIO()
        self._tar = tarfile.open(fileobj=self._bytes, mode="w")

    def folder(self, path, mode=0o755):
        if path and path not in self._made:
            self.folder(os.path.dirname(path))
            self._add(path, tarfile.DIRTYPE, mode)

    def file(self, path, data, mode=0o644):
        self.folder(os.path.dirname(path))
        self._add(path, tarfile.REGTYPE, mode, data)

    def link(self, path, target):
        self.folder(os.path.dirname(path))
        self._add(path, tarfile.SYMTYPE, 0o777, target=target)

    def program(self, path, source):
        """An executable of this machine with the libraries that it loads."""
        with open(os.path.realpath(source), "rb") as f:
            self.file(path, f.read(), 0o755)
        for library in _libraries(source):
            with open(library, "rb") as f:
                self.file(library[1:], f.read(), 0o755)

    def layer(self):
        self._tar.close()
        return self._bytes.getvalue()

    def _add(self, path, kind, mode, data=b"", target=""):
        if path in self._made:
            return
        self._made.add(path)
        entry = tarfile.TarInfo(path)
        entry.type, entry.mode, entry.size, entry.linkname = kind, mode, len(data), target
        self._tar.addfile(entry, io.BytesIO(data))


def archive(path, layer, images):
    """Writes an archive of images over one layer. images: {names: configuration}, names a tuple."""
    digest = hashlib.sha256(layer).hexdigest()
    manifest, entries = [], {"layer.tar": layer}
    for names, configuration in images.items():
        document = json.dumps({
            "architecture": "amd64", "os": "linux", "created": "1970-01-01T00:00:00Z",
            "config": {"Env": [PATH], **configuration},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created": "1970-01-01T00:00:00Z"}]}).encode()
        name = hashlib.sha256(document).hexdigest() + ".json"
        entries[name] = document
        manifest.append({"Config": name, "RepoTags": list(names), "Layers": ["layer.tar"]})
    entries["manifest.json"] = json.dumps(manifest).encode()
    with tarfile.open(path, "w") as tar:
        for name, data in entries.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
    return path


def make(folder):
    """Archives of all images, in a folder; their paths."""
    os.makedirs(folder, exist_ok=True)
    tools, dns = Root(), Root()
    _fill_tools(tools)
    with open(binaries.path("coredns"), "rb") as f:
        dns.file("coredns", f.read(), 0o755)
    dns.folder("tmp", 0o1777)
    agnhost = {"Entrypoint": ["/agnhost"], "Cmd": ["pause"], "WorkingDir": "/"}
    shell = {"Cmd": ["sh"], "WorkingDir": "/"}
    server = {**agnhost, "Cmd": ["netexec", "--http-port=80"]}

    def upstream(*words):
        return tuple(n for n in _upstream_names() if any(f"/{w}:" in n for w in words))
    return [
        archive(f"{folder}/tools.tar", tools.layer(),
                {(PAUSE, *upstream("pause")): {"Entrypoint": ["/bin/sleep", "2147483647"]},
                 (AGNHOST, *OF_SUITES, *upstream("agnhost")): agnhost, upstream("nginx"): server,
                 upstream("busybox", "glibc-dns-testing"): shell}),
        archive(f"{folder}/coredns.tar", dns.layer(), {(COREDNS,): {"Entrypoint": ["/coredns"]}})]


def _fill_agnhost(root):
    """agnhost behind what speaks SCTP for it (agnhost_sctp.c)."""
    root.program("agnhost", f"{BIN}/../tests/kube/agnhost_sctp")
    with open(binaries.path("agnhost"), "rb") as f:
        root.file("agnhost.real", f.read(), 0o755)
    for library in ("libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"):  # of names, by glibc
        with open(f"/lib/x86_64-linux-gnu/{library}", "rb") as f:
            root.file(f"lib/x86_64-linux-gnu/{library}", f.read(), 0o755)
    root.file("etc/nsswitch.conf", b"hosts: files dns\n")


def _upstream_names():
    said = subprocess.run([binaries.path("e2e.test"), "--list-images"], capture_output=True, text=True,
                          timeout=HANG_S).stdout
    found = [n for n in said.split() if re.search(OF_UPSTREAM, n)]
    if not found:
        raise Failed("expected e2e.test --list-images to name images of agnhost")
    return found


def _fill_tools(root):
    root.program("bin/busybox", _which("busybox"))
    for name, path in PACKAGED.items():
        root.program(path, _which(name))
    root.link("bin/sh", "bash")
    root.link("usr/local/bin/iperf", "/usr/bin/iperf")
    _fill_agnhost(root)
    root.link("agnhost-2", "agnhost")
    for name, data in _server_certificate().items():  # of its HTTPS server
        root.file(name, data)
    with open(binaries.path("coredns"), "rb") as f:
        root.file("coredns", f.read(), 0o755)
    for name, text in (("passwd", _PASSWD), ("group", _GROUP)):
        root.file(f"etc/{name}", text.encode())
    for folder in ("tmp", "uploads", "root", "home", "proc", "sys", "dev", "run", "var/run"):
        root.folder(folder, 0o1777 if folder == "tmp" else 0o755)
    for name in subprocess.run([_which("busybox"), "--list"], capture_output=True, text=True,
                               timeout=HANG_S).stdout.split():
        if name not in PACKAGED and name not in ("busybox", "sh"):
            root.link(f"bin/{name}", "busybox")


def _server_certificate():
    """{file: bytes} of a certificate that vouches for itself, as agnhost's image has one."""
    with tempfile.TemporaryDirectory() as folder:
        files = {n: f"{folder}/{n}" for n in ("localhost.crt", "localhost.key")}
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3650", "-subj",
                        "/CN=localhost", "-keyout", files["localhost.key"], "-out", files["localhost.crt"]],
                       check=True, capture_output=True, timeout=HANG_S)
        found = {}
        for name, path in files.items():
            with open(path, "rb") as f:
                found[name] = f.read()
    return found


def _which(name):
    for folder in ("/usr/bin", "/bin", "/usr/sbin", "/sbin"):
        if os.access(f"{folder}/{name}", os.X_OK):
            return f"{folder}/{name}"
    raise Failed(f"expected {name} to be installed")


def _libraries(program):
    said = subprocess.run(["ldd", program], capture_output=True, text=True, timeout=HANG_S).stdout
    return sorted(set(re.findall(r"(/\S+)", said)) - {program})
