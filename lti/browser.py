"""Is this the browser in which the login began? Otherwise somebody could slip their own launch to another person.

Three ways, the first that works: a partitioned cookie; the platform's storage behind postMessage (1EdTech LTI Platform
Storage 0.1), where cookies are blocked; and, where neither works, the person's own click on their name.
"""

from __future__ import annotations

import hmac
from enum import StrEnum

from flask import Request
from werkzeug.wrappers import Response

from models.store.access import hash_secret
from models.store.lti import BrowserCheck

COOKIE = "sideroom_browser"
COOKIE_LIFE_S = 365 * 24 * 3600
CONFIRMED = "confirmed"


class Verdict(StrEnum):
    KNOWN = "known"
    ASK_STORAGE = "ask_storage"
    ASK_PERSON = "ask_person"


def set_cookie(answer: Response, browser: str, *, secure: bool) -> None:
    """Give the browser its secret. On plain HTTP (practice only) browsers take neither ``None`` nor ``Partitioned``."""
    answer.set_cookie(
        COOKIE,
        browser,
        max_age=COOKIE_LIFE_S,
        path="/lti/",
        httponly=True,
        secure=secure,
        samesite="None" if secure else "Lax",
        partitioned=secure,
    )


def judge(check: BrowserCheck, request: Request, origin: str) -> Verdict:
    """``proof`` (what the storage said, or the click) counts only when it comes from a page of our own."""
    if _is_secret(request.cookies.get(COOKIE, ""), check):
        return Verdict.KNOWN
    proof = request.form.get("proof")
    if proof is not None and _is_own_page(request, origin):
        if proof == CONFIRMED or _is_secret(proof, check):
            return Verdict.KNOWN
        return Verdict.ASK_PERSON
    return Verdict.ASK_STORAGE if check.storage_target else Verdict.ASK_PERSON


def _is_secret(value: str, check: BrowserCheck) -> bool:
    return bool(check.browser_hash) and hmac.compare_digest(hash_secret(value), check.browser_hash)


def _is_own_page(request: Request, origin: str) -> bool:
    """Every browser sends ``Origin`` with a POST; our pages allow it (``referrer`` meta in ``lti.pages``)."""
    return request.headers.get("Origin", "") == origin
