"""kill -9 of each process while it records: frames that are missing from the recording, by kind of kill.

``python -m bench.kills [--kills 20] [--seed 1] [--only recorder,jobs,web,media]``: one JSON line a kind. ``recorder``: at random points
of one recording of beeps and flashes, 0 to 3 s after it came up each time; every frame is counted (``frames_lost``,
``frames_twice``), ``down_s`` is how long no recorder was there. The others are killed in a whole installation with a synthetic
participant; ``gaps_s`` is what the quality report tells.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import tempfile
from itertools import pairwise
from pathlib import Path

from tests.media.killer import kill_at_random
from tests.media.killer_whole import installation


def kill_recorder(kills: int, seed: int) -> dict[str, object]:
    with tempfile.TemporaryDirectory() as folder:
        found = kill_at_random(Path(folder), kills, seed)
    beeps = found.av.beeps_s[0]
    return {
        "kind": "recorder",
        "kills": found.kills,
        "seed": seed,
        "recordings": found.recordings,
        "frames": found.frames,
        "frames_lost": found.missing,
        "frames_twice": found.twice,
        "frames_out_of_order": found.out_of_order,
        "gaps": len(found.timeline.gaps),
        "down_max_s": round(max(found.down_s), 2),
        "film_s": round(found.film.duration_s, 2),
        "longest_silence_between_beeps_s": round(max(after - before for before, after in pairwise(beeps)), 2),
        "film_warnings": found.film.warnings,
    }


async def kill_others(names: list[str]) -> list[dict[str, object]]:
    found: list[dict[str, object]] = []
    with tempfile.TemporaryDirectory() as folder:
        async with installation(Path(folder)) as here:
            for name in names:
                loss = await here.record_and_kill(name)
                found.append(
                    {
                        "kind": name,
                        "kills": 1,
                        "recordings": loss.recordings,
                        "frames": loss.frames,
                        "frames_lost": loss.missing,
                        "frames_twice": loss.twice,
                        "packets_lost": loss.lost,
                        "gaps_s": loss.gaps_s,
                        "report": loss.warnings,
                    }
                )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="recorder,jobs,web,media")
    args = parser.parse_args()
    names = args.only.split(",")
    load = round(os.getloadavg()[0], 1)
    if "recorder" in names:
        print(
            json.dumps({"bench": "kills", "load": load, **kill_recorder(args.kills, args.seed)}), flush=True
        )
    others = [name for name in names if name != "recorder"]
    for line in asyncio.run(kill_others(others)) if others else []:
        print(json.dumps({"bench": "kills", "load": load, **line}), flush=True)


if __name__ == "__main__":
    main()
