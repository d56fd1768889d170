"""A two-hour recording by accelerated replay: does sound drift from picture, does memory stay bounded?

``python -m bench.long [--minutes 120]``: one JSON line. Two people beep and flash at each full second of their own clock, which runs
40 ppm slow against ours and is an hour wrong; both RTP counters wrap. Looked at: the first and the last minute of the film.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

import av

from bench.compose import run
from models.recording import options_from_json
from recorder.avcheck import measure
from recorder.journal import KEY, JournalWriter
from recorder.options import CompositeOptions, to_json
from recorder.timeline import NTP_EPOCH_US
from tests.media.beepflash import FPS, opus, vp8

START = 1_800_000_000_000_000
SLOW = 1.000_04
WRONG_US = 3_600_000_000
LOOP_S = 10
LOOK_S = 60


def ours(sender_us: int) -> int:
    """Our time at which something of the sender's time arrives, 20 ms later."""
    return START + round(sender_us * SLOW) + 20_000


def write(folder: Path, seconds: int) -> None:
    """The journal as the recorder would have written it, report lines and all."""
    journal = JournalWriter(folder)
    journal.note("start", START, room_name="Bench")
    tracks: list[tuple[int, int, int, tuple[bytes, ...]]] = []
    for person in range(2):
        who = f"p{person}"
        journal.note(
            "person", START, person_id=who, name=f"Person {person}", mic=True, camera=True, screen=False
        )
        for source, codec, rate in (("mic", "opus", 48_000), ("camera", "vp8", 90_000)):
            number = len(tracks) + 1
            journal.note(
                "segment", START, n=number, person_id=who, source=source, codec=codec, clock_rate=rate
            )
            frames = opus(person, LOOP_S) if codec == "opus" else vp8(person, LOOP_S)
            tracks.append((number, rate, 50 if codec == "opus" else FPS, frames))
    for second in range(seconds):
        timed = []
        for number, rate, per_second, frames in tracks:
            # Half a second before the 32-bit counter wraps; the journal holds extended times.
            first = 2**32 - rate // 2
            at = second * 1_000_000
            us = START + at + NTP_EPOCH_US + WRONG_US
            journal.note("sr", ours(at), n=number, ntp=(us << 32) // 1_000_000, rtp=first + second * rate)
            if second % 2 == 0:
                journal.note("mark", ours(at), n=number, rtp=first + second * rate)
            for n in range(second * per_second, (second + 1) * per_second):
                key = KEY if n % per_second == 0 or per_second == 50 else 0
                sent = n * 1_000_000 // per_second
                timed.append(
                    (ours(sent), number, first + n * rate // per_second, frames[n % len(frames)], key)
                )
        for arrival, number, rtp, data, flags in sorted(timed, key=lambda item: item[0]):
            journal.frame(number, flags, rtp, arrival, data)
        journal.note("beat", ours(second * 1_000_000))
        journal.flush()
    journal.note("stop", START + round(seconds * 1_000_000 * SLOW))
    journal.close()


def piece(film: Path, target: Path, start_s: float) -> float:
    """Copy a minute from ``start_s`` on (from a keyframe); returns where it begins."""
    with av.open(str(film)) as source, av.open(str(target), "w") as out:
        source.seek(round(start_s * 1_000_000))
        streams = {
            s.index: out.add_stream_from_template(s)
            for s in (source.streams.video[0], source.streams.audio[0])
        }
        begins: float | None = None
        for packet in source.demux():
            if packet.dts is None or packet.pts is None:
                continue
            at = float(packet.pts * packet.time_base)
            if begins is None:
                if packet.stream.type != "video" or not packet.is_keyframe:
                    continue
                begins = at
            if at > start_s + LOOK_S:
                break
            shift = round(begins / packet.time_base)
            packet.pts, packet.dts = packet.pts - shift, packet.dts - shift
            packet.stream = streams[packet.stream.index]
            out.mux(packet)
    return begins or 0.0


def late_ms(film: Path, folder: Path, start_s: float) -> tuple[float, float, float]:
    """(beep after flash, beep after its true time, flash after its true time), medians of a minute."""
    begins = piece(film, folder / "piece.mp4", start_s)
    found = measure(folder / "piece.mp4", (0, 1))
    sound = [at + begins for times in found.beeps_s.values() for at in times]
    sight = [at + begins for times in found.flashes_s.values() for at in times]
    return median(found.offsets_ms), median(map(_error_ms, sound)), median(map(_error_ms, sight))


def _error_ms(at: float) -> float:
    true = round(at / SLOW) * SLOW
    return (at - true) * 1000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=120)
    args = parser.parse_args()
    options = CompositeOptions(
        options_from_json({"width": 320, "height": 180, "fps": 24}), preset="ultrafast"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write(folder / "journal", args.minutes * 60)
        began = time.monotonic()
        command = [sys.executable, "-m", "recorder.compose", str(folder / "journal"), str(folder / "out")]
        cpu, memory = run([*command, "--options", json.dumps(to_json(options))])
        took = time.monotonic() - began
        result = json.loads((folder / "out" / "result.json").read_text())
        film = folder / "out" / result["path"]
        early = late_ms(film, folder, 60)
        late = late_ms(film, folder, result["duration_s"] - LOOK_S - 10)
    line = {
        "bench": "long",
        "minutes": args.minutes,
        "av_offset_ms_start": round(early[0], 1),
        "av_offset_ms_end": round(late[0], 1),
        "drift_ms": round(max(abs(b - a) for a, b in zip(early, late, strict=True)), 1),
        "target_drift_ms": 20,
        "memory_mb": memory,
        "target_memory_mb": 400,
        "times_real_time": round(args.minutes * 60 / took, 1),
        "cpu_s": round(cpu, 1),
        "warnings": result["warnings"],
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
