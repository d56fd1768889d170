"""The OpenAPI document: valid, current in manifests/, complete, and true about webhooks' bodies and error codes."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from api.openapi import document
from api.v1.messages import MESSAGES
from api.v1.routes import ROUTES
from models.store.keys import SCOPES
from models.values import SYSTEM, RecordingId
from rooms import commands as c
from rooms.errors import CODES
from rooms.evolve import evolve
from rooms.state import SessionState
from tests.people import ALICE, BOB, SESSION
from tests.unit.test_core_table import RUNNING, in_status
from webhooks.events import EVENTS, message

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]
REST = (ROOT / "docs" / "rest.md").read_text(encoding="utf-8")
HOOKS = (ROOT / "docs" / "webhooks.md").read_text(encoding="utf-8")


def test_the_manifest_is_current() -> None:
    stored = json.loads((ROOT / "manifests" / "openapi.json").read_text(encoding="utf-8"))
    assert stored == document(ROUTES, "/"), "write it anew: sideroom openapi > manifests/openapi.json"


def test_the_document_is_valid() -> None:
    OpenAPIV31SpecValidator(document(ROUTES, "https://rooms.test")).validate()  # type: ignore[arg-type]


def test_every_route_has_its_own_name_and_known_codes() -> None:
    assert len({route.name for route in ROUTES}) == len(ROUTES)
    assert {route.scope for route in ROUTES} <= SCOPES
    for route in ROUTES:
        assert set(route.codes) <= set(CODES), route.name


def test_the_documents_name_every_scope_event_and_field() -> None:
    assert all(f"`{scope}`" in REST for scope in SCOPES)
    assert all(f"`{event}`" in HOOKS for event in MESSAGES) and set(MESSAGES) == {*EVENTS, "webhook.test"}
    schemas = document(ROUTES, "/")["components"]["schemas"]
    for name in (
        "StartBody",
        "TrackBody",
        "Options",
        "VideoConfig",
        "AudioConfig",
        "Tracks",
        "Recording",
        "File",
    ):
        for field in schemas[name]["properties"]:
            assert f"`{field}`" in REST or f'"{field}"' in REST, f"{name}.{field}"


def test_messages_are_what_the_document_says() -> None:
    history = in_status(RUNNING)
    history.do(ALICE, c.StartRecording(all_rooms=True))
    recording_id = RecordingId(next(iter(history.state.recordings)))
    for status in ("RECORDING", "PAUSED", "RECORDING", "UPLOADING", "UPLOADED"):
        history.do(SYSTEM, c.ReportRecording(recording_id, status))
    history.do(SYSTEM, c.ReportFilm(recording_id, "c1", error="What was captured is not kept any more."))
    history.do(ALICE, c.RemoveParticipant(BOB.person_id))  # type: ignore[arg-type]
    history.do(ALICE, c.EndSession())
    state, seen = SessionState(SESSION), set[str]()
    for recorded in history.log:
        before, state = state, evolve(state, recorded)
        said = message(before, recorded, state)
        if said is not None:
            seen.add(said.event)
            MESSAGES[said.event].model_validate_json(json.dumps(said.data))
    assert seen == set(EVENTS)


def test_examples_in_the_documents_are_what_the_models_say() -> None:
    blocks = re.findall(r"```json\n(.*?)```", HOOKS, re.S)
    assert blocks
    for block in blocks:
        data: dict[str, Any] = json.loads(block)
        MESSAGES[data["event"]].model_validate_json(block)
