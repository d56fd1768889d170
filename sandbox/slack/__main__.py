"""``python -m sandbox.slack``: run the practice Slack. Its secrets come from the environment."""

from __future__ import annotations

import argparse
import os

from werkzeug.serving import run_simple

from sandbox.slack.app import create_app

parser = argparse.ArgumentParser(description="Practice Slack")
parser.add_argument("--port", type=int, required=True)
parser.add_argument("--bot-url", required=True, help="the bot's request URL")
arguments = parser.parse_args()
run_simple(
    "127.0.0.1",
    arguments.port,
    create_app(
        f"http://127.0.0.1:{arguments.port}",
        arguments.bot_url,
        os.environ["SIDEROOM_SLACK_SIGNING_SECRET"],
        os.environ["SIDEROOM_SLACK_BOT_TOKEN"],
        client_id=os.environ.get("SIDEROOM_SLACK_CLIENT_ID", ""),
        client_secret=os.environ.get("SIDEROOM_SLACK_CLIENT_SECRET", ""),
        app_token=os.environ.get("SIDEROOM_SLACK_APP_TOKEN", ""),
    ),
    threaded=True,
)
