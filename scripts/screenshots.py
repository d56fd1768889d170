"""Photograph every page of a practice installation: ``python scripts/screenshots.py [folder]`` (default var/screenshots).

Starts its own demo on free ports with fresh data, walks a lesson as three people in Chromium, and ends everything again.
``docs/room.png`` is the picture ``08-room-breakout`` of the light scheme; ``docs/dashboard.png``, ``slack.png``, ``library.png``,
``course.png``, ``lobby.png``, ``selector.png`` and ``confirm.png`` are ``06-dashboard-running``, ``17-slack`` (its card), ``12-my-media``, ``01-lobby``, ``20-lobby``, ``21-selector``
and ``23-confirm``. With ``--lti`` only the pages around launching and inserting are taken.
"""

from __future__ import annotations

import math
import sys
import tempfile
from pathlib import Path

import av
import numpy as np
from playwright.sync_api import Browser, Page, sync_playwright

from sandbox.lms.pages import FRAME_SELECTOR as FRAME
from server.demo import Demo, free_demo, practice_programs, prepare_database, wait_ready
from server.processes import programs
from server.supervisor import Supervisor

FLAGS = (
    "--headless --no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking"
    " --use-fake-device-for-media-stream --use-fake-ui-for-media-stream --autoplay-policy=no-user-gesture-required"
    " --disable-site-isolation-trials --disable-features=IsolateOrigins,site-per-process"
).split()
NARROW = {"width": 390, "height": 844}
WIDE = {"width": 1280, "height": 800}


# Background, jumper and hair of each sitter, as RGB.
SITTERS = {
    "alice": ((214, 224, 232), (64, 96, 140), (92, 60, 40)),
    "bob": ((232, 222, 206), (120, 72, 60), (40, 36, 36)),
    "bea": ((214, 228, 214), (150, 110, 40), (60, 44, 60)),
}


def portrait(path: Path, sitter: str) -> Path:
    """A drawn person who sways a little, as the camera picture: 2 s of 640×360 at 15 frames a second, Y4M."""
    back, jumper, hair = (np.array(colour, dtype=np.float64) for colour in SITTERS[sitter])
    skin = np.array((222, 184, 156) if sitter != "bea" else (150, 104, 78), dtype=np.float64)
    y, x = np.mgrid[0:360, 0:640].astype(np.float64)
    with path.open("wb") as out:
        out.write(b"YUV4MPEG2 W640 H360 F15:1 Ip A1:1 C420jpeg\n")
        for frame in range(30):
            cx = 320 + 4 * math.sin(frame / 30 * 2 * math.pi)
            shade = 1.0 - 0.18 * (y / 360)
            picture = back * shade[..., None]
            picture[y > 285 + ((x - cx) / 150) ** 4 * 60] = jumper
            picture[(np.abs(x - cx) < 28) & (y > 200) & (y < 300)] = skin * 0.92
            picture[((x - cx) / 84) ** 2 + ((y - 140) / 92) ** 2 < 1] = hair
            picture[((x - cx) / 66) ** 2 + ((y - 160) / 82) ** 2 < 1] = skin
            for eye in (-24, 24):
                picture[((x - cx - eye) / 6) ** 2 + ((y - 152) / 7) ** 2 < 1] = hair * 0.6
            mouth = ((x - cx) / 26) ** 2 + ((y - 192) / 16) ** 2 < 1
            picture[mouth & (y > 196)] = (160, 76, 76)
            r, g, b = picture[..., 0], picture[..., 1], picture[..., 2]
            luma = 0.299 * r + 0.587 * g + 0.114 * b
            planes = [luma, (128 + 0.564 * (b - luma))[::2, ::2], (128 + 0.713 * (r - luma))[::2, ::2]]
            out.write(
                b"FRAME\n" + b"".join(plane.clip(0, 255).astype(np.uint8).tobytes() for plane in planes)
            )
    return path


class Camera:
    """Takes each picture in light, dark, and narrow."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def shoot(self, page: Page, name: str, narrow: bool = True) -> None:
        page.bring_to_front()
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.wait_for_timeout(150)
            page.screenshot(path=self.folder / f"{name}-{scheme}.png")
        page.emulate_media(color_scheme="light", reduced_motion="reduce")
        if narrow:
            page.set_viewport_size(NARROW)
            page.wait_for_timeout(250)
            page.screenshot(path=self.folder / f"{name}-narrow.png")
            page.set_viewport_size(WIDE)
            page.wait_for_timeout(150)


def enter(browser: Browser, demo: Demo, person: str, camera: Camera | None) -> tuple[Page, Page]:
    """Course page and room of one person."""
    context = browser.new_context(viewport=WIDE)
    context.set_default_timeout(30_000)
    course = context.new_page()
    course.goto(f"{demo.lms_url}/site/bio101/tool/room?as={person}")
    button = course.frame_locator(FRAME).get_by_test_id("open-room")
    button.wait_for()
    if camera:
        camera.shoot(course, "01-lobby")
    with context.expect_page() as opened:
        button.click()
    room = opened.value
    room.get_by_test_id("join").wait_for()
    if camera:
        room.wait_for_timeout(800)
        camera.shoot(room, "02-check")
    room.get_by_test_id("join").click()
    room.get_by_test_id("toggle-mic").wait_for()
    return course, room


def walk(browsers: dict[str, Browser], demo: Demo, camera: Camera) -> None:
    course, alice = enter(browsers["alice"], demo, "alice", camera)
    _, bob = enter(browsers["bob"], demo, "bob", None)
    _, bea = enter(browsers["bea"], demo, "bea", None)
    for page in (alice, bob, bea):
        page.locator("[data-video='on']").nth(2).wait_for()
    # One voice, as in a lesson: the others listen.
    bob.get_by_test_id("toggle-mic").click()
    bea.get_by_test_id("toggle-mic").click()
    alice.wait_for_timeout(1500)
    camera.shoot(alice, "03-room")
    alice.get_by_test_id("toggle-people").click()
    alice.locator("[data-testid^='actions-']").last.click()
    camera.shoot(alice, "04-people", narrow=False)
    alice.keyboard.press("Escape")
    alice.get_by_test_id("toggle-chat").click()
    alice.locator(".chat-form input").fill("Welcome, everybody!")
    alice.keyboard.press("Enter")
    alice.wait_for_timeout(400)
    camera.shoot(alice, "04-chat")
    alice.get_by_test_id("toggle-chat").click()
    alice.get_by_test_id("more").click()
    camera.shoot(alice, "05-more")
    alice.get_by_test_id("menu-breakout").click()
    alice.get_by_test_id("breakout-count").fill("2")
    camera.shoot(alice, "05-setup")
    alice.get_by_test_id("breakout-continue").click()
    alice.get_by_test_id("start-breakout").wait_for()
    camera.shoot(alice, "06-dashboard-before")
    alice.get_by_test_id("start-breakout").click()
    bob.get_by_test_id("countdown").wait_for()
    bob.bring_to_front()
    bob.screenshot(path=camera.folder / "07-countdown-light.png")
    bob.get_by_test_id("call-moderator").wait_for()
    bob.get_by_test_id("call-moderator").click()
    alice.locator("[data-testid^='call-join-']").first.wait_for()
    camera.shoot(alice, "06-dashboard-running")
    camera.shoot(bob, "08-participant-breakout")
    alice.locator("[data-testid^='call-join-']").first.click()
    alice.keyboard.press("Escape")
    alice.wait_for_timeout(1500)
    if alice.get_by_test_id("dashboard").count():
        alice.get_by_test_id("dashboard").press("Escape")
    # All three in one room for the picture: the moderator moves the third beside them.
    room_id = str(alice.evaluate("() => window.__sideroom.state.you.room_id"))
    bea_id = str(bea.evaluate("() => window.__sideroom.state.you.person_id"))
    alice.get_by_test_id("toggle-people").click()
    if bea_id:
        alice.get_by_test_id(f"actions-{bea_id}").click()
        name = str(alice.evaluate("(id) => window.__sideroom.state.rooms[id].name", room_id))
        alice.get_by_role("menuitem", name=f"Move to {name}").click()
    alice.wait_for_timeout(9000)
    camera.shoot(alice, "08-room-breakout")
    alice.get_by_test_id("toggle-people").click()
    alice.get_by_test_id("more").click()
    alice.get_by_test_id("menu-record").click()
    alice.get_by_test_id("confirm-start-recording").wait_for()
    camera.shoot(alice, "09-record-ask", narrow=False)
    alice.get_by_test_id("confirm-start-recording").click()
    bob.get_by_test_id("confirm-recorded").wait_for()
    camera.shoot(bob, "09-record-told")
    bob.get_by_test_id("confirm-recorded").click()
    alice.get_by_test_id("confirm-recorded").click()
    bob.get_by_test_id("more").click()
    bob.get_by_test_id("menu-settings").click()
    bob.get_by_test_id("settings-decline").click()
    camera.shoot(bob, "09-settings")
    bob.keyboard.press("Escape")
    alice.get_by_test_id("more").click()
    alice.get_by_test_id("menu-layout").click()
    alice.get_by_test_id("layout-speaker").click()
    camera.shoot(alice, "09-layout", narrow=False)
    alice.keyboard.press("Escape")
    alice.wait_for_timeout(6000)
    camera.shoot(alice, "10-recording-moderator")
    camera.shoot(bob, "10-recording-participant", narrow=False)
    alice.get_by_test_id("stop-recording").click()
    alice.get_by_test_id("confirm-stop-recording").click()
    bob.evaluate("() => { document.documentElement.dir = 'rtl'; document.documentElement.lang = 'ar'; }")
    camera.shoot(bob, "11-rtl", narrow=True)
    slack = course.context.new_page()
    slack.goto(f"{demo.slack_url}/?user=U0ALICE&channel=C0BIO101MOD")
    slack.locator("#text").fill("/breakout")
    slack.locator("#text").press("Enter")
    slack.locator("dialog[open]").wait_for()
    camera.shoot(slack, "18-slack-modal")
    slack.keyboard.press("Escape")
    camera.shoot(slack, "17-slack")
    slack.close()
    course.goto(f"{demo.lms_url}/site/bio101/tool/mymedia?as=alice")
    media = course.frame_locator(FRAME)
    ready = media.locator("[data-testid='entry-card'][data-status='ready']")
    ready.first.wait_for(timeout=90_000)
    camera.shoot(course, "12-my-media")
    ready.first.click()
    media.get_by_test_id("player").wait_for()
    course.wait_for_timeout(800)
    camera.shoot(course, "13-entry")
    course.goto(f"{demo.lms_url}/site/bio101/tool/gallery?as=alice")
    media.get_by_test_id("entry-card").first.wait_for()
    camera.shoot(course, "14-gallery", narrow=False)
    media.get_by_test_id("tab-folder").click()
    media.get_by_test_id("entry-card").first.wait_for(timeout=120_000)
    camera.shoot(course, "15-folder", narrow=False)
    action = f"{demo.settings.base_url}/lti/launch"
    course.set_content(
        f"<form method='post' action='{action}'><input name='id_token' value='x'><button>Go</button></form>"
    )
    course.get_by_role("button").click()
    course.wait_for_load_state()
    camera.shoot(course, "16-bad-launch")


def lti_pages(browser: Browser, demo: Demo, camera: Camera, films: dict[str, Path]) -> None:
    """Inserting into Lessons, a launch without cookies and storage, and a registration."""
    context = browser.new_context(viewport=WIDE)
    context.set_default_timeout(30_000)
    page = context.new_page()
    page.goto(f"{demo.lms_url}/site/bio101/tool/room?as=alice")
    frame = page.frame_locator(FRAME)
    frame.get_by_test_id("show-roles").click()
    frame.get_by_test_id("role-learner").wait_for()
    camera.shoot(page, "20-lobby")
    page.goto(f"{demo.lms_url}/site/bio101/insert/editor?as=alice")
    for title, film in films.items():
        frame.get_by_test_id("upload-file").set_input_files(film)
        frame.locator(f"[data-testid='choice'][data-title='{title}']").wait_for()
    for title in list(films)[:2]:
        frame.locator(f"[data-testid='choice'][data-title='{title}']").get_by_test_id("pick").click()
    camera.shoot(page, "21-selector")
    frame.get_by_test_id("tab-room").click()
    camera.shoot(page, "22-selector-room")
    page.goto(f"{demo.lms_url}/site/bio101/tool/room?as=alice&storage=off")
    frame.get_by_role("button", name="Continue as Alice Moreau").wait_for()
    camera.shoot(page, "23-confirm")
    context.close()


def encoded(portrait_file: Path, path: Path) -> Path:
    """A drawn sitter as an MP4, as a teacher may upload it."""
    with av.open(str(portrait_file)) as source, av.open(str(path), "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=15)
        stream.width, stream.height, stream.pix_fmt = 640, 360, "yuv420p"
        for frame in source.decode(video=0):
            out.mux(
                stream.encode(av.VideoFrame.from_ndarray(frame.to_ndarray(format="rgb24"), format="rgb24"))
            )
        out.mux(stream.encode(None))
    return path


def main(folder: Path, only_lti: bool) -> int:
    with tempfile.TemporaryDirectory() as data:
        demo = free_demo(Path(data))
        prepare_database(demo)
        supervisor = Supervisor([*programs(demo.settings), *practice_programs(demo)], Path(data) / "logs")
        supervisor.start()
        try:
            late = wait_ready([f"{demo.settings.base_url}/healthz", demo.lms_url, demo.slack_url], 90)
            if late is not None:
                print(f"{late} did not answer.", file=sys.stderr)
                return 1
            with sync_playwright() as playwright:
                browsers, films = {}, {}
                names = ("Cell division", "Photosynthesis", "Questions of week 4")
                for sitter, title in zip(SITTERS, names, strict=True):
                    film = portrait(Path(data) / f"{sitter}.y4m", sitter)
                    films[title] = encoded(film, Path(data) / f"{title}.mp4")
                    args = [*FLAGS, f"--use-file-for-fake-video-capture={film}"]
                    browsers[sitter] = playwright.chromium.launch(
                        executable_path="/usr/bin/chromium", args=args
                    )
                lti_pages(browsers["alice"], demo, Camera(folder), films)
                if not only_lti:
                    walk(browsers, demo, Camera(folder))
                for browser in browsers.values():
                    browser.close()
        finally:
            supervisor.stop()
    return 0


if __name__ == "__main__":
    words = [word for word in sys.argv[1:] if word != "--lti"]
    sys.exit(main(Path(words[0] if words else "var/screenshots"), "--lti" in sys.argv[1:]))
