"""The practice platform's endpoints, at Sakai's own paths: portal, launch, OIDC, keyset; its services stand beside."""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlencode

from flask import Flask, Response, abort, jsonify, request

from sandbox.lms import claims, inserting, keys, pages, registration
from sandbox.lms.inserting import FLOWS, NotInserted
from sandbox.lms.services import Services
from sandbox.lms.state import Item, Platform
from sandbox.lms.world import PEOPLE, ROLE_CLAIMS, Person, Site, Tool, site_of, viewing_as


def create_app(server: str, tool_url: str, data: Path) -> Flask:
    """The platform. ``server``: its own address (also the issuer); ``tool_url``: where Sideroom is."""
    app = Flask(__name__, static_folder=None)
    key = keys.load_or_make(data)
    platform = Platform(server, tool_url, key, keys.load_or_make(data, "platform-key-next.pem"))
    app.extensions["practice_lms"] = platform
    registration.add_routes(app, platform)

    def person() -> Person:
        found = PEOPLE.get(request.args.get("as", ""))
        if found is None:
            abort(404, "Choose a person first.")
        return found

    def place(site_key: str, who: Person) -> Site:
        site = site_of(site_key, who)
        if site is None or who.key not in site.members:
            abort(403, f"{who.name} is not a member of this site.")
        return site

    def access(who: Person, site: Site, content: str, flow: str = "", view: str = "") -> str:
        """The address in a tool's frame. Sakai knows the person by a session cookie; here several share one browser."""
        query = f"?flow={flow}" if flow else ""
        viewing = f";view={view}" if view in ROLE_CLAIMS else ""
        return f"/access/lti/site/{site.key}/{content};as={who.key}{viewing}{query}"

    def opened(site_key: str, session: str) -> tuple[Site, Person]:
        """The site of such an address, and who looks: the person, or what “View Site As” makes of a role."""
        given = dict(part.split("=", 1) for part in session.split(";") if "=" in part)
        who = PEOPLE.get(given.get("as", ""))
        if who is None:
            abort(404, "Choose a person first.")
        site = place(site_key, who)
        role = unquote(given.get("view", ""))
        return site, viewing_as(site, role) if role in ROLE_CLAIMS else who

    @app.get("/")
    def picker() -> str:
        return pages.picker()

    @app.get("/static/lms.css")
    def css() -> Response:
        return Response(pages.CSS, mimetype="text/css")

    @app.get("/home")
    def home() -> str:
        return pages.home(person())

    @app.get("/site/<site_key>/tool/<tool_key>")
    def tool(site_key: str, tool_key: str) -> str:
        who = person()
        site = place(site_key, who)
        chosen = platform.tools.get(tool_key)
        if chosen is None:
            abort(404)
        view = request.args.get("view", "")
        src = access(who, site, f"content:{chosen.content}", view=view)
        return pages.tool_page(who, site, chosen, src, frame(), view)

    @app.get("/site/<site_key>/item/<int:content>")
    def item(site_key: str, content: int) -> str:
        """An inserted link, as Lessons shows it."""
        who = person()
        site = place(site_key, who)
        found = platform.items.get(content)
        if found is None or found.site != site.key:
            abort(404)
        src = access(who, site, f"content:{content}")
        return pages.item_page(who, site, found.title, src, frame())

    @app.get("/site/<site_key>/lessons")
    def lessons(site_key: str) -> str:
        who = person()
        site = place(site_key, who)
        return pages.lessons(who, site, [i for i in platform.items.values() if i.site == site.key])

    @app.get("/site/<site_key>/insert/<flow>")
    def insert(site_key: str, flow: str) -> str:
        """Lessons, the editor or Assignments: a dialog with a frame, in it the LMS's own page, then the tool's selector."""
        who = person()
        site = place(site_key, who)
        chosen = platform.tools.get(request.args.get("tool", "selector"))
        if flow not in FLOWS or chosen is None:
            abort(404)
        src = access(who, site, f"tool:{chosen.content}", flow)
        return pages.picker_page(who, site, flow, src, frame())

    @app.get("/access/lti/site/<site_key>/content:<int:content><session>")
    def content(site_key: str, content: int, session: str) -> str:
        site, who = opened(site_key, session)
        found = platform.items.get(content)
        if found is not None and found.site != site.key:
            abort(404)
        chosen = found.tool if found is not None else platform.tool_of(content)
        if chosen is None:
            abort(404)
        if "state" in request.args:
            nonce = request.args.get("nonce", "")
            return _launch(claims.id_token_claims(server, tool_url, who, site, chosen, nonce, found))
        return _login(chosen, found)

    @app.get("/access/lti/site/<site_key>/tool:<int:content><session>")
    def deep_link(site_key: str, content: int, session: str) -> str:
        site, who = opened(site_key, session)
        chosen = platform.tool_of(content)
        flow = request.args.get("flow", "")
        if chosen is None or flow not in FLOWS:
            abort(404)
        if "state" in request.args:
            given = {name: request.args.get(name, "") for name in ("state", "redirect_uri", "nonce")}
            wanted = inserting.settings_claim(platform, site, chosen, flow, given)
            return _launch(
                claims.deep_linking_claims(server, tool_url, who, site, chosen, given["nonce"], wanted)
            )
        return _login(chosen, None)

    @app.post("/imsoidc/lti13/resigncontentitem")
    def resign() -> str:
        """The tool's answer, posted on to the page that asked."""
        try:
            forward = inserting.forwarded(request.args.get("forward", ""))
        except ValueError:
            abort(400)
        if not forward.startswith(f"{server}/portal/"):
            abort(400)
        return pages.repost(forward, {"JWT": request.form.get("JWT", "")})

    @app.post("/portal/site/<site_key>/sakai.lti.admin.helper.helper")
    def inserted(site_key: str) -> tuple[str, int]:
        chosen = platform.tool_of(request.args.get("tool_id", 0, type=int))
        if chosen is None:
            abort(404)
        try:
            items = inserting.take(
                platform, site_key, chosen, request.args.get("flow", ""), request.form.get("JWT", "")
            )
        except NotInserted as error:
            return pages.inserted([], str(error)), 400
        return pages.inserted([f"{i.content}: {i.title}" for i in items], ""), 200

    def frame() -> pages.Frame:
        """How the portal frames tools: as Sakai does, or as an administrator may have set it."""
        given = request.args
        return pages.Frame(
            given.get("allow", "default"),
            given.get("storage", "on") == "on",
            given.get("resize", "on") == "on",
            given.get("height", 0, type=int),
        )

    def _login(chosen: Tool, found: Item | None) -> str:
        path = request.full_path.rstrip("?")
        query = {
            "iss": server,
            "login_hint": base64.urlsafe_b64encode(path.encode()).decode().rstrip("="),
            "lti_storage_target": "_parent",
            "client_id": chosen.client_id,
            "lti_deployment_id": "1",
            "sakai_base_capabilities": ",".join(
                f"org.imsglobal.lti.{name}" for name in ("capabilities", "put_data", "get_data")
            ),
            "target_link_uri": found.url if found is not None else f"{tool_url}/lti/launch",
        }
        path = chosen.login_path or f"/lti/login/{chosen.key}"
        return pages.go_to_login(f"{tool_url}{path}?{urlencode(query)}")

    def _launch(body: dict[str, Any]) -> str:
        redirect_uri = request.args.get("redirect_uri", "")
        if redirect_uri != f"{tool_url}/lti/launch":
            abort(400, "redirect_uri is not registered")
        token = keys.sign(key, body)
        fields = {"id_token": token, "state": request.args["state"], "lti_storage_target": "_parent"}
        return pages.post_launch(redirect_uri, fields)

    @app.route("/imsoidc/lti13/oidc_auth", methods=["GET", "POST"])
    def oidc_auth() -> Response:
        given = request.values
        missing = [name for name in ("state", "nonce", "login_hint", "redirect_uri") if not given.get(name)]
        if missing:
            abort(400, f"missing {missing[0]}")
        hint = given["login_hint"]
        path = base64.urlsafe_b64decode(hint + "=" * (-len(hint) % 4)).decode()
        if not path.startswith("/access/lti/site/"):
            abort(400, "bad login_hint")
        query = urlencode({name: given[name] for name in ("state", "nonce", "redirect_uri")})
        answer = Response(status=302)
        answer.headers["Location"] = f"{path}{'&' if '?' in path else '?'}{query}"
        return answer

    @app.get("/imsblis/lti13/keyset")
    def keyset() -> Response:
        return jsonify(keys.keyset(key, platform.next_key))

    services = Services(server, tool_url, platform.tools)
    app.register_blueprint(services.blueprint())
    app.extensions["services"] = services
    return app
