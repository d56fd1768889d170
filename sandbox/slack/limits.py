"""Which blocks and forms Slack would refuse, as far as its own SDK knows its limits. Pure."""

from __future__ import annotations

import copy
from typing import Any

from slack_sdk.errors import SlackObjectFormationError
from slack_sdk.models.basic_objects import JsonObject
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View

MESSAGE_BLOCKS, VIEW_BLOCKS = 50, 100


def blocks_are_good(blocks: list[dict[str, Any]], most: int = MESSAGE_BLOCKS) -> bool:
    """Known types, sizes within limits, no block_id twice."""
    ids = [block["block_id"] for block in blocks if block.get("block_id")]
    if len(blocks) > most or len(set(ids)) < len(ids):
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
