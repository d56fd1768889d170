"""The LTI door: login, launch, registration, deep linking, keyset. A Flask blueprint.

It authenticates, finds the actor and renders; what may happen in a session is decided by ``rooms``. What the opened
pages then ask for stands in ``lti.lobby``.
"""

from __future__ import annotations

import json
import logging
import secrets
from urllib.parse import urlencode, urlsplit

import jwt
from flask import Blueprint, Response, jsonify, redirect, request
from werkzeug.exceptions import HTTPException
from werkzeug.wrappers import Response as BaseResponse

from foundation.address import origin
from foundation.text import clean
from lti import browser, claims, deeplinking, keys, lobby, messages, pages, registration, shell
from lti import launch as launches
from lti.browser import Verdict
from lti.deps import LtiDeps, ancestors
from lti.errors import LaunchRefused
from lti.launch import Launch
from lti.roles import is_workspace, role_of
from lti.selector import content_items
from lti.services.note import note_launch
from models.store import access as tokens
from models.store import deeplinks, people
from models.store import lti as store
from models.store.access import Access
from models.values import Role
from rooms.errors import DomainError

log = logging.getLogger("sideroom.lti")
PAGES = {"room": "lobby", "gallery": "gallery", "mymedia": "mymedia", "selector": "mymedia"}
TITLES = {
    "lobby": "Room",
    "gallery": "Media Gallery",
    "mymedia": "My Media",
    "entry": "Recording",
    "selector": "Insert",
}
AGAIN = (
    "Go back to the course page and open the tool again. If it happens again, tell your administrator this:"
)


def create_blueprint(deps: LtiDeps) -> Blueprint:
    """Routes of docs/page-api.md §1 and the lobby's part of §2."""
    blueprint = Blueprint("lti", __name__)
    door = _Door(deps)
    route = blueprint.add_url_rule
    route("/lti/login", "login", door.login, methods=["GET", "POST"])
    route("/lti/login/<app>", "login_of", door.login, methods=["GET", "POST"])
    route("/lti/launch", "launch", door.launch, methods=["POST"])
    route("/lti/launch", "launch_by_hand", door.launch_by_hand, methods=["GET"])
    route("/lti/deeplink", "deeplink", door.deep_link, methods=["POST"])
    route("/lti/register", "register", door.register)
    route("/lti/jwks.json", "jwks", door.jwks)
    route("/lti/config.json", "config", door.config)
    lobby.add_routes(blueprint, deps)
    blueprint.register_error_handler(DomainError, _domain_error)
    blueprint.register_error_handler(Exception, _unexpected)
    return blueprint


def _domain_error(error: DomainError) -> tuple[Response, int]:
    body = {"error": {"code": error.code, "message": error.message, "facts": error.facts}}
    return jsonify(body), error.http_status


def _unexpected(error: Exception) -> BaseResponse | HTTPException:
    if isinstance(error, HTTPException):
        return error
    reference = secrets.token_hex(4)
    log.error("lti.failed reference=%s", reference, exc_info=error)
    return shell.message(
        "Something went wrong on our side",
        "Go back to the course page and open the tool again. If it happens again, tell your administrator.",
        status=500,
        detail=f"Reference for the log: {reference}",
    )


class _Door:
    def __init__(self, deps: LtiDeps) -> None:
        self._deps = deps
        self._db = deps.db

    # -- login and launch --------------------------------------------------------------------------------------

    def login(self, app: str = "") -> BaseResponse:
        """OIDC login initiation (GET from Sakai, POST from others), also at an address for each tool."""
        cookie = request.cookies.get(browser.COOKIE, "")
        try:
            begun = launches.begin(self._db, request.values.to_dict(), self._deps.base_url, cookie, app)
        except LaunchRefused as refused:
            return self._refuse(refused)
        answer: BaseResponse
        if begun.storage_target and begun.browser != cookie:
            # Whether the cookie below will come back is not known yet: keep the secret at the platform too.
            answer = pages.put_in_storage(begun, self._ancestors())
        else:
            answer = redirect(begun.url)
            answer.headers["Cache-Control"] = "no-store"
        browser.set_cookie(answer, begun.browser, secure=self._deps.secure)
        return answer

    def launch(self) -> BaseResponse:
        """The platform's POST: check it and answer with the tool's page at once (Sakai alarms after 4 s)."""
        form = request.form.to_dict()
        if "error" in form:
            return self._refuse(
                LaunchRefused(
                    "platform_error",
                    "The LMS couldn’t open this tool.",
                    f"OIDC error: {form['error'][:80]!r}",
                )
            )
        step = self._check_browser(form)
        if step is not None:
            return step
        try:
            launch = launches.finish(self._db, form, self._deps.base_url)
        except LaunchRefused as refused:
            return self._refuse(refused)
        try:
            return self._open(launch)
        except LaunchRefused as refused:
            refused.return_url = launch.return_url
            return self._refuse(refused)

    def _check_browser(self, form: dict[str, str]) -> Response | None:
        """A page in between when it is not clear that the login began in this browser; None: go on."""
        state, token = form.get("state", ""), form.get("id_token", "")
        check = store.login_browser(self._db, state) if 0 < len(state) <= 200 else None
        if check is None or len(token) > launches.MAX_TOKEN_CHARS:
            return None  # refused further on, with its reason
        verdict = browser.judge(check, request, self._deps.base_url)
        if verdict is Verdict.KNOWN:
            return None
        fields = {"id_token": token, "state": state}
        action = f"{self._deps.base_url}/lti/launch"
        platform = store.get_platform(self._db, check.platform_id)
        if verdict is Verdict.ASK_STORAGE and platform is not None:
            there = origin(platform.auth_login_url)
            return pages.ask_storage(check.storage_target, there, fields, action, self._ancestors())
        log.info("lti.asked_person platform_id=%d", check.platform_id)
        return pages.ask_person(_name_in(token), fields, action, self._ancestors())

    @staticmethod
    def launch_by_hand() -> Response:
        """Somebody opened or reloaded the launch address itself."""
        text = "This page only opens from the LMS. Go to the course page and open the tool there."
        return shell.message("Open this tool from your course", text, status=400)

    def _refuse(self, refused: LaunchRefused) -> Response:
        reference = secrets.token_hex(4)
        log.warning("lti.refused reference=%s code=%s hint=%s", reference, refused.code, refused.hint)
        link = None
        if refused.return_url:
            told = {
                "lti_errormsg": refused.what,
                "lti_errorlog": f"Sideroom {reference} {refused.code}: {refused.hint}",
            }
            join = "&" if urlsplit(refused.return_url).query else "?"
            link = (f"{refused.return_url}{join}{urlencode(told)}", "Back to the course")
        return shell.message(
            refused.what,
            f"{AGAIN} {refused.hint}.",
            status=403 if refused.code != "login_incomplete" else 400,
            detail=f"Reference for the log: {reference} ({refused.code})",
            link=link,
        )

    def _open(self, launch: Launch) -> Response:
        """The page that a valid launch opens. Raises LaunchRefused when it asks for what this person may not."""
        platform = launch.platform
        seen = people.Arrival(
            issuer=platform.issuer,
            sub=launch.sub,
            name=launch.name,
            email=launch.email,
            locale=launch.locale,
            context_id=launch.context_id,
            context_title=launch.context_title,
            nrps_url=launch.nrps_url,
            platform_id=platform.id,
            lms_roles=launch.lms_roles,
            preview=bool(launch.preview),
            time_zone=launch.time_zone,
        )
        person_id, course_id, role = people.arrive(
            self._db, seen, lambda settings: role_of(launch.role_kind, lobby.roles_in(settings))
        )
        room_key = _room_key(launch)
        note_launch(self._db, platform.id, course_id, launch.context_id, role, launch.body, room_key)
        access = Access("page", person_id, course_id, role, launch.name or "Guest")
        page, access, more = self._page_of(launch, access)
        boot = {
            "page": page,
            "token": tokens.issue_token(self._db, access),
            "person": {"name": access.name},
            "course": {"title": launch.context_title},
            "role": role.value,
            "base_url": self._deps.base_url,
            "locale": launch.locale or "en",
            "admin": self._deps.lti_admins and people.is_system_administrator(self._db, course_id, person_id),
            "preview": launch.preview or None,
            **more,
        }
        log.info("lti.launched app=%s page=%s role=%s", platform.app, page, role.value)
        entry = {"lobby": "lobby", "selector": "selector"}.get(page, "library")
        # The lobby asks what its frame allows; for the other pages camera and microphone are closed anyway.
        return shell.page(
            self._deps.web_dist,
            entry,
            TITLES[page],
            boot,
            ancestors=self._ancestors(),
            media=page == "lobby",
        )

    def _page_of(self, launch: Launch, access: Access) -> tuple[str, Access, dict[str, object]]:
        """Which page, for which room, with which further boot data."""
        if launch.message_type == messages.DEEP_LINKING:
            if launch.preview:
                raise LaunchRefused(
                    "preview",
                    "A preview can’t insert anything.",
                    "leave the preview in the LMS, then insert",
                )
            return self._selector(launch, access)
        if launch.message_type == messages.PRIVACY:
            return "mymedia", access, {"privacy": True}
        found = deeplinking.linked(launch.custom)
        if is_workspace(launch.context_id):
            found = found if found is not None and found.kind == "media" else None
        if found is not None and found.kind == "media":
            if deeplinking.is_granted(
                (self._deps.link_key, *self._deps.old_link_keys), launch.platform.issuer, found
            ):
                deeplinks.share_entry(self._db, found.entry_id, access.course_id)
            return "entry", access, {"entry_id": found.entry_id}
        if is_workspace(launch.context_id):
            return "mymedia", access, {}
        if found is not None and found.kind == "gallery":
            return "gallery", access, {}
        page = "lobby" if found is not None else PAGES.get(launch.platform.app, "lobby")
        if page != "lobby":
            return page, access, {}
        room_key, title = "", launch.resource_title or "Room"
        if found is not None:
            title = launch.resource_title or found.title or "Room"
            room = deeplinks.ensure_room(
                self._db, access.course_id, found.room_key, title, found.settings.kept
            )
            room_key = room.room_key
        return "lobby", lobby.of_room(access, room_key, title), {}

    def _selector(self, launch: Launch, access: Access) -> tuple[str, Access, dict[str, object]]:
        settings = launch.body[claims.DEEP_LINKING_SETTINGS]
        asked = deeplinks.DeepLink(
            launch.platform.id, launch.deployment_id, access.course_id, access.person_id, settings
        )
        place = deeplinking.place_of(settings)
        title = settings.get("title")
        link = {
            "id": deeplinks.begin_deep_link(self._db, asked),
            "place": place.name,
            "multiple": place.multiple,
            "points": place.line_item and access.role is Role.MODERATOR,
            "title": title[:200] if isinstance(title, str) else "",
            "rooms": access.role is Role.MODERATOR and not is_workspace(launch.context_id),
            "gallery": not is_workspace(launch.context_id),
        }
        return "selector", access, {"deep_link": link}

    def _ancestors(self) -> list[str]:
        return ancestors(self._db)

    # -- deep linking ------------------------------------------------------------------------------------------

    def deep_link(self) -> Response:
        """The selector's answer (a form of our own page): signed, and sent on to the platform."""
        form = request.form
        access = tokens.check_token(self._db, form.get("token", ""))
        link_id = form.get("deep_link", "")[:200]
        asked = deeplinks.find_deep_link(self._db, link_id)
        if (
            access is None
            or asked is None
            or (asked.person_id, asked.course_id) != (access.person_id, access.course_id)
        ):
            return self._refuse(
                LaunchRefused(
                    "deep_link", "This page has expired or was already used.", "insert from the LMS again"
                )
            )
        platform = store.get_platform(self._db, asked.platform_id)
        try:
            chosen = json.loads(form.get("items", "[]")[:100_000])
            items = content_items(self._deps, access, asked, chosen)
        except (ValueError, RecursionError):
            return self._refuse(
                LaunchRefused(
                    "deep_link", "Your choice couldn’t be read.", "the selector’s items can’t be read"
                )
            )
        except DomainError as error:
            return self._refuse(LaunchRefused(error.code, error.message, "choose something else"))
        if platform is None or not deeplinks.use_deep_link(self._db, link_id):
            return self._refuse(
                LaunchRefused("deep_link", "This page was already used.", "insert from the LMS again")
            )
        note = "" if items else "Nothing was chosen."
        url, fields = deeplinking.answer(self._db, platform, asked, items, note)
        log.info("lti.deep_linked platform_id=%d items=%d", platform.id, len(items))
        return pages.send(url, fields, self._ancestors())

    # -- registration ------------------------------------------------------------------------------------------

    def register(self) -> Response:
        """The address that an LMS opens with ``openid_configuration`` and ``registration_token``."""
        try:
            platform = registration.register(self._db, self._deps.base_url, request.args.to_dict())
        except LaunchRefused as refused:
            return self._refuse(refused)
        return pages.registered(registration.TITLES[platform.app][0], self._ancestors())

    def jwks(self) -> Response:
        answer = jsonify(keys.keyset(self._db))
        answer.headers["Cache-Control"] = "public, max-age=300"
        return answer

    def config(self) -> Response:
        """The addresses an administrator pastes into the LMS."""
        base_url = self._deps.base_url
        tools = {app: registration.addresses(base_url, app) for app in store.APPS}
        return jsonify({"title": "Sideroom", "urls": registration.addresses(base_url), "tools": tools})


def _room_key(launch: Launch) -> str | None:
    """The room that the link opens; None: it opens something else."""
    if launch.message_type != messages.RESOURCE_LINK:
        return None
    found = deeplinking.linked(launch.custom)
    if found is not None:
        return found.room_key if found.kind == "room" else None
    return "" if launch.platform.app == "room" else None


def _name_in(token: str) -> str:
    """The name a token claims, only to ask “is this you?”: the token is checked after the answer."""
    try:
        body = jwt.decode(token, options={"verify_signature": False})
    except jwt.InvalidTokenError:
        return ""
    name = body.get("name")
    return clean(name, 100, most_bytes=400) if isinstance(name, str) else ""
