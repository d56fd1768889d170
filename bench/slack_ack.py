"""How fast the bot acknowledges: 50 signed commands at once, from as many clients, against the Flask application.

``python -m bench.slack_ack`` prints one JSON line. Database: SQLite in a temporary folder. Slack allows 3 s.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from flask import Flask

from bot.app import build_door
from bot.settings import BotSettings
from bot.web import create_blueprint
from models.store.database import Database
from models.store.migrate import upgrade
from rooms.service import RoomsService
from sandbox.slack.client import command_body, signature
from sandbox.slack.setup import ALICE_SLACK, MODERATORS_CHANNEL, TEAM_ID, link_practice

SECRET = "secret-of-the-benchmark"
MOST = 500


def send(app: Flask, gate: threading.Barrier, text: str) -> float:
    """Milliseconds from the request to its answer."""
    body = command_body(ALICE_SLACK, MODERATORS_CHANNEL, "/room", text)
    at = str(int(time.time()))
    headers = {
        "X-Slack-Request-Timestamp": at,
        "X-Slack-Signature": signature(SECRET, at, body),
        "Content-Type": "application/x-www-form-urlencoded",
    }
    gate.wait(30)
    began = time.perf_counter()
    answer = app.test_client().post("/slack/events", data=body, headers=headers)
    took = (time.perf_counter() - began) * 1000
    if answer.status_code != 200:
        raise RuntimeError(f"not acknowledged: {answer.status_code}")
    return took


def measure(count: int) -> dict[str, object]:
    """Run ``count`` commands at once; figures in milliseconds."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'bench.db'}"
        upgrade(url)
        db = Database(url)
        course_id = link_practice(db, "https://lms.bench")
        rooms = RoomsService(db)
        rooms.start()
        rooms.open_session(course_id, "BIO 101", "Room")
        app = Flask("bench")
        # Port 9: nothing of this may call Slack.
        settings = BotSettings(SECRET, "xoxb-bench", "https://bench", TEAM_ID, "http://127.0.0.1:9/api/")
        door = build_door(settings, db, rooms, Path(folder))
        app.register_blueprint(create_blueprint(door.app))
        try:
            send(app, threading.Barrier(1), "status")  # first imports and connections are not the question
            gate = threading.Barrier(count)
            with ThreadPoolExecutor(count) as pool:
                times = sorted(pool.map(lambda _: send(app, gate, "status"), range(count)))
        finally:
            door.desk.stop()
            rooms.close()
            db.close()
    cuts = statistics.quantiles(times, n=100, method="inclusive")
    return {
        "bench": "slack_ack",
        "at_once": count,
        "p50_ms": round(cuts[49], 1),
        "p99_ms": round(cuts[98], 1),
        "max_ms": round(times[-1], 1),
        "allowed_ms": 3000,
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=50, help=f"commands at once, 2 to {MOST}")
    asked = parser.parse_args()
    if not 2 <= asked.count <= MOST:
        parser.error(f"--count: 2 to {MOST}")
    figures = measure(asked.count)
    print(json.dumps(figures))
    return 0 if float(str(figures["p99_ms"])) < 3000 else 1


if __name__ == "__main__":
    sys.exit(main())
