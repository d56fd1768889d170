"""How long after Stop the film is there, for a recording that was composed while it ran.

``python -m bench.ready [--minutes 120] [--tiles 6]``: one JSON line. One real part (64 s, 720p30) stands for all that was composed in
the hours before; the end is real: the composer follows, Stop comes, and everything from then on is timed: the last seconds, closing
the file, its checksum, the quality check. ``cpu_s`` is what that costs: on a free core it takes so long.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from bench.compose import FPS, START, moving_pictures
from recorder.compose import Composition, read_progress, read_result
from recorder.journal import KEY, JournalWriter
from recorder.options import PART_S, CompositeOptions
from recorder.parts import Parts
from tests.media.beepflash import opus

TAIL_S = 30


def journal(folder: Path, tiles: int, seconds: int, before_s: int) -> JournalWriter:
    """A journal that runs: it began ``before_s`` ago, and has frames of the last ``seconds``."""
    writer = JournalWriter(folder)
    writer.note("start", START - before_s * 1_000_000, room_name="Bench")
    timed = []
    for index in range(tiles):
        who = f"p{index}"
        writer.note(
            "person", START, person_id=who, name=f"Person {index}", mic=True, camera=True, screen=False
        )
        for number, (source, codec, rate) in enumerate((("camera", "vp8", 90_000), ("mic", "opus", 48_000))):
            n = 1 + index * 2 + number
            writer.note("segment", START, n=n, person_id=who, source=source, codec=codec, clock_rate=rate)
            writer.note("mark", START, n=n, rtp=0)
        frames = moving_pictures(index, seconds)
        timed += [(t * 1_000_000 // FPS, 1 + index * 2, t * 90_000 // FPS, *f) for t, f in enumerate(frames)]
        timed += [(t * 20_000, 2 + index * 2, t * 960, f, True) for t, f in enumerate(opus(index, seconds))]
    for at, n, rtp, data, key in sorted(timed, key=lambda item: item[0]):
        writer.frame(n, KEY if key else 0, rtp, START + at, data)
        if writer.pending > 1 << 20:
            writer.flush()
    writer.note("beat", START + seconds * 1_000_000)
    writer.flush()
    return writer


def _cpu_s(pid: int) -> float:
    """CPU that a process has used so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=int, default=120)
    parser.add_argument("--tiles", type=int, default=6)
    args = parser.parse_args()
    options = CompositeOptions()
    many = args.minutes * 60 // PART_S
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "first").mkdir()
        journal(folder / "a", args.tiles, PART_S + 12, 0).close()
        Composition(folder / "a", folder / "first", options, follow=True, parts=1).run()
        model = Parts(folder / "first", options)
        note = model.done()[0]
        writer = journal(folder / "b", args.tiles, TAIL_S, many * PART_S)
        out = folder / "out"
        out.mkdir()
        parts = Parts(out, options)
        for number in range(many):
            os.link(model.path(0), parts.path(number))
            os.link(model.thumbnail(0), parts.thumbnail(number))
            parts.keep(replace(note, number=number, position=(1, 0)))
        command = [sys.executable, "-m", "recorder.compose", str(folder / "b"), str(out), "--follow"]
        process = subprocess.Popen(command)
        while read_progress(out).composed_s < many * PART_S + TAIL_S - 10:
            if process.poll() is not None:
                raise SystemExit("the composer ended too early")
            time.sleep(0.1)
        writer.note("stop", START + TAIL_S * 1_000_000)
        writer.close()
        stopped, before = time.monotonic(), _cpu_s(process.pid)
        at_start = resource.getrusage(resource.RUSAGE_CHILDREN)
        process.wait()
        ready = time.monotonic() - stopped
        at_end = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = at_end.ru_utime + at_end.ru_stime - at_start.ru_utime - at_start.ru_stime - before
        result = read_result(out)
    assert result is not None
    line = {
        "bench": "ready",
        "minutes": args.minutes,
        "tiles": args.tiles,
        "ready_s": round(ready, 1),
        "cpu_s": round(cpu, 1),
        "target_s": 15,
        "size_mb": round(result.size_bytes / 1e6),
        "warnings": result.warnings,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
