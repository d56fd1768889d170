"""The practice LMS's pages as HTML: calm, small, accessible. Rendering only."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable
from dataclasses import dataclass

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
main{padding:24px;min-width:0}iframe{width:100%;height:max(640px,calc(100vh - 140px));border:1px solid var(--line);border-radius:8px;background:var(--card)}
.cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(220px,1fr));gap:16px;padding:0;list-style:none}
.cards a{display:block;padding:16px;border:1px solid var(--line);border-radius:12px;background:var(--card);text-decoration:none;color:var(--text)}
.cards a:hover{border-color:var(--accent)}.cards small{color:var(--soft)}h1{font-size:28px;line-height:1.2;margin:0 0 8px}
:focus-visible{outline:3px solid var(--accent);outline-offset:2px}
@media (max-width:640px){.wrap{grid-template-columns:1fr}nav a{white-space:nowrap}nav{display:flex;overflow:auto;border:0;border-bottom:1px solid var(--line);padding:8px}main{padding:12px}}
"""

# As Sakai's default “browser.feature.allow”: no camera, microphone or screen for other origins.
_DEFAULT = (
    "autoplay *; fullscreen *; encrypted-media *; camera 'self'; microphone 'self'; local-network-access *"
)
ALLOW = {
    "default": _DEFAULT,
    "none": "",
    # As docs/sakai.md tells an administrator who wants camera and microphone in frames.
    "opened": "autoplay *; fullscreen *; encrypted-media *; camera *; microphone *; local-network-access *; display-capture *",
}


@dataclass(frozen=True, slots=True)
class Frame:
    """How the portal frames a tool: ``allow`` is a key of ``ALLOW``; without ``storage`` it keeps nothing for tools."""

    allow: str
    storage: bool

    def html(self, title: str, src: str) -> str:
        allow = ALLOW.get(self.allow, _DEFAULT)
        attribute = f' allow="{html.escape(allow)}"' if allow else ""
        return f'<iframe id="sakai-tool" title="{html.escape(title)}"{attribute} src="{html.escape(src)}"></iframe>'

    @property
    def script(self) -> str:
        return _PORTAL_SCRIPT if self.storage else ""


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


def tool_page(person: Person, site: Site, tool: Tool, src: str, frame: Frame) -> str:
    """The portal page: tools on the left, the tool's frame on the right, the postMessage store behind it."""
    return _portal(
        person, site, tool.key, f"{site.title}: {tool.title}", frame.html(tool.title, src), frame.script
    )


def item_page(person: Person, site: Site, title: str, src: str, frame: Frame) -> str:
    """A page of Lessons: an inserted link, or the selector, in a frame."""
    return _portal(person, site, "lessons", f"{site.title}: {title}", frame.html(title, src), frame.script)


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


def _portal(person: Person, site: Site, current: str, title: str, body: str, script: str) -> str:
    own = site.key.startswith("~")
    tools = {k: TOOLS[k].title for k in (["mymedia"] if own else ["room", "gallery", "mymedia"])}
    links = "".join(
        f'<a href="/site/{site.key}/tool/{key}?as={person.key}"{" aria-current=page" if key == current else ""}>{name}</a>'
        for key, name in tools.items()
    )
    mark = " aria-current=page" if current == "lessons" else ""
    links += "" if own else f'<a href="/site/{site.key}/lessons?as={person.key}"{mark}>Lessons</a>'
    page = (
        f'{_header(person)}<div class="wrap"><nav aria-label="Tools">{links}<a href="/home?as={person.key}">My courses</a></nav>'
        f"<main><h1>{html.escape(title)}</h1>{body}</main></div>"
    )
    return document(title, page, script)


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
        f'<iframe id="registration" title="Registration" src="{html.escape(src)}"></iframe></main>'
    )
    # Sakai hears only the longer subject.
    script = (
        "window.addEventListener('message', (event) => { if (event.data && event.data.subject === 'org.imsglobal.lti.close') {"
        " document.getElementById('registration').remove(); document.getElementById('state').textContent = 'Registered. Press Save.'; } });"
    )
    return document("Registration", body, script)


# lti.capabilities, put_data and get_data for direct child frames with an id; frameResize as a JSON string.
_PORTAL_SCRIPT = """
const store = new Map();
window.addEventListener('message', (event) => {
  let data = event.data;
  if (typeof data === 'string') { try { data = JSON.parse(data); } catch { return; } }
  const frame = [...document.querySelectorAll('iframe[id]')].find((f) => f.contentWindow === event.source);
  if (!frame || !data || typeof data.subject !== 'string') return;
  const subject = data.subject.replace('org.imsglobal.', '');
  const answer = (extra) => event.source.postMessage({subject: data.subject + '.response', message_id: data.message_id, ...extra}, event.origin);
  if (subject === 'lti.frameResize') { frame.style.height = Math.min(4000, Math.max(300, Number(data.height) || 0)) + 'px'; return; }
  if (subject === 'lti.capabilities') answer({supported_messages: ['lti.put_data', 'lti.get_data', 'lti.frameResize'].map((s) => ({subject: s}))});
  if (subject === 'lti.put_data') { store.set(event.origin + ' ' + data.key, data.value); answer({key: data.key, value: data.value}); }
  if (subject === 'lti.get_data') answer({key: data.key, value: store.get(event.origin + ' ' + data.key) || null});
});
"""


def go_to_login(url: str) -> str:
    """Step b: the browser goes to the tool's login by GET (two tries, a text after 5 s)."""
    target = json.dumps(url).replace("<", "\\u003c")
    script = (
        f"const go = () => {{ location.href = {target}; }}; go(); setTimeout(go, 500);"
        "setTimeout(() => { document.body.append('This tool is having problems.'); }, 5000);"
    )
    return document("Opening", "<main><p>Opening the tool …</p></main>", script)


def post_launch(url: str, fields: dict[str, str]) -> str:
    """Step e: the auto-submitted form. An alert tells when the tool does not answer within 4 s."""
    inputs = "".join(
        f'<input type="hidden" name="{html.escape(k)}" value="{html.escape(v)}">' for k, v in fields.items()
    )
    script = "setTimeout(() => alert('The tool did not answer within 4 seconds.'), 4000); document.getElementById('launch').submit();"
    form = f'<form id="launch" method="post" action="{html.escape(url)}">{inputs}<noscript><button>Continue</button></noscript></form>'
    return document("Launching", f"<main>{form}</main>", script)
