"""Write ``docs/configuration.md`` from the settings: ``python -m scripts.configuration``."""

from __future__ import annotations

import sys
from dataclasses import fields
from pathlib import Path

from server.settings import Settings, env_name

PAGE = Path(__file__).parents[1] / "docs" / "configuration.md"
HEAD = """# Configuration

Every setting is an environment variable. A secret (marked) may also be given as a file: `<NAME>_FILE=/run/secrets/…`. An unknown
`SIDEROOM_…` name, a value out of range or a folder that cannot be written is reported at start, all of them at once.

| variable | default | meaning |
|---|---|---|
"""
FOOT = """
The LTI platforms are rows in the database: `sideroom lti add` ([sakai.md](sakai.md)). `make demo` sets everything itself and keeps its data in
`var/demo`; its ports are 8080 (Sideroom), 8081 (practice LMS), 8082 (practice Slack), moved by `SIDEROOM_PORT`, `SIDEROOM_DEMO_LMS_PORT` and
`SIDEROOM_DEMO_SLACK_PORT`.
"""


def text() -> str:
    rows = []
    for spec in fields(Settings):
        default = (
            "–"
            if str(spec.default) == ""
            else f"`{str(spec.default).lower() if isinstance(spec.default, bool) else spec.default}`"
        )
        secret = " (secret)" if spec.metadata["secret"] else ""
        rows.append(f"| `{env_name(spec.name)}`{secret} | {default} | {spec.metadata['doc']} |\n")
    return HEAD + "".join(rows) + FOOT


def main() -> int:
    PAGE.write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
