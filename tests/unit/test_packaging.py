"""What is written down by hand about packaging is complete: packages, data files, the lock file."""

from __future__ import annotations

import re
import tomllib
from fnmatch import fnmatch
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
LISTED = PROJECT["tool"]["setuptools"]["packages"]
LOCK = (ROOT / "requirements.lock").read_text(encoding="utf-8")
TOP = {name.split(".")[0] for name in LISTED}


def ours(pattern: str) -> list[Path]:
    found = [path for top in sorted(TOP) for path in (ROOT / top).rglob(pattern)]
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]


def test_every_package_is_listed_once_and_every_listed_one_exists() -> None:
    there = {".".join(path.parent.relative_to(ROOT).parts) for path in ours("*.py")}
    assert sorted(LISTED) == sorted(there)


def test_tools_and_tests_know_the_same_packages() -> None:
    tools = PROJECT["tool"]
    assert set(tools["mypy"]["packages"]) == set(tools["importlinter"]["root_packages"]) == TOP
    assert TOP <= set(tools["ruff"]["lint"]["isort"]["known-first-party"])
    spelled = next(
        line for line in (ROOT / "scripts/lint").read_text().splitlines() if line.startswith("codespell")
    )
    assert set(spelled.split()) >= TOP


def test_every_file_that_is_no_module_is_package_data() -> None:
    data = PROJECT["tool"]["setuptools"]["package-data"]
    for path in ours("*"):
        if path.suffix in (".py", ".pyc"):
            continue
        relative = path.relative_to(ROOT)
        homes = [name for name in data if relative.is_relative_to(Path(*name.split(".")))]
        assert any(
            fnmatch(str(relative.relative_to(Path(*name.split(".")))), pattern)
            for name in homes
            for pattern in data[name]
        ), f"{relative} would not be in the wheel"


def test_the_lock_file_has_hashes_and_no_addresses() -> None:
    assert "://" not in LOCK
    for entry in re.split(r"\n(?=[a-z0-9])", LOCK):
        assert re.match(r"[a-z0-9.-]+(\[[a-z,-]+\])?==\S+", entry), entry[:80]
        assert "--hash=sha256:" in entry, entry[:80]


def test_the_lock_file_holds_everything_that_is_required() -> None:
    project = PROJECT["project"]
    locked = dict(re.findall(r"^([a-z0-9.-]+)(?:\[[a-z,-]+\])?==([^\s;]+)", LOCK, re.M))
    extras = [name for names in project["optional-dependencies"].values() for name in names]
    for requirement in [*project["dependencies"], *extras]:
        name = re.split(r"[\[<>=~!; ]", requirement)[0].lower().replace("_", "-")
        assert name in locked, requirement
