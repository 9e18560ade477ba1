#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Builds Kubernetes and what it needs from Go modules, once: tests/kube/binaries.py [PROGRAM...]

    tests/kube/binaries.py              whatever is missing of all; prints where each is
    tests/kube/binaries.py kubectl etcd those only; kube-router and kube-network-policies are built by name alone
    tests/kube/binaries.py --missing    builds nothing; exit status 1 when something is missing

A folder of go/ is one Go module: its go.mod says the versions, its go.sum the checksums. What it gives
is kept in ${ROOST_KUBE_CACHE:-${XDG_CACHE_HOME:-~/.cache}/roost}/kube-PRODUCT-VERSION-HASH, where HASH is
of that folder and of the flags: another version is another folder, and what is there is never built
again. A program gets its name there when it is complete, so an interrupted build goes on where it was;
within a program Go's own cache does that. From nothing all of it is a quarter of an hour of two
processors.

Nothing but the Go module proxy is asked. Exit status 77: there is no Go that can compile it.
"""
import argparse
import collections
import contextlib
import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
FLAGS = ["-buildvcs=false", "-trimpath", "-mod=readonly"]

# programs: {name of the executable: what go(1) builds}. names: what it is called by, too. test: of a
# program that is a test of its package. files: {name: of the module}, taken as they are. is_peer: one to
# compare with, which is built when it is named.
Product = collections.namedtuple("Product", "module programs names test files is_peer",
                                 defaults=({}, (), {}, False))

_COMPONENTS = ("kube-apiserver", "kube-controller-manager", "kube-proxy", "kube-scheduler", "kubectl",
               "kubelet")
PRODUCTS = {
    "kubernetes": Product("k8s.io/kubernetes",
                          {"kubernetes": ".", "agnhost": "k8s.io/kubernetes/test/images/agnhost",
                           "e2e.test": "k8s.io/kubernetes/test/e2e"},
                          {name: "kubernetes" for name in _COMPONENTS}, ("e2e.test",)),
    "etcd": Product("go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"}),
    "containerd": Product("github.com/containerd/containerd/v2",
                          {p: f"github.com/containerd/containerd/v2/cmd/{p}"
                           for p in ("containerd", "containerd-shim-runc-v2", "ctr")}),
    "coredns": Product("github.com/coredns/coredns", {"coredns": "."}),
    "network-policy-api": Product("sigs.k8s.io/network-policy-api",
                                  {"network-policy-api.test": "sigs.k8s.io/network-policy-api/conformance"},
                                  {}, ("network-policy-api.test",)),
    "kwok": Product("sigs.k8s.io/kwok", {"kwok": "sigs.k8s.io/kwok/cmd/kwok"}),
    "network-policy-crds": Product("sigs.k8s.io/network-policy-api", {}, files={
        "clusternetworkpolicies.yaml": "config/crd/experimental/policy.networking.k8s.io_clusternetworkpolicies.yaml"}),
    "kube-router": Product("github.com/cloudnativelabs/kube-router/v2",
                           {"kube-router": "github.com/cloudnativelabs/kube-router/v2/cmd/kube-router"},
                           is_peer=True),
    "kube-network-policies": Product("sigs.k8s.io/kube-network-policies",
                                     {"kube-network-policies": "sigs.k8s.io/kube-network-policies/cmd"},
                                     is_peer=True),
}


class CannotBuild(Exception):
    """Why; it is for people."""


def version(product):
    """The version of a product's module, without the v."""
    return _in_go_mod(product, rf"^\s*(?:require\s+)?{re.escape(PRODUCTS[product].module)} v(\S+)")


def folder(product):
    """Where the programs of a product are, or will be."""
    digest = hashlib.sha256(" ".join(_ldflags(product) + FLAGS).encode())
    for name in sorted(os.listdir(f"{HERE}/go/{product}")):
        with open(f"{HERE}/go/{product}/{name}", "rb") as f:
            digest.update(name.encode() + b"\0" + f.read())
    cache = os.environ.get("ROOST_KUBE_CACHE") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "roost")
    return f"{cache}/kube-{product}-{version(product)}-{digest.hexdigest()[:8]}"


def path(program):
    """Where a program is, or will be."""
    return f"{folder(_product_of(program))}/{program}"


def missing(*programs):
    return [p for p in programs or every_program() if not os.path.exists(path(p))]


def every_program():
    return [name for product in PRODUCTS.values() if not product.is_peer
            for name in (*product.programs, *product.names, *product.files)]


def build(*programs, say=print):
    """Builds what is missing of these programs (default: all). CannotBuild: why."""
    for program in missing(*programs):
        product = _product_of(program)
        executable = PRODUCTS[product].names.get(program, program)
        with _alone(product):
            if missing(program) and program in PRODUCTS[product].files:
                say(f"fetching {program} of {product} {version(product)}")
                _take(product, program)
            if missing(program) and missing(executable):
                say(f"building {executable} of {product} {version(product)}")
                _go(product, executable)
            if missing(program):
                _link(executable, path(program))


def find_go(product):
    """The first Go that is new enough for a product: the one in PATH, or beside Debian's. CannotBuild:
    none is."""
    needs, seen = _in_go_mod(product, r"^go (\S+)"), []
    for go in (shutil.which("go"), "/usr/local/go/bin/go"):
        if go and os.access(go, os.X_OK):
            said = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True,
                                  env=_environment()).stdout.strip()
            if _numbers(said) >= _numbers(needs):
                return go
            seen.append(f"{go} is {said}")
    raise CannotBuild(f"{product} {version(product)} needs Go {needs} or newer in PATH or /usr/local/go "
                      f"({'; '.join(seen) or 'no Go is there'})")


def _numbers(text):
    return tuple(int(n) for n in re.findall(r"\d+", text)[:3])


def _in_go_mod(product, expression):
    with open(f"{HERE}/go/{product}/go.mod") as f:
        return re.search(expression, f.read(), re.MULTILINE)[1]


def _product_of(program):
    for name, product in PRODUCTS.items():
        if program in product.programs or program in product.names or program in product.files:
            return name
    raise KeyError(program)


def _ldflags(product):
    if product != "kubernetes":
        return ["-s", "-w"]
    major, minor, _ = version(product).split(".", 2)
    at = "k8s.io/component-base/version"
    return ["-s", "-w", "-X", f"{at}.gitVersion=v{version(product)}", "-X", f"{at}.gitMajor={major}",
            "-X", f"{at}.gitMinor={minor}"]


def _environment():
    """Go keeps its cache at home; a service may have none."""
    return {"HOME": os.path.expanduser("~"), **os.environ, "CGO_ENABLED": "0", "GOFLAGS": " ".join(FLAGS),
            "GO111MODULE": "on", "GOTOOLCHAIN": "local", "GOWORK": "off"}


def _go(product, executable):
    fresh = f"{folder(product)}/{executable}.new"
    verb = ["test", "-c", "-vet=off"] if executable in PRODUCTS[product].test else ["build"]
    done = subprocess.run([find_go(product), *verb, "-ldflags", " ".join(_ldflags(product)), "-o", fresh,
                           PRODUCTS[product].programs[executable]],
                          cwd=f"{HERE}/go/{product}", env=_environment(), stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise CannotBuild(f"{executable} of {product} {version(product)} could not be built:\n"
                          + "\n".join(done.stderr.splitlines()[-20:]))
    os.rename(fresh, f"{folder(product)}/{executable}")


def _take(product, name):
    done = subprocess.run([find_go(product), "mod", "download", "-json", PRODUCTS[product].module],
                          cwd=f"{HERE}/go/{product}", env=_environment(), capture_output=True, text=True)
    if done.returncode:
        raise CannotBuild(f"{product} {version(product)} cannot be had:\n{done.stderr or done.stdout}")
    source = f"{json.loads(done.stdout)['Dir']}/{PRODUCTS[product].files[name]}"
    shutil.copyfile(source, f"{folder(product)}/{name}.new")
    os.rename(f"{folder(product)}/{name}.new", path(name))


def _link(executable, name):
    with contextlib.suppress(FileExistsError):
        os.symlink(executable, name)


@contextlib.contextmanager
def _alone(product):
    """One build of a product at a time, by whoever; the kernel ends that with the process."""
    os.makedirs(folder(product), exist_ok=True)
    with open(f"{folder(product)}/lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def main():
    parser = argparse.ArgumentParser(description="Builds Kubernetes and what it needs into a cache folder.")
    parser.add_argument("programs", nargs="*", metavar="PROGRAM", help=", ".join(every_program()))
    parser.add_argument("--missing", action="store_true", help="say what is missing, and build nothing")
    options = parser.parse_args()
    peers = [name for product in PRODUCTS.values() if product.is_peer for name in product.programs]
    unknown = set(options.programs) - {*every_program(), *peers}
    if unknown:
        parser.error(f"there is no {', '.join(sorted(unknown))}; see --help")
    if options.missing:
        left = missing(*options.programs)
        print("\n".join(left) if left else "nothing is missing")
        return 1 if left else 0
    try:
        build(*options.programs, say=lambda text: print(text, flush=True))
    except CannotBuild as e:
        print(e, file=sys.stderr)
        return 77
    for program in options.programs or every_program():
        print(path(program))
    return 0


if __name__ == "__main__":
    sys.exit(main())
