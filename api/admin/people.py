"""Section “People”: who was ever launched or stands in a roster, and their courses."""

from __future__ import annotations

from flask import Blueprint, Response, jsonify

from api.admin.deps import PER_PAGE, AdminDeps, iso, page_no, query
from models.store.admin_pages import find_people


def create_blueprint(deps: AdminDeps) -> Blueprint:
    blueprint = Blueprint("people", __name__)

    def listing() -> Response:
        page = page_no()
        found, total = find_people(deps.db, query(), page, PER_PAGE)
        return jsonify(
            {
                "people": [
                    {
                        "person_id": p.person_id,
                        "name": p.name,
                        "email": p.email,
                        "issuer": p.issuer,
                        "sub": p.sub,
                        "seen_at": iso(p.seen_at),
                        "courses": [{"title": title, "role": role} for title, role in p.courses],
                    }
                    for p in found
                ],
                "total": total,
                "page": page,
                "per_page": PER_PAGE,
            }
        )

    blueprint.add_url_rule("/people", "listing", listing)
    return blueprint
