"""Errors a person can do something about: each has a stable code, a sentence for people and facts for programs."""

from __future__ import annotations

from typing import Final

CODES: Final[dict[str, tuple[int, str]]] = {
    # code: (HTTP status, default sentence: what happened and what to do)
    "bad_command": (
        400,
        "This request couldn’t be read. Reload the page. If it happens again, tell your administrator.",
    ),
    "bad_value": (422, "A value is out of range."),
    "not_moderator": (403, "Only moderators can do this."),
    "not_allowed": (403, "You don’t have permission to do this here. Ask a moderator."),
    "other_course": (403, "You’re not in this course. Open the room from your own course page."),
    "not_in_session": (409, "You’re no longer in this room. Open it again from your course."),
    "removed": (403, "A moderator removed you from this session."),
    "locked": (403, "A moderator locked this room. Ask them to unlock it, then open it again."),
    "sharing_off": (403, "Only moderators can share their screen here."),
    "no_session": (404, "There’s no live session here. Open the room from your course first."),
    "session_ended": (409, "This session has ended. Open the room again to start a new one."),
    "already_open": (409, "This session is already open."),
    "no_rooms": (409, "There are no breakout rooms yet. Create rooms first."),
    "already_running": (409, "A breakout is already running. End it first."),
    "not_running": (409, "No breakout is running. Start one first."),
    "closing": (409, "The breakout is ending. Wait for the countdown."),
    "no_time_limit": (409, "This breakout has no time limit."),
    "no_countdown": (409, "There’s no move left to cancel."),
    "room_occupied": (409, "There are participants in this room. Move them first."),
    "room_unknown": (404, "This room doesn’t exist. Reload the page to see the current rooms."),
    "person_unknown": (404, "This person isn’t in the session. Reload the page to see who is."),
    "call_unknown": (404, "This help call no longer exists."),
    "already_called": (409, "You’ve already called a moderator."),
    "already_claimed": (409, "Another moderator is already on the way."),
    "call_closed": (409, "This help call is already closed."),
    "already_recording": (409, "This room is already being recorded."),
    "nothing_recording": (409, "Nothing is being recorded."),
    "recording_unknown": (404, "This recording doesn’t exist, or you can’t access it."),
    "not_paused": (409, "The recording isn’t paused."),
    "already_paused": (409, "The recording is already paused."),
    "stale_report": (409, "This report is out of date."),
    "stale_alarm": (409, "This alarm is out of date."),
    "storage_unknown": (404, "This storage doesn’t exist. It may have been removed."),
    "storage_unusable": (422, "This storage can’t be used. Check its settings."),
    "conflict": (409, "Someone else changed this at the same time. Try again."),
    "course_unknown": (404, "This course doesn’t exist. Check its ID."),
    "webhook_unknown": (404, "This webhook doesn’t exist. It may have been deleted."),
    "webhook_off": (409, "This webhook is off. Turn it on first."),
    "delivery_unknown": (404, "This delivery doesn’t exist. Deliveries are kept for 30 days."),
    "too_many": (409, "You’ve reached the limit. Delete some first."),
    "still_recording": (409, "This recording isn’t finished yet. Stop it first."),
    "rate_limited": (429, "Too many requests. Wait a moment and try again."),
    "unauthenticated": (401, "Open the room from your course again."),
    "media_unavailable": (503, "Audio and video are restarting. You’ll be connected in a few seconds."),
    "internal": (500, "Something went wrong on our side. Try again."),
}
"""The one table from code to HTTP status and sentence. docs/protocol.md lists every code (checked by a test)."""


class DomainError(Exception):
    """A refusal. ``code`` is a key of ``CODES``; ``facts`` are JSON values that help a program."""

    def __init__(self, code: str, message: str | None = None, **facts: object) -> None:
        self.code = code
        self.message = message or CODES[code][1]
        self.facts = facts
        super().__init__(f"{code}: {self.message}")

    @property
    def http_status(self) -> int:
        return CODES[self.code][0]
