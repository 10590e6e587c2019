"""A TCP line on loopback that can be as slow as one to a far-away server, and whose connections can be reset."""

from __future__ import annotations

import random
import select
import socket
import struct
import threading
from collections import deque
from contextlib import suppress
from time import monotonic

from tests.servers import Listener

# Lingering for 0 seconds makes close() send RST.
_RESET = struct.pack("ii", 1, 0)


class Line(Listener):
    """Another port of 127.0.0.1 that leads to this one, `seconds` away in each direction. A connection's name is the
    port that its far end sees."""

    def __init__(self, port: int, seconds: float = 0) -> None:
        super().__init__()
        self._target, self._seconds = ("127.0.0.1", port), seconds
        self._lock = threading.Lock()
        self._open: dict[int, tuple[socket.socket, socket.socket]] = {}
        self.open()

    def reset_one(self, luck: random.Random) -> int | None:
        """Resets one of the open connections at both ends and returns its name; None where there is none."""
        with self._lock:
            if not self._open:
                return None
            name = luck.choice(sorted(self._open))
            for end in self._open[name]:
                with suppress(OSError):
                    end.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    # Wakes the thread that serves it, which closes it, and sends nothing itself.
                    end.shutdown(socket.SHUT_RD)
            return name

    def serve(self, client: socket.socket) -> None:
        with socket.create_connection(self._target) as server:
            name = server.getsockname()[1]
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            with self._lock:
                self._open[name] = (client, server)
            try:
                _carry(client, server, self._seconds)
            finally:
                with self._lock:
                    del self._open[name]


def _carry(client: socket.socket, server: socket.socket, seconds: float) -> None:
    """Until one of the two ends."""
    on_the_way: deque[tuple[float, socket.socket, bytes]] = deque()
    while True:
        patience = max(0.0, on_the_way[0][0] - monotonic()) if on_the_way else None
        for source in select.select([client, server], [], [], patience)[0]:
            data = source.recv(65536)
            if not data:
                return
            on_the_way.append((monotonic() + seconds, server if source is client else client, data))
        while on_the_way and on_the_way[0][0] <= monotonic():
            _, target, data = on_the_way.popleft()
            target.sendall(data)
