"""Copies of finished files at other places. A target is one module here that puts its class into ``TARGETS``."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from library.transfer.local import LocalTarget


class Target(Protocol):
    """A place to which files are copied."""

    def put(self, source: Path, name: str, sha256: str) -> str:
        """Copy ``source`` there as ``name`` (a relative path), confirm its SHA-256 (hex) and return its address.

        Safe to repeat. Raises OSError; then ``name`` is absent there or as it was.
        """
        ...


TARGETS: dict[str, Callable[[Mapping[str, str]], Target]] = {"local": LocalTarget.from_config}
"""From the ``type`` of a storage configuration to what makes its target of the other fields (else ValueError)."""


def make_target(config: Mapping[str, str]) -> Target:
    """The target of a storage configuration ``{"type", …}``. Raises ValueError that says what is wrong."""
    kind = config.get("type", "")
    if kind not in TARGETS:
        raise ValueError(f"storage type is one of {', '.join(sorted(TARGETS))}")
    return TARGETS[kind]({key: value for key, value in config.items() if key != "type"})
