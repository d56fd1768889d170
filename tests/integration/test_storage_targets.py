"""Copies at S3-compatible stores and Azure Blob: whole and checked, or not there; and they go on where they stopped."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from library.storage_config import read_config
from library.transfer import Interrupted, Target, TransferFailed, make_target
from tests import storagekit as kit
from tests.storagekit import DENIED, Fault, Proxy, uploads_part

pytestmark = pytest.mark.integration
MIB = 1024 * 1024
FILM = random.Random(7).randbytes(20 * MIB)  # three parts
FILM_SHA256 = hashlib.sha256(FILM).hexdigest()
NAME = "bio/2026-05-04/video.mp4"


@pytest.fixture(scope="module", params=["s3", "azure"])
def upstream(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, str]]:
    """(kind, host:port) of a store; one for the module."""
    if request.param == "s3":
        with kit.moto_s3() as address:
            yield "s3", address
    else:
        with kit.azurite(tmp_path_factory.mktemp("azurite")) as address:
            yield "azure", address


@dataclass(slots=True)
class Store:
    kind: str
    address: str
    proxy: Proxy
    folder: Path

    def target(self, timeout_s: float = 20.0, **more: str) -> Target:
        if self.kind == "s3":
            config = kit.s3_config(self.proxy.url, **more)
        else:
            config = kit.azure_config(self.proxy.url.removeprefix("http://"), **more)
        return make_target(read_config(config), allow_private=True, timeout_s=timeout_s)

    def film(self, data: bytes = FILM) -> Path:
        path = self.folder / "video.mp4"
        path.write_bytes(data)
        return path

    def direct(self) -> Target:
        """Past the proxy."""
        own = kit.s3_config(f"http://{self.address}") if self.kind == "s3" else kit.azure_config(self.address)
        return make_target(read_config(own), allow_private=True)

    def content(self, name: str = NAME) -> bytes | None:
        """What the store really has."""
        direct = self.direct()
        size = direct.size(name)
        return None if size is None else b"".join(direct.read(name, 0, size))

    def parts_sent(self) -> int:
        return sum(
            1 for method, path, status in self.proxy.seen if uploads_part(method, path) and 0 < status < 300
        )


@pytest.fixture
def store(upstream: tuple[str, str], tmp_path: Path) -> Iterator[Store]:
    kind, address = upstream
    with kit.proxy_to(address) as proxy:
        made = Store(kind, address, proxy, tmp_path)
        yield made
        made.direct().delete(NAME)


class Kept:
    """Progress as the database keeps it; ends the copy after ``stop_after`` saves."""

    def __init__(self, stop_after: int = -1) -> None:
        self.state: dict[str, Any] = {}
        self.copied: list[int] = []
        self.stop_after = stop_after

    def save(self, state: dict[str, Any], copied_bytes: int) -> None:
        self.state = state
        self.copied.append(copied_bytes)
        if len(self.copied) == self.stop_after:
            raise Interrupted


def test_a_film_arrives_whole_in_parts_and_may_be_sent_again(store: Store) -> None:
    kept = Kept()
    address = store.target().put(store.film(), NAME, FILM_SHA256, kept, "video/mp4")
    assert address.endswith(NAME) and "sig=" not in address
    assert store.content() == FILM
    assert store.parts_sent() == 3
    assert [each for each in kept.copied if each][:3] == [8 * MIB, 16 * MIB, 20 * MIB]
    assert store.target().put(store.film(), NAME, FILM_SHA256) == address
    assert store.parts_sent() == 3


@pytest.mark.parametrize("data", [b"", b"x", b"y" * 8 * MIB])
def test_a_small_file_arrives_whole(store: Store, data: bytes) -> None:
    store.target().put(store.film(data), NAME, hashlib.sha256(data).hexdigest())
    assert store.content() == data
    assert store.target().size(NAME) == len(data)


def test_a_stopped_copy_goes_on_where_it_was(store: Store) -> None:
    saves = 3 if store.kind == "s3" else 2  # S3 first saves the upload's id
    kept = Kept(stop_after=saves)
    with pytest.raises(Interrupted):
        store.target().put(store.film(), NAME, FILM_SHA256, kept)
    assert (store.content(), store.parts_sent()) == (None, 2)
    again = Kept()
    again.state = kept.state
    store.target().put(store.film(), NAME, FILM_SHA256, again)
    assert (store.content(), store.parts_sent()) == (FILM, 3)


def test_a_refusal_says_what_to_do_and_leaves_nothing(store: Store) -> None:
    store.proxy.faults = [Fault(lambda method, _: method == "PUT", 403, DENIED, times=-1)]
    for data in (b"small", FILM):
        with pytest.raises(TransferFailed, match=r"rights|refused"):
            store.target().put(store.film(data), NAME, hashlib.sha256(data).hexdigest())
    assert store.content() is None


def test_one_server_error_is_overcome_and_lasting_ones_are_told(store: Store) -> None:
    store.proxy.faults = [Fault(uploads_part, 500)]
    kept = Kept()
    store.proxy.faults.append(
        Fault(lambda m, p: uploads_part(m, p) and store.parts_sent() >= 2, 503, times=-1)
    )
    with pytest.raises(TransferFailed, match="trouble"):
        store.target().put(store.film(), NAME, FILM_SHA256, kept)
    assert (store.content(), store.parts_sent()) == (None, 2)
    store.proxy.faults.clear()
    store.target().put(store.film(), NAME, FILM_SHA256, kept)
    assert (store.content(), store.parts_sent()) == (FILM, 3)


def test_a_connection_cut_in_the_middle_of_a_part_costs_that_part_only(store: Store) -> None:
    kept = Kept()
    cut = Fault(lambda m, p: uploads_part(m, p) and store.parts_sent() == 1, cut_after=3 * MIB, times=-1)
    store.proxy.faults = [cut]
    with pytest.raises(TransferFailed, match="isn’t responding"):
        store.target().put(store.film(), NAME, FILM_SHA256, kept)
    assert (store.content(), store.parts_sent()) == (None, 1)
    store.proxy.faults.clear()
    store.target().put(store.film(), NAME, FILM_SHA256, kept)
    assert (store.content(), store.parts_sent()) == (FILM, 3)


def test_a_store_that_does_not_answer_in_time_is_given_up_for_now(store: Store) -> None:
    store.proxy.faults = [Fault(uploads_part, delay_s=30, times=-1)]
    with pytest.raises(TransferFailed, match="too slow"):
        store.target(timeout_s=1.0).put(store.film(), NAME, FILM_SHA256)
    assert store.content() is None


def test_a_store_that_is_away_is_told(store: Store) -> None:
    target = store.target(timeout_s=1.0)
    store.proxy.upstream = "127.0.0.1:9"
    with pytest.raises(TransferFailed, match="isn’t responding"):
        target.put(store.film(b"x"), NAME, hashlib.sha256(b"x").hexdigest())


def test_a_damaged_part_is_never_taken_for_a_good_one(store: Store) -> None:
    store.proxy.faults = [Fault(lambda m, p: m == "PUT" and "blocklist" not in p, damage=True, times=-1)]
    with pytest.raises(TransferFailed):
        store.target().put(store.film(b"small film"), NAME, hashlib.sha256(b"small film").hexdigest())
    assert store.content() is None
    store.proxy.faults.clear()
    store.target().put(store.film(b"small film"), NAME, hashlib.sha256(b"small film").hexdigest())
    assert store.content() == b"small film"


def test_a_store_that_only_says_it_took_the_film_is_caught(store: Store) -> None:
    said = b'<?xml version="1.0"?><CompleteMultipartUploadResult><ETag>"x"</ETag></CompleteMultipartUploadResult>'

    def completes(method: str, path: str) -> bool:
        return (method == "POST" and "uploadId=" in path) or (method == "PUT" and "comp=blocklist" in path)

    store.proxy.faults = [Fault(completes, 200 if store.kind == "s3" else 201, said)]
    with pytest.raises(TransferFailed):
        store.target().put(store.film(), NAME, FILM_SHA256)
    assert store.content() is None


def test_a_file_that_is_not_what_was_composed_is_not_copied(store: Store) -> None:
    for data in (b"small", FILM[:-1] + b"?"):
        with pytest.raises(TransferFailed, match="disk"):
            store.target().put(store.film(data), NAME, FILM_SHA256)
        assert store.content() is None


def test_copies_are_read_in_ranges_linked_and_deleted(store: Store) -> None:
    target = store.target()
    target.put(store.film(), NAME, FILM_SHA256)
    assert b"".join(target.read(NAME, 5 * MIB, MIB)) == FILM[5 * MIB : 6 * MIB]
    assert b"".join(target.read(NAME, 0, 0)) == b""
    link = target.link(NAME, 60, "Übung 1.mp4")
    assert link is not None
    answer = requests.get(link, headers={"Range": "bytes=0-9"}, timeout=20)
    assert (answer.status_code, answer.content) == (206, FILM[:10])
    assert "attachment" in answer.headers["Content-Disposition"]
    target.delete(NAME)
    target.delete(NAME)
    assert target.size(NAME) is None
    with pytest.raises(TransferFailed, match="no longer at the storage"):
        b"".join(target.read(NAME, 0, 10))


only_s3 = pytest.mark.parametrize("upstream", ["s3"], indirect=True)


@only_s3
def test_an_upload_that_the_store_threw_away_begins_again(store: Store) -> None:
    kept = Kept(stop_after=3)
    with pytest.raises(Interrupted):
        store.target().put(store.film(), NAME, FILM_SHA256, kept)
    store.target().forget(NAME, kept.state)
    store.target().forget(NAME, kept.state)
    uploads = kit.s3_client(store.address).list_multipart_uploads(Bucket=kit.BUCKET)
    assert kept.state["upload_id"] not in [each["UploadId"] for each in uploads.get("Uploads", [])]
    kept.stop_after = -1
    store.target().put(store.film(), NAME, FILM_SHA256, kept)
    assert (store.content(), store.parts_sent()) == (FILM, 5)


@only_s3
def test_a_part_that_arrived_without_our_noting_it_is_not_sent_again(store: Store) -> None:
    kept = Kept(stop_after=3)
    with pytest.raises(Interrupted):
        store.target().put(store.film(), NAME, FILM_SHA256, kept)
    again = Kept()
    again.state = {**kept.state, "parts": kept.state["parts"][:1]}
    store.target().put(store.film(), NAME, FILM_SHA256, again)
    assert (store.content(), store.parts_sent()) == (FILM, 3)


@only_s3
def test_an_encrypted_bucket_whose_etags_say_nothing_is_read_back(store: Store) -> None:
    store.proxy.faults = [Fault(lambda method, _: method == "HEAD", etag='"kms"', times=-1)]
    store.target().put(store.film(), NAME, FILM_SHA256)
    assert store.content() == FILM
    assert store.proxy.count("GET", NAME) == 1


@only_s3
def test_amazon_gets_sha256_sums_of_every_part(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", store.proxy.url)
    config = {"type": "aws", "bucket": kit.BUCKET, "region": "us-east-1", "access_key": "k", "secret": "s"}
    make_target(read_config(config)).put(store.film(), NAME, FILM_SHA256)
    assert store.content() == FILM
    head = kit.s3_client(store.address).head_object(Bucket=kit.BUCKET, Key=NAME, ChecksumMode="ENABLED")
    assert head["ChecksumSHA256"] and head["Metadata"] == {"sha256": FILM_SHA256}
