"""Storage configurations: what is accepted, what is refused with its field, what is never shown; back-off, clocks, reasons."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError, EndpointConnectionError

from library.retention import ClockGuard
from library.storage_config import TYPES, read_config
from library.storage_vault import Vault
from library.transfer import TransferFailed, endpoint_of, make_target
from library.transfer.base import part_bytes
from library.transfer.reasons import azure_reason, s3_reason
from rooms.errors import DomainError
from server.transfers import LONGEST_PAUSE, pause

pytestmark = pytest.mark.unit
AWS = {"type": "aws", "access_key": "AKIA1", "secret": "sesame", "bucket": "films", "region": "ap-south-1"}
SPACES = {**AWS, "type": "digitalocean", "region": "SGP1"}
OWN = {
    "type": "s3",
    "access_key": "k",
    "secret": "sesame",
    "bucket": "films",
    "endpoint_url": "https://s3.example.org/",
}
AZURE = {"type": "azure", "access_key": "AccountKey=sesame", "secret": "", "region": "", "bucket": "films"}


@pytest.mark.parametrize(
    "given", [AWS, SPACES, OWN, AZURE, {**AWS, "path": "/course/2026/"}, {**OWN, "path": None}]
)
def test_good_configurations_are_read_and_never_show_their_credentials(given: dict[str, Any]) -> None:
    config = read_config(given)
    assert config.credentials
    assert "sesame" not in repr(config) and "sesame" not in str(config.public())
    assert not {"access_key", "secret"} & set(config.public())


def test_a_spaces_region_becomes_its_endpoint() -> None:
    assert endpoint_of(read_config(SPACES)) == "https://sgp1.digitaloceanspaces.com"
    assert endpoint_of(read_config(AWS)) is None
    assert endpoint_of(read_config(OWN)) == "https://s3.example.org"
    assert read_config({**AWS, "path": "/a/b/"}).path == "a/b"


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({}, "type"),
        ({"type": "gcs"}, "type"),
        ({"type": 4}, "type"),
        ({"type": "local", "path": "/srv"}, "type"),
        ({**AWS, "bucket": "Not A Bucket"}, "bucket"),
        ({**AWS, "bucket": "a/../b"}, "bucket"),
        ({**AWS, "bucket": ""}, "bucket"),
        ({**AWS, "secret": ""}, "secret"),
        ({**AWS, "secret": None}, "secret"),
        ({**AWS, "secret": 7}, "secret"),
        ({**AWS, "access_key": "a\nb"}, "access_key"),
        ({**AWS, "region": "evil.example.com/"}, "region"),
        ({**SPACES, "region": "x@evil.example.com#"}, "region"),
        ({**AWS, "path": "../up"}, "path"),
        ({**AWS, "path": "a//b"}, "path"),
        ({**AWS, "path": "ä"}, "path"),
        ({**AWS, "colour": "red"}, "colour"),
        ({**AWS, "endpoint_url": "https://s3.example.org"}, "endpoint_url"),
        ({**OWN, "endpoint_url": "https://s3.example.org/?x=1"}, "endpoint_url"),
        ({name: value for name, value in OWN.items() if name != "endpoint_url"}, "endpoint_url"),
        ({**AZURE, "secret": "x"}, "secret"),
        ({**AZURE, "bucket": "a--b"}, "bucket"),
        ({**AWS, "secret": "x" * 3000}, "secret"),
    ],
)
def test_bad_configurations_are_refused_with_their_field(given: dict[str, Any], field: str) -> None:
    with pytest.raises(DomainError) as refused:
        read_config(given)
    assert (refused.value.code, refused.value.facts["field"]) == ("bad_value", f"storage_config.{field}")
    assert "sesame" not in str(refused.value)


def test_only_the_site_may_copy_to_folders_of_this_server() -> None:
    assert read_config({"type": "local", "path": "/mnt/share"}, local=True).path == "/mnt/share"
    with pytest.raises(DomainError, match="absolute"):
        read_config({"type": "local", "path": "share"}, local=True)


@pytest.mark.parametrize(
    "endpoint", ["http://blob.example.org/x", "https://10.0.0.7/x", "https://127.0.0.1:10000/x"]
)
def test_a_connection_string_cannot_lead_into_our_network(endpoint: str) -> None:
    given = f"DefaultEndpointsProtocol=https;AccountName=x;AccountKey=c2VzYW1l;BlobEndpoint={endpoint};"
    with pytest.raises(TransferFailed, match=r"https://|private network") as refused:
        make_target(read_config({**AZURE, "access_key": given}))
    assert "c2VzYW1l" not in str(refused.value)


@pytest.mark.parametrize("given", ["sesame", "AccountKey=sesame", "AccountName=x;AccountKey=sesame;sesame"])
def test_what_is_no_connection_string_is_told_without_repeating_it(given: str) -> None:
    with pytest.raises(TransferFailed, match="connection string") as refused:
        make_target(read_config({**AZURE, "access_key": given}))
    assert "sesame" not in str(refused.value)


KEY, OTHER = "11" * 32, "22" * 32


def test_credentials_open_only_with_their_key_and_for_their_storage() -> None:
    sealed = Vault(KEY).seal("st1", {"secret": "sesame"})
    assert "sesame" not in sealed and sealed != Vault(KEY).seal("st1", {"secret": "sesame"})
    assert Vault(KEY).open("st1", sealed, Vault(KEY).key_id) == {"secret": "sesame"}
    assert Vault(OTHER, [KEY]).open("st1", sealed, Vault(KEY).key_id) == {"secret": "sesame"}
    for vault, purpose in ((Vault(OTHER), "st1"), (Vault(KEY), "st2")):
        with pytest.raises(DomainError, match="SIDEROOM_PREVIOUS_SECRETS"):
            vault.open(purpose, sealed, Vault(KEY).key_id)


def test_pauses_grow_to_an_hour_and_stay_there() -> None:
    pauses = [pause(attempts) for attempts in range(1, 400)]
    assert pauses[:4] == [timedelta(seconds=each) for each in (10, 20, 40, 80)]
    assert pauses == sorted(pauses) and pauses[-1] == LONGEST_PAUSE


@pytest.mark.parametrize("size", [0, 1, 8 * 2**20, 80_000 * 2**20, 5 * 2**40])
def test_no_file_needs_more_parts_than_a_store_takes(size: int) -> None:
    part = part_bytes(size, 8 * 2**20, 10_000)
    assert part >= 8 * 2**20 and -(-size // part) <= 10_000


class Clock:
    def __init__(self) -> None:
        self.at, self.seconds = datetime(2026, 5, 4, 10, tzinfo=UTC), 0.0

    def pass_s(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)
        self.seconds += seconds

    def guard(self) -> ClockGuard:
        return ClockGuard(lambda: self.at, lambda: self.seconds)


def test_a_clock_put_forward_is_not_believed_for_a_day() -> None:
    clock = Clock()
    guard = clock.guard()
    clock.pass_s(40 * 86_400)
    assert guard.believed()
    clock.at += timedelta(days=300)
    assert not guard.believed()
    clock.pass_s(23 * 3600)
    assert not guard.believed()
    clock.pass_s(2 * 3600)
    assert guard.believed()


def test_a_clock_put_right_again_is_believed_at_once() -> None:
    clock = Clock()
    guard = clock.guard()
    clock.at += timedelta(days=300)
    assert not guard.believed()
    clock.at -= timedelta(days=300)
    assert guard.believed()


@pytest.mark.parametrize(
    ("code", "status", "says"),
    [
        ("AccessDenied", 403, "permission"),
        ("InvalidAccessKeyId", 403, "access key"),
        ("SignatureDoesNotMatch", 403, "secret"),
        ("NoSuchBucket", 404, "bucket"),
        ("RequestTimeTooSkewed", 403, "clock"),
        ("SlowDown", 503, "keep trying"),
        ("InternalError", 500, "keep trying"),
        ("QuotaExceeded", 507, "Free up space"),
        ("Unheard", 400, "settings"),
    ],
)
def test_a_refusal_says_what_to_do_and_nothing_of_the_store(code: str, status: int, says: str) -> None:
    answer = {
        "Error": {"Code": code, "Message": "key AKIA1 sesame"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    sentence = s3_reason(ClientError(answer, "PutObject"))  # type: ignore[arg-type]
    assert says in sentence and code in sentence
    assert "AKIA1" not in sentence and "sesame" not in sentence


def test_silence_says_to_check_the_network() -> None:
    assert "network" in s3_reason(EndpointConnectionError(endpoint_url="https://x"))
    assert "network" in azure_reason("", 0)
    assert "container" in azure_reason("ContainerNotFound", 404)


def test_the_manual_lists_every_type_with_its_fields() -> None:
    page = (Path(__file__).parents[2] / "docs" / "storage.md").read_text(encoding="utf-8")
    table = dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page[page.index("## 5.") :], re.M))
    assert set(table) == set(TYPES) - {"local"}
    for name, spec in TYPES.items():
        if name != "local":
            assert (
                set(re.findall(r"`(\w+)`", table[name])) == spec.required | spec.optional | spec.must_be_empty
            )
            assert set(re.findall(r"`(\w+)`\?", table[name])) == spec.optional
