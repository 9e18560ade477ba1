# SPDX-License-Identifier: Apache-2.0
"""Certificates of a Kubernetes cluster, made by openssl, and kubeconfigs that use them."""
import json
import os
import subprocess
import threading

from roostlab import Failed, HANG_S

_EXTENSIONS = "extendedKeyUsage=serverAuth,clientAuth\n"


class Authority:
    """A folder with the cluster's authority (ca.pem), the key that signs tokens (sa.key, sa.pub), and
    what was made by it. Threads may share it."""

    def __init__(self, folder):
        self.folder = folder
        self._lock = threading.Lock()
        os.makedirs(folder, mode=0o700)
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-keyout", self.path("ca.key"), "-out", self.path("ca.pem"), "-days", "3650",
                      "-subj", "/CN=kubernetes")
        self._openssl("genrsa", "-out", self.path("sa.key"), "2048")
        self._openssl("rsa", "-in", self.path("sa.key"), "-pubout", "-out", self.path("sa.pub"))

    def path(self, name):
        return f"{self.folder}/{name}"

    @property
    def ca(self):
        return self.path("ca.pem")

    def certificate(self, name, user, groups=(), alternatives=()):
        """NAME.pem and NAME.key of a user, or of a server that has these names ("IP:10.0.0.1", "DNS:x").
        Gives both paths; what was made before is not made again."""
        with self._lock:
            return self._certificate(name, user, groups, alternatives)

    def _certificate(self, name, user, groups, alternatives):
        pem, key = self.path(f"{name}.pem"), self.path(f"{name}.key")
        if os.path.exists(pem):
            return pem, key
        with open(self.path(f"{name}.ext"), "w") as f:
            f.write(_EXTENSIONS)
            if alternatives:
                f.write(f"subjectAltName={','.join(alternatives)}\n")
        self._openssl("req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-keyout", key, "-out", self.path(f"{name}.csr"),
                      "-subj", "".join(f"/O={g}" for g in groups) + f"/CN={user}")
        self._openssl("x509", "-req", "-in", self.path(f"{name}.csr"), "-CA", self.ca,
                      "-CAkey", self.path("ca.key"), "-CAcreateserial", "-days", "3650",
                      "-extfile", self.path(f"{name}.ext"), "-out", pem)
        return pem, key

    def kubeconfig(self, name, server, user):
        """NAME.conf for a server's URL; user: the keys of its `user`. Gives the path."""
        document = {
            "apiVersion": "v1", "kind": "Config", "current-context": name,
            "clusters": [{"name": "lab", "cluster": {"server": server, "certificate-authority": self.ca}}],
            "users": [{"name": name, "user": user}],
            "contexts": [{"name": name, "context": {"cluster": "lab", "user": name}}]}
        path = self.path(f"{name}.conf")
        with self._lock, open(path + ".new", "w") as f:
            json.dump(document, f, indent=1)
            f.flush()
            os.rename(path + ".new", path)
        return path

    def _openssl(self, *words):
        done = subprocess.run(["openssl", *words], capture_output=True, text=True, timeout=HANG_S)
        if done.returncode:
            raise Failed(f"expected openssl {' '.join(words)} to succeed, saw {done.stderr.strip()[-400:]}")
