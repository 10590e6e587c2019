"""What the delivery tests talk to beside the stand-in for Slack: a rude door, a TLS one, a heart, a mail server."""

from __future__ import annotations

import logging
import re
import socket
import ssl
import threading
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email import message_from_bytes, policy
from email.message import EmailMessage
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Callable, NamedTuple

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword

from sandbox.slack import SlackStandIn

Treat = Callable[[socket.socket], None]


def port_of(slack: SlackStandIn) -> int:
    return int(slack.page.rpartition(":")[2].strip("/"))


# ---- Raw TCP ---------------------------------------------------------------------------------------------------------


def read_request(client: socket.socket) -> bytes:
    """A whole HTTP request with its body: closing with data unread would send a reset instead of the answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += client.recv(65536) or b"\r\n\r\n"
    length = re.search(rb"(?i)content-length: *(\d+)", data)
    missing = int(length[1]) - len(data.partition(b"\r\n\r\n")[2]) if length else 0
    while missing > 0:
        more = client.recv(65536)
        if not more:
            break
        data += more
        missing -= len(more)
    return data


def pipe(source: socket.socket, sink: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
    for end in (source, sink):
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


def forward(client: socket.socket, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as server:
        threading.Thread(target=pipe, args=(server, client), daemon=True).start()
        pipe(client, server)


def flood(client: socket.socket, data: bytes) -> None:
    """Sends it again and again until the client is gone; leaves other tests a little of this machine."""
    while True:
        client.sendall(data)
        time.sleep(0.01)


class Listener:
    """Serves each connection to its socket in a thread of its own, until close()."""

    def __init__(self) -> None:
        # Bound, but not yet listening: the system refuses connections, and the port is ours.
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]

    def open(self) -> None:
        self._listener.listen()
        threading.Thread(target=self._accept, name=type(self).__name__, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()

    def serve(self, client: socket.socket) -> None:
        raise NotImplementedError

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            self.serve(client)


class Front(Listener):
    """A TCP port before a server that treats its first connections in its own way.

    With `closed` it refuses all connections, until open() or heal().
    """

    def __init__(self, port: int, *treatments: Treat, closed: bool = False) -> None:
        super().__init__()
        self._port = port
        self._treatments = list(treatments)
        self.listening = False
        self.connections = 0
        if not closed:
            self.open()

    def url(self, url: str) -> str:
        """A URL of the server's by way of this port."""
        return url.replace(f":{self._port}/", f":{self.port}/")

    def open(self) -> None:
        self.listening = True
        super().open()

    def heal(self) -> None:
        """From now on everything reaches the stand-in."""
        self._treatments.clear()
        if not self.listening:
            self.open()

    def serve(self, client: socket.socket) -> None:
        self.connections += 1
        if self._treatments:
            self._treatments.pop(0)(client)
        else:
            forward(client, self._port)


def says(answer: str, *, for_ever: bool = False, again: bytes = b"x" * 65536) -> Treat:
    """Answers a request with these bytes; then with more, as long as someone takes them, or with the end."""

    def treat(client: socket.socket) -> None:
        read_request(client)
        client.sendall(answer.encode("latin-1"))
        if for_ever:
            flood(client, again)

    return treat


class TlsFront(Listener):
    """A server by way of TLS under these names; each connection is one request and its answer."""

    def __init__(self, port: int, authority: trustme.CA, *names: str) -> None:
        super().__init__()
        self._port = port
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(*names).configure_cert(self._tls)
        self.open()

    def serve(self, client: socket.socket) -> None:
        with (
            self._tls.wrap_socket(client, server_side=True) as secure,
            socket.create_connection(("127.0.0.1", self._port)) as server,
        ):
            # A request and its answer, one after the other: a TLS socket is not for two threads.
            server.sendall(read_request(secure))
            server.shutdown(socket.SHUT_WR)
            while data := server.recv(65536):
                secure.sendall(data)


class TlsSlack(TlsFront):
    """The stand-in under Slack's own names, by way of an HTTP proxy that ends the TLS itself."""

    def __init__(self, slack: SlackStandIn, authority: trustme.CA) -> None:
        self.hosts: list[str] = []
        super().__init__(port_of(slack), authority, "hooks.slack.com", "hooks.slack-gov.com", "chat.example.com")
        self.url = f"http://127.0.0.1:{self.port}"
        self._slack = slack

    def webhook(self, channel: str = "alerts", host: str = "hooks.slack.com") -> str:
        """That of the stand-in's channel, at the host."""
        return f"https://{host}/services/" + self._slack.webhook(channel).partition("/services/")[2]

    def serve(self, client: socket.socket) -> None:
        self.hosts.append(read_request(client).split()[1].decode())
        client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
        super().serve(client)


class Heart:
    """A server that counts heartbeats, or other requests; it answers with `status`."""

    def __init__(self) -> None:
        self.status = 200
        self.beats: list[str] = []
        # Who only looks whether it is there: path and login.
        self.looks: list[tuple[str, str | None]] = []
        heart = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.command == "HEAD":
                    heart.looks.append((self.path, self.headers["Authorization"]))
                else:
                    heart.beats.append(self.path)
                self.send_response(heart.status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            do_HEAD = do_POST = do_GET

            def log_message(self, *_: object) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, args=[0.02], daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


# ---- E-mail ----------------------------------------------------------------------------------------------------------

# What the server writes is no log of ours: it knows the password.
logging.getLogger("mail.log").setLevel(logging.CRITICAL)

USER, PASSWORD = "alerts", "p@ss/w:rd-of-the-mail-server"
QUOTED_PASSWORD = "p%40ss%2Fw%3Ard-of-the-mail-server"


class Mail(NamedTuple):
    """A message as the server took it."""

    sender: str
    to: list[str]
    message: EmailMessage
    raw: str

    def part(self, kind: str) -> str:
        """The "plain" or the "html" one."""
        body = self.message.get_body([kind])
        assert body is not None
        return body.get_content()


class MailServer:
    """A mail server on 127.0.0.1 and what it took; it refuses recipients at refused.example."""

    def __init__(self) -> None:
        self.mails: list[Mail] = []
        self.farewell = "221 Bye"
        self.commands: list[str] = []
        self.url = ""

    async def handle_EHLO(self, server: Any, session: Any, envelope: Any, hostname: str, responses: list[str]) -> Any:
        self.commands.append("EHLO")
        session.host_name = hostname
        return responses

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: list[str]) -> str:
        if address.endswith("@refused.example"):
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        raw = envelope.content.decode("utf-8", "replace")
        self.mails.append(Mail(envelope.mail_from, list(envelope.rcpt_tos), message, raw))
        return "250 OK"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:
        self.commands.append("QUIT")
        return self.farewell


def _authenticate(server: Any, session: Any, envelope: Any, mechanism: str, login: Any) -> AuthResult:
    server.event_handler.commands.append("AUTH")
    if login == LoginPassword(USER.encode(), PASSWORD.encode()):
        return AuthResult(success=True)
    sent = b64encode(b"\0" + login.login + b"\0" + login.password).decode()
    message = f"535 5.7.8 {login.password.decode()} is not it, nor is {sent}"
    return AuthResult(success=False, handled=False, message=message)


@contextmanager
def mail_server(authority: trustme.CA | None, scheme: str = "smtp", host: str = "127.0.0.1") -> Iterator[MailServer]:
    """With STARTTLS (smtp), TLS from the start (smtps) or, without an authority for its certificate, none."""
    tls = None
    if authority:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(host).configure_cert(tls)
    options: dict[str, Any] = {"authenticator": _authenticate, "auth_required": True}
    if scheme == "smtps":
        options.update(ssl_context=tls, auth_require_tls=False)
    else:
        options.update(tls_context=tls, require_starttls=bool(tls), auth_require_tls=bool(tls))
    server = MailServer()
    controller = _Controller(server, hostname="127.0.0.1", port=0, **options)
    controller.start()
    server.url = f"{scheme}://{USER}:{QUOTED_PASSWORD}@127.0.0.1:{controller.port}"
    try:
        yield server
    finally:
        controller.stop()


class _Controller(Controller):
    def _trigger_server(self) -> None:
        # Learns which port the system chose; the start waits for a first connection.
        self.port = self.server.sockets[0].getsockname()[1]
        socket.create_connection(("127.0.0.1", self.port), 5).close()
