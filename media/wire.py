"""The control connection between server and worker: JSON objects, one a line; what both sides agree on.

Server → worker: ``{"op": "hello", "secret", "plane"}`` first, then ``{"id": n, "op": …}``.
Worker → server: ``{"op": "welcome", "boot"}``, ``{"id": n, "result": …}`` or ``{"id": n, "error": {code, message}}``, and
events ``{"event": …}``. ``boot`` changes when the worker starts anew; ``plane`` names one server process.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from models.values import MediaSource, PersonId, RoomId, SessionId
from rooms.ports import (
    ActiveSpeakers,
    MediaEvent,
    PeerConnected,
    PeerLost,
    SubscribeOffer,
    TrackInfo,
)

LINE_LIMIT: Final = 1024 * 1024


def event_to_json(event: MediaEvent) -> dict[str, Any]:
    """What the worker sends of an event."""
    match event:
        case SubscribeOffer():
            tracks = [[t.mid, t.person_id, t.source.value] for t in event.tracks]
            return {
                "event": "offer",
                "peer_id": event.peer_id,
                "sdp": event.sdp,
                "tracks": tracks,
                "version": event.version,
                "withheld": event.withheld,
            }
        case PeerConnected():
            return {"event": "connected", "peer_id": event.peer_id, "direction": event.direction}
        case PeerLost():
            return {"event": "lost", "peer_id": event.peer_id, "direction": event.direction}
        case ActiveSpeakers():
            return {
                "event": "speakers",
                "session_id": event.session_id,
                "room_id": event.room_id,
                "person_ids": list(event.person_ids),
            }
        case _:
            raise ValueError(f"no wire form: {event!r}")


def event_from_json(data: dict[str, Any]) -> MediaEvent:
    """The event of a worker's line. Raises KeyError or ValueError for what is none."""
    match data["event"]:
        case "offer":
            tracks = tuple(TrackInfo(m, PersonId(p), MediaSource(s)) for m, p, s in data["tracks"])
            return SubscribeOffer(data["peer_id"], data["sdp"], tracks, data["version"], data["withheld"])
        case "connected":
            return PeerConnected(data["peer_id"], data["direction"])
        case "lost":
            return PeerLost(data["peer_id"], data["direction"])
        case "speakers":
            people = tuple(PersonId(p) for p in data["person_ids"])
            return ActiveSpeakers(SessionId(data["session_id"]), RoomId(data["room_id"]), people)
        case other:
            raise ValueError(f"unknown event {other!r}")


def parse_address(text: str) -> tuple[str, int] | str:
    """``host:port`` → (host, port); ``unix:/path`` → the path. Raises ValueError."""
    if text.startswith("unix:"):
        return text[5:]
    host, separator, port = text.rpartition(":")
    if not separator or not port.isdigit() or int(port) > 65535:
        raise ValueError(f"not an address: {text!r} (host:port or unix:/path)")
    return host.strip("[]") or "127.0.0.1", int(port)


def advertised(text: str) -> tuple[str, ...]:
    """The addresses browsers are told, comma separated. Raises ValueError for what no browser could reach."""
    ips = tuple(part.strip() for part in text.split(",") if part.strip())
    for ip in ips:
        try:
            address = ipaddress.ip_address(ip)
        except ValueError:
            raise ValueError(
                f"The advertised address must be an IP address (two with a comma), not {ip!r}."
            ) from None
        if address.is_unspecified:
            raise ValueError(
                "The UDP port is bound to every address: name one that browsers can reach (--advertise-ip)."
            )
    if not ips:
        raise ValueError("Name the IP address at which browsers reach the UDP port (--advertise-ip).")
    return ips
