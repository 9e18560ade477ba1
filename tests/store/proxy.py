# SPDX-License-Identifier: Apache-2.0
"""Something between a client and etcd that loses what it is told to lose, and servers that are no etcd."""
import socket
import threading


def read_request(f):
    """One HTTP request of a client that always sends Content-Length: (path, bytes), or None at the end."""
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        line = f.readline()
        if not line:
            return None
        head += line
    length = 0
    for line in head.split(b"\r\n"):
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return head.split(b" ")[1].decode(), head + f.read(length)


class Server:
    def __init__(self):
        self.dropped = 0  # connections that the client closed in the middle of an answer
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                connection, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.guarded, args=(connection,), daemon=True).start()

    def guarded(self, connection):
        with connection:
            try:
                self.serve(connection)
            except OSError:
                self.dropped += 1

    def close(self):
        self.listener.close()


class Proxy(Server):
    """plan(path, n) says what becomes of the nth request for that path: "pass", "drop" (it never
    arrives), "lose" (it is carried out, the answer is lost; then after() is called)."""

    def __init__(self, port, plan, after=lambda: None):
        self.port, self.plan, self.after = port, plan, after
        self.seen = {}
        super().__init__()

    def serve(self, connection):
        f = connection.makefile("rb")
        while True:
            request = read_request(f)
            if request is None:
                return
            path, text = request
            n = self.seen[path] = self.seen.get(path, 0) + 1
            fate = self.plan(path, n)
            if fate == "drop":
                self.after()
                return
            with socket.create_connection(("127.0.0.1", self.port)) as upstream:
                upstream.sendall(text.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                first = True
                while part := upstream.recv(65536):
                    if fate == "pass":
                        # The client keeps its connection; we do not, for simplicity.
                        connection.sendall(part.replace(b"\r\nConnection: close", b"", 1) if first else part)
                    first = False
            if fate == "lose":
                self.after()
                return


class Liar(Server):
    """Answers every request with these bytes."""

    def __init__(self, answer, status="200 OK", endless=False):
        self.answer, self.status, self.endless = answer, status, endless
        self.requests = 0
        super().__init__()

    def serve(self, connection):
        f = connection.makefile("rb")
        while read_request(f):
            self.requests += 1
            if self.endless:
                connection.sendall(f"HTTP/1.1 {self.status}\r\n\r\n".encode())
                while True:
                    connection.sendall(self.answer)
            connection.sendall(f"HTTP/1.1 {self.status}\r\nContent-Length: {len(self.answer)}\r\n\r\n".encode())
            connection.sendall(self.answer)
