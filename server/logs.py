"""Logging of our processes: one line an event, no secrets, no bodies."""

from __future__ import annotations

import logging

_QUIET = (
    "slack_bolt",
    "slack_sdk",
    "aiortc",
    "aioice",
    "uvicorn.access",
    "apscheduler",
    "werkzeug",
    "websockets",
    "libav",
    "boto3",
    "botocore",
    "s3transfer",
    "urllib3",
    "azure",
)


def configure(level: str) -> None:
    """Log to standard error. Libraries that print requests or bodies are limited to warnings."""
    logging.basicConfig(level=level, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)
