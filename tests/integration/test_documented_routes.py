"""rest.md and page-api.md name exactly the calls of their API; what other pages call an address of ours is one."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from starlette.routing import Mount, Route, WebSocketRoute

from models.store.migrate import upgrade
from server.settings import Settings, prepare
from server.web import build
from server.wiring import build_web

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
PAGES = {page.name: page.read_text(encoding="utf-8") for page in sorted((ROOT / "docs").glob("*.md"))}
BROWSER_ONLY = ("/admin/", "/go", "/slack/openid_confirm", "/slack/watch/")
"""Addresses that only our own pages and links know."""


@pytest.fixture(scope="module")
def there(tmp_path_factory: pytest.TempPathFactory) -> set[tuple[str, str]]:
    """(method, shape of the path) of everything that the web process answers."""
    settings = prepare(
        Settings(
            data_dir=tmp_path_factory.mktemp("routes"),
            base_url="https://rooms.test",
            slack_signing_secret="s" * 32,
            slack_client_id="1.2",
            slack_client_secret="c" * 32,
            slack_team_id="*",
        )
    )
    upgrade(settings.db_url)
    web = build_web(settings)
    web.db.close()
    found = {
        (method, shape(rule.rule))
        for rule in web.flask.url_map.iter_rules()
        for method in (rule.methods or set()) - {"HEAD", "OPTIONS"}
    }
    outside = build(web).routes
    found |= {("GET", shape(route.path)) for route in outside if isinstance(route, Route | WebSocketRoute)}
    if any(isinstance(route, Mount) and route.path == "/media" for route in outside):
        found.add(("GET", "/media/<>/<>"))
    return found


def shape(path: str) -> str:
    """``/media/<entry_id>/<name>`` and ``/media/<id>/<file>`` are the same."""
    return re.sub(r"<[^>]*>|\{[^}]*\}", "<>", path.partition("?")[0])


def begins(route: str, path: str) -> bool:
    """Whether an address leads to this route, or is one of it: ``/lti/login/room`` is of ``/lti/login/<>``."""
    one_of_it = re.escape(route).replace("<>", "[^/]+")
    return route.startswith(path) or re.fullmatch(one_of_it, path) is not None


def named(page: str) -> set[tuple[str, str]]:
    found = re.findall(r"`(GET|POST|PUT|PATCH|DELETE) (/[^\s`]*)", PAGES[page].replace("\\|", "|"))
    return {(method, shape(path)) for method, path in found}


def test_every_call_that_is_documented_exists(there: set[tuple[str, str]]) -> None:
    for page in PAGES:
        assert named(page) <= there, page


def test_every_call_of_the_interfaces_is_documented(there: set[tuple[str, str]]) -> None:
    for prefix, page, other in (
        ("/api/v1/", "rest.md", "page-api.md"),
        ("/app/api/", "page-api.md", "rest.md"),
    ):
        routes = {route for route in there if route[1].startswith(prefix)}
        assert routes and routes <= named(page), page
        assert not routes & named(other), f"{other} is not for {prefix}"


def test_every_address_is_told_somewhere(there: set[tuple[str, str]]) -> None:
    texts = re.sub(r"<[^>\s]*>|\{[^}\s]*\}", "<>", "\n".join(PAGES.values()))
    for _method, path in there:
        if path != "/" and not path.startswith(BROWSER_ONLY):
            assert path in texts, path


def test_addresses_that_are_named_without_a_method_exist(there: set[tuple[str, str]]) -> None:
    paths = {path for _method, path in there}
    known = r"`(?:https://[\w.-]+|…)?(/(?:lti|slack|admin|app|api|media|room)/[\w./<>-]+)`"
    for page, text in PAGES.items():
        for path in re.findall(known, text):
            assert any(begins(each, shape(path)) for each in paths), f"{page}: {path}"
