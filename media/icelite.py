"""ICE-lite on one UDP socket for everybody, and on its TCP twin: answers STUN requests and hands datagrams to their connection.

A connection is found by the first half of USERNAME in its STUN requests and, from then on, by the address these came
from. Nothing is ever sent to an address that has not proved to know the connection's password.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import socket
import string
import struct
from typing import Any, Final, Protocol

from aioice import stun

from media.icetcp import TcpAddress, TcpDoor
from media.ortc import DATAGRAM_SIZE, Datagram

log = logging.getLogger("sideroom.media.ice")
BATCH: Final = 128
"""Datagrams read in one wake-up before other tasks get their turn."""
STUN_MAX: Final = 600
BUFFER_BYTES: Final = 4 * 1024 * 1024
"""What waits in the kernel while the worker does something else: a tenth of a second of 40,000 packets."""
_SO_SNDBUFFORCE: Final = 32
_SO_RCVBUFFORCE: Final = 33
_SO_MEMINFO: Final = 55
_MEMINFO = struct.Struct("9I")
ADDRESSES_PER_ENDPOINT: Final = 4
CONSENT_S: Final = 18.0
"""Without a STUN request for so long the peer is gone (browsers send one every 2.5-5 s)."""
QUIET_S: Final = 7.0
"""Without a STUN request from the address in use for so long (they come each 2.5-6 s) another proven address takes over."""
STRAYS: Final = 3
"""So does one that authentic media comes from, so often on end: a router forgot the old port, and not all browsers nominate anew."""
_ALPHABET: Final = string.ascii_letters + string.digits
_COOKIE: Final = struct.pack("!L", stun.COOKIE)

Address = tuple[Any, ...]


def _plain(ip: str) -> str:
    """IPv4 as such, also where a socket of both families writes it as IPv6."""
    return ip[7:] if ip.startswith("::ffff:") and "." in ip else ip


class DatagramUser(Protocol):
    """Who gets an endpoint's datagrams (a connection)."""

    def handle_media(self, size: int) -> bool:
        """SRTP or SRTCP of ``size`` bytes lies in the socket's ``incoming``. True when it was authentic."""
        ...

    def handle_dtls(self, data: bytes) -> None: ...


class IceEndpoint:
    """One connection's end: credentials and the addresses that proved to know them."""

    __slots__ = (
        "_socket",
        "address",
        "addresses",
        "heard_at",
        "last_request",
        "password",
        "strays",
        "ufrag",
        "user",
    )

    def __init__(self, ice: IceSocket, user: DatagramUser) -> None:
        self._socket = ice
        self.user = user
        self.ufrag = "".join(secrets.choice(_ALPHABET) for _ in range(8))
        self.password = "".join(secrets.choice(_ALPHABET) for _ in range(24))
        self.address: Address | None = None
        """Where we send to: the newest address nominated by the peer, or the one it speaks from since."""
        self.heard_at = 0.0
        """When the newest STUN request came from ``address``."""
        self.strays = 0
        """Authentic media packets on end that came from another proven address than ``address``."""
        self.addresses: list[Address] = []
        self.last_request: float | None = None

    def send(self, data: bytes | memoryview) -> None:
        """Put one datagram on the wire; lost when there is no address yet or the socket is full."""
        if self.address is not None:
            self._socket.send(data, self.address)

    def is_lost(self, now: float) -> bool:
        """True when consent has run out."""
        return self.last_request is not None and now - self.last_request > CONSENT_S

    def close(self) -> None:
        self._socket.remove(self)


class IceSocket:
    """The worker's UDP socket. ``start`` must run on the loop that serves it."""

    def __init__(self, host: str, port: int) -> None:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        try:
            self.socket.setblocking(False)
            for option in (socket.SO_RCVBUF, socket.SO_SNDBUF, _SO_RCVBUFFORCE, _SO_SNDBUFFORCE):
                with contextlib.suppress(OSError):  # the last two are for root: past the system's limit
                    self.socket.setsockopt(socket.SOL_SOCKET, option, BUFFER_BYTES)
            if family == socket.AF_INET6:  # "::" serves both families, whatever the system's default is
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self.socket.bind((host, port))
        except OSError:
            self.socket.close()
            raise
        self.port: int = self.socket.getsockname()[1]
        self.incoming = Datagram()
        self.outgoing = Datagram()
        self.dropped = 0
        self.faults = 0
        self._by_ufrag: dict[str, IceEndpoint] = {}
        self._by_address: dict[Address, IceEndpoint] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._host = host
        self._tcp: TcpDoor | None = None

    @property
    def has_tcp(self) -> bool:
        """Whether browsers may come by TCP too."""
        return self._tcp is not None

    async def listen_tcp(self) -> None:
        """Take TCP connections on the same port number. Where it is taken the room works by UDP alone, and the log says so."""
        tcp = TcpDoor(self._frame, self._forget)
        try:
            await tcp.start(self._host, self.port)
        except OSError as error:
            log.warning("ice.no_tcp port=%d error=%s", self.port, error.strerror or type(error).__name__)
            return
        self._tcp = tcp

    def _frame(self, data: bytes, address: TcpAddress) -> None:
        size = len(data)
        self.incoming.data[:size] = data
        self._take(size, address)

    def _forget(self, address: TcpAddress) -> None:
        endpoint = self._by_address.pop(address, None)
        if endpoint is not None:
            endpoint.addresses = [a for a in endpoint.addresses if a != address]
            if endpoint.address == address:
                endpoint.address = endpoint.addresses[-1] if endpoint.addresses else None

    @property
    def receive_buffer(self) -> int:
        """Bytes that the system really gave; the kernel counts its own overhead, twice the payload."""
        return self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF) // 2

    def dropped_in(self) -> int:
        """Datagrams that the kernel threw away because the buffer was full; 0 where it does not tell."""
        try:
            told = self.socket.getsockopt(socket.SOL_SOCKET, _SO_MEMINFO, _MEMINFO.size)
            return int(_MEMINFO.unpack(told)[8])
        except (OSError, struct.error):
            return 0

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.socket.fileno(), self._readable)

    def close(self) -> None:
        if self._loop is not None:
            self._loop.remove_reader(self.socket.fileno())
        self.socket.close()
        if self._tcp is not None:
            self._tcp.stop()

    def endpoint(self, user: DatagramUser) -> IceEndpoint:
        """A new endpoint with fresh credentials."""
        endpoint = IceEndpoint(self, user)
        self._by_ufrag[endpoint.ufrag] = endpoint
        return endpoint

    def remove(self, endpoint: IceEndpoint) -> None:
        self._by_ufrag.pop(endpoint.ufrag, None)
        for address in endpoint.addresses:
            if self._by_address.get(address) is endpoint:
                del self._by_address[address]
            if isinstance(address, TcpAddress):
                address.link.close()
        endpoint.addresses = []
        endpoint.address = None

    def send(self, data: bytes | memoryview, address: Address) -> None:
        if isinstance(address, TcpAddress):
            if not address.link.send(data):
                self.dropped += 1
            return
        try:
            self.socket.sendto(data, address)
        except OSError:  # full, or the network says no: media is lost, DTLS and NACK send again
            self.dropped += 1

    def _readable(self) -> None:
        receive = self.socket.recvfrom_into
        data = self.incoming.data
        for _ in range(BATCH):
            try:
                size, address = receive(data)
            except BlockingIOError:
                return
            except OSError:  # an ICMP error of an earlier send
                continue
            self._take(size, address)

    def _take(self, size: int, address: Address) -> None:
        """What lies in ``incoming``."""
        if size < 4 or size >= DATAGRAM_SIZE:
            return
        data = self.incoming.data
        first = data[0]
        try:
            if 127 < first < 192:
                endpoint = self._by_address.get(address)
                if endpoint is not None and endpoint.user.handle_media(size):
                    if address != endpoint.address:
                        self._stray(endpoint, address)
                    elif endpoint.strays:
                        endpoint.strays = 0
            elif 19 < first < 64:
                endpoint = self._by_address.get(address)
                if endpoint is not None:
                    endpoint.user.handle_dtls(bytes(data[:size]))
            elif first < 4 and 28 <= size <= STUN_MAX and data[4:8] == _COOKIE:
                self._handle_stun(bytes(data[:size]), address)
        except Exception:
            # One peer's datagram must never stop the others' media.
            self.faults += 1
            if self.faults <= 10 or self.faults % 1000 == 0:
                log.exception("ice.datagram_failed count=%d", self.faults)

    def _handle_stun(self, data: bytes, address: Address) -> None:
        assert self._loop is not None
        answer = self.answer(data, address, self._loop.time())
        if answer is not None:
            self.send(answer, address)

    def answer(self, data: bytes, address: Address, now: float) -> bytes | None:
        """The answer to a STUN datagram, None to stay silent. Learns the address when the request is good."""
        if data[0:2] != b"\x00\x01":  # binding requests only; a lite end asks nothing itself
            return None
        try:
            request = stun.parse_message(data)
        except (ValueError, struct.error):
            return None
        attributes = request.attributes
        username = attributes.get("USERNAME", "")
        endpoint = self._by_ufrag.get(username.partition(":")[0])
        if (
            endpoint is None
            or "FINGERPRINT" not in attributes
            or not request.check_message_integrity(endpoint.password.encode())
        ):
            return None
        key = endpoint.password.encode()
        if "ICE-CONTROLLED" in attributes:  # a lite end is always the controlled one
            return self._reply(request, key, stun.Class.ERROR, {"ERROR-CODE": (487, "Role Conflict")})
        endpoint.last_request = now
        self._learn(endpoint, address, now, nominated="USE-CANDIDATE" in attributes)
        return self._reply(
            request, key, stun.Class.RESPONSE, {"XOR-MAPPED-ADDRESS": (_plain(address[0]), address[1])}
        )

    def _reply(
        self, request: stun.Message, key: bytes, kind: stun.Class, attributes: dict[str, Any]
    ) -> bytes:
        message = stun.Message(stun.Method.BINDING, kind, request.transaction_id, attributes)
        message.add_message_integrity(key)
        return bytes(message)

    def _stray(self, endpoint: IceEndpoint, address: Address) -> None:
        endpoint.strays += 1
        if endpoint.strays >= STRAYS and self._loop is not None:
            self._use(endpoint, address, self._loop.time())

    def _use(self, endpoint: IceEndpoint, address: Address, now: float) -> None:
        if endpoint.address is not None and endpoint.address != address:
            log.info("ice.address_changed")
        endpoint.address = address
        endpoint.heard_at = now
        endpoint.strays = 0

    def _learn(self, endpoint: IceEndpoint, address: Address, now: float, *, nominated: bool) -> None:
        if isinstance(address, TcpAddress):
            address.link.proved()
        if address not in endpoint.addresses:
            endpoint.addresses.append(address)
            if len(endpoint.addresses) > ADDRESSES_PER_ENDPOINT:
                oldest = next(a for a in endpoint.addresses if a != endpoint.address)
                endpoint.addresses.remove(oldest)
                if self._by_address.get(oldest) is endpoint:
                    del self._by_address[oldest]
        self._by_address[address] = endpoint
        if address == endpoint.address:
            endpoint.heard_at = now
        elif nominated or endpoint.address is None or now - endpoint.heard_at > QUIET_S:
            self._use(endpoint, address, now)
