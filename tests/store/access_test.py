# SPDX-License-Identifier: Apache-2.0
"""Who may use etcd: users and passwords, tokens that expire, TLS with client certificates."""
import shutil
import ssl
import subprocess
import time

import pytest

from storelab import Etcd, Tool, b64, check, folder

pytestmark = pytest.mark.needs("etcd", "openssl")

FAST = {"timeout": 500}


def file_of(text):
    path = folder() / "password"
    path.write_text(text)
    path.chmod(0o600)
    return path


def member_with_users():
    """root, and roost, who may do everything under /roost/."""
    etcd = Etcd()
    etcd.start()
    etcd.wait()
    permission = {"permType": "READWRITE", "key": b64("/roost/"), "range_end": b64("/roost0")}
    for path, doc in (
            ("user/add", {"name": "root", "password": "r"}), ("role/add", {"name": "root"}),
            ("user/grant", {"user": "root", "role": "root"}),
            ("user/add", {"name": "roost", "password": 'se"cret\\ä'}), ("role/add", {"name": "roost"}),
            ("role/grant", {"name": "roost", "perm": permission}),
            ("user/grant", {"user": "roost", "role": "roost"}), ("enable", {})):
        answer = etcd.post("/v3/auth/" + path, doc)
        check("error" not in answer, answer)
    return etcd


def test_a_user_with_the_password_of_its_file_works_under_its_prefix():
    etcd = member_with_users()
    tool = Tool(f"etcd:{etcd.url}", user="roost", password=file_of('se"cret\\ä\nnot this\n'), **FAST)
    watch = tool.watch()
    check([tool.event(watch)[0] for _ in range(2)] == ["RESTART", "CURRENT"], "an empty list")
    check(tool.put("a", "1", 0)["result"] == 1, "a commit")
    check(tool.event(watch) == ("PUT", "a", "1"), "told")
    other = Tool(f"etcd:{etcd.url}", user="roost", password=file_of('se"cret\\ä'), prefix="/other/", **FAST)
    denied = other.put("a", "1")
    check(denied["error"] == -13 and "permission denied" in denied["what"], denied)
    check('refuses user "roost"' in denied["what"], denied)
    check(other.get("a")["error"] == -13, "a read")
    other.watch()
    check('refuses user "roost"' in other.wait_trouble("permission denied")["what"], "a watch, too")


def test_a_wrong_password_is_told_at_once():
    etcd = member_with_users()
    for password, words in ((file_of("wrong"), "authentication failed"), ("/nowhere", "cannot open /nowhere")):
        tool = Tool(f"etcd:{etcd.url}", user="roost", password=password, **FAST)
        denied = tool.put("a", "1")
        check(denied["error"] == -13 and words in denied["what"], denied)
        failed = tool.outcome(tool.write("a", "1", timeout=8000))
        check(failed["error"] == -13, failed)
        tool.watch()
        check(words in tool.wait_trouble(words)["what"], "trouble")
    nobody = Tool(f"etcd:{etcd.url}", **FAST)
    denied = nobody.get("a")
    check(denied["error"] == -13 and "refuses requests without a user" in denied["what"], denied)


def test_a_token_that_is_no_longer_valid_is_renewed_unseen():
    etcd = member_with_users()
    tool = Tool(f"etcd:{etcd.url}", user="roost", password=file_of('se"cret\\ä'), **FAST)
    watch = tool.watch()
    check([tool.event(watch)[0] for _ in range(2)] == ["RESTART", "CURRENT"], "an empty list")
    etcd.kill()  # its tokens die with it
    etcd.start()
    check(tool.outcome(tool.write("a", "1", timeout=15000))["kind"] == "DONE", "a commit")
    check(tool.event(watch) == ("PUT", "a", "1"), "the watch goes on without a new list")
    check(tool.trouble()["what"] is None, "no trouble")


def test_a_user_where_etcd_has_no_users_is_fine():
    etcd = Etcd()
    etcd.start()
    etcd.wait()
    tool = Tool(f"etcd:{etcd.url}", user="roost", password=file_of("x"), **FAST)
    check(tool.put("a", "1")["kind"] == "WRITTEN", "a commit")


def openssl(*args):
    subprocess.run(["openssl", *map(str, args)], check=True, capture_output=True)


class Authority:
    def __init__(self, name):
        self.dir = folder()
        self.cert, self.key = self.dir / "ca.pem", self.dir / "ca.key"
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout",
                self.key, "-out", self.cert, "-subj", f"/CN={name}", "-days", "2")

    def issue(self, name, subject_alt="IP:127.0.0.1"):
        """(certificate, key)"""
        key, request, cert = (self.dir / f"{name}.{s}" for s in ("key", "csr", "pem"))
        extensions = self.dir / f"{name}.ext"
        extensions.write_text(f"subjectAltName={subject_alt}\nextendedKeyUsage=serverAuth,clientAuth\n")
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", key,
                "-out", request, "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", request, "-CA", self.cert, "-CAkey", self.key, "-CAcreateserial",
                "-out", cert, "-days", "2", "-extfile", extensions)
        return cert, key


def tls_member(ours, server):
    etcd = Etcd(scheme="https", args=("--cert-file", server[0], "--key-file", server[1],
                                      "--trusted-ca-file", ours.cert, "--client-cert-auth"))
    etcd.context = ssl.create_default_context(cafile=ours.cert)
    etcd.context.check_hostname = False
    etcd.context.load_cert_chain(*ours.issue("test"))
    etcd.start()
    return etcd.wait()


def test_tls_works_with_our_authority_and_certificate_and_nothing_else():
    ours, theirs = Authority("ours"), Authority("theirs")
    etcd = tls_member(ours, ours.issue("server"))
    mine, foreign = ours.issue("client"), theirs.issue("client")
    url = f"etcd:{etcd.url}"
    tool = Tool(url, ca=ours.cert, cert=mine[0], key=mine[1], **FAST)
    watch = tool.watch()
    check(tool.put("a", "1")["kind"] == "WRITTEN", "a commit")
    check(tool.event(watch)[0] == "RESTART", "a watch")
    for options, words in (
            ({"ca": theirs.cert, "cert": mine[0], "key": mine[1]}, "certificate"),
            ({"cert": mine[0], "key": mine[1]}, "certificate"),  # the system's authorities
            ({"ca": ours.cert}, "cannot be used"),
            ({"ca": ours.cert, "cert": foreign[0], "key": foreign[1]}, "cannot be used"),
            ({"ca": ours.cert, "cert": "/nowhere", "key": "/nowhere"}, "/nowhere"),
            ({"ca": "/nowhere"}, "/nowhere")):
        bad = Tool(url, **options, **FAST)
        answer = bad.put("b", "1")
        check(answer["kind"] == "ERROR" and words in answer["what"], answer)
    check(tool.value("b") is None, "none of them got through")
    tool.close()


def test_a_server_with_another_name_is_refused():
    ours = Authority("ours")
    etcd = tls_member(ours, ours.issue("server", "IP:127.0.0.9,DNS:elsewhere.example"))
    cert, key = ours.issue("client")
    tool = Tool(f"etcd:{etcd.url}", ca=ours.cert, cert=cert, key=key, **FAST)
    answer = tool.get("a")
    check(answer["kind"] == "ERROR" and "127.0.0.1" in answer["what"] and "match" in answer["what"], answer)


def test_renewed_certificates_are_used_without_a_restart():
    ours, theirs = Authority("ours"), Authority("theirs")
    etcd = tls_member(ours, ours.issue("server"))
    good, bad = ours.issue("client"), theirs.issue("client")
    place = folder()

    def install(pair):
        shutil.copy(pair[0], place / "cert")
        shutil.copy(pair[1], place / "key")

    install(bad)
    tool = Tool(f"etcd:{etcd.url}", ca=ours.cert, cert=place / "cert", key=place / "key", **FAST)
    tool.watch()
    tool.wait_trouble("cannot be used")
    install(good)
    tool.wait_trouble(None)
    time.sleep(0.05)
    check(tool.put("a", "1")["kind"] == "WRITTEN", "a commit")
