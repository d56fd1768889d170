"""The practice LMS's pages as HTML: calm, small, accessible. Rendering only."""

from __future__ import annotations

import html
import json
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from sandbox.lms.state import Item
from sandbox.lms.world import PEOPLE, TOOLS, Person, Site, Tool, courses_of

CSS = """
:root{color-scheme:light dark;--bg:#f5f6f8;--card:#fff;--text:#1c2530;--soft:#5a6572;--line:#d8dde3;--accent:#1a5fb4;--on:#fff}
@media (prefers-color-scheme:dark){:root{--bg:#14181d;--card:#1c2229;--text:#e8ecf0;--soft:#a2adb9;--line:#38414b;--accent:#78aeed;--on:#0d1b2a}}
*{box-sizing:border-box}body{margin:0;font:16px/1.5 system-ui,sans-serif;background:var(--bg);color:var(--text)}
a{color:var(--accent)}header{display:flex;gap:16px;align-items:center;flex-wrap:wrap;padding:12px 24px;background:var(--card);border-bottom:1px solid var(--line)}
header strong{font-size:20px}header .who{margin-inline-start:auto;color:var(--soft)}
.wrap{display:grid;grid-template-columns:220px 1fr;min-height:calc(100vh - 58px)}
nav{padding:16px;border-inline-end:1px solid var(--line)}nav a{display:block;padding:10px 12px;border-radius:8px;text-decoration:none;color:var(--text)}
nav a:hover{background:var(--card)}nav a[aria-current]{background:var(--accent);color:var(--on)}
main{padding:24px;min-width:0}iframe{display:block;width:100%;border:1px solid var(--line);border-radius:8px;background:var(--card)}
.sakai-iframe-force-light{color-scheme:light;background:#fff}
.bar{display:flex;gap:16px;align-items:center;flex-wrap:wrap;padding:8px 24px;background:#fff3d6;color:#4a3500}.bar a{color:inherit}
.modal{max-width:1080px;margin:0 auto;border:1px solid var(--line);border-radius:12px;background:var(--card);box-shadow:0 8px 32px rgb(0 0 0/.2);overflow:hidden}
.modal header{border-bottom:1px solid var(--line)}.modal .body{max-height:calc(100vh - 200px);overflow:auto;padding:16px}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:16px;padding:0;list-style:none}
.cards a{display:block;padding:16px;border:1px solid var(--line);border-radius:12px;background:var(--card);text-decoration:none;color:var(--text)}
.cards a:hover{border-color:var(--accent)}.cards small{color:var(--soft)}h1{font-size:28px;line-height:1.2;margin:0 0 8px}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
@media (max-width:640px){.wrap{grid-template-columns:1fr}nav a{white-space:nowrap}nav{display:flex;overflow:auto;border:0;border-bottom:1px solid var(--line);padding:8px}main{padding:12px}}
"""

# As Sakai's default “browser.feature.allow”: no camera, microphone or screen for other origins.
_DEFAULT = "autoplay *;fullscreen *;encrypted-media *;camera 'self';microphone 'self';local-network-access *"
ALLOW = {
    "default": _DEFAULT,
    "none": "",
    # As docs/sakai.md tells an administrator who wants camera and microphone in frames.
    "opened": "autoplay *; fullscreen *; encrypted-media *; camera *; microphone *; local-network-access *; display-capture *",
}


FRAME_SELECTOR = "iframe[id^='sakai-lti-iframe-']"
TOOL_HEIGHT_PX, PICKER_HEIGHT_PX = 1200, 450
"""What a tool's frame and the dialog of Lessons begin with."""


@dataclass(frozen=True, slots=True)
class Frame:
    """How the portal frames a tool.

    ``allow`` is a key of ``ALLOW``; without ``storage`` the portal keeps nothing for tools, without ``resize`` its frames stay
    as tall as they are. ``height_px`` 0: what the place has.
    """

    allow: str = "default"
    storage: bool = True
    resize: bool = True
    height_px: int = 0

    def html(self, src: str, height_px: int = TOOL_HEIGHT_PX) -> str:
        """As Sakai writes it: a new number at each view, no title, and a label that speaks of a failure."""
        allow = ALLOW.get(self.allow, _DEFAULT)
        attribute = f' allow="{html.escape(allow)}"' if allow else ""
        name = f"sakai-lti-iframe-{secrets.randbelow(900_000) + 100_000}"
        return (
            '<iframe class="sakai-iframe-force-light" width="100%" frameborder="0" marginwidth="0" marginheight="0" scrolling="auto" '
            f'src="{html.escape(src)}" id="{name}" name="{name}" style="width: 100%; height: {self.height_px or height_px}px; overflow: auto;" '
            f'aria-label="Inline launch seems to have failed - retry in new window" data-allow-resize="{"yes" if self.resize else "no"}"{attribute}></iframe>'
        )

    @property
    def script(self) -> str:
        return _PORTAL_SCRIPT if self.storage else _RESIZE_SCRIPT


def document(title: str, body: str, script: str = "") -> str:
    tag = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">'
        f'<title>{html.escape(title)}</title><link rel="icon" href="data:,"><link rel="stylesheet" href="/static/lms.css"></head>'
        f"<body>{body}{tag}</body></html>"
    )


def _header(person: Person | None) -> str:
    who = (
        f'<span class="who">{html.escape(person.name)} · <a href="/">change person</a></span>'
        if person
        else ""
    )
    return f"<header><strong>Practice LMS</strong>{who}</header>"


def picker() -> str:
    """Choose who to be."""
    cards = "".join(
        f'<li><a href="/home?as={p.key}"><strong>{html.escape(p.name)}</strong><br><small>{p.note}</small></a></li>'
        for p in PEOPLE.values()
    )
    body = (
        f"{_header(None)}<main><h1>Who are you?</h1><p>Open several windows to be several people at once.</p>"
        f'<ul class="cards">{cards}</ul></main>'
    )
    return document("Practice LMS", body)


def home(person: Person) -> str:
    """A person's courses and My Workspace."""
    sites: Iterable[tuple[str, str, str]] = [
        (s.key, s.title, s.members[person.key]) for s in courses_of(person)
    ]
    cards = "".join(
        f'<li><a href="/site/{key}/tool/room?as={person.key}"><strong>{html.escape(title)}</strong><br><small>{html.escape(role)}</small></a></li>'
        for key, title, role in sites
    )
    cards += f'<li><a href="/site/~{person.key}/tool/mymedia?as={person.key}"><strong>My Workspace</strong><br><small>My Media</small></a></li>'
    return document(
        "My courses", f'{_header(person)}<main><h1>My courses</h1><ul class="cards">{cards}</ul></main>'
    )


def tool_page(person: Person, site: Site, tool: Tool, src: str, frame: Frame, view: str = "") -> str:
    """The portal page: tools on the left, the tool's frame on the right, the postMessage store behind it."""
    title = f"{site.title}: {tool.title}"
    return _portal(person, site, tool.key, title, frame.html(src), frame.script, view)


def item_page(person: Person, site: Site, title: str, src: str, frame: Frame) -> str:
    """A page of Lessons with an inserted link in a frame."""
    back = f'<p><a href="/site/{site.key}/lessons?as={person.key}">Return to Lessons</a></p>'
    return _portal(person, site, "lessons", f"{site.title}: {title}", back + frame.html(src), frame.script)


def picker_page(person: Person, site: Site, flow: str, src: str, frame: Frame) -> str:
    """Where something is inserted: a dialog of the LMS, in it a frame that is far less tall than a tool's page."""
    body = (
        f'<div class="modal" role="dialog" aria-label="Insert into {flow}"><header><strong>Insert into {flow}</strong></header>'
        f'<div class="body">{frame.html(src, PICKER_HEIGHT_PX)}</div></div>'
    )
    return _portal(person, site, "lessons", f"{site.title}: Insert into {flow}", body, frame.script)


def lessons(person: Person, site: Site, items: Iterable[Item]) -> str:
    """The inserted links of a site, and where to insert more."""
    links = "".join(
        f'<li><a href="/site/{site.key}/item/{item.content}?as={person.key}"><strong>{html.escape(item.title)}</strong></a></li>'
        for item in items
    )
    more = " · ".join(
        f'<a href="/site/{site.key}/insert/{flow}?as={person.key}">Insert into {flow}</a>'
        for flow in ("lessons", "editor", "assignment")
    )
    body = f'<ul class="cards">{links}</ul><p>{more}</p>'
    return _portal(person, site, "lessons", f"{site.title}: Lessons", body, "")


def _portal(
    person: Person, site: Site, current: str, title: str, body: str, script: str, view: str = ""
) -> str:
    own = site.key.startswith("~")
    tools = {k: TOOLS[k].title for k in (["mymedia"] if own else ["room", "gallery", "mymedia"])}
    query = f"?as={person.key}" + (f"&view={quote(view)}" if view else "")
    links = "".join(
        f'<a href="/site/{site.key}/tool/{key}{query}"{" aria-current=page" if key == current else ""}>{name}</a>'
        for key, name in tools.items()
    )
    mark = " aria-current=page" if current == "lessons" else ""
    links += "" if own else f'<a href="/site/{site.key}/lessons?as={person.key}"{mark}>Lessons</a>'
    page = (
        f'{_header(person)}{_view_bar(person, site, current, view)}<div class="wrap"><nav aria-label="Tools">{links}'
        f'<a href="/home?as={person.key}">My courses</a></nav><main><h1>{html.escape(title)}</h1>{body}</main></div>'
    )
    return document(title, page, script)


def _view_bar(person: Person, site: Site, current: str, view: str) -> str:
    """“View Site As”, which Sakai offers to teachers in the site's header."""
    here = f"/site/{site.key}/tool/{current}?as={person.key}"
    if view:
        return f'<p class="bar" style="margin:0">You are viewing this site as {html.escape(view)}. <a href="{here}">Exit</a></p>'
    teaches = site.members.get(person.key) in ("Instructor", "maintain")
    if not teaches or current not in TOOLS or site.key.startswith("~"):
        return ""
    roles = [role for role in dict.fromkeys(site.members.values()) if role not in ("Instructor", "maintain")]
    links = " · ".join(f'<a href="{here}&amp;view={quote(role)}">{html.escape(role)}</a>' for role in roles)
    return f'<p class="bar" style="margin:0">View Site As: {links}</p>' if links else ""


def inserted(titles: Iterable[str], problem: str) -> str:
    """The end of deep linking, inside the frame."""
    lines = "".join(f"<li>{html.escape(title)}</li>" for title in titles)
    text = f"Not inserted: {html.escape(problem)}" if problem else "Inserted"
    return document("Inserted", f'<main><h1 id="result">{text}</h1><ul>{lines}</ul></main>')


def register_page(src: str) -> str:
    """LTI Dynamic Registration: a form for the address, or the tool's page in a frame that may close itself."""
    if not src:
        form = '<form><p><label>Registration URL <input name="url" size="80"></label></p><button>Go</button></form>'
        return document(
            "Registration", f"{_header(None)}<main><h1>LTI Dynamic Registration</h1>{form}</main>"
        )
    body = (
        f'{_header(None)}<main><h1>LTI Dynamic Registration</h1><p id="state">Waiting for the tool …</p>'
        f'<iframe id="registration" title="Registration" style="height:640px" src="{html.escape(src)}"></iframe></main>'
    )
    # Sakai hears only the longer subject.
    script = (
        "window.addEventListener('message', (event) => { if (event.data && event.data.subject === 'org.imsglobal.lti.close') {"
        " document.getElementById('registration').remove(); document.getElementById('state').textContent = 'Registered. Press Save.'; } });"
    )
    return document("Registration", body, script)


# Any height is taken, also as a text, from every frame of the page that allows it.
_RESIZE_SCRIPT = """
const frameOf = (source) => [...document.querySelectorAll('iframe[id]')].find((f) => f.contentWindow === source);
const messageOf = (event) => { try { return typeof event.data === 'string' ? JSON.parse(event.data) : event.data; } catch { return null; } };
window.addEventListener('message', (event) => {
  const frame = frameOf(event.source), data = messageOf(event);
  if (!frame || !data || data.subject !== 'lti.frameResize' || frame.dataset.allowResize !== 'yes') return;
  frame.style.height = parseInt(data.height, 10) + 'px';
});
"""

# Storage for frames with an id, under the new and the old names; what a frame of the LMS's own origin announces is approved.
_PORTAL_SCRIPT = (
    _RESIZE_SCRIPT
    + """
const QUOTA = 300000;
const store = {};
const approved = new Set();
const old = 'org.imsglobal.';
const parentFrame = {frame: '_parent'};
const supported = [
  {subject: 'lti.capabilities'}, {subject: 'lti.put_data', ...parentFrame}, {subject: 'lti.get_data', ...parentFrame},
  {subject: 'lti.close'}, {subject: 'lti.frameResize'}, {subject: 'lti.pageRefresh'}, {subject: 'lti.scrollToTop'},
  {subject: old + 'lti.capabilities'}, {subject: old + 'lti.put_data', ...parentFrame}, {subject: old + 'lti.get_data', ...parentFrame},
  {subject: old + 'lti.close'}, {subject: old + 'lti.frameResize'},
];
window.addEventListener('message', (event) => {
  const frame = frameOf(event.source), data = messageOf(event);
  if (!frame || !data || typeof data.subject !== 'string') return;
  const answer = (extra) => event.source.postMessage({subject: data.subject + '.response', message_id: data.message_id, ...extra}, event.origin);
  if (data.subject === 'org.sakailms.lti.prelaunch') {
    if (event.origin !== location.origin) return;
    approved.add(frame.id);
    event.source.postMessage({subject: 'org.sakailms.lti.prelaunch.response'}, event.origin);
    return;
  }
  const mine = store[event.origin] ??= {};
  switch (data.subject.replace(old, '')) {
    case 'lti.capabilities': return answer({supported_messages: supported});
    case 'lti.put_data':
      if (data.key === undefined || data.value === undefined) return answer({error: {code: 'key and value are required'}});
      if (JSON.stringify(store).length + JSON.stringify([data.key, data.value]).length > QUOTA)
        return answer({key: data.key, error: {code: 'storage_exhaustion', message: 'over ' + QUOTA + ' bytes'}});
      mine[data.key] = data.value;
      return answer({key: data.key, value: data.value});
    case 'lti.get_data':
      if (data.key === undefined) return answer({error: {code: 'key is required'}});
      return answer(mine[data.key] ? {key: data.key, value: mine[data.key]} : {key: data.key, error: 'Could not find key'});
    case 'lti.scrollToTop': return window.scrollTo(0, 0);
  }
});
"""
)

_PRELAUNCH = "parent.postMessage('{ \"subject\": \"org.sakailms.lti.prelaunch\" }', '*');"
PRELAUNCH_WAIT_MS = 2000
"""So long the form waits for the portal to know its frame."""


def go_to_login(url: str) -> str:
    """Step b: the browser goes to the tool's login by GET (two tries, a text after 5 s)."""
    target = json.dumps(url).replace("<", "\\u003c")
    script = (
        f"{_PRELAUNCH} const go = () => {{ location.href = {target}; }}; go(); setTimeout(go, 500);"
        "setTimeout(() => { document.body.append('This tool is having problems.'); }, 5000);"
    )
    return document("Opening", "<main><p>Opening the tool …</p></main>", script)


def post_launch(url: str, fields: dict[str, str]) -> str:
    """Step e: the auto-submitted form. An alert tells when the tool does not answer within 4 s."""
    script = (
        "let sent = false; const send = () => { if (sent) return; sent = true; document.getElementById('launch').submit();"
        " setTimeout(() => alert('The tool did not answer within 4 seconds.'), 4000); };"
        "if (window.parent === window) send(); else { window.addEventListener('message', (event) => {"
        " if (event.origin === location.origin && event.data.subject === 'org.sakailms.lti.prelaunch.response') send(); });"
        f" {_PRELAUNCH} setTimeout(send, {PRELAUNCH_WAIT_MS}); }}"
    )
    return document("Launching", f"<main>{_form(url, fields)}</main>", script)


def repost(url: str, fields: dict[str, str]) -> str:
    """A form that goes on by itself."""
    script = "document.getElementById('launch').submit();"
    return document("Inserting", f"<main>{_form(url, fields)}</main>", script)


def _form(url: str, fields: dict[str, str]) -> str:
    inputs = "".join(
        f'<input type="hidden" name="{html.escape(k)}" value="{html.escape(v)}">' for k, v in fields.items()
    )
    return (
        f'<form id="launch" method="post" action="{html.escape(url)}">{inputs}'
        "<noscript><button>Continue</button></noscript></form>"
    )
