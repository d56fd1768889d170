"""A narrow line between a browser and the media worker: a UDP relay with a bit rate and a queue, as a home router has."""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque

QUEUE_S = 0.3
"""What waits longer is dropped, as in a router's buffer."""


class NarrowLine:
    """Relays between browsers and ``target``; downwards at most ``bps`` for all together. ``port`` is where browsers send."""

    def __init__(self, target: tuple[str, int], bps: float) -> None:
        self.bps = bps
        self.dropped = 0
        self._target = target
        self._front = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._front.bind(("127.0.0.1", 0))
        self.port = int(self._front.getsockname()[1])
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._front, selectors.EVENT_READ, None)
        self._backs: dict[tuple[str, int], socket.socket] = {}
        self._queue: deque[tuple[float, bytes, tuple[str, int]]] = deque()
        self._free_at = 0.0
        self._stopping = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._thread.join(5)
        for back in (self._front, *self._backs.values()):
            back.close()
        self._selector.close()

    def _run(self) -> None:
        while not self._stopping:
            wait = 0.05
            if self._queue:
                wait = max(0.0, min(wait, self._queue[0][0] - time.monotonic()))
            for key, _ in self._selector.select(wait):
                if key.data is None:
                    self._up()
                else:
                    self._down(key.fileobj, key.data)  # type: ignore[arg-type]
            while self._queue and self._queue[0][0] <= time.monotonic():
                _, data, client = self._queue.popleft()
                self._front.sendto(data, client)

    def _up(self) -> None:
        data, client = self._front.recvfrom(2048)
        back = self._backs.get(client)
        if back is None:
            back = self._backs[client] = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._selector.register(back, selectors.EVENT_READ, client)
        back.sendto(data, self._target)

    def _down(self, back: socket.socket, client: tuple[str, int]) -> None:
        data = back.recv(2048)
        now = time.monotonic()
        self._free_at = max(self._free_at, now) + len(data) * 8 / self.bps
        if self._free_at - now > QUEUE_S:
            self._free_at -= len(data) * 8 / self.bps
            self.dropped += 1
            return
        self._queue.append((self._free_at, data, client))


def through(line: NarrowLine) -> str:
    """A script for a page: every connection goes through the line."""
    return f"""
const setRemote = RTCPeerConnection.prototype.setRemoteDescription;
RTCPeerConnection.prototype.setRemoteDescription = function (description) {{
  const sdp = description.sdp.replace(/(a=candidate:.* 127\\.0\\.0\\.1) \\d+ /g, "$1 {line.port} ");
  return setRemote.call(this, {{ type: description.type, sdp }});
}};
"""
