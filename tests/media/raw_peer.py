"""A browser's end made by hand, packet by packet: it can do what no browser does, and lose its address on the way."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import socket
import struct
from collections.abc import AsyncIterator, Callable
from typing import NamedTuple

from aioice import stun

from media.ortc import Certificate, Datagram, SecureTransport
from media.plane import EmbeddedPlane
from media.sdp import parse
from models.values import MediaSource, PersonId, RoomId
from rooms.ports import SubscribeOffer
from tests.media.sfu_browser import SESSION, Stage, until

KEY, DELTA = b"\x10\x00", b"\x10\x01"
"""The first bytes of a VP8 payload: of a keyframe, of another picture."""
OPUS_LINE = "m=audio 9 UDP/TLS/RTP/SAVPF 109\r\na=rtpmap:109 opus/48000/2\r\n"
VP8_LINE = "m=video 9 UDP/TLS/RTP/SAVPF 120\r\na=rtpmap:120 VP8/90000\r\n"
H264_LINE = (
    "m=video 9 UDP/TLS/RTP/SAVPF 127\r\na=rtpmap:127 H264/90000\r\n"
    "a=fmtp:127 level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f\r\n"
)
AV1_LINE = "m=video 9 UDP/TLS/RTP/SAVPF 45\r\na=rtpmap:45 AV1/90000\r\n"
_HEADER = struct.Struct("!BBHLL")


class Received(NamedTuple):
    """An RTP packet that came; ``payload`` is what follows the header extension."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes


class RawEnd:
    """One connection: a UDP socket, ICE requests as the controlling side, DTLS-SRTP."""

    def __init__(self, host: str) -> None:
        self._host = host
        self._certificate = Certificate()
        self.fingerprint = self._certificate.fingerprint
        self.secure = SecureTransport(self._certificate, self.send, lambda: None, lambda: None)
        self.received: list[Received] = []
        self.arrived = 0
        """Media datagrams, also those that came before (SRTP drops them)."""
        self.nominate = True
        self.ask_every_s = 0.2
        self.server: tuple[str, int] | None = None
        self._username = ""
        self._password = b""
        self._in, self._out = Datagram(), Datagram()
        self._socket = self._open()
        self._asking: asyncio.Task[None] | None = None

    def _open(self) -> socket.socket:
        made = socket.socket(socket.AF_INET6 if ":" in self._host else socket.AF_INET, socket.SOCK_DGRAM)
        made.setblocking(False)
        made.bind((self._host, 0))
        asyncio.get_running_loop().add_reader(made.fileno(), self._readable)
        return made

    def _shut(self) -> None:
        asyncio.get_running_loop().remove_reader(self._socket.fileno())
        self._socket.close()

    def rebind(self) -> None:
        """Go on from another port, as behind a router that forgot us."""
        self._shut()
        self._socket = self._open()

    @property
    def port(self) -> int:
        return int(self._socket.getsockname()[1])

    def connect(self, description: str, *, server: bool = False) -> None:
        """Begin with the worker's description."""
        theirs = parse(description)
        offered = re.findall(r"a=candidate:\d 1 udp \d+ (\S+) (\d+) typ host", description)
        self.server = next((ip, int(port)) for ip, port in offered if (":" in ip) == (":" in self._host))
        self._username = f"{theirs.ufrag}:raw"
        self._password = theirs.password.encode()
        self.ask()
        self.secure.start(theirs.fingerprints, server=server)
        self._asking = asyncio.create_task(self._keep_asking())

    def ask(self) -> None:
        """One STUN binding request."""
        attributes = {"USERNAME": self._username, "PRIORITY": 1, "ICE-CONTROLLING": 7}
        if self.nominate:
            attributes["USE-CANDIDATE"] = None
        message = stun.Message(stun.Method.BINDING, stun.Class.REQUEST, os.urandom(12), attributes)
        message.add_message_integrity(self._password)
        self.send(bytes(message))

    async def _keep_asking(self) -> None:
        while True:
            await asyncio.sleep(self.ask_every_s)
            self.ask()
            if self.secure.ready:
                self.send_rtcp(
                    b"\x80\xc9\x00\x01\x00\x00\x00\x07"
                )  # an empty receiver report, as browsers send

    def send(self, data: bytes | memoryview) -> None:
        if self.server is not None:
            with contextlib.suppress(OSError):
                self._socket.sendto(data, self.server)

    def send_rtp(
        self, payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, first: int = 0x80
    ) -> bytes:
        """Encrypt and send; the datagram, to be sent again. Empty for what cannot be encrypted."""
        size = self.secure.protect(
            self._out, first, payload_type, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc, payload
        )
        datagram = bytes(self._out.view[: max(0, size)])
        if datagram:
            self.send(datagram)
        return datagram

    def send_rtcp(self, packet: bytes) -> None:
        size = self.secure.protect_rtcp(self._out, packet)
        if size > 0:
            self.send(self._out.view[:size])

    def _readable(self) -> None:
        while True:
            try:
                size = self._socket.recv_into(self._in.data)
            except OSError:
                return
            first = self._in.data[0]
            if 19 < first < 64:
                self.secure.handle_dtls(bytes(self._in.data[:size]))
            elif 127 < first < 192 and self.secure.ready and not 192 <= self._in.data[1] <= 223:
                self.arrived += 1
                size = self.secure.unprotect(self._in, size)
                if size > 0:
                    _first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(self._in.data)
                    skip = 16 + 4 * struct.unpack_from("!H", self._in.data, 14)[0]
                    payload = bytes(self._in.data[skip:size])
                    self.received.append(Received(second & 0x7F, sequence, timestamp, ssrc, payload))

    async def close(self) -> None:
        if self._asking is not None:
            self._asking.cancel()
            await asyncio.gather(self._asking, return_exceptions=True)
        await self.secure.close()
        self._shut()


class RawPeer:
    """A page: one end publishes ``lines`` (m-lines without their attributes of transport), one is shown the others."""

    def __init__(self, plane: EmbeddedPlane, person: str, host: str) -> None:
        self.plane = plane
        self.person = PersonId(person)
        self.peer_id = f"raw-{person}"
        self._host = host
        self._ufrag = ""
        self.publish = RawEnd(host)
        self.subscribe = RawEnd(host)
        self.offer: SubscribeOffer | None = None
        self.answer = ""
        self.answer_changed: Callable[[str], str] = lambda text: text

    def describe(self, end: RawEnd, lines: list[str], setup: str) -> str:
        """A description of ours; the n-th line has the mid n."""
        text = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\n"
        for mid, line in enumerate(lines):
            text += line + f"a=mid:{mid}\r\na=ice-ufrag:rawrawra\r\na=ice-pwd:{'p' * 24}\r\na=rtcp-mux\r\n"
            text += f"a=fingerprint:sha-256 {end.fingerprint}\r\na=setup:{setup}\r\n"
        return text

    async def open(self, lines: list[str], sources: dict[str, MediaSource], room: str = "main") -> None:
        await self.plane.join(self.peer_id, SESSION, RoomId(room), self.person)
        offer = self.describe(self.publish, [line + "a=sendonly\r\n" for line in lines], "actpass")
        self.answer = await self.plane.publish(self.peer_id, offer, sources)
        self.publish.connect(self.answer)
        await until(lambda: self.publish.secure.ready, f"{self.person} may publish")

    async def on_offer(self, offer: SubscribeOffer) -> None:
        self.offer = offer
        if offer.sdp is None:
            return
        lines = [
            f"m={line.kind} 9 UDP/TLS/RTP/SAVPF {' '.join(str(c.payload_type) for c in line.codecs)}\r\n"
            + "".join(f"a=rtpmap:{c.payload_type} {c.name}/{c.clock_rate}\r\n" for c in line.codecs)
            + "a=recvonly\r\n"
            for line in parse(offer.sdp).media
        ]
        ufrag = parse(offer.sdp).ufrag
        if self._ufrag not in ("", ufrag):  # begun anew, as it is for who publishes late
            old, self.subscribe = self.subscribe, RawEnd(self._host)
            self.subscribe.ask_every_s = old.ask_every_s
            await old.close()
        text = self.answer_changed(self.describe(self.subscribe, lines, "active"))
        await self.plane.subscribe_answer(self.peer_id, text, offer.version)
        if self._ufrag != ufrag:
            self._ufrag = ufrag
            self.subscribe.connect(offer.sdp)

    async def close(self) -> None:
        await self.publish.close()
        await self.subscribe.close()


@contextlib.asynccontextmanager
async def raw_peers(here: Stage, *people: str, host: str = "127.0.0.1") -> AsyncIterator[list[RawPeer]]:
    """Peers of these names (``name@host`` for another host than the rest); each gets its offers."""
    peers = {}
    for person in people:
        name, _, own = person.partition("@")
        peers[f"raw-{name}"] = RawPeer(here.plane, name, own or host)

    async def on_event(event: object) -> None:
        if isinstance(event, SubscribeOffer) and event.peer_id in peers:
            await peers[event.peer_id].on_offer(event)

    here.handler = on_event
    try:
        yield list(peers.values())
    finally:
        for peer in peers.values():
            await peer.close()
