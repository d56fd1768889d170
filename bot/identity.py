"""Who stands behind a Slack request, and whether they may act at all: linked, of this workspace, no bot, not deactivated.

What somebody may do in a course is decided by their role there (``rooms``); here is only what Slack knows about them.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from bot.ask import Asker, SlackRefusal
from bot.install import Workspaces
from bot.outcomes import SlackFailure, ask
from bot.settings import BotSettings
from models.store import people, slack_people
from models.store.database import Database
from models.store.slack_people import Standing
from models.values import PersonId, Role

log = logging.getLogger("sideroom.bot")
FRESH = timedelta(minutes=5)
USABLE = timedelta(hours=24)
"""Older than FRESH it is used and asked anew in the background; older than this it is asked before anything is done."""
MOST_COLLEAGUES = 10_000
NOT_CONNECTED = "Connect your course account first: open the room in your course. Under *Slack*, sign in, or press *Show code* and type `/room connect CODE`."
_SAID = {
    Standing.STRANGER: (
        "external_refused",
        "You’re in another Slack workspace. Only members of the workspace where the app is installed can run the room.",
    ),
    Standing.BOT: ("external_refused", "Apps and bots can’t run the room."),
    Standing.DEACTIVATED: (
        "not_connected",
        "This Slack account is deactivated. Ask an administrator of the workspace.",
    ),
}


def team_of(body: Mapping[str, Any]) -> str:
    """The workspace a request belongs to: where the app is installed, also for a form opened in a shared channel."""
    view = body.get("view")
    if isinstance(view, dict) and view.get("app_installed_team_id"):
        return str(view["app_installed_team_id"])
    team = body.get("team")
    if isinstance(team, dict) and team.get("id"):
        return str(team["id"])
    if isinstance(team, str) and team:
        return team
    # An event in a shared channel names the other side outside and, here, the installation that hears of it
    # (docs.slack.dev/apis/events-api: authorizations; Bolt reads it the same way).
    granted = body.get("authorizations")
    first = granted[0] if isinstance(granted, list) and granted else None
    if isinstance(first, dict) and first.get("team_id"):
        return str(first["team_id"])
    return str(body.get("team_id") or "")


def home_of(body: Mapping[str, Any]) -> str:
    """The workspace of who acts, if the request tells: another one of the same organisation, or of a stranger."""
    user = body.get("user")
    if isinstance(user, dict) and user.get("team_id"):
        return str(user["team_id"])
    view, team = body.get("view"), body.get("team")
    if isinstance(view, dict) and view.get("app_installed_team_id") and isinstance(team, dict):
        return str(team.get("id") or "")
    return ""


def standing_of(user: Mapping[str, Any], team_id: str) -> Standing:
    """What Slack's user object says. A guest is one of a single or of several channels.

    In an Enterprise organisation ``team_id`` is the home workspace; ``enterprise_user.teams`` are all that they belong to
    (docs.slack.dev/reference/objects/user-object).
    """
    if user.get("deleted"):
        return Standing.DEACTIVATED
    belongs = str(user.get("team_id") or team_id) == team_id or is_of_organisation(user, team_id)
    if user.get("is_stranger") or not belongs:
        return Standing.STRANGER
    if user.get("is_bot") or user.get("is_workflow_bot") or user.get("id") == "USLACKBOT":
        return Standing.BOT
    if user.get("is_restricted") or user.get("is_ultra_restricted"):
        return Standing.GUEST
    return Standing.MEMBER


def is_of_organisation(user: Mapping[str, Any], team_id: str) -> bool:
    """Whether Slack says that this workspace is one of those that somebody belongs to in their organisation."""
    enterprise = user.get("enterprise_user")
    teams = enterprise.get("teams") if isinstance(enterprise, Mapping) else None
    return isinstance(teams, list) and team_id in teams


class Identity:
    """Looks people up; asks Slack only about those it has not heard of for a day."""

    def __init__(self, settings: BotSettings, db: Database, workspaces: Workspaces) -> None:
        self._settings = settings
        self._db = db
        self._workspaces = workspaces
        self._colleagues: dict[tuple[str, str], tuple[float, bool]] = {}
        """(workspace, user) → when Slack was asked, whether it counts them to the workspace's organisation."""

    def gate(self, asker: Asker) -> None:
        """Before every action of a linked person. Raises SlackRefusal for who may not act, whatever their role.

        Guests are let in as participants; a guest who moderates a course is refused unless the settings allow it.
        """
        if self.standing(asker) is Standing.GUEST:
            linked = slack_people.linked_person(self._db, asker.team_id, asker.user_id)
            if linked is not None:
                self._check_guest(linked[0])

    def check_link(self, asker: Asker, person_id: PersonId) -> None:
        """Before a Slack user is connected with a person; Slack is asked anew. Raises SlackRefusal."""
        if self.standing(asker, anew=True) is Standing.GUEST:
            self._check_guest(person_id)

    def _check_guest(self, person_id: PersonId) -> None:
        if not self._settings.guests_moderate and self._moderates(person_id):
            raise SlackRefusal(
                "guest_refused",
                "You’re a guest in this Slack workspace, and guests can’t run the room from Slack. Use the room’s page instead.",
            )

    def _moderates(self, person_id: PersonId) -> bool:
        return any(
            people.membership_role(self._db, course.course_id, person_id) is Role.MODERATOR
            for course in people.courses_of(self._db, person_id)
        )

    def standing(self, asker: Asker, *, anew: bool = False) -> Standing:
        """Member or guest; everybody else is refused. ``anew``: Slack is asked now, as before a new link.

        Raises SlackRefusal, also when Slack cannot be asked.
        """
        if asker.is_outside and not self._is_colleague(asker.team_id, asker.user_id):
            raise SlackRefusal(*_SAID[Standing.STRANGER])
        known = None if anew else slack_people.known(self._db, asker.team_id, asker.user_id)
        age = datetime.now(UTC) - known.checked_at if known is not None else USABLE
        if known is None or age >= USABLE:
            found = self.look_up(asker.team_id, asker.user_id)
        else:
            found = known.standing
            if age >= FRESH:
                slack_people.want(self._db, asker.team_id, asker.user_id)
        if found in _SAID:
            raise SlackRefusal(*_SAID[found])
        return found

    def _is_colleague(self, team_id: str, user_id: str) -> bool:
        """Whether somebody whose home is another workspace belongs to this one too, as Slack says.

        Asked at most every FRESH; while Slack does not answer, what it said last is used. Raises SlackRefusal.
        """
        known = self._colleagues.get((team_id, user_id))
        if known is not None and time.monotonic() - known[0] < FRESH.total_seconds():
            return known[1]
        try:
            self.look_up(team_id, user_id)
        except SlackRefusal:
            if known is None or time.monotonic() - known[0] >= USABLE.total_seconds():
                raise
            return known[1]
        return self._colleagues.get((team_id, user_id), (0.0, False))[1]

    def look_up(self, team_id: str, user_id: str) -> Standing:
        """Ask Slack now (2 s at most) and remember. Raises SlackRefusal when Slack does not answer."""
        client = self._workspaces.client(team_id)
        if client is None:
            raise SlackRefusal("not_connected", "The app is no longer installed in this workspace.")
        try:
            user = ask(lambda: client.users_info(user=user_id)).get("user")
        except SlackFailure as failure:
            if failure.code not in ("user_not_found", "user_not_visible"):
                raise self._silent(str(failure)) from failure
            user, standing = {}, Standing.STRANGER
        else:
            if not isinstance(user, dict) or not user.get("id"):
                raise self._silent("no user in the answer")
            standing = standing_of(user, team_id)
        if len(self._colleagues) >= MOST_COLLEAGUES:
            self._colleagues.clear()
        self._colleagues[team_id, user_id] = (time.monotonic(), is_of_organisation(user, team_id))
        slack_people.remember(self._db, team_id, user_id, standing)
        return standing

    @staticmethod
    def _silent(why: str) -> SlackRefusal:
        log.warning("slack.user_unknown error=%s", why)
        return SlackRefusal("slack_unreachable", "Slack didn’t say who you are. Try again.")
