"""The practice LMS's pages as HTML: calm, small, accessible. Rendering only."""

from __future__ import annotations

import html
import json
from collections.abc import Iterable

from sandbox.lms.world import PEOPLE, TOOLS, Person, Site, courses_of

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
ALLOW = (
    "autoplay *; fullscreen *; encrypted-media *; camera 'self'; microphone 'self'; local-network-access *"
)


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


def tool_page(person: Person, site: Site, tool_key: str, src: str) -> str:
    """The portal page: tools on the left, the tool's frame on the right, the postMessage store behind it."""
    keys = ["mymedia"] if site.key.startswith("~") else list(TOOLS)
    links = "".join(
        f'<a href="/site/{site.key}/tool/{key}?as={person.key}"{" aria-current=page" if key == tool_key else ""}>{TOOLS[key].title}</a>'
        for key in keys
    )
    title = f"{site.title}: {TOOLS[tool_key].title}"
    body = (
        f'{_header(person)}<div class="wrap"><nav aria-label="Tools">{links}<a href="/home?as={person.key}">My courses</a></nav>'
        f'<main><h1>{html.escape(title)}</h1><iframe id="sakai-tool" title="{html.escape(TOOLS[tool_key].title)}" '
        f'allow="{html.escape(ALLOW)}" src="{html.escape(src)}"></iframe></main></div>'
    )
    return document(title, body, _PORTAL_SCRIPT)


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
