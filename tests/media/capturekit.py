"""A capture fed packet by packet, without clocks, sockets or processes: what rules of capturing are tested with."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from recorder.capture import EVERYTHING, Capture, Selection
from recorder.journal import read_manifest, read_records
from recorder.timeline import NTP_EPOCH_US
from recorder.watch import Person, TrackFacts
from tests.media.beepflash import FPS, opus, rtp, vp8, vp8_packets

T0 = 1_800_000_000_000_000
S = 1_000_000
CLOCK = {"opus": 48_000, "vp8": 90_000, "h264": 90_000}


def person(person_id: str, *on: str, declined: bool = False, entered_s: float = 0.0) -> Person:
    """Somebody in the room with these sources switched on."""
    return Person(
        person_id,
        person_id.title(),
        "mic" in on,
        "camera" in on,
        "screen" in on,
        T0 + round(entered_s * S),
        declined,
    )


class Session:
    """One capture in ``folder`` and the tracks that feed it; times are seconds after its start."""

    def __init__(
        self,
        folder: Path,
        *people: Person,
        selection: Selection = EVERYTHING,
        at_s: float = 0.0,
        **header: Any,
    ) -> None:
        self.folder = folder
        facts = {"recording_id": "k1", "room_name": "Room 1", "course_title": "Biology", **header}
        self.capture = Capture(folder, facts, us(at_s), selection)
        self.people(*people, at_s=at_s)
        if self.capture.behind:  # nothing was kept for it
            self.capture.tapped("w", False, us(at_s))
            self.capture.live(us(at_s))
        self._sequences: dict[int, int] = {}

    def people(self, *people: Person, at_s: float = 0.0) -> None:
        self.capture.consent({p.person_id: p.declined for p in people}, us(at_s))
        self.capture.roster(people, us(at_s))

    def track(self, number: int, person_id: str, source: str, codec: str = "", peer: str = "") -> None:
        codec = codec or ("opus" if source in ("mic", "screen_audio") else "vp8")
        self.capture.track_added(
            TrackFacts(
                number, person_id, peer or f"peer-{person_id}", source, codec, CLOCK[codec], 2, 1000 + number
            )
        )

    def packet(self, track: int, sequence: int, at_s: float, payload: bytes, marker: bool = True) -> None:
        """One packet whose media time is its arrival."""
        facts = self.capture.track(track)
        rate = CLOCK[facts.codec] if facts is not None else 90_000
        data = rtp(96, sequence, round(at_s * rate), 1000 + track, marker, payload)
        self.capture.packet(track, data, us(at_s))

    def play(
        self,
        track: int,
        index: int,
        start_s: float,
        end_s: float,
        *,
        delay_s: float = 0.0,
        lose: Iterable[int] = (),
        ppm: float = 0.0,
        ntp_error_s: float = 0.0,
        halted_s: float = 0.0,
    ) -> None:
        """Beeps or flashes from ``start_s`` to ``end_s``; ``lose`` are numbers of packets that never arrive.

        ``ppm``: how much faster the sender's clock runs than ours. ``halted_s``: how long its RTP time has stood still so far.
        """
        facts = self.capture.track(track)
        assert facts is not None
        is_audio = facts.codec == "opus"
        step = 0.02 if is_audio else 1 / FPS
        frames = opus(index, int(end_s) + 1) if is_audio else vp8(index, int(end_s) + 1)
        lost = set(lose)
        rate = CLOCK[facts.codec]
        reported = start_s - 10
        number = 0
        for count in range(round(start_s / step), round(end_s / step)):
            at = count * step
            timestamp = round((at * (1 + ppm / 1e6) - halted_s) * rate) % 2**32
            if at - reported >= 1.0:
                reported = at
                ntp = ((us(at * (1 + ppm / 1e6) + ntp_error_s) + NTP_EPOCH_US) << 32) // S
                self.capture.sender_report(track, ntp, timestamp, us(at + delay_s))
            payloads = [(frames[count], True)] if is_audio else vp8_packets(frames[count])
            for payload, marker in payloads:
                sequence = self._sequences.get(track, 65_500)
                self._sequences[track] = sequence + 1
                if number not in lost:
                    data = rtp(96, sequence, timestamp, 1000 + track, marker, payload)
                    self.capture.packet(track, data, us(at + delay_s))
                number += 1

    def tick(self, at_s: float) -> list[int]:
        return self.capture.tick(us(at_s))

    def stop(self, at_s: float, reason: str = "") -> None:
        self.capture.close(us(at_s), reason)

    def lines(self, kind: str) -> list[dict[str, Any]]:
        """The manifest's lines of one kind."""
        return [line for line in read_manifest(self.folder) if line["k"] == kind]

    def frames(self, segment: int | None = None) -> int:
        return sum(1 for r in read_records(self.folder) if segment in (None, r.segment))


def us(at_s: float) -> int:
    return T0 + round(at_s * S)
