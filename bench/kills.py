"""kill -9 of the recorder at 20 random points of one recording: what is lost each time, and whether the film plays.

``python -m bench.kills [--kills 20] [--seed 1]``: one JSON line. ``lost``: from the last thing in the journal to the kill;
``gap``: until the next recorder goes on (mostly the start of a Python process).
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

from tests.media.killer import kill_at_random


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        found = kill_at_random(Path(folder), args.kills, args.seed)
    line = {
        "bench": "kills",
        "kills": found.kills,
        "seed": args.seed,
        "recordings": found.recordings,
        "lost_max_s": round(max(found.lost_s), 3),
        "target_lost_s": 2.0,
        "gap_max_s": round(max(found.gaps_s), 2),
        "film_s": round(found.film.duration_s, 2),
        "recorded_s": round(found.timeline.duration / 1e6, 2),
        "film_warnings": found.film.warnings,
    }
    print(json.dumps(line))


if __name__ == "__main__":
    main()
