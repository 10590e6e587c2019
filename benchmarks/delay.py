"""A TCP proxy on loopback that delivers every byte later, as a far-away server would."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from queue import SimpleQueue
from time import monotonic, sleep

from tests.servers import Listener


class Delayed(Listener):
    """Another port of 127.0.0.1 that leads to this one, `seconds` away in each direction."""

    def __init__(self, port: int, seconds: float) -> None:
        super().__init__()
        self._target, self._seconds = ("127.0.0.1", port), seconds
        self.open()

    def serve(self, client: socket.socket) -> None:
        with socket.create_connection(self._target) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            back = threading.Thread(target=_carry, args=(server, client, self._seconds), daemon=True)
            back.start()
            _carry(client, server, self._seconds)
            back.join()


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
