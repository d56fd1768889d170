"""The API's reference page in Chromium: the whole document is shown, nothing is blocked by its policy, nothing comes from elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import expect, sync_playwright

from api.v1.messages import MESSAGES
from api.v1.routes import ROUTES
from tests.browser.kit import WAIT_MS, chromium, person, running_demo

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def test_every_call_is_shown_and_all_of_it_comes_from_this_server(tmp_path: Path) -> None:
    needed = {"web", "practice-lms", "practice-slack"}
    with running_demo(tmp_path, only=needed) as (demo, _), sync_playwright() as playwright:
        browser = chromium(playwright)
        page = person(browser).new_page()
        asked: list[str] = []
        said: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.on("console", lambda message: said.append(message.text) if message.type == "error" else None)
        base_url = demo.settings.base_url
        page.goto(f"{base_url}/api/v1/docs")
        expect(page.locator(".opblock")).to_have_count(len(ROUTES) + len(MESSAGES), timeout=WAIT_MS)
        page.locator("#operations-recordings-start_recording .opblock-summary-control").click()
        expect(page.get_by_text("on_behalf_of").first).to_be_visible(timeout=WAIT_MS)
        outside = [url for url in asked if not url.startswith((f"{base_url}/", "data:"))]
        assert outside == []
        assert said == [], "refused by the page's policy, or missing"
        page.screenshot(path=str(tmp_path / "reference.png"))
        browser.close()
