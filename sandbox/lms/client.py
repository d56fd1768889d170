"""Walk a launch by plain HTTP as a browser without cookies would; for tests and the self-test."""

from __future__ import annotations

import html
import json
import re
from dataclasses import dataclass
from typing import Any
from urllib.parse import urljoin

import requests

TIMEOUT_S = 20


class LaunchFailed(Exception):
    """A step was answered otherwise than with the next page; the text holds the status and the page's words."""


@dataclass(frozen=True, slots=True)
class LaunchedPage:
    """The tool's page after a launch: its boot data."""

    base_url: str
    token: str
    page: str
    role: str
    boot: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RoomBoot:
    """The room's page: what a browser needs to join. ``ws_url`` is absolute."""

    token: str
    ws_url: str
    session_id: str
    role: str
    boot: dict[str, Any]


def _get(url: str, **kwargs: Any) -> requests.Response:
    return _checked(requests.get(url, timeout=TIMEOUT_S, **kwargs))


def _checked(answer: requests.Response) -> requests.Response:
    if answer.status_code >= 400:
        words = re.sub(r"<[^>]+>", " ", answer.text)
        raise LaunchFailed(f"{answer.status_code}: {' '.join(words.split())[-300:]}")
    return answer


def launch_form(
    lms_url: str, person: str, tool: str = "room", site: str | None = None
) -> tuple[str, dict[str, str]]:
    """Everything up to the platform's POST: returns its address and fields, not yet sent."""
    site = site or ("his200" if person == "charlie" else "bio101")
    portal = _get(f"{lms_url}/site/{site}/tool/{tool}?as={person}")
    found = re.search(r'src="([^"]+)"', portal.text)
    if found is None:
        raise LaunchFailed("the course page has no frame")
    content = _get(urljoin(lms_url, html.unescape(found[1])))
    found = re.search(r"location\.href = (\"[^\"]+\")", content.text)
    if found is None:
        raise LaunchFailed("the LMS did not send the browser to the login")
    login = _checked(requests.get(json.loads(found[1]), timeout=TIMEOUT_S, allow_redirects=False))
    form = _get(login.headers["Location"]).text
    action = re.search(r'action="([^"]+)"', form)
    if action is None:
        raise LaunchFailed("the LMS did not make a launch form")
    fields = {
        html.unescape(k): html.unescape(v) for k, v in re.findall(r'name="([^"]+)" value="([^"]*)"', form)
    }
    return html.unescape(action[1]), fields


def launch(lms_url: str, person: str, tool: str = "room", site: str | None = None) -> LaunchedPage:
    """Launch a tool as a person of the practice LMS. Raises LaunchFailed."""
    action, fields = launch_form(lms_url, person, tool, site)
    boot = _boot(_checked(requests.post(action, data=fields, timeout=TIMEOUT_S)).text)
    return LaunchedPage(boot["base_url"], boot["token"], boot["page"], boot["role"], boot)


def open_room(page: LaunchedPage) -> RoomBoot:
    """Press Open room: the one-time code, then the room's page in a new window. Raises LaunchFailed."""
    headers = {"Authorization": f"Bearer {page.token}"}
    handoff = _checked(
        requests.post(f"{page.base_url}/app/api/handoff", headers=headers, timeout=TIMEOUT_S)
    ).json()
    with requests.Session() as window:  # its own cookies, as a new top-level window has
        boot = _boot(_checked(window.get(handoff["url"], timeout=TIMEOUT_S)).text)
    ws_url = urljoin(page.base_url, boot["ws_url"]).replace("http", "ws", 1)
    return RoomBoot(boot["token"], ws_url, boot["session_id"], boot["role"], boot)


def _boot(text: str) -> dict[str, Any]:
    found = re.search(r'id="boot"[^>]*>(.*?)</script>', text, re.S)
    if found is None:
        words = " ".join(re.sub(r"<[^>]+>", " ", text).split())
        raise LaunchFailed(f"no page of the tool: {words[:300]}")
    data: dict[str, Any] = json.loads(found[1])
    return data
