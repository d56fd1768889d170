"""Walk a launch by plain HTTP as a browser would; for tests and the self-test."""

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


@dataclass(frozen=True, slots=True)
class LaunchForm:
    """The platform's form, not yet sent: where it goes, its fields, and the browser's session with its cookies."""

    session: requests.Session
    action: str
    fields: dict[str, str]

    def post(self) -> requests.Response:
        return self.session.post(self.action, data=self.fields, timeout=TIMEOUT_S)


def _checked(answer: requests.Response) -> requests.Response:
    if answer.status_code >= 400:
        words = re.sub(r"<[^>]+>", " ", answer.text)
        raise LaunchFailed(f"{answer.status_code}: {' '.join(words.split())[-300:]}")
    return answer


def launch_form(lms_url: str, person: str, tool: str = "room", site: str | None = None) -> LaunchForm:
    """Everything up to the platform's POST."""
    site = site or ("his200" if person == "charlie" else "bio101")
    return follow(f"{lms_url}/site/{site}/tool/{tool}?as={person}")


def follow(portal_url: str) -> LaunchForm:
    """From a page of the course with the tool's frame to the platform's POST."""
    session = requests.Session()
    portal = _checked(session.get(portal_url, timeout=TIMEOUT_S))
    found = re.search(r'<iframe [^>]*src="([^"]+)"', portal.text)
    if found is None:
        raise LaunchFailed("the course page has no frame")
    return follow_frame(urljoin(portal_url, html.unescape(found[1])), session)


def follow_frame(source: str, session: requests.Session | None = None) -> LaunchForm:
    """From the address in a tool's frame to the platform's POST."""
    session = session or requests.Session()
    content = _checked(session.get(source, timeout=TIMEOUT_S))
    found = re.search(r"location\.href = (\"[^\"]+\")", content.text)
    if found is None:
        raise LaunchFailed("the LMS did not send the browser to the login")
    login = _checked(session.get(json.loads(found[1]), timeout=TIMEOUT_S, allow_redirects=False))
    following = re.search(r'id="next" href="([^"]+)"', login.text)
    location = html.unescape(following[1]) if following else login.headers.get("Location")
    if location is None:
        raise LaunchFailed("the login leads nowhere")
    form = _checked(session.get(location, timeout=TIMEOUT_S)).text
    action, fields = read_form(form)
    return LaunchForm(session, action, fields)


def read_form(page: str) -> tuple[str, dict[str, str]]:
    """The address and the hidden fields of a page's form. Raises LaunchFailed when there is none."""
    action = re.search(r'action="([^"]+)"', page)
    if action is None:
        words = " ".join(re.sub(r"<[^>]+>", " ", page).split())
        raise LaunchFailed(f"no form: {words[-300:]}")
    found = re.findall(r'name="([^"]+)" value="([^"]*)"', page)
    return html.unescape(action[1]), {html.unescape(k): html.unescape(v) for k, v in found}


def insert(action: str, fields: dict[str, str]) -> requests.Response:
    """Send a selector's answer to the platform, which posts it on to the page that asked; its answer, also a refusal."""
    action, fields = read_form(_checked(requests.post(action, data=fields, timeout=TIMEOUT_S)).text)
    return requests.post(action, data=fields, timeout=TIMEOUT_S)


def launch(lms_url: str, person: str, tool: str = "room", site: str | None = None) -> LaunchedPage:
    """Launch a tool as a person of the practice LMS. Raises LaunchFailed."""
    return opened(launch_form(lms_url, person, tool, site))


def opened(form: LaunchForm) -> LaunchedPage:
    """Send a launch and read the page that it opens. Raises LaunchFailed."""
    boot = _boot(_checked(form.post()).text)
    return LaunchedPage(boot["base_url"], boot["token"], boot["page"], boot["role"], boot)


def room_url(page: LaunchedPage) -> str:
    """Press Open room: the address with its one-time code, for a new window. Raises LaunchFailed."""
    headers = {"Authorization": f"Bearer {page.token}"}
    answer = requests.post(f"{page.base_url}/app/api/handoff", headers=headers, timeout=TIMEOUT_S)
    return str(_checked(answer).json()["url"])


def open_room(page: LaunchedPage) -> RoomBoot:
    """Press Open room and open its page in a new window. Raises LaunchFailed."""
    with requests.Session() as window:  # its own cookies, as a new top-level window has
        boot = _boot(_checked(window.get(room_url(page), timeout=TIMEOUT_S)).text)
    ws_url = urljoin(page.base_url, boot["ws_url"]).replace("http", "ws", 1)
    return RoomBoot(boot["token"], ws_url, boot["session_id"], boot["role"], boot)


def _boot(text: str) -> dict[str, Any]:
    found = re.search(r'id="boot"[^>]*>(.*?)</script>', text, re.S)
    if found is None:
        words = " ".join(re.sub(r"<[^>]+>", " ", text).split())
        raise LaunchFailed(f"no page of the tool: {words[:300]}")
    data: dict[str, Any] = json.loads(found[1])
    return data
