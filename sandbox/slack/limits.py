"""Which blocks and forms Slack would refuse, as far as its own SDK knows its limits. Pure."""

from __future__ import annotations

import copy
from typing import Any

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.basic_objects import JsonObject
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

MESSAGE_BLOCKS, VIEW_BLOCKS, TABLE_ROWS = 50, 100, 100


def blocks_are_good(blocks: list[dict[str, Any]], most: int = MESSAGE_BLOCKS) -> bool:
    """Known types, sizes within limits, no block_id twice."""
    ids = [block["block_id"] for block in blocks if block.get("block_id")]
    if len(blocks) > most or len(set(ids)) < len(ids):
        return False
    if not all(_is_within(block) for block in blocks):
        return False
    try:
        parsed = Block.parse_all(copy.deepcopy(blocks))
        if len(parsed) < len(blocks) or any(block is None for block in parsed):
            return False
        for block in parsed:
            block.to_dict()
            for element in getattr(block, "elements", None) or []:
                if isinstance(element, JsonObject):
                    element.to_dict()
    except (SlackObjectFormationError, TypeError, KeyError):
        return False
    return True


def view_is_good(view: dict[str, Any]) -> bool:
    """A form with good blocks and texts within limits."""
    if not blocks_are_good(view.get("blocks") or [], VIEW_BLOCKS):
        return False
    try:
        View(**copy.deepcopy(view)).to_dict()
    except (SlackObjectFormationError, TypeError, KeyError):
        return False
    return True


def _is_within(block: dict[str, Any]) -> bool:
    """What Slack's SDK does not check: texts in UTF-16 units, rows of a table, a number field's own bounds."""
    text = block.get("text")
    if isinstance(text, dict) and _size(str(text.get("text", ""))) > 3000:
        return False
    if block.get("type") == "table" and len(block.get("rows") or []) > TABLE_ROWS:
        return False
    element = block.get("element")
    if isinstance(element, dict) and element.get("type") == "number_input":
        return number_is_good(element, element.get("initial_value"))
    return True


def number_is_good(element: dict[str, Any], value: Any) -> bool:
    """Whether a number field may hold this value; empty is for the form to judge."""
    try:
        low, high = (
            float(element.get(name, default))
            for name, default in (("min_value", "-inf"), ("max_value", "inf"))
        )
        number = low if value in (None, "") else float(value)
    except (TypeError, ValueError):
        return False
    is_whole = element.get("is_decimal_allowed", False) or number in (low, high) or number == int(number)
    return low <= number <= high and bool(is_whole)


def _size(text: str) -> int:
    return len(text) + sum(each > "\uffff" for each in text)
