"""Write ``manifests/lti/*.json``: what each tool registers, for LMSs that take a file or by hand."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from lti.registration import tool
from models.store.lti import APPS

FOLDER = Path(__file__).parents[1] / "manifests" / "lti"
EXAMPLE = "https://rooms.example.edu"


def text(app: str) -> str:
    return json.dumps(tool(EXAMPLE, app), indent=2) + "\n"


def main() -> int:
    FOLDER.mkdir(exist_ok=True)
    for app in APPS:
        (FOLDER / f"{app}.json").write_text(text(app), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
