"""Dynamic registration: an LMS registers itself with a one-time link that an administrator of ours made.

1EdTech LTI Dynamic Registration 1.0, with Sakai's ways (its ``scopes_supported`` may list only ``openid``; a POST needs
the bearer token; each tool is a registration of its own with one launch address).
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

from foundation.address import is_same_server
from lti.errors import LaunchRefused
from lti.outside import NoAnswer, ask
from models.store import lti as store
from models.store.database import Database
from models.store.lti import Platform

log = logging.getLogger("sideroom.lti")
TIMEOUT_S = 10
MAX_BYTES = 300_000
TOOL_CONFIGURATION = "https://purl.imsglobal.org/spec/lti-tool-configuration"
PLATFORM_CONFIGURATION = "https://purl.imsglobal.org/spec/lti-platform-configuration"
_AGS = "https://purl.imsglobal.org/spec/lti-ags/scope/"
_ROSTER = "https://purl.imsglobal.org/spec/lti-nrps/scope/contextmembership.readonly"
_GROUPS = "https://purl.imsglobal.org/spec/lti-gs/scope/contextgroup.readonly"
SCOPES: dict[str, tuple[str, ...]] = {
    "room": (_AGS + "lineitem", _AGS + "score", _ROSTER, _GROUPS),
    "gallery": (),
    "mymedia": (),
    # Rooms that it inserts with points score attendance in their column.
    "selector": (_AGS + "lineitem", _AGS + "score"),
}
"""What each tool asks for, whatever ``scopes_supported`` says; each call then asks only what its launch offered."""
_NAMES = ("iss", "sub", "name", "given_name", "family_name", "locale")
CLAIMS = {
    # Slack users are found by their address.
    "room": (*_NAMES, "email"),
    "gallery": _NAMES,
    "mymedia": _NAMES,
    "selector": _NAMES,
}
CUSTOM = {
    "context_id_history": "$Context.id.history",
    "resource_link_id_history": "$ResourceLink.id.history",
    "context_timezone": "$Context.timezone",
}
"""Course copies are learnt from these; values are texts, and Sakai reads them only inside a message."""
TITLES = {
    "room": ("Room", "Live room with breakouts and recording."),
    "gallery": ("Media Gallery", "The course’s recordings."),
    "mymedia": ("My Media", "Your own recordings, across all courses."),
    "selector": ("Insert media or a room", "Choose a recording, a gallery or a room to insert."),
}
_LINK, _DEEP, _PRIVACY = "LtiResourceLinkRequest", "LtiDeepLinkingRequest", "LtiDataPrivacyLaunchRequest"
MESSAGES = {
    "room": (_LINK,),
    "gallery": (_LINK,),
    "mymedia": (_LINK, _PRIVACY),
    "selector": (_DEEP,),
}
"""Sakai takes the launch address of the first message, and ticks placements by the types: a tool without a resource link
launch cannot be put into a site's navigation, one without deep linking does not stand among Assignments' tools."""


def addresses(base_url: str, app: str = "") -> dict[str, str]:
    """What an administrator pastes into an LMS, by the names of 1EdTech. ``app``: for this tool, which has its own login."""
    return {
        "login": f"{base_url}/lti/login{'/' + app if app else ''}",
        "launch": f"{base_url}/lti/launch",
        "redirect": f"{base_url}/lti/launch",
        "deep_linking": f"{base_url}/lti/launch",
        "jwks": f"{base_url}/lti/jwks.json",
    }


def invitation(db: Database, base_url: str, app: str) -> str:
    """A link that one LMS administrator may use once within a day to register ``app``. Raises ValueError."""
    query = urlencode({"app": app, "invite": store.make_invite(db, app)})
    return f"{base_url}/lti/register?{query}"


def register(db: Database, base_url: str, params: Mapping[str, str]) -> Platform:
    """Answer the LMS's registration request and remember the platform. Raises LaunchRefused.

    The invitation is used up by a registration that worked; one that failed may be tried again.
    """
    app, invite = params.get("app", ""), params.get("invite", "")
    url = params.get("openid_configuration", "")
    if app not in store.APPS:
        raise LaunchRefused(
            "registration",
            "This registration link isn’t complete.",
            "app must be one of " + ", ".join(store.APPS),
        )
    if not url:
        raise LaunchRefused(
            "registration",
            "This link is for the LMS’s registration form, not for the browser.",
            "openid_configuration is missing; paste the link where the LMS asks for a registration URL",
        )
    if not 0 < len(invite) <= 200 or not store.use_invite(db, invite, app):
        raise LaunchRefused(
            "invite",
            "This registration link was already used, has expired or is for another tool.",
            "create a new one: sideroom lti invite",
        )
    try:
        platform = _exchange(db, base_url, app, url, params.get("registration_token", ""))
    except BaseException:
        store.give_invite_back(db, invite)
        raise
    log.info("lti.registered platform_id=%d app=%s", platform.id, app)
    return platform


def _exchange(db: Database, base_url: str, app: str, url: str, token: str) -> Platform:
    _check_address(url, base_url, "openid_configuration")
    configuration = _call("GET", url, "its configuration couldn’t be read")
    issuer = _address(configuration, "issuer", base_url)
    if not is_same_server(issuer, url):
        # Sakai echoes the issuer out of the address, so this comparison is what tells who really speaks.
        raise LaunchRefused(
            "registration",
            "The LMS’s issuer doesn’t match its registration address.",
            "issuer and openid_configuration must be on the same host",
        )
    endpoint = _address(configuration, "registration_endpoint", base_url)
    answer = _call(
        "POST",
        endpoint,
        "it didn’t accept the registration",
        json=tool(base_url, app),
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )
    client_id = answer.get("client_id")
    if not isinstance(client_id, str) or not 0 < len(client_id) <= 255:
        raise LaunchRefused(
            "registration", "The LMS’s answer can’t be used.", "client_id is missing in its answer"
        )
    given = answer.get(TOOL_CONFIGURATION)
    deployment = given.get("deployment_id") if isinstance(given, dict) else None
    about = configuration.get(PLATFORM_CONFIGURATION)
    product = about.get("product_family_code") if isinstance(about, dict) else None
    platform = store.add_platform(
        db,
        issuer=issuer,
        client_id=client_id,
        auth_login_url=_address(configuration, "authorization_endpoint", base_url),
        auth_token_url=_address(configuration, "token_endpoint", base_url),
        jwks_url=_address(configuration, "jwks_uri", base_url),
        app=app,
        name=f"{str(product or 'LMS')[:60]} {urlsplit(issuer).netloc}: {TITLES[app][0]}",
        deployments=[str(deployment)] if isinstance(deployment, str | int) and deployment != "" else [],
        accept_new=True,
    )
    return platform


def tool(base_url: str, app: str) -> dict[str, Any]:
    """The registration that we send: one launch address that handles every message of the tool."""
    title, description = TITLES[app]
    launch = f"{base_url}/lti/launch"
    messages = [
        {"type": kind, "target_link_uri": launch, "label": title, "custom_parameters": CUSTOM}
        | (
            {"placements": ["lessonsselection", "contenteditor", "assessmentselection"]}
            if kind == _DEEP
            else {}
        )
        for kind in MESSAGES[app]
    ]
    return {
        "application_type": "web",
        "response_types": ["id_token"],
        "grant_types": ["implicit", "client_credentials"],
        "initiate_login_uri": addresses(base_url, app)["login"],
        "redirect_uris": [launch],
        "client_name": title,
        "description": description,
        "jwks_uri": f"{base_url}/lti/jwks.json",
        "token_endpoint_auth_method": "private_key_jwt",
        "scope": " ".join(("openid", *SCOPES[app])),
        TOOL_CONFIGURATION: {
            "domain": urlsplit(base_url).netloc,
            "description": description,
            "target_link_uri": launch,
            "custom_parameters": CUSTOM,
            "claims": list(CLAIMS[app]),
            "messages": messages,
        },
    }


def _address(configuration: Mapping[str, Any], name: str, base_url: str) -> str:
    value = configuration.get(name)
    return _check_address(value if isinstance(value, str) else "", base_url, name)


def _check_address(url: str, base_url: str, name: str) -> str:
    parts = urlsplit(url)
    # Plain HTTP only where we ourselves are on it: a practice installation.
    schemes = ("https",) if base_url.startswith("https:") else ("https", "http")
    if parts.scheme not in schemes or not parts.hostname or parts.username is not None or len(url) > 2000:
        raise LaunchRefused(
            "registration", "The LMS gave an address that can’t be used.", f"{name} must be an https address"
        )
    return url


def _call(method: str, url: str, problem: str, **kwargs: Any) -> dict[str, Any]:
    """The JSON object that an LMS answers with. No redirects: the address was checked, another one was not."""
    try:
        status, _, body = ask(
            method,
            url,
            timeout=TIMEOUT_S,
            deadline_s=2 * TIMEOUT_S,
            max_bytes=MAX_BYTES,
            allow_redirects=False,
            **kwargs,
        )
        data = json.loads(body) if status in (200, 201) else None
    except (NoAnswer, ValueError, RecursionError) as error:
        reason = str(error) if isinstance(error, NoAnswer) else "no JSON"
        raise LaunchRefused(
            "registration", "The LMS can’t be reached from this server.", f"{problem} ({reason})"
        ) from error
    if not isinstance(data, dict):
        raise LaunchRefused("registration", "The LMS refused.", f"{problem} (status {status})")
    return data
