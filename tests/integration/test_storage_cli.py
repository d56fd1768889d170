"""``sideroom storage``: add, list, check, retry, remove; credentials by standard input and never printed."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.cli import main
from tests import storagekit as kit
from tests.librarykit import make_world
from tests.storagekit import DENIED, Fault, Proxy

pytestmark = pytest.mark.integration


@pytest.fixture
def proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Proxy]:
    monkeypatch.setenv("SIDEROOM_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("SIDEROOM_DATABASE_URL", f"sqlite:///{tmp_path / 'test.db'}")
    monkeypatch.setenv("SIDEROOM_STORAGE_PRIVATE_ENDPOINTS", "true")
    with kit.moto_s3() as address, kit.proxy_to(address) as made:
        yield made


def type_in(monkeypatch: pytest.MonkeyPatch, *lines: str) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("".join(f"{line}\n" for line in lines)))


def test_a_storage_from_first_to_last(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    add = ["storage", "add", "s3", "--bucket", kit.BUCKET, "--endpoint-url", proxy.url, "--name", "Campus"]
    type_in(monkeypatch, kit.ACCESS_KEY, kit.SECRET)
    assert main(add) == 0
    storage_id = capsys.readouterr().out.split()[1]
    assert main(["storage", "list"]) == 0
    shown = capsys.readouterr().out
    assert f"{storage_id}\tCampus\ts3 {kit.BUCKET}\tsite\tno copies yet\tworks" in shown
    assert kit.SECRET not in shown and kit.ACCESS_KEY not in shown
    assert main(["storage", "check"]) == 0
    proxy.faults = [Fault(lambda method, _: method == "PUT", 403, DENIED, times=-1)]
    assert main(["storage", "check", storage_id]) == 1
    assert "permission" in capsys.readouterr().out
    assert main(["storage", "retry", storage_id]) == 0
    assert "0 copies" in capsys.readouterr().out
    assert main(["storage", "remove", storage_id]) == 0
    assert main(["storage", "remove", storage_id]) == 2
    assert "storage doesn’t exist" in capsys.readouterr().err
    assert main(["storage", "list"]) == 0
    assert capsys.readouterr().out == ""


def test_what_cannot_work_is_told_and_not_saved(
    proxy: Proxy, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def refused(*arguments: str) -> str:
        type_in(monkeypatch, kit.ACCESS_KEY, kit.SECRET)
        assert main(["storage", "add", *arguments]) == 2
        told = capsys.readouterr().err
        assert kit.SECRET not in told and kit.ACCESS_KEY not in told
        return told

    assert "bucket: Storage of type s3 needs this." in refused("s3", "--endpoint-url", proxy.url)
    assert "bucket doesn’t exist" in refused("s3", "--bucket", "missing", "--endpoint-url", proxy.url)
    assert "course doesn’t exist" in refused("local", "--path", str(tmp_path), "--course", "nobody")
    assert "it’s mounted" in refused("local", "--path", str(tmp_path / "away"))
    monkeypatch.setenv("SIDEROOM_STORAGE_PRIVATE_ENDPOINTS", "false")
    assert "https://" in refused("s3", "--bucket", kit.BUCKET, "--endpoint-url", proxy.url)
    world = make_world(tmp_path)
    assert "type is one of" in refused("local", "--path", str(tmp_path), "--course", world.course)
    world.db.close()
    assert main(["storage", "list"]) == 0
    assert capsys.readouterr().out == ""
