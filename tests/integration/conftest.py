"""The Slack door's world as fixtures. Imports wait until one is asked for: other tests here need none of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.botkit import Bot, Practice


@pytest.fixture(scope="module")
def practice() -> Iterator[Practice]:
    """A practice Slack on a free port."""
    from tests.botkit import practice_slack

    with practice_slack() as running:
        yield running


@pytest.fixture(scope="session")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated, empty database to copy."""
    from tests.botkit import template_db

    return template_db(tmp_path_factory.mktemp("empty"))


@pytest.fixture
def bot(tmp_path: Path, empty: Path, practice: Practice) -> Iterator[Bot]:
    """BIO 101 is live with Alice and Bob inside; their channels are linked."""
    from tests.botkit import make_bot

    with make_bot(tmp_path, empty, practice) as made:
        yield made


@pytest.fixture
def running(bot: Bot) -> Bot:
    """A breakout with two rooms, Bob calls from room 1, which is recorded."""
    from rooms import commands as c
    from tests.botkit import ALICE, BOB

    bot.run_breakout(2)
    bot.do(BOB, c.CallModerator())
    bot.do(ALICE, c.StartRecording(bot.state.breakout_rooms[0].room_id))
    return bot
