"""Texts that people see read as a native product writer would write them: phrases that may not come back, package by package."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]
PACKAGES = ("api", "bot", "library", "lti", "models", "rooms", "server", "signalling", "webhooks")
# What nobody should read, and what to write instead. The pages' catalogues have the same list (web/test/texts.test.ts).
BANNED = {
    r"\bfilms?\b": "recording, video",
    r"\b(goes|go) on\b": "resume, continue",
    r"\banew\b": "again",
    r"\bfor ever\b": "forever",
    r"\bof (its|your|their) own\b": "separate, new",
    r"\b([Ss]ome|[Ee]very)body\b": "someone, everyone",
    r"\b[Nn]obody\b": "no one",
    r"\b[Ww]hoever\b": "anyone who",
    r"\bshall\b": "must",
    r"\bany more\b": "no longer",
    r"\bwaited too long\b": "has expired",
    r"\b(cannot|did not|does not|do not|is not|are not|could not)\b": "can’t, didn’t, doesn’t, don’t, isn’t …",
    r"[a-z]'[a-z]": "the typographic apostrophe: ’",
}
# Not sentences of the product's own voice: settings as docs/configuration.md shows them, reference texts of the REST interface,
# the self-test's and the Slack check's findings for the person at the server's terminal.
EXEMPT = {
    "api/openapi.py",
    "bot/check.py",
    "server/selftest.py",
    "server/settings.py",
    "server/demo.py",
}
CODE = re.compile(r"[<{]\w|=%|[a-z_]+\.[a-z_]+ |\bSELECT\b|\bconst\b|^[\w.-]+:? *$")


def faults_of(text: str) -> list[str]:
    return [f"{phrase} (write: {instead})" for phrase, instead in BANNED.items() if re.search(phrase, text)]


def texts_of(source: str) -> list[tuple[int, str]]:
    """Sentences among the strings of a module: with a space and a capital or a full stop; no docstrings, no log lines."""
    tree = ast.parse(source)
    comments = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    return [
        (node.lineno, node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and id(node) not in comments
        and " " in node.value.strip()
        and re.search(r"(^|[“ ])[A-Z]|[.?]($| )", node.value)
        and not CODE.search(node.value)
    ]


def modules(package: str) -> list[Path]:
    found = (ROOT / package).rglob("*.py")
    left_out = ("migrations", "v1")
    return [
        path
        for path in sorted(found)
        if not set(left_out) & set(path.parts) and str(path.relative_to(ROOT)) not in EXEMPT
    ]


@pytest.mark.parametrize("package", PACKAGES)
def test_no_text_has_a_phrase_of_the_list(package: str) -> None:
    texts = [
        (f"{path.relative_to(ROOT)}:{line}", text)
        for path in modules(package)
        for line, text in texts_of(path.read_text(encoding="utf-8"))
    ]
    assert texts, "the package has texts"
    assert [(where, text, faults) for where, text in texts if (faults := faults_of(text))] == []


@pytest.mark.parametrize(
    "text",
    [
        "Recording goes on.",
        "This film cannot be played here.",
        "Somebody else made other rooms in the same moment; theirs were taken.",
        "This link waited too long; it is good for one minute.",
        "The room opens in a window of its own.",
        "It isn't here.",
    ],
)
def test_the_old_dialect_is_refused(text: str) -> None:
    assert texts_of(f"x = {text!r}"), "it is seen as a text"
    assert faults_of(text)
