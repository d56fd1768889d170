"""What becomes of a call that Slack did not take: one table from Slack's error codes to what we do, each with Slack's page.

Every call of Slack goes through ``ask``, so a proxy's login page, a cut-off body and a refusal are told apart in one place.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from http.client import HTTPException
from typing import Any, Final

from slack_sdk.errors import SlackApiError, SlackClientError
from slack_sdk.web import SlackResponse

from bot.pace import retry_after

log = logging.getLogger("sideroom.bot")
METHODS: Final = "https://docs.slack.dev/reference/methods/"
LIMITS: Final = "https://docs.slack.dev/apis/web-api/rate-limits"
UNREACHABLE: Final = "unreachable"
"""Our code for an answer that is not Slack's: no connection, a cut-off body, another server's page."""
_CODE = re.compile(r"[a-z][a-z0-9_]{1,79}")


class Outcome(StrEnum):
    """What is done with the call."""

    RETRY = "retry"
    """The same again, with growing patience."""
    WAIT = "wait"
    """Nothing of this method in this workspace before Slack's Retry-After is over."""
    PARK = "park"
    """Nothing at all in this workspace for a while: the app or the workspace cannot be used now."""
    REPOST = "repost"
    """The message is not there (or may not be changed) any more: post it anew."""
    UNTHREAD = "unthread"
    """The thread cannot be answered: post it in the channel."""
    PLAIN = "plain"
    """Slack does not take its blocks or length: send a short plain text instead."""
    SUSPEND_CHANNEL = "suspend channel"
    """Nobody can post there before somebody mends it: suspend the link and tell who made it."""
    SUSPEND_WORKSPACE = "suspend workspace"
    """The app was taken out of the workspace."""
    DROP = "drop"
    """Slack will never take this call."""
    UNKNOWN = "unknown"
    """A code that is not in the table: tried for an hour."""


@dataclass(frozen=True, slots=True)
class Rule:
    """``permanent``: the same call will not succeed before somebody has changed something. ``page``: where Slack says so."""

    outcome: Outcome
    permanent: bool
    page: str


def _rules(outcome: Outcome, permanent: bool, method: str, codes: str) -> dict[str, Rule]:
    page = method if method.startswith("https:") else METHODS + method
    return {code: Rule(outcome, permanent, page) for code in codes.split()}


RULES: Final[Mapping[str, Rule]] = {
    **_rules(
        Outcome.RETRY,
        False,
        "chat.update",
        "internal_error fatal_error service_unavailable request_timeout update_failed external_channel_migrating "
        "streaming_state_conflict",
    ),
    **_rules(Outcome.WAIT, False, LIMITS, "ratelimited rate_limited message_limit_exceeded"),
    **_rules(
        Outcome.PARK,
        False,
        "chat.postMessage",
        "org_login_required team_added_to_org accesslimited ekm_access_denied access_denied two_factor_setup_required",
    ),
    **_rules(
        Outcome.PARK,
        True,
        "auth.test",
        "invalid_auth not_authed token_expired team_access_not_granted not_allowed_token_type enterprise_is_restricted",
    ),
    **_rules(Outcome.SUSPEND_WORKSPACE, True, "auth.test", "account_inactive token_revoked"),
    **_rules(
        Outcome.REPOST,
        True,
        "chat.update",
        "message_not_found cant_update_message edit_window_closed block_mismatch",
    ),
    **_rules(
        Outcome.UNTHREAD,
        True,
        "chat.postMessage",
        "thread_not_found cannot_reply_to_message restricted_action_non_threadable_channel restricted_action_thread_locked",
    ),
    **_rules(
        Outcome.PLAIN,
        True,
        "chat.postMessage",
        "msg_blocks_too_long msg_too_long invalid_blocks invalid_blocks_format metadata_too_large "
        "invalid_metadata_format invalid_metadata_schema",
    ),
    **_rules(
        Outcome.SUSPEND_CHANNEL,
        True,
        "chat.postMessage",
        "channel_not_found is_archived not_in_channel no_permission restricted_action restricted_action_read_only_channel "
        "restricted_action_thread_only_channel duplicate_channel_not_found",
    ),
    **_rules(Outcome.SUSPEND_CHANNEL, True, "chat.update", "is_inactive team_not_found"),
    **_rules(
        Outcome.DROP, True, "chat.postEphemeral", "user_not_in_channel messages_tab_disabled cannot_dm_bot"
    ),
    **_rules(Outcome.DROP, True, "users.info", "user_not_found user_not_visible user_disabled"),
    **_rules(Outcome.DROP, True, "views.publish", "hash_conflict view_too_large not_enabled"),
    **_rules(
        Outcome.DROP,
        True,
        "views.open",
        "expired_trigger_id exchanged_trigger_id invalid_trigger_id trigger_expired trigger_exchanged",
    ),
    **_rules(
        Outcome.DROP,
        True,
        "oauth.v2.access",
        "invalid_code code_already_used bad_client_secret invalid_client_id bad_redirect_uri invalid_grant_type "
        "invalid_refresh_token cannot_install_an_org_installed_app oauth_authorization_url_mismatch",
    ),
    **_rules(
        Outcome.DROP,
        True,
        "chat.postMessage",
        "missing_scope invalid_arguments invalid_arg_name invalid_array_arg invalid_charset invalid_form_data "
        "invalid_post_type missing_post_type no_text as_user_not_supported too_many_attachments invalid_attachments "
        "method_deprecated deprecated_endpoint unknown_method slack_connect_file_link_sharing_blocked "
        "invalid_json json_not_object upgrade_required",
    ),
}
"""Slack's error codes (the lists of its method pages). What a code means is the same in every method that we call."""

_TRANSPORT: Final = Rule(Outcome.RETRY, False, "https://docs.slack.dev/apis/web-api/")
_UNKNOWN: Final = Rule(Outcome.UNKNOWN, False, "https://docs.slack.dev/apis/web-api/")


def rule_of(code: str, status: int = 200) -> Rule:
    """What becomes of a call that was refused with this code and HTTP status."""
    if status == 429:
        return Rule(Outcome.WAIT, False, LIMITS)
    found = RULES.get(code)
    if found is not None:
        return found
    if code == UNREACHABLE or status >= 500 or not _CODE.fullmatch(code):
        return _TRANSPORT
    return _UNKNOWN


class SlackFailure(Exception):
    """A call that did not succeed. ``retry_after_s``: what Slack asks to wait, 1 to 300."""

    def __init__(self, code: str, status: int = 200, retry_after_s: float = 1.0, why: str = "") -> None:
        self.code = code
        self.status = status
        self.retry_after_s = retry_after_s
        self.why = why
        """For the log: the kind of transport fault."""
        self.rule = rule_of(code, status)
        super().__init__(code if not why else f"{code} ({why})")

    @property
    def outcome(self) -> Outcome:
        return self.rule.outcome

    @property
    def permanent(self) -> bool:
        return self.rule.permanent

    @property
    def is_refusal(self) -> bool:
        """Slack itself said no; otherwise we do not know what Slack thinks."""
        return self.code != UNREACHABLE


def ask(call: Callable[[], SlackResponse]) -> dict[str, Any]:
    """Make a call of Slack's Web API; the answer's fields. Raises SlackFailure for everything that can go wrong."""
    return answered(call)[0]


def answered(call: Callable[[], SlackResponse]) -> tuple[dict[str, Any], Mapping[str, str]]:
    """``ask``, and the answer's headers (names in small letters)."""
    with failures():
        answer = call()
        if not isinstance(answer.data, dict):
            raise SlackFailure(UNREACHABLE, why="not JSON")
        return answer.data, {str(name).lower(): str(value) for name, value in answer.headers.items()}


@contextmanager
def failures() -> Iterator[None]:
    """Around anything of the SDK: whatever goes wrong becomes a SlackFailure."""
    try:
        yield
    except SlackApiError as error:
        raise _refused(error) from error
    except (SlackClientError, OSError, HTTPException) as error:
        raise SlackFailure(UNREACHABLE, why=type(error).__name__) from error
    except (ValueError, AttributeError, TypeError, LookupError) as error:
        # The SDK reads bodies as Slack's: broken JSON, a list, another charset end in its own code.
        raise SlackFailure(UNREACHABLE, why=type(error).__name__) from error


def _refused(error: SlackApiError) -> SlackFailure:
    answer = error.response
    data = getattr(answer, "data", None)
    headers = {str(name): str(value) for name, value in (getattr(answer, "headers", None) or {}).items()}
    status = int(getattr(answer, "status_code", 200) or 200)
    code = data.get("error") if isinstance(data, dict) else None
    wait_s = retry_after(headers)
    if isinstance(code, str) and _CODE.fullmatch(code):
        return SlackFailure(code, status, wait_s)
    # A proxy or captive portal answered; 429 and Retry-After are plain HTTP and count all the same.
    if status == 429:
        return SlackFailure("ratelimited", status, wait_s)
    return SlackFailure(UNREACHABLE, status, why=f"status {status}, no answer of Slack’s")
