"""What the repository holds: text of bounded size, and a top level that is exactly a written list."""

from __future__ import annotations

import shutil
import subprocess
from fnmatch import fnmatch
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]

MAX_BYTES = 300_000

TOP_LEVEL = {
    # what a newcomer opens
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "LICENSE",
    "NOTICE",
    "Makefile",
    "docs",
    # packaging
    "pyproject.toml",
    "requirements.lock",
    "manifests",
    "scripts",
    ".ci",
    ".gitignore",
    # the product
    "foundation",
    "models",
    "rooms",
    "media",
    "signalling",
    "recorder",
    "library",
    "webhooks",
    "lti",
    "api",
    "bot",
    "server",
    "web",
    # to try it and to prove it
    "sandbox",
    "tests",
    "bench",
}

EXCEPTIONS = {
    # pattern: why it is binary or larger
    "docs/*.png": "screenshots that the documents show",
}


def tracked() -> list[Path]:
    if not (ROOT / ".git").exists() or shutil.which("git") is None:
        pytest.skip("not a checkout: no list of tracked files")
    listing = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True
    ).stdout.decode()
    # A file that was deleted and not yet committed is still listed.
    return [Path(name) for name in listing.split("\0") if name and (ROOT / name).is_file()]


def is_binary(content: bytes) -> bool:
    try:
        return "\0" in content.decode()
    except UnicodeDecodeError:
        return True


def has_reason(path: Path) -> bool:
    return any(fnmatch(path.as_posix(), pattern) for pattern in EXCEPTIONS)


def test_the_top_level_is_the_written_list() -> None:
    assert {path.parts[0] for path in tracked()} == TOP_LEVEL


def test_no_file_is_binary_or_large_without_a_reason() -> None:
    suspects = [
        f"{path} ({(ROOT / path).stat().st_size} bytes)"
        for path in tracked()
        if not has_reason(path)
        and ((ROOT / path).stat().st_size > MAX_BYTES or is_binary((ROOT / path).read_bytes()))
    ]
    assert not suspects, f"remove it, or list it in EXCEPTIONS with its reason: {suspects}"


def test_every_exception_is_needed() -> None:
    files = tracked()
    for pattern in EXCEPTIONS:
        assert any(fnmatch(path.as_posix(), pattern) for path in files), f"no file is like {pattern}"
