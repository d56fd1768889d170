"""For all tests: how Hypothesis behaves, and how a parallel run is shared out. Fixtures are in the kits beside this file."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import settings

# A busy machine makes single examples slow: that is no fault of what is tested.
settings.register_profile("sideroom", deadline=None)
settings.load_profile("sideroom")

ORDER = ["browser", "media", "integration", "unit"]
"""Folders under tests/, the slowest first, so that no long file is left for the end of a parallel run."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Share the suite out to parallel processes: a file stays in one, and browsers, which need both cores, in one after the other."""

    def folder(item: pytest.Item) -> str:
        return item.path.relative_to(Path(__file__).parent).parts[0]

    items.sort(key=lambda item: ORDER.index(folder(item)))
    for item in items:
        group = "browser" if folder(item) == "browser" else item.path.name
        item.add_marker(pytest.mark.xdist_group(group))
