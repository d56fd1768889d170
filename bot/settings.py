"""What the Slack door needs to know; built by ``server.settings``."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urljoin, urlsplit

from bot.names import DEFAULT_NAMES, Names

ANY_TEAM = "*"


@dataclass(frozen=True, slots=True)
class BotSettings:
    """``base_url`` is Sideroom's public address; ``api_url`` Slack's Web API (ends with a slash).

    With ``bot_token`` the app is in one workspace; without it, workspaces install it (``client_id``, ``client_secret``) and
    ``token_key`` (32 bytes as hex) encrypts their tokens. With ``app_token`` Slack is spoken to by Socket Mode.
    """

    signing_secret: str
    bot_token: str
    base_url: str
    team_id: str = ""
    """The workspace; with installation by OAuth: those that may install it, comma separated, or ``*``."""
    api_url: str = "https://slack.com/api/"
    card_interval_s: float = 5.0
    client_id: str = ""
    client_secret: str = ""
    app_id: str = ""
    app_token: str = ""
    old_signing_secret: str = ""
    token_key: str = "00" * 32
    old_token_keys: tuple[str, ...] = ()
    """Keys of earlier site secrets: tokens sealed with them are read, and sealed anew with ``token_key``."""
    guests_moderate: bool = False
    names: Names = DEFAULT_NAMES
    watch_key: str = ""
    """Signs links to recordings for one person."""
    answer_within_s: float = 0.05
    """So long an acknowledgement waits for the answer; a later answer follows by itself."""

    @property
    def teams(self) -> frozenset[str]:
        return frozenset(part.strip() for part in self.team_id.split(",") if part.strip())

    @property
    def by_oauth(self) -> bool:
        return not self.bot_token

    @property
    def can_sign_in(self) -> bool:
        return bool(self.client_id and self.client_secret)

    @property
    def web_url(self) -> str:
        """Slack's pages: the Web API's address without its path, no slash at the end."""
        return urljoin(self.api_url, "/").rstrip("/")

    @property
    def response_urls(self) -> tuple[str, ...]:
        """How an address to answer to begins: Slack's hooks, or the practice Slack itself."""
        return (f"https://hooks.{urlsplit(self.api_url).hostname}/", f"{self.web_url}/")
