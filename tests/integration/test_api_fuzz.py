"""A running server against its own OpenAPI document: whatever is sent, the answer is one that the document tells."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import negative_data_rejection, not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from werkzeug.serving import make_server

from api.openapi import document
from api.v1.limits import Limits
from api.v1.routes import ROUTES
from tests.apikit import running_api

pytestmark = [
    pytest.mark.integration,
    pytest.mark.filterwarnings("ignore::DeprecationWarning:schemathesis"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:jsonschema"),
]
SCHEMA = schemathesis.openapi.from_dict(document(ROUTES, "/"))
OPERATIONS = {op.ok().label: op.ok() for op in SCHEMA.get_all_operations()}
CHECKS: list[Any] = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
BOUNDED = settings(
    max_examples=5,
    deadline=None,
    database=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@dataclass(slots=True)
class Running:
    """A server on loopback, a key for it, and ids of things that are there."""

    url: str
    headers: dict[str, str]
    ids: dict[str, str]


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    wide = Limits("100000 per 1 minute", "100000 per 1 minute", "100000 per 1 minute")
    with running_api(tmp_path_factory.mktemp("fuzz"), wide) as api:
        server = make_server("127.0.0.1", 0, api.client.application, threaded=True)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        hook = {"name": "Calendar", "url": "https://hooks.example.edu/", "events": ["meeting.started"]}
        hook_id = api.good("POST", "/webhooks", json=hook)["id"]
        ids = {
            "meeting_id": api.session_id,
            "session_id": api.session_id,
            "recording_id": api.start()["id"],
            "course_id": api.world.course,
            "webhook_id": hook_id,
            "delivery_id": str(api.good("POST", f"/webhooks/{hook_id}/test")["id"]),
        }
        yield Running(f"http://127.0.0.1:{server.server_port}", api.key, ids)
        server.shutdown()
        server.server_close()
        thread.join(10)


def test_what_was_made_can_be_gone_on_with(running: Running) -> None:
    """Follows the document's links: what a call has made is looked at, changed and deleted by the next ones."""

    class Walk(SCHEMA.as_state_machine()):  # type: ignore[misc]
        def get_call_kwargs(self, case: Case) -> dict[str, Any]:
            return {"base_url": running.url, "headers": running.headers}

        def before_call(self, case: Case) -> None:
            if isinstance(case.body, dict) and "meeting_id" in case.body:
                case.body = {"meeting_id": running.ids["meeting_id"], "allow_multiple_recordings": True}

        def validate_response(self, response: Any, case: Case, **_more: Any) -> None:
            followed.add((case.operation.label, response.status_code))
            case.validate_response(response, checks=CHECKS, headers=running.headers)

    followed = set[tuple[str, int]]()
    Walk.run(settings=settings(BOUNDED, max_examples=12, stateful_step_count=6))
    assert any("{" in label and status < 300 for label, status in followed), followed


@pytest.mark.parametrize("mode", [GenerationMode.POSITIVE, GenerationMode.NEGATIVE], ids=["good", "bad"])
@pytest.mark.parametrize("label", OPERATIONS)
def test_answers_are_what_the_document_tells(running: Running, label: str, mode: GenerationMode) -> None:
    operation = OPERATIONS[label]
    if mode is GenerationMode.NEGATIVE and not (operation.body or operation.query):
        return

    turns = count()

    @BOUNDED
    @given(case=operation.as_strategy(generation_mode=mode))
    def call(case: Case) -> None:
        # What is made up is nowhere, so half of the good calls are about what is there.
        if mode is GenerationMode.POSITIVE and operation.method != "delete" and next(turns) % 2:
            case.path_parameters = {
                name: running.ids.get(name, value) for name, value in (case.path_parameters or {}).items()
            }
        checks = [*CHECKS, negative_data_rejection] if mode is GenerationMode.NEGATIVE else CHECKS
        case.call_and_validate(base_url=running.url, headers=running.headers, checks=checks)

    call()
