"""How often a card may be rewritten, and how long Slack asks to wait."""

from __future__ import annotations

import pytest

from bot.pace import card_interval, retry_after

pytestmark = pytest.mark.unit


@pytest.mark.parametrize(("cards", "seconds"), [(0, 5.0), (1, 5.0), (3, 5.0), (9, 12.0), (45, 60.0)])
def test_many_cards_share_slacks_fifty_updates_a_minute(cards: int, seconds: float) -> None:
    assert card_interval(5.0, cards) == seconds
    assert cards * 60 / card_interval(5.0, cards) <= 45


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7.0),
        ({"retry-after": "7"}, 7.0),
        ({}, 1.0),
        ({"Retry-After": "soon"}, 1.0),
        ({"Retry-After": "0"}, 1.0),
        ({"Retry-After": "99999"}, 300.0),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float) -> None:
    assert retry_after(headers) == seconds
