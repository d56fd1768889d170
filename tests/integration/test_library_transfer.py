"""Copies to folders of this machine: whole and checked, or not there."""

from __future__ import annotations

import errno
import hashlib
import os
from pathlib import Path

import pytest

from library.storage_config import read_config
from library.transfer import Target, TransferFailed, make_target

pytestmark = pytest.mark.integration
DATA = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "video.mp4").write_bytes(DATA)
    (tmp_path / "share").mkdir()
    return tmp_path / "video.mp4"


def share(source: Path, name: str = "share") -> Target:
    return make_target(read_config({"type": "local", "path": str(source.parent / name)}, local=True))


def files(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def test_a_copy_is_whole_and_may_be_repeated(source: Path) -> None:
    folder, target = source.parent / "share", share(source)
    address = target.put(source, "bio101/video.mp4", DIGEST)
    assert target.put(source, "bio101/video.mp4", DIGEST) == address == (folder / "bio101/video.mp4").as_uri()
    assert (folder / "bio101/video.mp4").read_bytes() == DATA
    assert files(folder) == ["bio101/video.mp4"]


def test_a_copy_is_read_measured_and_deleted(source: Path) -> None:
    target = share(source)
    target.put(source, "bio101/video.mp4", DIGEST)
    assert target.size("bio101/video.mp4") == len(DATA)
    assert b"".join(target.read("bio101/video.mp4", 1000, 500_000)) == DATA[1000:501_000]
    assert target.link("bio101/video.mp4", 60, "video.mp4") is None
    target.delete("bio101/video.mp4")
    target.delete("bio101/video.mp4")
    assert target.size("bio101/video.mp4") is None
    assert list((source.parent / "share").iterdir()) == []


def test_a_wrong_checksum_leaves_the_earlier_copy(source: Path) -> None:
    target = share(source)
    target.put(source, "video.mp4", DIGEST)
    source.write_bytes(b"damaged")
    with pytest.raises(TransferFailed, match="checksum"):
        target.put(source, "video.mp4", DIGEST)
    assert (source.parent / "share" / "video.mp4").read_bytes() == DATA
    assert files(source.parent / "share") == ["video.mp4"]


def test_an_unmounted_share_is_not_made(source: Path) -> None:
    with pytest.raises(TransferFailed, match="mounted"):
        share(source, "away").put(source, "video.mp4", DIGEST)
    assert not (source.parent / "away").exists()


def test_a_full_disk_is_told_and_leaves_nothing(source: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", full)
        with pytest.raises(TransferFailed, match="full"):
            share(source).put(source, "video.mp4", DIGEST)
    assert files(source.parent / "share") == []
    share(source).put(source, "video.mp4", DIGEST)
    assert files(source.parent / "share") == ["video.mp4"]


@pytest.mark.parametrize("name", ["../video.mp4", "/etc/video.mp4", "a/../../x", "."])
def test_a_name_stays_inside(source: Path, name: str) -> None:
    target = share(source)
    with pytest.raises(ValueError, match="inside"):
        target.put(source, name, DIGEST)
    assert source.read_bytes() == DATA and files(source.parent / "share") == []
