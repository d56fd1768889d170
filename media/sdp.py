"""Session descriptions: a strict reader of what browsers send, and a writer of ours (ICE-lite, BUNDLE, one candidate).

Pure text. What is not understood raises MediaError ``bad_sdp`` with a sentence that says which rule was broken.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from media.rtp import ABS_SEND_TIME_URI, AUDIO_LEVEL_URI, MID_URI, OUT_ABS_SEND_TIME, OUT_AUDIO_LEVEL
from models.values import MediaSource
from rooms.ports import MediaError

MAX_SDP: Final = 128 * 1024
MAX_LINES: Final = 64
"""m-lines of any description."""
MAX_PUBLISH_LINES: Final = 8

_M_LINE = re.compile(r"m=(audio|video|application) (\d{1,5}) ([A-Z/]+)((?: [!-~]+)+)")
_TOKEN = re.compile(r"[A-Za-z0-9+/]{4,256}")
_MID = re.compile(r"[A-Za-z0-9._-]{1,16}")
_FINGERPRINT = re.compile(r"(sha-256|sha-384|sha-512) ((?:[0-9A-F]{2}:){31,63}[0-9A-F]{2})", re.IGNORECASE)
_RTPMAP = re.compile(r"(\d{1,3}) ([A-Za-z0-9._-]+)/(\d{1,6})(?:/(\d))?")
_EXTMAP = re.compile(r"(\d{1,3})(?:/[a-z]+)? (\S+)")
_SSRC = re.compile(r"(\d{1,10})(?: .*)?")
_DIRECTIONS: Final = ("sendrecv", "sendonly", "recvonly", "inactive")
_SETUPS: Final = ("actpass", "active", "passive")


@dataclass(frozen=True, slots=True)
class Codec:
    """One payload type of an m-line. ``name`` in lower case."""

    payload_type: int
    name: str
    clock_rate: int
    channels: int = 1
    parameters: str = ""


@dataclass(slots=True)
class MediaLine:
    """One m-line as the browser wrote it."""

    kind: str
    port: int
    mid: str = ""
    direction: str = "sendrecv"
    rtcp_mux: bool = False
    codecs: list[Codec] = field(default_factory=list)
    extensions: dict[str, int] = field(default_factory=dict)
    ssrcs: list[int] = field(default_factory=list)
    ufrag: str = ""
    password: str = ""
    fingerprints: list[tuple[str, str]] = field(default_factory=list)
    setup: str = ""
    bundle_only: bool = False
    """Port 0, but not rejected: usable on the bundle's transport only (RFC 8843 §6); Firefox offers so."""

    @property
    def is_rejected(self) -> bool:
        return self.port == 0 and not self.bundle_only

    @property
    def sends(self) -> bool:
        return self.direction in ("sendrecv", "sendonly")


@dataclass(slots=True)
class Description:
    """A session: transport facts of the bundle and its m-lines in order."""

    ufrag: str
    password: str
    fingerprints: list[tuple[str, str]]
    setup: str
    media: list[MediaLine]


@dataclass(frozen=True, slots=True)
class Transport:
    """What our descriptions say about our end."""

    ufrag: str
    password: str
    fingerprint: str
    ips: tuple[str, ...]
    """Addresses of one or both families, the preferred first."""
    port: int
    tcp: bool = False
    """The same port takes TCP too."""


def bad(message: str) -> MediaError:
    return MediaError("bad_sdp", message)


def parse(sdp: str, *, max_lines: int = MAX_LINES) -> Description:
    """Read a description. Raises MediaError ``bad_sdp``."""
    if not isinstance(sdp, str) or len(sdp) > MAX_SDP:
        raise bad("The session description is too long.")
    lines = sdp.replace("\r\n", "\n").split("\n")
    if lines[0] != "v=0":
        raise bad("This is not a session description.")
    session = MediaLine("session", 9)
    media: list[MediaLine] = []
    rtpmaps: dict[int, Codec] = {}
    formats: list[str] = []
    parameters: dict[int, str] = {}

    def finish() -> None:
        if media:
            for text in formats:
                codec = rtpmaps.get(int(text)) if text.isdigit() else None
                if codec is not None:
                    media[-1].codecs.append(
                        Codec(
                            codec.payload_type,
                            codec.name,
                            codec.clock_rate,
                            codec.channels,
                            parameters.get(codec.payload_type, ""),
                        )
                    )

    for line in lines[1:]:
        if line == "":
            continue
        if len(line) < 2 or line[1] != "=" or len(line) > 4096:
            raise bad("The session description has a malformed line.")
        if line.startswith("m="):
            match = _M_LINE.fullmatch(line)
            if match is None or int(match[2]) > 65535:
                raise bad("The session description has a malformed media line.")
            if len(media) >= max_lines:
                raise bad("The session description has too many media lines.")
            finish()
            media.append(MediaLine(match[1], int(match[2])))
            formats = match[4].split()
            rtpmaps, parameters = {}, {}
        elif line.startswith("a="):
            target = media[-1] if media else session
            name, _, value = line[2:].partition(":")
            if name == "rtpmap":
                match = _RTPMAP.fullmatch(value.strip())
                if match is not None and 0 <= int(match[1]) < 128:
                    number = int(match[1])
                    rtpmaps[number] = Codec(number, match[2].lower(), int(match[3]), int(match[4] or 1))
            elif name == "fmtp":
                number_text, _, rest = value.partition(" ")
                if number_text.isdigit():
                    parameters[int(number_text)] = rest
            else:
                _attribute(target, name, value)
    finish()
    return _describe(session, media)


def _attribute(target: MediaLine, name: str, value: str) -> None:
    if name in _DIRECTIONS:
        target.direction = name
    elif name == "bundle-only":
        target.bundle_only = True
    elif name == "rtcp-mux":
        target.rtcp_mux = True
    elif name == "mid":
        if _MID.fullmatch(value) is None:
            raise bad("The session description has a malformed mid.")
        target.mid = value
    elif name == "ice-ufrag" and _TOKEN.fullmatch(value):
        target.ufrag = value
    elif name == "ice-pwd" and _TOKEN.fullmatch(value):
        target.password = value
    elif name == "setup":
        if value not in _SETUPS:
            raise bad("The session description has an unknown DTLS role.")
        target.setup = value
    elif name == "fingerprint":
        match = _FINGERPRINT.fullmatch(value.strip())
        if match is not None and len(target.fingerprints) < 4:
            target.fingerprints.append((match[1].lower(), match[2].upper()))
    elif name == "extmap":
        match = _EXTMAP.match(value)
        if match is not None and 0 < int(match[1]) < 256 and len(target.extensions) < 32:
            target.extensions.setdefault(match[2], int(match[1]))
    elif name == "ssrc":
        match = _SSRC.fullmatch(value)
        if match is not None and len(target.ssrcs) < 8:
            ssrc = int(match[1])
            if ssrc not in target.ssrcs and ssrc < 1 << 32:
                target.ssrcs.append(ssrc)


def _describe(session: MediaLine, media: list[MediaLine]) -> Description:
    if not media:
        raise bad("The session description has no media lines.")
    used = [line for line in media if not line.is_rejected] or media
    # A rejected line is in no bundle and may have lost its mid (Firefox writes such ones).
    mids = [line.mid for line in media if line.mid or not line.is_rejected]
    if "" in mids or len(set(mids)) != len(mids):
        raise bad("Every media line needs its own mid.")
    first = used[0]
    ufrag, password = first.ufrag or session.ufrag, first.password or session.password
    fingerprints = first.fingerprints or session.fingerprints
    if not ufrag or not password:
        raise bad("The session description has no ICE credentials.")
    if not fingerprints:
        raise bad("The session description has no DTLS fingerprint.")
    for line in used:
        if line.kind != "application" and not line.rtcp_mux:
            raise bad("The session description does not offer rtcp-mux.")
        if (line.ufrag or ufrag) != ufrag:
            raise bad("All media must be bundled on one transport.")
    return Description(ufrag, password, fingerprints, first.setup or session.setup or "actpass", media)


def answers(answer: Description, mids: Sequence[str]) -> bool:
    """Whether an answer has the offered lines in their order; a rejected one may have lost its mid."""
    given = [line.mid or offered for line, offered in zip(answer.media, mids, strict=False)]
    return len(answer.media) == len(mids) and given == list(mids)


def choose_codec(line: MediaLine) -> Codec | None:
    """What we take of an offered m-line: Opus; VP8, else H.264 in packetization mode 1, baseline first."""
    if line.kind == "audio":
        return next((c for c in line.codecs if c.name == "opus" and c.clock_rate == 48000), None)
    video = [c for c in line.codecs if c.clock_rate == 90000]
    vp8 = next((c for c in video if c.name == "vp8"), None)
    if vp8 is not None:
        return vp8
    h264 = [c for c in video if c.name == "h264" and "packetization-mode=1" in c.parameters]
    baseline = (c for c in h264 if "profile-level-id=42" in c.parameters.lower())
    return next(baseline, h264[0] if h264 else None)


def codecs_of(description: Description, kind: str) -> frozenset[str]:
    """Names of the codecs that all lines of this kind take; what such lines may be fed with."""
    lines = [line for line in description.media if line.kind == kind and not line.is_rejected]
    names = [{codec.name for codec in line.codecs} for line in lines]
    return frozenset(set.intersection(*names)) if names else frozenset()


def check_publish(description: Description, sources: Mapping[str, MediaSource]) -> None:
    """Refuse an offer whose lines do not fit what ``sources`` says they carry.

    A line without a codec of ours is no reason: ``write_answer`` rejects that line, the others are taken.
    """
    if len(description.media) > MAX_PUBLISH_LINES:
        raise bad("The offer has too many media lines.")
    if len(set(sources.values())) != len(sources):
        raise bad("Every source may be published once.")
    lines = {line.mid: line for line in description.media}
    for mid, source in sources.items():
        line = lines.get(mid)
        if line is None:
            raise bad(f"The offer has no media line {mid[:16]!r}.")
        if line.kind != ("audio" if source.is_audio else "video"):
            raise bad(f"The media line {mid!r} cannot carry {source.value}.")
    offered = [lines[mid] for mid in sources if not lines[mid].is_rejected]
    if offered and all(choose_codec(line) is None for line in offered):
        raise bad("The offer has neither Opus, VP8 nor H.264 (packetization mode 1).")


def _head(session_id: int, version: int, mids: Sequence[str]) -> list[str]:
    return [
        "v=0",
        f"o=- {session_id} {version} IN IP4 127.0.0.1",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        *([f"a=group:BUNDLE {' '.join(mids)}"] if mids else []),
        "a=msid-semantic: WMS *",
    ]


def _transport(transport: Transport, setup: str) -> list[str]:
    first = transport.ips[0]
    return [
        f"c=IN {'IP6' if ':' in first else 'IP4'} {first}",
        *(
            f"a=candidate:{place + 1} 1 udp {2130706431 - (place << 8)} {ip} {transport.port} typ host"
            for place, ip in enumerate(transport.ips)
        ),
        # RFC 6544 §4.2: a passive end of TCP is the last resort.
        *(
            f"a=candidate:{len(transport.ips) + place + 1} 1 tcp {2122317823 - (place << 8)} {ip} {transport.port} typ host tcptype passive"
            for place, ip in enumerate(transport.ips)
            if transport.tcp
        ),
        "a=end-of-candidates",
        f"a=ice-ufrag:{transport.ufrag}",
        f"a=ice-pwd:{transport.password}",
        f"a=fingerprint:sha-256 {transport.fingerprint}",
        f"a=setup:{setup}",
        "a=rtcp-mux",
        "a=rtcp-rsize",
    ]


def _codec(codec: Codec) -> list[str]:
    number = codec.payload_type
    if codec.name == "opus":
        return [
            f"a=rtpmap:{number} opus/48000/2",
            f"a=fmtp:{number} minptime=10;useinbandfec=1;usedtx=1",
        ]
    lines = [f"a=rtpmap:{number} {codec.name.upper()}/90000"]
    lines += [f"a=rtcp-fb:{number} {feedback}" for feedback in ("nack", "nack pli", "ccm fir", "goog-remb")]
    if codec.parameters:
        lines.append(f"a=fmtp:{number} {codec.parameters}")
    return lines


def write_answer(
    transport: Transport,
    offer: Description,
    sources: Mapping[str, MediaSource],
    *,
    session_id: int,
    version: int,
    active: bool,
) -> str:
    """Our answer to a publish offer: the lines of ``sources`` are taken, all others rejected; the bundle names what is taken."""
    chosen = [
        choose_codec(m) if m.mid and m.mid in sources and not m.is_rejected else None for m in offer.media
    ]
    taken = [m.mid for m, codec in zip(offer.media, chosen, strict=True) if codec is not None]
    lines = _head(session_id, version, taken)
    for media, codec in zip(offer.media, chosen, strict=True):
        if codec is None:
            protocol = "UDP/DTLS/SCTP" if media.kind == "application" else "UDP/TLS/RTP/SAVPF"
            number = "webrtc-datachannel" if media.kind == "application" else "0"
            lines += [f"m={media.kind} 0 {protocol} {number}", "c=IN IP4 0.0.0.0"]
            if media.mid:
                lines.append(f"a=mid:{media.mid}")
            if media.kind != "application":
                lines.append("a=inactive")
            continue
        lines.append(f"m={media.kind} {transport.port} UDP/TLS/RTP/SAVPF {codec.payload_type}")
        lines += _transport(transport, "active" if active else "passive")
        lines += [f"a=mid:{media.mid}", "a=recvonly" if media.sends else "a=inactive"]
        wanted = (MID_URI, ABS_SEND_TIME_URI) + ((AUDIO_LEVEL_URI,) if media.kind == "audio" else ())
        lines += [f"a=extmap:{media.extensions[uri]} {uri}" for uri in wanted if uri in media.extensions]
        lines += _codec(codec)
    return "\r\n".join(lines) + "\r\n"


OPUS: Final = Codec(111, "opus", 48000, 2)
VP8: Final = Codec(96, "vp8", 90000)
H264: Final = Codec(
    102, "h264", 90000, 1, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f"
)
OUT_CODECS: Final = {codec.name: codec for codec in (OPUS, VP8, H264)}
"""What subscribe connections carry; each codec has one payload type everywhere."""


@dataclass(frozen=True, slots=True)
class OutLine:
    """One line of a subscribe offer. Lines of the same ``stream`` are played in lip-sync."""

    mid: str
    kind: str
    ssrc: int
    stream: str


def write_offer(
    transport: Transport, outs: Sequence[OutLine], *, session_id: int, version: int, cname: str
) -> str:
    """Our offer of a subscribe connection. Lines are only ever appended."""
    lines = _head(session_id, version, [out.mid for out in outs])
    for out in outs:
        codecs = (OPUS,) if out.kind == "audio" else (VP8, H264)
        numbers = " ".join(str(codec.payload_type) for codec in codecs)
        lines.append(f"m={out.kind} {transport.port} UDP/TLS/RTP/SAVPF {numbers}")
        lines += _transport(transport, "actpass")
        lines += [f"a=mid:{out.mid}", "a=sendonly", f"a=msid:{out.stream} {out.stream}-{out.mid}"]
        if out.kind == "audio":
            lines.append(f"a=extmap:{OUT_AUDIO_LEVEL} {AUDIO_LEVEL_URI}")
        lines.append(f"a=extmap:{OUT_ABS_SEND_TIME} {ABS_SEND_TIME_URI}")
        for codec in codecs:
            lines += _codec(codec)
        lines.append(f"a=ssrc:{out.ssrc} cname:{cname}")
        lines.append(f"a=ssrc:{out.ssrc} msid:{out.stream} {out.stream}-{out.mid}")
    return "\r\n".join(lines) + "\r\n"
