"""docs/recording.md says what the code does."""

from __future__ import annotations

import re
from dataclasses import fields
from pathlib import Path

import pytest

from models.recording import RecordingOptions
from recorder.report import report
from recorder.timeline import build

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "recording.md").read_text(encoding="utf-8")


def first_cells(section: int) -> set[str]:
    """What stands in code form in the first column of a section's table."""
    part = re.split(r"^## \d+\. ", TEXT, flags=re.MULTILINE)[section]
    cells = [row.split("|")[1] for row in part.splitlines() if row.startswith("| `")]
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def test_every_option_is_described() -> None:
    assert first_cells(2) == {spec.name for spec in fields(RecordingOptions)}


def test_every_field_of_the_report_is_described() -> None:
    lines = [{"k": "start", "at": 0}, {"k": "stop", "at": 1_000_000}]
    assert first_cells(6) == set(report(lines, build(lines)).facts)


def test_every_kind_of_line_is_described() -> None:
    code = "".join((ROOT / "recorder" / name).read_text() for name in ("capture.py", "watch.py"))
    written = set(re.findall(r'_?note\(\s*"(\w+)"', code))
    assert first_cells(8) == written


def test_the_named_tests_exist() -> None:
    for name in re.findall(r"`(test_\w+\.py)`", TEXT):
        assert list((ROOT / "tests").rglob(name)), name
