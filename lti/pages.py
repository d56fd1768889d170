"""Small pages between two steps of LTI: storage, confirmation, forms that send themselves, closing a registration.

Each is one inline script under a nonce; everything that comes from outside is escaped or is JSON in a data element.
"""

from __future__ import annotations

import html
import json
import secrets
from collections.abc import Iterable, Mapping
from typing import Any

from flask import Response

from foundation.address import origin
from lti import shell
from lti.launch import Begun

STORAGE_WAIT_MS = 2500
"""A platform that does not answer within this has no storage for us (a window of its own, a frame too deep)."""

# Asks the platform's storage one thing; ``done`` gets the answer, or null when none comes in time.
_ASK = """
const ask = (message, done) => {
  let frame = null;
  try { frame = data.target === '_parent' ? window.parent : window.parent.frames[data.target]; } catch { frame = null; }
  let open = true;
  const finish = (answer) => { if (open) { open = false; done(answer); } };
  if (!frame || window.parent === window) return finish(null);
  window.addEventListener('message', (event) => {
    let answer = event.data;
    if (typeof answer === 'string') { try { answer = JSON.parse(answer); } catch { return; } }
    if (event.origin !== data.origin || !answer || answer.message_id !== data.id) return;
    if (String(answer.subject).replace('org.imsglobal.', '') === message.subject + '.response') finish(answer);
  });
  setTimeout(() => finish(null), data.wait);
  try { frame.postMessage({ ...message, message_id: data.id }, data.origin); } catch { finish(null); }
};
"""
_PUT = """
ask({ subject: 'lti.put_data', key: data.key, value: data.value }, () => location.replace(data.next));
"""
_GET = """
ask({ subject: 'lti.get_data', key: data.key }, (answer) => {
  const form = document.getElementById('form');
  form.elements.proof.value = (answer && typeof answer.value === 'string') ? answer.value : '';
  form.submit();
});
"""
_SUBMIT = "document.getElementById('form').submit();"
_CLOSE = """
const close = () => {
  const lms = window.opener || window.parent;
  for (const subject of ['org.imsglobal.lti.close', 'lti.close']) lms.postMessage({ subject }, '*');
};
document.getElementById('close').addEventListener('click', close);
close();
"""


def storage_key(state: str) -> str:
    return f"sideroom_{state[:16]}"


def put_in_storage(begun: Begun, ancestors: Iterable[str]) -> Response:
    """Keep the browser's secret at the platform, then go on to it."""
    data = _storage(begun.storage_target, begun.storage_origin, begun.state)
    data |= {"value": begun.browser, "next": begun.url}
    body = f'<p>Opening…</p><noscript><p><a id="next" href="{html.escape(begun.url)}">Continue</a></p></noscript>'
    return _page("Opening", body, _data(data) + _ASK + _PUT, ancestors)


def ask_storage(
    target: str, origin: str, fields: Mapping[str, str], action: str, ancestors: Iterable[str]
) -> Response:
    """Get the browser's secret back from the platform, and send the launch again with it."""
    data = _storage(target, origin, fields["state"])
    body = "<p>Opening…</p>" + _form(action, {**fields, "proof": ""}, "Continue")
    return _page("Opening", body, _data(data) + _ASK + _GET, ancestors)


def ask_person(name: str, fields: Mapping[str, str], action: str, ancestors: Iterable[str]) -> Response:
    """Neither cookie nor storage: the person says that this is them."""
    who = name or "this person"
    body = (
        f"<h1>Continue as {html.escape(who)}?</h1>"
        "<p>Your browser blocks storage for this page inside the LMS, so please confirm that this is you. "
        "If it isn’t, go back to the course page and open the tool again.</p>"
        + _form(action, {**fields, "proof": "confirmed"}, f"Continue as {who}", visible=True)
    )
    return _page("Please confirm", body, "", ancestors)


def send(action: str, fields: Mapping[str, str], ancestors: Iterable[str]) -> Response:
    """A form that sends itself to the platform."""
    body = "<p>Returning to the course…</p>" + _form(action, fields, "Continue")
    # The platform may answer the form with a redirect; browsers hold that to the same list.
    return _page("Returning", body, _SUBMIT, ancestors, form_action=origin(action))


def registered(name: str, ancestors: Iterable[str]) -> Response:
    """The end of a dynamic registration: tell the LMS with both words, Sakai hears only the longer one."""
    body = (
        f"<h1>{html.escape(name)} is registered</h1>"
        "<p>Press Save in the LMS to finish. If this window doesn’t close automatically, close it.</p>"
        '<p><button type="button" id="close">Close</button></p>'
    )
    return _page("Registered", body, _CLOSE, ancestors)


def _storage(target: str, origin: str, state: str) -> dict[str, Any]:
    return {
        "target": target,
        "origin": origin,
        "key": storage_key(state),
        "id": secrets.token_urlsafe(12),
        "wait": STORAGE_WAIT_MS,
    }


def _data(data: Mapping[str, Any]) -> str:
    # “<” is written as an escape so that no text in the data can end the script element.
    return f"const data = {json.dumps(data)};".replace("<", "\\u003c")


def _form(action: str, fields: Mapping[str, str], label: str, *, visible: bool = False) -> str:
    inputs = "".join(
        f'<input type="hidden" name="{html.escape(name)}" value="{html.escape(value)}">'
        for name, value in fields.items()
    )
    button = f'<button class="go">{html.escape(label)}</button>'
    button = button if visible else f"<noscript>{button}</noscript>"
    return f'<form id="form" method="post" action="{html.escape(action)}">{inputs}{button}</form>'


def _page(
    title: str, body: str, script: str, ancestors: Iterable[str], *, form_action: str = "'self'"
) -> Response:
    nonce = secrets.token_urlsafe(16)
    tag = f'<script nonce="{nonce}">{script}</script>' if script else ""
    # “same-origin” instead of the server's “no-referrer”: with that, browsers would send “Origin: null” to ourselves.
    head = '<meta name="referrer" content="same-origin">'
    return shell.secured(
        shell.plain(title, body + tag, nonce, head), 200, nonce, ancestors, False, form_action=form_action
    )
