"""A TCP proxy on loopback that delivers every byte later, as a far-away server would."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from socketserver import BaseRequestHandler, ThreadingTCPServer
from time import monotonic, sleep


@contextmanager
def delayed(port: int, seconds: float) -> Iterator[int]:
    """Another port of 127.0.0.1 that leads to this one, `seconds` away in each direction."""

    class Relay(BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection(("127.0.0.1", port)) as server:
                server.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.request.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                back = threading.Thread(target=_carry, args=(server, self.request, seconds), daemon=True)
                back.start()
                _carry(self.request, server, seconds)
                back.join()

    with ThreadingTCPServer(("127.0.0.1", 0), Relay) as proxy:
        proxy.daemon_threads = True
        proxy.block_on_close = False
        threading.Thread(target=proxy.serve_forever, args=(0.05,), daemon=True).start()
        yield proxy.server_address[1]
        proxy.shutdown()


def _carry(source: socket.socket, target: socket.socket, seconds: float) -> None:
    """Until the source ends; reading goes on while earlier bytes are on their way."""
    way: SimpleQueue[tuple[float, bytes]] = SimpleQueue()

    def arrive() -> None:
        with suppress(OSError):
            while True:
                due, data = way.get()
                sleep(max(0.0, due - monotonic()))
                if not data:
                    target.shutdown(socket.SHUT_WR)
                    return
                target.sendall(data)

    arrival = threading.Thread(target=arrive, daemon=True)
    arrival.start()
    data = b"-"
    while data:
        try:
            data = source.recv(65536)
        except OSError:
            data = b""
        way.put((monotonic() + seconds, data))
    arrival.join()
