"""Linking from the course page: code, Sign in with Slack, what is linked, disconnect, the audit list. A Flask blueprint.

The page's bearer token says who asks; Slack's ID token says which Slack user is in the same browser.
"""

from __future__ import annotations

import logging
import secrets

from flask import Blueprint, Response, jsonify, request
from werkzeug.wrappers import Response as BaseResponse

from bot import identity_links
from bot.ask import Asker, SlackRefusal
from bot.identity import Identity
from bot.identity_names import SlackNames
from bot.identity_openid import OpenId, SignInFailed
from bot.install import Workspaces
from bot.pages import confirm_form, page
from bot.settings import BotSettings
from models.store import access as tokens
from models.store import people, slack, slack_inbox, slack_people
from models.store.access import Access, hash_secret
from models.store.database import Database
from models.store.slack_install import STATE_LIFE, State, new_state, take_state
from models.values import PersonId, Role
from rooms.errors import DomainError

log = logging.getLogger("sideroom.bot")
COOKIE = "sideroom_slack"
COOKIE_LIFE_S = int(STATE_LIFE.total_seconds())
AGAIN = "Go back to the course page and press Sign in with Slack again."
SHOWN = 30
"""Lines of the audit list in the page."""


def create_blueprint(settings: BotSettings, db: Database, *, enabled: bool) -> Blueprint:
    """``/app/api/slack…`` (docs/page-api.md §2) and the pages Slack sends browsers back to."""
    blueprint = Blueprint("slack_identity", __name__)
    door = _Door(settings, db, enabled)
    route = blueprint.add_url_rule
    route("/app/api/slack", "slack", door.overview)
    route("/app/api/slack/code", "slack_code", door.code, methods=["POST"])
    route("/app/api/slack/signin", "slack_signin", door.sign_in, methods=["POST"])
    route("/app/api/slack/link", "slack_unlink", door.unlink, methods=["DELETE"])
    route("/slack/openid_redirect", "openid_redirect", door.came_back)
    route("/slack/openid_confirm", "openid_confirm", door.confirmed, methods=["POST"])
    blueprint.register_error_handler(DomainError, _domain_error)
    return blueprint


def _domain_error(error: DomainError) -> tuple[Response, int]:
    body = {"error": {"code": error.code, "message": error.message, "facts": error.facts}}
    return jsonify(body), error.http_status


class _Door:
    def __init__(self, settings: BotSettings, db: Database, enabled: bool) -> None:
        self._settings = settings
        self._db = db
        self._enabled = enabled
        self._workspaces = Workspaces(settings, db)
        self._identity = Identity(settings, db, self._workspaces)
        self._openid = OpenId(settings)
        self._names = SlackNames(self._workspaces)

    # -- the page's calls --------------------------------------------------------------------------------------

    def _access(self) -> Access:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        found = tokens.check_token(self._db, token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            raise DomainError("unauthenticated")
        return found

    def _need_slack(self) -> None:
        if not self._enabled:
            raise DomainError("not_allowed", "Slack isn’t set up here. Ask your administrator.")

    def overview(self) -> Response:
        """What is linked, and what was done from Slack: by the person, and for moderators in the course's channels."""
        access = self._access()
        course_id = access.course_id if access.role is Role.MODERATOR else None
        done = slack_people.audit_of(self._db, person_id=access.person_id, course_id=course_id, limit=SHOWN)
        return jsonify(
            {
                "enabled": self._enabled,
                "can_sign_in": self._enabled and self._settings.can_sign_in,
                "links": [
                    {
                        "team_id": link.team_id,
                        "team": self._workspaces.name_of(link.team_id),
                        "user_id": link.user_id,
                        "name": "" if link.suspended else self._names.of(link.team_id, link.user_id),
                        "linked_at": link.linked_at.isoformat(),
                        "suspended": link.reason if link.suspended else "",
                    }
                    for link in slack_people.links_of(self._db, access.person_id)
                ],
                "actions": [
                    {
                        "at": line.at.isoformat(),
                        "who": self._who(line.person_id, line.user_id),
                        "mine": line.person_id == access.person_id,
                        "action": line.action,
                        "channel": line.channel_id,
                        "result": line.result,
                    }
                    for line in done
                ],
            }
        )

    def _who(self, person_id: str | None, user_id: str) -> str:
        person = people.get_person(self._db, person_id) if person_id else None
        return person.name if person is not None and person.name else user_id

    def _linkable(self) -> Access:
        """The access of somebody who can be linked. Raises DomainError."""
        access = self._access()
        if people.is_preview(self._db, access.course_id, access.person_id):
            raise DomainError(
                "not_allowed", "A preview can’t be connected to Slack. Leave the preview in the LMS first."
            )
        return access

    def code(self) -> Response:
        access = self._linkable()
        self._need_slack()
        return jsonify({"code": slack.issue_code(self._db, access.person_id), "expires_s": 600})

    def sign_in(self) -> Response:
        """The address of Slack's page; its state stands for this person, once, for ten minutes."""
        access = self._linkable()
        self._need_slack()
        if not self._settings.can_sign_in:
            raise DomainError("not_allowed", "Sign in with Slack isn’t set up here. Use a code instead.")
        nonce = secrets.token_urlsafe(24)
        state = State(
            "signin",
            person_id=access.person_id,
            course_id=access.course_id,
            nonce_hash=hash_secret(nonce),
        )
        url = self._openid.authorize_url(new_state(self._db, state), nonce)
        return jsonify({"url": url, "expires_s": COOKIE_LIFE_S})

    def unlink(self) -> tuple[str, int]:
        team_id = request.args.get("team_id", "")[:40]
        identity_links.disconnect(self._db, self._access().person_id, "page", team_id)
        return "", 204

    # -- the browser's way back --------------------------------------------------------------------------------

    def came_back(self) -> BaseResponse:
        """From Slack's page: find out who it is, then ask. Nothing is linked before the button is pressed here.

        Whoever was sent somebody else's address of Slack's page reads whose course account it would be.
        """
        state = take_state(self._db, "signin", request.args.get("state", "")[:200])
        if state is None:
            return page("This sign-in has ended", f"It was already used or has expired. {AGAIN}", status=403)
        if request.args.get("error"):
            return page("Not connected", f"You didn’t allow access in Slack. {AGAIN}", status=403)
        try:
            found = self._openid.signed_in(request.args.get("code", "")[:500], state.nonce_hash)
            self._check(found.team_id, found.user_id, state)
        except SignInFailed as failed:
            log.warning("slack.sign_in_failed code=%s", failed.code)
            return page("Not connected", f"{failed.text} {AGAIN}", status=403)
        except SlackRefusal as refused:
            slack_inbox.audit(self._db, "", state.person_id, "connect by sign-in", "", refused.code)
            return page("Not connected", refused.text, status=403)
        browser = secrets.token_urlsafe(24)
        secret = new_state(
            self._db,
            State(
                "confirm",
                person_id=state.person_id,
                course_id=state.course_id,
                team_id=found.team_id,
                user_id=found.user_id,
                browser_hash=hash_secret(browser),
            ),
        )
        answer = page(
            "Connect Slack?",
            f"The Slack user “{found.name}” of “{found.team_name}” will act as {self._person(state)}. "
            "Continue only if both accounts are yours and you’ve just pressed Sign in with Slack in the course page.",
            form=confirm_form("/slack/openid_confirm", secret, "Connect"),
        )
        answer.set_cookie(
            COOKIE,
            browser,
            max_age=COOKIE_LIFE_S,
            secure=self._settings.base_url.startswith("https:"),
            httponly=True,
            # Lax, not Strict: some browsers count the form of a page that another site led to as that site's.
            samesite="Lax",
            path="/slack",
        )
        return answer

    def _person(self, state: State) -> str:
        person = people.get_person(self._db, state.person_id)
        course = people.get_course(self._db, state.course_id)
        name = person.name if person is not None and person.name else "your course account"
        return f"“{name}” in the course “{course.title}”" if course is not None else f"“{name}”"

    def _check(self, team_id: str, user_id: str, state: State) -> None:
        if self._workspaces.find(team_id) is None:
            raise SlackRefusal(
                "external_refused",
                "This server doesn’t work with the Slack workspace you signed in to. Sign in to your course’s workspace.",
            )
        self._identity.check_link(Asker(team_id, user_id, "", ""), PersonId(state.person_id))

    def confirmed(self) -> BaseResponse:
        """The button: only in the browser that came back from Slack, once."""
        state = take_state(self._db, "confirm", request.form.get("state", "")[:200])
        browser = request.cookies.get(COOKIE, "")
        if state is None or not browser or hash_secret(browser) != state.browser_hash:
            return page("This sign-in has ended", f"It was already used or has expired. {AGAIN}", status=403)
        identity_links.connect(self._db, state.team_id, state.user_id, state.person_id, "sign-in")
        log.info("slack.connected how=sign-in")
        answer = page("Connected", "You can close this window and type /room status in Slack.")
        answer.delete_cookie(COOKIE, path="/slack")
        return answer
