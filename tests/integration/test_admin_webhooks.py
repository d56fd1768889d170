"""The administration page's sections Webhooks and Usage."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from models.store import webhook_outbox as outbox
from models.store.webhook_outbox import Attempt
from models.values import MAIN_ROOM, SYSTEM
from rooms import commands as c
from rooms.service import RoomsService
from tests.integration.test_admin_frame import make_site
from tests.integration.test_admin_sections import Page
from tests.people import ask

pytestmark = pytest.mark.integration
HOOK: dict[str, Any] = {
    "name": "Calendar",
    "url": "https://hooks.example.edu/x",
    "events": ["meeting.started"],
}


@pytest.fixture
def page(tmp_path: Path) -> Iterator[Page]:
    site = make_site(tmp_path)
    yield Page(site, *site.client())
    site.world.db.close()


def test_a_webhook_from_first_to_last(page: Page) -> None:
    assert page.ask("GET", "/webhooks")["webhooks"] == []
    made = page.ask("POST", "/webhooks", **HOOK, course_id=page.world.course)
    assert made["secret"].startswith("whsec_")
    (listed,) = page.ask("GET", "/webhooks")["webhooks"]
    assert (listed["name"], listed["course_title"]) == ("Calendar", "Biology 101") and "secret" not in listed
    path = f"/webhooks/{listed['id']}"
    assert page.ask("PATCH", path, enabled=False)["enabled"] is False
    assert page.code("POST", f"{path}/test") == "webhook_off"
    page.ask("PATCH", path, enabled=True)
    rotated = page.ask("POST", f"{path}/secret")
    assert rotated["secret"] != made["secret"] and rotated["webhook"]["old_secret_until"]
    sent = page.ask("POST", f"{path}/test")
    attempt = Attempt(datetime.now(UTC), 12, 500, "Oops", "")
    outbox.finish(page.world.db, sent["id"], attempt, "failed", None)
    (shown,) = page.ask("GET", f"{path}/deliveries?page=0")["deliveries"]
    assert (shown["status"], shown["response_status"], shown["attempts"]) == ("failed", 500, 1)
    details = page.ask("GET", f"{path}/deliveries/{sent['id']}")
    assert details["body"]["event"] == "webhook.test" and details["tries"][0]["response_text"] == "Oops"
    assert page.ask("POST", f"{path}/deliveries/{sent['id']}/redeliver")["status"] == "pending"
    page.ask("DELETE", path)
    assert page.ask("GET", "/webhooks")["webhooks"] == []
    assert page.code("DELETE", path) == "webhook_unknown"


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"url": "http://hooks.example.edu/"}, "bad_value"),
        ({"url": "https://10.0.0.1/"}, "bad_value"),
        ({"events": []}, "bad_value"),
        ({"name": ""}, "bad_value"),
        ({"course_id": "nowhere"}, "course_unknown"),
        ({"colour": "red"}, "bad_command"),
    ],
)
def test_bad_webhooks_are_refused(page: Page, change: dict[str, Any], code: str) -> None:
    assert page.code("POST", "/webhooks", **{**HOOK, **change}) == code
    assert page.ask("GET", "/webhooks")["webhooks"] == []


def test_usage_is_shown_by_course(page: Page) -> None:
    assert page.ask("GET", "/usage")["rows"] == []
    rooms = RoomsService(page.world.db)
    session_id = rooms.open_session(page.world.course, "Biology 101", "Lecture")
    rooms.submit(ask(SYSTEM, c.StartRecording(MAIN_ROOM), session_id))
    (row,) = page.ask("GET", "/usage")["rows"]
    assert (row["course_title"], row["recordings"], row["files"]) == ("Biology 101", 1, 0)
    assert page.code("GET", "/usage?from_month=May") == "bad_value"
    rooms.close()
