"""Payloads of a real Sakai 25 (built from upstream in June 2026), names invented."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "payloads" / "sakai"


def payload(name: str) -> Any:
    return json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
