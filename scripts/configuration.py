"""Write ``docs/configuration.md`` from the settings: ``python -m scripts.configuration``."""

from __future__ import annotations

import sys
from dataclasses import Field, fields
from pathlib import Path
from typing import Any

from server.settings import Settings, env_name

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
HEAD = """# Configuration

Every setting is an environment variable. A secret (marked) may also be given as a file:
`<NAME>_FILE=/run/secrets/…`. An unknown `SIDEROOM_…` name, a value out of range or a folder that
cannot be written is reported at start, all of them at once. Most installations set only
`SIDEROOM_DATA_DIR`, `SIDEROOM_BASE_URL`, `SIDEROOM_MEDIA_HOST` and `SIDEROOM_MEDIA_ADVERTISE_IP`
([operation.md](operation.md)), and what Slack or PostgreSQL need.
"""
TABLE = """
| variable | default | meaning |
|---|---|---|
"""
FOOT = """
## Elsewhere
The LTI platforms are rows in the database: `sideroom lti add` ([sakai.md](sakai.md)). `make demo`
sets everything itself and keeps its data in `var/demo`; its ports are 8080 (Sideroom), 8081
(practice LMS) and 8082 (practice Slack), moved by `SIDEROOM_PORT`, `SIDEROOM_DEMO_LMS_PORT` and
`SIDEROOM_DEMO_SLACK_PORT`.
"""
GROUPS = {
    "Addresses and data": "data_dir base_url host port database_url web_dist log_level",
    "Secrets": "secret previous_secrets",
    "Media": "media_host media_advertise_ip media_port control_port turn_urls turn_secret",
    "Sessions": "empty_session_s grace_s time_zone",
    "Recording": "tap_port tap_keep_s tap_keep_mb tap_keep_total_mb composers composer_cpu journal_days",
    "Library and storage": "retention_days retention_uncopied_days storage_private_endpoints transfer_days "
    "upload_max_mb upload_quota_mb",
    "Slack": "slack_signing_secret slack_old_signing_secret slack_bot_token slack_app_token slack_team_id "
    "slack_app_id slack_client_id slack_client_secret slack_guests_moderate slack_commands slack_api_url",
    "Administration and webhooks": "admin_lti webhook_private",
}
"""Heading: fields of ``Settings`` in the order in which the page lists them. Each field is in one group."""


def text() -> str:
    specs = {spec.name: spec for spec in fields(Settings)}
    sections = []
    for heading, names in GROUPS.items():
        rows = [row(specs.pop(name)) for name in names.split()]
        sections.append(f"\n## {heading}\n{TABLE.lstrip()}{''.join(rows)}")
    if specs:
        raise ValueError(f"Add to a group of scripts/configuration.py: {', '.join(specs)}")
    return HEAD + "".join(sections) + FOOT


def row(spec: Field[Any]) -> str:
    value = spec.default
    shown = str(value).lower() if isinstance(value, bool) else str(value)
    default = f"`{shown}`" if shown else "–"
    secret = " (secret)" if spec.metadata["secret"] else ""
    return f"| `{env_name(spec.name)}`{secret} | {default} | {spec.metadata['doc']} |\n"


def main() -> int:
    PAGE.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
