"""A browser's two connections with the worker: one it publishes on, one it is shown the others on."""

from __future__ import annotations

import contextlib
import secrets
import struct
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from aiortc.rate import RemoteBitrateEstimator
from aiortc.rtp import (
    RTCP_PSFB_APP,
    RTCP_PSFB_FIR,
    RTCP_PSFB_PLI,
    RTCP_RTPFB_NACK,
    RtcpPacket,
    RtcpPsfbPacket,
    RtcpReceiverInfo,
    RtcpRrPacket,
    RtcpRtpfbPacket,
    RtcpSdesPacket,
    RtcpSenderInfo,
    RtcpSourceInfo,
    RtcpSrPacket,
    pack_remb_fci,
    unpack_remb_fci,
)

from media import sdp as descriptions
from media.downlink import CHECK_S, Downlink
from media.forward import Line, Source
from media.icelite import IceEndpoint, IceSocket
from media.ortc import Certificate, SecureTransport
from media.rtp import (
    ABS_SEND_TIME_URI,
    AUDIO_LEVEL_URI,
    MID_URI,
    ExtensionIds,
    extension,
    ntp_time,
    payload_offset,
)
from models.boottime import steady_unix_s
from models.values import MediaSource, PersonId

REPORT_EVERY_S: Final = 1.0
CONNECT_S: Final = 60.0
"""A connection that is not up after so long is closed."""
MAX_SSRCS: Final = 16
"""SSRCs that one publish connection may map to its sources."""
MAX_ACCEPTED: Final = 64
"""SSRCs of any kind that one connection may use in its life."""
MIN_BITRATE: Final = 300_000
CAMERA_BITRATE: Final = 1_500_000
SCREEN_BITRATE: Final = 3_000_000
REMB_EVERY_MS: Final = 1000
NACKS_PER_PACKET: Final = 256
SR_PER_PACKET: Final = 16
_HEADER = struct.Struct("!BBHLL")
_SSRC = struct.Struct("!L")

CameUp = Callable[["Connection"], None]
WentDown = Callable[["Connection"], None]


class Connection:
    """What both directions share: an ICE endpoint, DTLS-SRTP, closing."""

    direction = ""

    def __init__(
        self,
        ice: IceSocket,
        certificate: Certificate,
        ips: tuple[str, ...],
        on_up: CameUp,
        on_down: WentDown,
        now: float,
    ) -> None:
        self.ice = ice
        self.endpoint: IceEndpoint = ice.endpoint(self)
        self.created = now
        self.secure = SecureTransport(
            certificate, self.endpoint.send, lambda: on_up(self), lambda: on_down(self)
        )
        self.transport = descriptions.Transport(
            self.endpoint.ufrag, self.endpoint.password, certificate.fingerprint, ips, ice.port, ice.has_tcp
        )
        self.local_ssrc = secrets.randbits(31) | 1
        self.session_id = secrets.randbits(62)
        self.remote_ufrag = ""
        self._accepted: set[int] = set()

    def handle_dtls(self, data: bytes) -> None:
        self.secure.handle_dtls(data)

    def handle_media(self, size: int) -> bool:
        if not self.secure.ready:
            return False
        incoming = self.ice.incoming
        data = incoming.data
        is_rtcp = 192 <= data[1] <= 223
        if size < 12:
            return False
        (ssrc,) = _SSRC.unpack_from(data, 4 if is_rtcp else 8)
        # libsrtp keeps state for every SSRC it has accepted, so their number is bounded before it sees them.
        if ssrc not in self._accepted and len(self._accepted) >= MAX_ACCEPTED:
            return False
        if is_rtcp:
            size = self.secure.unprotect_rtcp(incoming, size)
        else:
            size = self.secure.unprotect(incoming, size)
        if size < 0:
            return False
        self._accepted.add(ssrc)
        if is_rtcp:
            self._handle_rtcp(bytes(data[:size]))
        elif size >= 12:
            self._handle_rtp(data, size)
        return True

    def _handle_rtp(self, data: bytearray, size: int) -> None:
        """Media nobody asked for is dropped."""

    def _handle_rtcp(self, data: bytes) -> None:
        try:
            packets = RtcpPacket.parse(data)
        except (ValueError, IndexError, struct.error):
            return
        for packet in packets:
            self._handle_report(packet, time.monotonic())

    def _handle_report(self, packet: object, now: float) -> None:
        raise NotImplementedError

    def send_rtcp(self, packet: bytes) -> None:
        """Encrypt and send a compound RTCP packet."""
        if self.secure.ready and self.endpoint.address is not None:
            outgoing = self.ice.outgoing
            size = self.secure.protect_rtcp(outgoing, packet)
            if size > 0:
                self.endpoint.send(outgoing.view[:size])

    def is_lost(self, now: float) -> bool:
        """True when consent ran out, or when it never came up in time."""
        return self.endpoint.is_lost(now) or (not self.secure.ready and now - self.created > CONNECT_S)

    async def close(self) -> None:
        with contextlib.suppress(ConnectionError):
            await self.secure.close()
        self.endpoint.close()


class PublishConnection(Connection):
    """Receives a browser's tracks. ``sources`` by what they carry."""

    direction = "publish"

    def __init__(
        self,
        ice: IceSocket,
        certificate: Certificate,
        ips: tuple[str, ...],
        on_up: CameUp,
        on_down: WentDown,
        now: float,
        *,
        peer_id: str,
        person_id: PersonId,
        on_live: Callable[[Source], None],
        on_need: Callable[[PublishConnection], None],
    ) -> None:
        super().__init__(ice, certificate, ips, on_up, on_down, now)
        self.peer_id = peer_id
        self.person_id = person_id
        self.sources: dict[MediaSource, Source] = {}
        self._on_live = on_live
        self._on_need = on_need
        self._by_ssrc: dict[int, Source] = {}
        self._by_mid: dict[str, Source] = {}
        self._retired: set[int] = set()
        """SSRCs that a source has left: late packets of theirs must not switch it back."""
        self._mid_id = 0
        self._answers = 0
        self._estimator = RemoteBitrateEstimator()
        self._remb_at_ms = 0
        self._remb = 0
        self._report_due = now + REPORT_EVERY_S
        self._clock_offset: float | None = None

    def answer(
        self, offer: descriptions.Description, sources: Mapping[str, MediaSource]
    ) -> tuple[str, list[Source]]:
        """Take (or take again) an offer; our answer and the sources that are no more."""
        lines = {line.mid: line for line in offer.media}
        before, self.sources = self.sources, {}
        self._by_mid, self._by_ssrc = {}, {}
        for mid, kind in sources.items():
            line = lines[mid]
            codec = descriptions.choose_codec(line)
            if line.is_rejected or codec is None:
                continue
            ids = ExtensionIds(
                line.extensions.get(MID_URI, 0),
                line.extensions.get(AUDIO_LEVEL_URI, 0),
                line.extensions.get(ABS_SEND_TIME_URI, 0),
            )
            self._mid_id = ids.mid
            source = before.get(kind)
            if source is None or source.codec != codec or source.ids != ids:
                source = Source(self.peer_id, self.person_id, kind, codec, ids)
                source.on_need = self._need
            self.sources[kind] = source
            self._by_mid[mid] = source
            for ssrc in line.ssrcs[:1]:
                self._by_ssrc[ssrc] = source
                self._retired.discard(ssrc)
            if source.ssrc:
                self._by_ssrc.setdefault(source.ssrc, source)
        self._answers += 1
        active = offer.setup == "passive"
        text = descriptions.write_answer(
            self.transport,
            offer,
            sources,
            session_id=self.session_id,
            version=self._answers,
            active=active,
        )
        self.remote_ufrag = offer.ufrag
        self.secure.start(offer.fingerprints, server=not active)
        return text, [s for s in before.values() if s not in self.sources.values()]

    def _handle_rtp(self, data: bytearray, size: int) -> None:
        _first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        source = self._by_ssrc.get(ssrc)
        if source is None:
            source = self._discover(data, size, second & 0x7F, ssrc)
            if source is None:
                return
        now = time.monotonic()
        if second & 0x7F != source.codec.payload_type:
            if source.ssrc == ssrc:
                source.reject(sequence, now)
            return
        if source.ssrc != ssrc:
            if source.ssrc:
                self._by_ssrc.pop(source.ssrc, None)
                self._retired.add(source.ssrc)
            source.set_ssrc(ssrc)
        if source.receive(data, size, second & 0x80, sequence, timestamp, now):
            if not source.live:
                source.live = True
                self._on_live(source)
            if source.send_time is not None:
                self._estimate(source.send_time, size, ssrc, now)

    def _discover(self, data: bytearray, size: int, payload_type: int, ssrc: int) -> Source | None:
        """An SSRC that the offer did not name: by the mid extension, else by a payload type only one source has."""
        known = len(self._by_ssrc) + len(self._retired)
        if known >= MAX_SSRCS or ssrc in self._retired or payload_offset(data, size) < 0:
            return None
        mid = extension(data, size, self._mid_id)
        source: Source | None
        if mid is not None:
            source = self._by_mid.get(mid.decode("ascii", "replace"))
        else:
            fitting = [s for s in self.sources.values() if s.codec.payload_type == payload_type]
            source = fitting[0] if len(fitting) == 1 else None
        if source is not None:
            self._by_ssrc[ssrc] = source
        return source

    def _handle_report(self, packet: object, now: float) -> None:
        if isinstance(packet, RtcpSrPacket):
            source = self._by_ssrc.get(packet.ssrc)
            if source is not None:
                info = packet.sender_info
                arrival = steady_unix_s()
                offset = arrival - (info.ntp_timestamp / 4294967296.0 - 2208988800.0)
                # The smallest delay seen is the best guess; it may drift by a little each report.
                if self._clock_offset is None or offset < self._clock_offset:
                    self._clock_offset = offset
                else:
                    self._clock_offset += min(offset - self._clock_offset, 0.0005)
                source.report = (info.ntp_timestamp, info.rtp_timestamp, now)
                if source.tap is not None:
                    source.tap.report(source, info.ntp_timestamp, info.rtp_timestamp)

    @property
    def clock_offset(self) -> float:
        """Seconds to add to the publisher's NTP times to have ours."""
        return self._clock_offset or 0.0

    # -- feedback ----------------------------------------------------------------------------------------------

    def _estimate(self, send_time: int, size: int, ssrc: int, now: float) -> None:
        now_ms = int(now * 1000)
        result = self._estimator.add(
            arrival_time_ms=now_ms, abs_send_time=send_time, payload_size=size, ssrc=ssrc
        )
        if result is not None:
            falls = result[0] < self._remb * 0.97
            self._remb = result[0]
            if falls or now_ms - self._remb_at_ms >= REMB_EVERY_MS:
                self._remb_at_ms = now_ms
                self._send_remb()

    def _send_remb(self) -> None:
        videos = [s for s in self.sources.values() if s.is_video and s.live]
        cap = sum(SCREEN_BITRATE if s.kind is MediaSource.SCREEN else CAMERA_BITRATE for s in videos)
        bitrate = max(MIN_BITRATE, min(self._remb, cap))
        if videos:
            fci = pack_remb_fci(bitrate, [s.ssrc for s in videos])
            packet = RtcpPsfbPacket(fmt=RTCP_PSFB_APP, ssrc=self.local_ssrc, media_ssrc=0, fci=fci)
            self.send_rtcp(bytes(RtcpRrPacket(ssrc=self.local_ssrc)) + bytes(packet))

    def _need(self) -> None:
        self._on_need(self)

    def feedback(self, now: float) -> bool:
        """Send the keyframe requests and NACKs that are due; True while there will be more to ask."""
        for source in self.sources.values():
            if source.take_pli(now):
                self.send_pli(source)
            if source.is_missing_any:
                wanted = source.nacks(now)
                if wanted:
                    nack = RtcpRtpfbPacket(
                        fmt=RTCP_RTPFB_NACK, ssrc=self.local_ssrc, media_ssrc=source.ssrc, lost=wanted
                    )
                    self.send_rtcp(bytes(RtcpRrPacket(ssrc=self.local_ssrc)) + bytes(nack))
        return any(source.is_needy for source in self.sources.values())

    def send_pli(self, source: Source) -> None:
        """Ask the browser for a keyframe now; ``Source.take_pli`` says whether one may be asked for."""
        pli = RtcpPsfbPacket(fmt=RTCP_PSFB_PLI, ssrc=self.local_ssrc, media_ssrc=source.ssrc)
        self.send_rtcp(bytes(RtcpRrPacket(ssrc=self.local_ssrc)) + bytes(pli))

    def report(self, now: float) -> None:
        """Send the receiver report that is due."""
        if now < self._report_due:
            return
        self._report_due = now + REPORT_EVERY_S
        reports = []
        for source in self.sources.values():
            if source.received:
                fraction, lost, highest = source.loss_since_report()
                lsr = dlsr = 0
                if source.report is not None:
                    lsr = (source.report[0] >> 16) & 0xFFFFFFFF
                    dlsr = min(0xFFFFFFFF, int((now - source.report[2]) * 65536))
                jitter = min(0xFFFFFFFF, int(source.jitter))
                reports.append(RtcpReceiverInfo(source.ssrc, fraction, lost, highest, jitter, lsr, dlsr))
        if reports:
            self.send_rtcp(bytes(RtcpRrPacket(ssrc=self.local_ssrc, reports=reports)))


class SubscribeConnection(Connection):
    """Shows others to a browser on lines that are reused. Lines are only ever appended, each offer names all."""

    direction = "subscribe"

    def __init__(
        self,
        ice: IceSocket,
        certificate: Certificate,
        ips: tuple[str, ...],
        on_up: CameUp,
        on_down: WentDown,
        now: float,
    ) -> None:
        super().__init__(ice, certificate, ips, on_up, on_down, now)
        self.lines: list[Line] = []
        self._outs: list[descriptions.OutLine] = []
        self._by_ssrc: dict[int, Line] = {}
        self._offers = 0
        self.agreed = 0
        """How many of the lines the browser has accepted."""
        self.video_codecs = frozenset(descriptions.OUT_CODECS)
        """What this browser can show, known from its first answer on."""
        self.cname = secrets.token_hex(6)
        self.downlink = Downlink(now)
        self._octets = 0
        self._checked_at = now

    def grow(self, audio: int, video: int) -> None:
        """Have at least so many lines of each kind."""
        for kind, count, rate in (("audio", audio, 48000), ("video", video, 90000)):
            have = sum(1 for line in self.lines if line.kind == kind)
            for index in range(have, count):
                ssrc = secrets.randbits(31) | 1
                while ssrc in self._by_ssrc:
                    ssrc = secrets.randbits(31) | 1
                line = Line(str(len(self.lines)), kind, ssrc, rate, self)
                self.lines.append(line)
                self._by_ssrc[ssrc] = line
                self._outs.append(descriptions.OutLine(line.mid, kind, ssrc, f"s{index}"))

    def count(self, kind: str) -> int:
        return sum(1 for line in self.lines if line.kind == kind)

    def place(self, line: Line) -> str:
        """The stream a line plays in."""
        return self._outs[int(line.mid)].stream

    def offer(self) -> str:
        """A description of all lines."""
        self._offers += 1
        return descriptions.write_offer(
            self.transport,
            self._outs,
            session_id=self.session_id,
            version=self._offers,
            cname=self.cname,
        )

    def answered(self, answer: descriptions.Description, count: int) -> None:
        """The browser accepted the first ``count`` lines. Raises MediaError ``bad_sdp``."""
        if not descriptions.answers(answer, [line.mid for line in self.lines[:count]]):
            raise descriptions.bad("The answer does not fit the offer.")
        if answer.setup == "actpass":
            raise descriptions.bad("An answer must choose its DTLS role.")
        self.agreed = max(self.agreed, count)
        self.video_codecs = descriptions.codecs_of(answer, "video")
        self.remote_ufrag = answer.ufrag
        self.secure.start(answer.fingerprints, server=answer.setup == "active")

    def send_packet(
        self, first: int, second: int, sequence: int, timestamp: int, ssrc: int, tail: bytes
    ) -> None:
        secure = self.secure
        address = self.endpoint.address
        if not secure.ready or address is None:
            return
        outgoing = self.ice.outgoing
        size = secure.protect(outgoing, first, second, sequence, timestamp, ssrc, tail)
        if size > 0:
            self.ice.send(outgoing.view[:size], address)

    def _handle_report(self, packet: object, now: float) -> None:
        if isinstance(packet, RtcpRtpfbPacket) and packet.fmt == RTCP_RTPFB_NACK:
            line = self._by_ssrc.get(packet.media_ssrc)
            if line is not None:
                line.resend(packet.lost[:NACKS_PER_PACKET], now)
        elif isinstance(packet, RtcpPsfbPacket):
            wanted: Sequence[int] = ()
            if packet.fmt == RTCP_PSFB_PLI:
                wanted = (packet.media_ssrc,)
            elif packet.fmt == RTCP_PSFB_FIR:
                count = min(len(packet.fci) // 8, 64)
                wanted = [struct.unpack_from("!L", packet.fci, 8 * i)[0] for i in range(count)]
            elif packet.fmt == RTCP_PSFB_APP:
                with contextlib.suppress(ValueError, struct.error):
                    self.downlink.remb(unpack_remb_fci(packet.fci)[0], now)
            for ssrc in wanted:
                line = self._by_ssrc.get(ssrc)
                if line is not None and line.source is not None and line.source.is_video:
                    line.source.want_keyframe()
        elif isinstance(packet, RtcpRrPacket | RtcpSrPacket):
            self._lost(packet.reports, now)

    def _lost(self, reports: Sequence[RtcpReceiverInfo], now: float) -> None:
        """Loss over the lines of pictures, which send most; a line's weight is what it sent."""
        weights = lost = 0.0
        for report in reports:
            line = self._by_ssrc.get(report.ssrc)
            if line is not None and line.kind == "video" and line.source is not None:
                weights += 1.0
                lost += report.fraction_lost / 256.0
        if weights:
            self.downlink.loss(lost / weights, now)

    def check_downlink(self, now: float) -> bool:
        """Once a second; True when this person gets more or fewer pictures from now on."""
        if now - self._checked_at < CHECK_S:
            return False
        octets = sum(line.octets for line in self.lines)
        sent_bps = (octets - self._octets) * 8 / (now - self._checked_at)
        self._octets, self._checked_at = octets, now
        pictures = sum(1 for line in self.lines if line.kind == "video" and line.source is not None)
        return self.downlink.check(sent_bps, pictures, now)

    def report(self, now: float, clock_offset: Callable[[Source], float]) -> None:
        """Sender reports that are due: the publishers' own, carried over to our clock and the lines' timestamps."""
        packets: list[bytes] = []
        for line in self.lines:
            source = line.source
            if source is None or line.is_waiting or source.report is None or now < line.report_due:
                continue
            line.report_due = now + REPORT_EVERY_S
            ntp, rtp, arrival = source.report
            passed = now - arrival
            ours = ntp / 4294967296.0 - 2208988800.0 + clock_offset(source) + passed
            timestamp = line.to_rtp_time(rtp + round(passed * line.clock_rate))
            info = RtcpSenderInfo(
                ntp_time(ours), timestamp, line.packets & 0xFFFFFFFF, line.octets & 0xFFFFFFFF
            )
            chunk = RtcpSourceInfo(ssrc=line.ssrc, items=[(1, self.cname.encode())])
            packets.append(bytes(RtcpSrPacket(line.ssrc, info)) + bytes(RtcpSdesPacket([chunk])))
        for start in range(0, len(packets), SR_PER_PACKET):
            self.send_rtcp(b"".join(packets[start : start + SR_PER_PACKET]))
