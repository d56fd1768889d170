"""The command line: what the documents tell people to type exists, and mistakes are told in plain lines."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.cli import _parser, main

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]


def _known() -> set[tuple[str, ...]]:
    known: set[tuple[str, ...]] = set()
    for action in _parser()._subparsers._group_actions:  # type: ignore[union-attr]
        for name, parser in action.choices.items():  # type: ignore[union-attr]
            known.add((name,))
            for inner in parser._subparsers._group_actions if parser._subparsers else ():
                known |= {(name, choice) for choice in inner.choices}
    return known


def test_every_command_in_the_documents_exists() -> None:
    known = _known()
    said = set()
    for page in PAGES:
        for words in re.findall(
            r"(?<![\w/.@-])sideroom ((?:[a-z]+(?:-[a-z]+)* ?){1,2})(?=[`\s\[-]|$)",
            page.read_text(encoding="utf-8"),
        ):
            parts = tuple(words.split())
            if (parts[0],) in known:
                said.add(parts[:2] if (parts[:2] in known) else parts[:1])
                if parts[0] in ("lti", "key") and len(parts) == 2:
                    assert parts in known, f"{page.name}: sideroom {' '.join(parts)}"
    assert {("lti", "add"), ("lti", "urls"), ("key", "create"), ("serve",), ("selftest",)} <= said


def test_bad_settings_are_told_line_by_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SIDEROOM_PORT", "many")
    monkeypatch.setenv("SIDEROOM_PROT", "1")
    assert main(["lti", "urls"]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 2 and all(line.startswith("sideroom: SIDEROOM_") for line in told)


def test_without_a_command_the_help_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "selftest" in capsys.readouterr().out
