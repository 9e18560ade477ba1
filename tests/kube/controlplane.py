# SPDX-License-Identifier: Apache-2.0
"""The control plane of a Kubernetes without a node: etcd, kube-apiserver, and where a story needs them
kube-controller-manager and kube-scheduler, in one network namespace.

    with ControlPlane() as k:
        k.kubectl("get", "namespaces")
        status, answer = k.ask("GET", "/api/v1/nodes")
        config = k.config("somebody", groups=["some-group"])     # the path of a kubeconfig
        config = k.account("roost-system", "roostd")             # of a service account, with a token

Programs that talk to it run in its namespace (inside(k.path)), or in one that has a route to k.address.
Its processes are k.etcd, k.apiserver, k.controllers and k.scheduler: start, stop, kill, freeze, thaw
(lab.Process). The executables are built by binaries.py.
"""
import contextlib
import http.client
import itertools
import json
import os
import shutil
import ssl
import subprocess

import binaries
import lab
import pki
from lab import Failed, HANG_S, Namespace, Process, until
from namespaces import inside

WORK = "/run/kube"
PROGRAMS = ("openssl", "ip")  # that must be installed
BUILT = ("etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
ADDRESS = "192.0.2.100"
SERVICES = {4: "10.96.0.0/16", 6: "fd96::/112"}
FIRST_SERVICE = {4: "10.96.0.1", 6: "fd96::1"}
DNS_SERVICE = {4: "10.96.0.10", 6: "fd96::a"}
PORT = 6443
ISSUER = "https://kubernetes.default.svc.cluster.local"


class ControlPlane:
    """Leave by with or close()."""

    _numbers = itertools.count(1)

    def __init__(self, ns=None, address=ADDRESS, controllers=False, scheduler=False, families=(4,),
                 apiserver_options=(), controllers_options=(), start=True):
        """ns: a namespace that has the address; default: one of its own, in which it is put on lo.
        families: of Service addresses, the first one is the default. Without controllers the service
        accounts of pods are not looked at, as nobody makes them."""
        self.dir = f"{WORK}/plane-{next(ControlPlane._numbers)}"
        self.address, self.families = address, families
        self._own = None
        os.makedirs(self.dir)
        try:
            self.ns = ns or self._new_namespace()
            self.path = self.ns.path
            self.pki = pki.Authority(f"{self.dir}/pki")
            self._make_processes(controllers, scheduler, apiserver_options, controllers_options)
            self.admin = self.config("admin", ["system:masters"])
            if start:
                self.start()
        except BaseException:
            lab.say(self.logs())
            self.close()
            raise

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if kind is not None:
            lab.say(self.logs())
        self.close()

    def close(self):
        """Ends every process and removes what was made. May be called twice."""
        for process in self.processes():
            with contextlib.suppress(Exception):
                process.kill()
        if self._own:
            self._own.remove()
        shutil.rmtree(self.dir, ignore_errors=True)

    def processes(self):
        found = [getattr(self, name, None) for name in ("scheduler", "controllers", "apiserver", "etcd")]
        return [p for p in found if p]

    # ---- its processes ----

    def start(self):
        """Whatever of it does not run; returns when the API server is ready."""
        self.start_etcd()
        if not self.apiserver.running():
            self.apiserver.start()
        until(self.ready, "the API server to be ready")
        for process in (self.controllers, self.scheduler):
            if process and not process.running():
                process.start()
        return self

    def start_etcd(self):
        if not self.etcd.running():
            self.etcd.start()
        until(self._etcd_answers, "etcd to be healthy")

    def ready(self):
        """Whether the API server says so. Failed: it does not run any more."""
        self.apiserver.must_run()
        try:
            return self.ask("GET", "/readyz", timeout_s=2)[0] == 200
        except OSError:
            return False

    def logs(self, lines=15):
        """What each process said last."""
        parts = []
        for process in self.processes():
            with contextlib.suppress(OSError):
                parts += [f"---- {process.name} ({'runs' if process.running() else 'does not run'})",
                          *process.said().splitlines()[-lines:]]
        return "\n".join(parts)

    # ---- who talks to it ----

    @property
    def server(self):
        return f"https://[{self.address}]:{PORT}" if ":" in self.address else f"https://{self.address}:{PORT}"

    def config(self, user, groups=()):
        """The path of a kubeconfig with a certificate of this user in these groups."""
        name = user.replace(":", "-").replace("/", "-")
        pem, key = self.pki.certificate(name, user, groups)
        return self.pki.kubeconfig(name, self.server, {"client-certificate": pem, "client-key": key})

    def node_config(self, node):
        """The kubeconfig of a kubelet."""
        return self.config(f"system:node:{node}", ["system:nodes"])

    def token(self, namespace, account, seconds=3600, **bound):
        """A token of a service account by TokenRequest; namespace and account are made when they are
        missing. bound: boundObjectRef, as of a pod."""
        self.make_account(namespace, account)
        spec = {"expirationSeconds": seconds, **({"boundObjectRef": bound} if bound else {})}
        answer = self.must("POST", f"/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token",
                           {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": spec})
        return answer["status"]["token"]

    def account(self, namespace, account, seconds=3600):
        """The path of a kubeconfig with a token of a service account."""
        return self.pki.kubeconfig(f"{namespace}-{account}", self.server,
                                   {"token": self.token(namespace, account, seconds)})

    def account_folder(self, folder, namespace, account, seconds=3600):
        """Makes a folder what a pod sees below /var/run/secrets/kubernetes.io/serviceaccount, or renews
        its token as a kubelet does."""
        os.makedirs(folder, exist_ok=True)
        with open(self.pki.ca) as f:
            ca = f.read()
        token = self.token(namespace, account, seconds)
        for name, text in (("namespace", namespace), ("ca.crt", ca), ("token", token)):
            with open(f"{folder}/{name}.new", "w") as f:
                f.write(text)
            os.rename(f"{folder}/{name}.new", f"{folder}/{name}")
        return folder

    def make_account(self, namespace, account):
        for path, kind, name in (("/api/v1/namespaces", "Namespace", namespace),
                                 (f"/api/v1/namespaces/{namespace}/serviceaccounts", "ServiceAccount",
                                  account)):
            status, answer = self.ask("POST", path, {"apiVersion": "v1", "kind": kind,
                                                     "metadata": {"name": name}})
            if status not in (201, 409):
                raise Failed(f"expected {kind} {name} to be made, saw {status}: {answer.get('message')}")

    # ---- to talk to it ----

    def ask(self, method, path, body=None, kind="application/json", config=None, timeout_s=HANG_S):
        """(HTTP's status, the object or text) of one request. config: of another user than admin. kind: of
        the body, e.g. "application/merge-patch+json". OSError: nobody answers."""
        headers = {"Accept": "application/json", **self._bearer(config)}
        if body is not None:
            headers["Content-Type"] = kind
        connection = http.client.HTTPSConnection(self.address, PORT, context=self.tls(config),
                                                 timeout=timeout_s)
        with inside(self.path):  # the connection is made in this thread
            connection.connect()
        with contextlib.closing(connection):
            connection.request(method, path, None if body is None else json.dumps(body), headers)
            answer = connection.getresponse()
            text = answer.read()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode(errors="replace")

    def must(self, method, path, body=None, **more):
        """The object of a request that must succeed."""
        status, answer = self.ask(method, path, body, **more)
        if status >= 300:
            said = answer.get("message") if isinstance(answer, dict) else answer
            raise Failed(f"expected {method} {path} to succeed, saw {status}: {said}")
        return answer

    def watch(self, path):
        """Events of a collection, until the API server ends the watch."""
        connection = http.client.HTTPSConnection(self.address, PORT, context=self.tls(), timeout=HANG_S)
        with inside(self.path):
            connection.connect()
        with contextlib.closing(connection):
            connection.request("GET", f"{path}&watch=1", headers={"Accept": "application/json"})
            for line in connection.getresponse():
                yield json.loads(line)

    def list(self, path):
        """The objects of a collection."""
        return self.must("GET", path)["items"]

    def kubectl(self, *words, stdin=None, config=None, ok=True):
        """What kubectl prints. ok: it must succeed; else its CompletedProcess."""
        argv = [binaries.path("kubectl"), "--kubeconfig", config or self.admin, "--cache-dir",
                f"{self.dir}/kubectl", *words]
        with inside(self.path):
            done = subprocess.run(argv, input=stdin, capture_output=True, text=True, timeout=3 * HANG_S)
        if ok and done.returncode:
            raise Failed(f"expected kubectl {' '.join(words)} to succeed, saw status {done.returncode}: "
                         f"{(done.stderr or done.stdout).strip()[-800:]}")
        return done.stdout if ok else done

    def apply(self, *documents, config=None):
        """kubectl apply of objects, or of one text."""
        text = documents[0] if isinstance(documents[0], str) else \
            "\n---\n".join(json.dumps(d) for d in documents)
        return self.kubectl("apply", "-f", "-", stdin=text, config=config)

    # ---- how it is made ----

    def _new_namespace(self):
        self._own = Namespace(os.path.basename(self.dir))
        self._own.ip("link set lo up", f"addr add {self.address}/32 dev lo")
        return self._own

    def _process(self, name, program, *options):
        return Process(name, self.ns, f"{self.dir}/{name}.log", [binaries.path(program), *options])

    def _make_processes(self, controllers, scheduler, apiserver_options, controllers_options):
        self.etcd = self._process("etcd", "etcd", *self._etcd_options())
        options = self._apiserver_options()
        if not controllers:
            options.append("--disable-admission-plugins=ServiceAccount")
        self.apiserver = self._process("kube-apiserver", "kube-apiserver", *options, *apiserver_options)
        self.controllers = controllers and self._process(
            "kube-controller-manager", "kube-controller-manager", *self._controllers_options(),
            *controllers_options)
        self.scheduler = scheduler and self._process(
            "kube-scheduler", "kube-scheduler", *self._as_user("scheduler"), "--leader-elect=false")

    def _etcd_options(self):
        url = "http://127.0.0.1:2379"
        return ["--name=etcd", f"--data-dir={self.dir}/etcd", f"--listen-client-urls={url}",
                f"--advertise-client-urls={url}", "--listen-peer-urls=http://127.0.0.1:2380",
                "--unsafe-no-fsync", "--log-level=warn"]

    def _apiserver_options(self):
        names = ["kubernetes", "kubernetes.default", "kubernetes.default.svc",
                 "kubernetes.default.svc.cluster.local", "localhost"]
        addresses = [self.address, "127.0.0.1", *(FIRST_SERVICE[f] for f in self.families)]
        server, server_key = self.pki.certificate(
            "apiserver", "kube-apiserver",
            alternatives=[*(f"DNS:{n}" for n in names), *(f"IP:{a}" for a in addresses)])
        kubelet, kubelet_key = self.pki.certificate("apiserver-to-kubelets", "kube-apiserver",
                                                    ["system:masters"])
        proxy, proxy_key = self.pki.certificate("front-proxy", "front-proxy")
        return [f"--proxy-client-cert-file={proxy}", f"--proxy-client-key-file={proxy_key}",
                f"--requestheader-client-ca-file={self.pki.ca}", "--requestheader-allowed-names=front-proxy",
                "--requestheader-username-headers=X-Remote-User",
                "--requestheader-group-headers=X-Remote-Group",
                "--requestheader-extra-headers-prefix=X-Remote-Extra-",
                "--etcd-servers=http://127.0.0.1:2379", f"--secure-port={PORT}",
                f"--advertise-address={self.address}", f"--tls-cert-file={server}",
                f"--tls-private-key-file={server_key}", f"--client-ca-file={self.pki.ca}",
                f"--kubelet-client-certificate={kubelet}", f"--kubelet-client-key={kubelet_key}",
                "--kubelet-preferred-address-types=InternalIP",
                f"--service-account-key-file={self.pki.path('sa.pub')}",
                f"--service-account-signing-key-file={self.pki.path('sa.key')}",
                f"--service-account-issuer={ISSUER}",
                f"--service-cluster-ip-range={','.join(SERVICES[f] for f in self.families)}",
                "--authorization-mode=Node,RBAC", "--allow-privileged=true", "--profiling=false"]

    def _as_user(self, component):
        config = self.config(f"system:kube-{component}")
        return [f"--{kind}kubeconfig={config}" for kind in ("", "authentication-", "authorization-")]

    def _controllers_options(self):
        return [*self._as_user("controller-manager"), f"--root-ca-file={self.pki.ca}",
                f"--service-account-private-key-file={self.pki.path('sa.key')}",
                "--use-service-account-credentials=true", "--leader-elect=false",
                f"--cluster-signing-cert-file={self.pki.ca}",
                f"--cluster-signing-key-file={self.pki.path('ca.key')}"]

    def _etcd_answers(self):
        self.etcd.must_run()
        connection = http.client.HTTPConnection("127.0.0.1", 2379, timeout=2)
        try:
            with inside(self.path), contextlib.closing(connection):
                connection.request("GET", "/health")
                return b"true" in connection.getresponse().read()
        except OSError:
            return False

    def _credentials(self, config):
        with open(config or self.admin) as f:
            return json.load(f)["users"][0]["user"]

    def _bearer(self, config):
        token = self._credentials(config).get("token")
        return {"Authorization": f"Bearer {token}"} if token else {}

    def tls(self, config=None):
        """What a connection to the API server needs; config: of another user than admin."""
        context = ssl.create_default_context(cafile=self.pki.ca)
        user = self._credentials(config)
        if "client-certificate" in user:
            context.load_cert_chain(user["client-certificate"], user["client-key"])
        return context
