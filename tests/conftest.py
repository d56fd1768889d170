"""For all tests: how Hypothesis behaves, and how a parallel run is shared out. Fixtures are in the kits beside this file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings
from xdist.scheduler.loadfile import LoadFileScheduling

# A busy machine makes single examples slow: that is no fault of what is tested.
settings.register_profile("sideroom", deadline=None)
settings.load_profile("sideroom")

ORDER = ["browser", "media", "integration", "unit"]
"""Folders under tests/, the slowest first, so that no long file is left for the end of a parallel run."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: ORDER.index(item.path.relative_to(Path(__file__).parent).parts[0]))


class FilesAndBrowsers(LoadFileScheduling):
    """How a parallel run is shared out: a file stays in one process, and all browser tests, which need both cores, in one."""

    def _split_scope(self, nodeid: str) -> str:
        return "browser" if nodeid.startswith("tests/browser/") else str(super()._split_scope(nodeid))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> FilesAndBrowsers:
    return FilesAndBrowsers(config, log)
