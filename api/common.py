"""What the HTTP doors share: who asks, bodies that are objects, refusals in one form."""

from __future__ import annotations

from typing import Any

from flask import Response, jsonify, request
from werkzeug.exceptions import BadRequest, RequestEntityTooLarge

from models.store import access as tokens
from models.store.access import Access
from models.store.database import Database
from rooms.errors import DomainError

MAX_BODY_BYTES = 64 * 1024


def refuse(error: DomainError) -> tuple[Response, int]:
    """A refusal as docs/page-api.md §2 shows it."""
    return jsonify(
        {"error": {"code": error.code, "message": error.message, "facts": error.facts}}
    ), error.http_status


def check_texts(value: object) -> None:
    """No text may hold what databases and UTF-8 cannot: NUL and halves of surrogate pairs. Raises ``bad_command``."""
    if isinstance(value, str):
        if any(ch == "\0" or "\ud800" <= ch <= "\udfff" for ch in value):
            raise DomainError(
                "bad_command", "The text contains characters that can’t be stored. Remove them."
            )
    elif isinstance(value, dict):
        for key, item in value.items():
            check_texts(key)
            check_texts(item)
    elif isinstance(value, list):
        for item in value:
            check_texts(item)


def check_address() -> None:
    """The same for the request's path and query."""
    check_texts(dict(request.view_args or {}))
    check_texts(list(request.args.values()))


def bearer_token() -> str:
    """The request's bearer token, empty when it has none."""
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def bearer(db: Database) -> Access:
    """The access of the request's page or room token. Raises ``unauthenticated``."""
    check_address()
    found = tokens.check_token(db, bearer_token())
    if found is None:
        raise DomainError("unauthenticated")
    return found


def json_object() -> dict[str, Any]:
    """The body, which must be a JSON object of at most 64 KiB with texts that can be kept. Raises ``bad_command``."""
    request.max_content_length = MAX_BODY_BYTES
    try:
        body = request.get_json(force=True)
    except RequestEntityTooLarge:
        raise DomainError("bad_command", "The request body is larger than 64 KiB.") from None
    except (BadRequest, RecursionError):
        raise DomainError("bad_command", "The request body must be a JSON object.") from None
    if not isinstance(body, dict):
        raise DomainError("bad_command", "The request body must be a JSON object.")
    check_texts(body)
    return body
