"""What the Slack door needs to know; built by ``server.settings``."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BotSettings:
    """``base_url`` is Sideroom's public address; ``api_url`` Slack's Web API (ends with a slash)."""

    signing_secret: str
    bot_token: str
    base_url: str
    team_id: str = ""
    api_url: str = "https://slack.com/api/"
    card_interval_s: float = 5.0
