"""``python -m sandbox.lms``: run the practice LMS."""

from __future__ import annotations

import argparse
from pathlib import Path

from werkzeug.serving import run_simple

from sandbox.lms.app import create_app

parser = argparse.ArgumentParser(description="Practice LMS (an LTI 1.3 platform that behaves as Sakai does)")
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--tool-url", required=True, help="address of Sideroom")
parser.add_argument("--data", type=Path, required=True, help="folder for its key")
arguments = parser.parse_args()
run_simple(
    "127.0.0.1",
    arguments.port,
    create_app(f"http://localhost:{arguments.port}", arguments.tool_url, arguments.data),
    threaded=True,
)
