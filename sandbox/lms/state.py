"""What the practice platform remembers while it runs: tools, inserted links, registrations."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa

from sandbox.lms.world import TOOLS, Tool


@dataclass(frozen=True, slots=True)
class Item:
    """A link that a tool's deep linking answer made in a site."""

    content: int
    site: str
    tool: Tool
    title: str
    url: str
    custom: dict[str, str]
    raw: dict[str, Any]


@dataclass(slots=True)
class Platform:
    """``server``: the platform's own address (also the issuer); ``tool_url``: where Sideroom is."""

    server: str
    tool_url: str
    key: rsa.RSAPrivateKey
    next_key: rsa.RSAPrivateKey
    tools: dict[str, Tool] = field(default_factory=lambda: dict(TOOLS))
    items: dict[int, Item] = field(default_factory=dict)
    registrations: dict[str, dict[str, Any]] = field(default_factory=dict)
    """By client id: what a tool sent with its dynamic registration."""
    tickets: dict[str, str] = field(default_factory=dict)
    """Registration tokens not used yet → number of the tool that is being made."""
    drafts: dict[str, str] = field(default_factory=dict)
    """Tools that are being made: number → client id."""

    def tool_of(self, content: int) -> Tool | None:
        return next((tool for tool in self.tools.values() if tool.content == content), None)

    def next_content(self) -> int:
        drafts = [int(number) for number in self.drafts]
        return max([tool.content for tool in self.tools.values()] + list(self.items) + drafts) + 1
