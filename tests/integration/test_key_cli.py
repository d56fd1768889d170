"""``sideroom key``: a key from first to last, its secret shown once."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from models.store import keys, people
from models.store.database import Database
from models.store.migrate import upgrade
from server.cli import main

pytestmark = pytest.mark.integration


@pytest.fixture
def db(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    monkeypatch.setenv("SIDEROOM_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SIDEROOM_DATABASE_URL", url)
    upgrade(url)
    made = Database(url)
    yield made
    made.close()


def run(capsys: pytest.CaptureFixture[str], *words: str) -> list[str]:
    assert main(["key", *words]) == 0
    return capsys.readouterr().out.splitlines()


def test_a_key_from_first_to_last(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    course = people.upsert_course(db, "https://lms.test", "bio101", "BIO 101")
    _, secret = run(capsys, "create", "Archive", "--scope", "recordings:read", "--course", course)
    key = keys.check_key(db, secret)
    assert key is not None
    assert (key.name, key.scopes, key.course_id) == ("Archive", {"recordings:read"}, course)
    (line,) = run(capsys, "list")
    assert line.split("\t")[:5] == [key.key_id, "active", "Archive", "recordings:read", course]
    assert secret not in line
    run(capsys, "revoke", key.key_id)
    assert keys.check_key(db, secret) is None
    assert run(capsys, "list")[0].split("\t")[1] == "revoked"
    assert main(["key", "revoke", key.key_id]) == 2


def test_without_a_scope_it_only_sees_recordings(db: Database, capsys: pytest.CaptureFixture[str]) -> None:
    _, secret = run(capsys, "create", "Campus", "--days", "30")
    key = keys.check_key(db, secret)
    assert key is not None and key.scopes == {"recordings:read"} and key.course_id is None
    assert keys.list_keys(db)[0].expires_at is not None


@pytest.mark.parametrize(
    ("wrong", "told"), [(("--course", "nowhere"), "no course nowhere"), (("--days", "0"), "--days")]
)
def test_limits_that_mean_nothing_are_refused(
    db: Database, capsys: pytest.CaptureFixture[str], wrong: tuple[str, str], told: str
) -> None:
    assert main(["key", "create", "Archive", *wrong]) == 2
    said = capsys.readouterr().err
    assert said.startswith("sideroom: ") and told in said and keys.list_keys(db) == []
