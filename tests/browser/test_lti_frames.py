"""The LMS's frames in Chromium with third-party cookies blocked: storage, confirmation, camera policy, inserting, registering."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from playwright.sync_api import Browser, BrowserContext, Dialog, Page, expect, sync_playwright

from lti import registration
from models.store import lti as store
from models.store import people
from tests.browser.kit import FLAGS, FRAME, until
from tests.ltikit import World, running

pytestmark = [pytest.mark.browser, pytest.mark.timeout(180)]
ROOT = Path(__file__).parents[2]
WAIT_MS = 30_000


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with running(tmp_path_factory.mktemp("frames"), ROOT / "web" / "dist") as made:
        yield made


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=WAIT_MS)
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        yield made
        made.close()


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(WAIT_MS)
    made = context.new_page()
    alarms: list[str] = []

    def ring(dialog: Dialog) -> None:
        alarms.append(dialog.message)
        dialog.dismiss()

    made.on("dialog", ring)
    yield made
    context.close()
    assert not alarms, "the LMS rings when the tool takes longer than 4 s"


@pytest.mark.parametrize(
    ("allow", "camera", "screen"),
    [
        ("none", "false", "false"),
        ("default", "false", "false"),
        ("opened", "true", "true"),
    ],
)
def test_the_lobby_knows_what_its_frame_allows(
    world: World, page: Page, allow: str, camera: str, screen: str
) -> None:
    page.goto(f"{world.lms}/site/bio101/tool/room?as=alice&allow={allow}")
    lobby = page.frame_locator(FRAME)
    about = lobby.get_by_test_id("frame")
    expect(about).to_have_attribute("data-camera", camera)
    expect(about).to_have_attribute("data-microphone", camera)
    expect(about).to_have_attribute("data-screen", screen)
    expect(about).to_have_attribute("data-top", "false")
    # Whatever the frame allows, one button opens the room in a window of its own.
    with page.context.expect_page() as opened:
        lobby.get_by_test_id("open-room").click()
    opened.value.wait_for_url(f"{world.url}/room/*")
    expect(opened.value.get_by_test_id("join")).to_be_visible()


def test_the_lms_storage_stands_in_for_cookies(world: World, page: Page) -> None:
    sent: list[str] = []
    page.on("request", lambda r: sent.append(r.post_data or "") if r.url.endswith("/lti/launch") else None)
    page.goto(f"{world.lms}/site/bio101/tool/room?as=bob")
    expect(page.frame_locator(FRAME).get_by_test_id("open-room")).to_be_visible()
    assert len(sent) == 2 and "proof=" not in sent[0] and len(sent[1].partition("proof=")[2]) >= 43
    assert not [c for c in page.context.cookies(world.url) if c["name"] == "sideroom_browser"]


def test_without_storage_and_cookies_the_person_confirms_once(world: World, page: Page) -> None:
    page.goto(f"{world.lms}/site/bio101/tool/room?as=bob&storage=off")
    frame = page.frame_locator(FRAME)
    frame.get_by_role("button", name="Continue as Bob Keller").click()
    expect(frame.get_by_test_id("open-room")).to_be_visible()


def test_in_a_window_of_its_own_the_room_takes_that_window(world: World, page: Page) -> None:
    """Sakai's “new window”: a top-level launch keeps its first-party cookie and needs no second window."""
    page.goto(f"{world.lms}/access/lti/site/bio101/content:1;as=alice")
    expect(
        page.get_by_test_id("frame").or_(page.get_by_role("button", name="Continue as Alice Moreau"))
    ).to_be_visible()
    confirm = page.get_by_role("button", name="Continue as Alice Moreau")
    if confirm.count():
        confirm.click()
    expect(page.get_by_test_id("frame")).to_have_attribute("data-top", "true")
    page.get_by_test_id("open-room").click()
    page.wait_for_url(f"{world.url}/room/*")


def height_px(page: Page) -> float:
    return float(page.locator(FRAME).evaluate("(frame) => frame.getBoundingClientRect().height"))


def test_the_frame_is_as_tall_as_what_it_shows(world: World, page: Page) -> None:
    """It begins with 1200 px, shrinks to the lobby, grows when a section opens and shrinks when it closes."""
    page.goto(f"{world.lms}/site/bio101/tool/room?as=alice")
    lobby = page.frame_locator(FRAME)
    lobby.get_by_test_id("show-attendance").wait_for()
    content = lobby.locator("#app")

    def fits() -> bool:
        return abs(height_px(page) - content.evaluate("(app) => app.getBoundingClientRect().height")) < 6

    until(lambda: fits() and height_px(page) < 1000, "the frame shrank to the lobby")
    small = height_px(page)
    lobby.get_by_test_id("show-roles").click()
    lobby.get_by_test_id("role-learner").wait_for()
    until(lambda: fits() and height_px(page) > small + 50, "the frame grew with the section")
    page.goto(f"{world.lms}/site/bio101/tool/mymedia?as=alice")
    page.frame_locator(FRAME).get_by_test_id("search").wait_for()
    content = page.frame_locator(FRAME).locator("#app")
    until(lambda: fits() and height_px(page) < 1100, "the frame shrank to an empty library")


def test_a_teacher_decides_who_moderates_and_whether_attendance_is_scored(world: World, page: Page) -> None:
    page.goto(f"{world.lms}/site/bio101/tool/room?as=alice")
    lobby = page.frame_locator(FRAME)
    lobby.get_by_test_id("show-roles").click()
    lobby.get_by_test_id("role-assistant").select_option("participant")
    expect(lobby.get_by_test_id("roles").get_by_text("Saved.")).to_be_visible()
    lobby.get_by_test_id("show-attendance").click()
    lobby.get_by_test_id("attendance-enabled").check()
    lobby.get_by_label("Points for attending every session").fill("20")
    lobby.get_by_test_id("save-attendance").click()
    expect(lobby.get_by_test_id("attendance").get_by_text("Saved.")).to_be_visible()
    course_id = people.upsert_course(world.db, world.lms, "bio101")
    kept = people.course_settings(world.db, course_id)
    assert kept["roles"]["assistant"] == "participant"
    assert (kept["attendance"]["enabled"], kept["attendance"]["maximum"]) == (True, 20)
    for person in ("tara", "bob"):
        page.goto(f"{world.lms}/site/bio101/tool/room?as={person}")
        expect(lobby.get_by_test_id("open-room")).to_be_visible()
        assert lobby.get_by_test_id("roles").count() == lobby.get_by_test_id("attendance").count() == 0


def test_an_administrator_registers_the_selector_in_the_lms(world: World, page: Page) -> None:
    before = len(store.list_platforms(world.db))
    page.goto(f"{world.lms}/admin/register")
    page.get_by_label("Registration URL").fill(registration.invitation(world.db, world.url, "selector"))
    page.get_by_role("button", name="Go").click()
    expect(page.locator("#state")).to_have_text("Registered. Press Save.")
    assert len(store.list_platforms(world.db)) == before + 1


def a_film(path: Path) -> Path:
    with av.open(str(path), "w", format="webm") as out:
        stream = out.add_stream("libvpx", rate=10)
        stream.width, stream.height, stream.pix_fmt = 320, 180, "yuv420p"
        for number in range(20):
            picture = np.full((180, 320, 3), number * 12, dtype=np.uint8)
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        out.mux(stream.encode(None))
    return path


def plays(page: Page, frame_selector: str = FRAME) -> None:
    player = page.frame_locator(frame_selector).get_by_test_id("player")
    player.wait_for()
    player.evaluate("(video) => { video.muted = true; return video.play(); }")
    until(lambda: player.evaluate("(video) => video.currentTime > 0.2"), "the film plays")


def test_a_teacher_uploads_previews_and_inserts_a_film_and_a_student_watches_it(
    world: World, page: Page, browser: Browser, tmp_path: Path
) -> None:
    page.goto(f"{world.lms}/site/bio101/insert/lessons?as=alice")
    selector = page.frame_locator(FRAME)
    selector.get_by_test_id("upload-file").set_input_files(a_film(tmp_path / "Cell division.webm"))
    card = selector.locator("[data-testid='choice'][data-title='Cell division']")
    card.get_by_test_id("preview").click()
    plays(page)
    selector.get_by_role("button", name="Close").click()
    card.get_by_test_id("pick").click()
    expect(card.get_by_test_id("pick")).to_have_attribute("aria-pressed", "true")
    selector.get_by_test_id("search").fill("nothing like this")
    expect(card).to_have_count(0)
    selector.get_by_test_id("insert").click()
    expect(selector.locator("#result")).to_have_text("Inserted")
    student: BrowserContext = browser.new_context()
    bob = student.new_page()
    bob.goto(f"{world.lms}/site/bio101/lessons?as=bob")
    bob.get_by_role("link", name="Cell division").click()
    plays(bob)
    assert bob.frame_locator(FRAME).get_by_test_id("delete").count() == 0
    student.close()


def test_a_teacher_inserts_a_room_with_points_into_an_assignment(world: World, page: Page) -> None:
    page.goto(f"{world.lms}/site/bio101/insert/assignment?as=alice")
    selector = page.frame_locator(FRAME)
    selector.get_by_test_id("tab-room").click()
    selector.get_by_test_id("room-name").fill("Oral exam")
    selector.get_by_test_id("room-wait").check()
    selector.get_by_test_id("room-record").select_option("When the first person joins")
    selector.get_by_test_id("room-layout").select_option("stage")
    selector.get_by_test_id("add-room").click()
    selector.get_by_test_id("points").fill("20")
    selector.get_by_test_id("insert").click()
    expect(selector.locator("#result")).to_have_text("Inserted")
    made = list(world.practice.items.values())[-1]
    assert made.raw["lineItem"]["scoreMaximum"] == 20
    assert (made.custom["sideroom_record"], made.custom["sideroom_layout"]) == ("1", "stage")
    page.goto(f"{world.lms}/site/bio101/item/{made.content}?as=bob")
    expect(selector.get_by_test_id("open-room")).to_be_disabled()
    expect(selector.get_by_text("Waiting for a moderator to open the room")).to_be_visible()


def test_a_student_inserts_only_their_own(world: World, page: Page) -> None:
    page.goto(f"{world.lms}/site/bio101/insert/editor?as=bob")
    selector = page.frame_locator(FRAME)
    expect(selector.get_by_test_id("tab-mine")).to_be_visible()
    expect(selector.get_by_text("Nothing here yet")).to_be_visible()
    for tab in ("channel", "folder", "room"):
        assert selector.get_by_test_id(f"tab-{tab}").count() == 0
    selector.get_by_test_id("cancel").click()
    expect(selector.locator("#result")).to_contain_text("Nothing was chosen")


@pytest.mark.parametrize("sent", ["zh_CN_#Hans", "C", "en_US.UTF-8", "th_TH_TH_#u-nu-thai", "ar"])
@pytest.mark.parametrize("unread", [False, True])
def test_a_page_opens_whatever_the_reader_s_language_is_called(
    world: World, page: Page, sent: str, unread: bool
) -> None:
    answer = world.launched(locale=sent)
    document = answer.text
    if unread:  # the page guards itself, too
        document = re.sub(r'"locale": "[^"]*"', lambda _: f'"locale": {json.dumps(sent)}', document)
        assert json.dumps(sent) in document
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    headers = {
        "Content-Type": "text/html",
        "Content-Security-Policy": answer.headers["Content-Security-Policy"],
    }
    page.route("**/lti/launch", lambda route: route.fulfill(body=document, headers=headers))
    page.goto(f"{world.url}/lti/launch")
    expect(page.get_by_role("heading").first).to_be_visible()
    assert not faults
    assert page.locator("html").get_attribute("lang") == "en"
