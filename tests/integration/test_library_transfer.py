"""Copies at other places: whole and checked, or not there."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from library.transfer import make_target

pytestmark = pytest.mark.integration
DATA = bytes(range(256)) * 4096
DIGEST = hashlib.sha256(DATA).hexdigest()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "video.mp4").write_bytes(DATA)
    (tmp_path / "share").mkdir()
    return tmp_path / "video.mp4"


def files(folder: Path) -> list[str]:
    return sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*") if file.is_file())


def test_a_copy_is_whole_and_may_be_repeated(source: Path) -> None:
    share = source.parent / "share"
    target = make_target({"type": "local", "path": str(share)})
    address = target.put(source, "bio101/video.mp4", DIGEST)
    assert target.put(source, "bio101/video.mp4", DIGEST) == address == (share / "bio101/video.mp4").as_uri()
    assert (share / "bio101/video.mp4").read_bytes() == DATA
    assert files(share) == ["bio101/video.mp4"]


def test_a_wrong_checksum_leaves_the_earlier_copy(source: Path) -> None:
    share = source.parent / "share"
    target = make_target({"type": "local", "path": str(share)})
    target.put(source, "video.mp4", DIGEST)
    source.write_bytes(b"damaged")
    with pytest.raises(OSError, match="checksum"):
        target.put(source, "video.mp4", DIGEST)
    assert (share / "video.mp4").read_bytes() == DATA
    assert files(share) == ["video.mp4"]


def test_an_unmounted_share_is_not_made(source: Path) -> None:
    target = make_target({"type": "local", "path": str(source.parent / "away")})
    with pytest.raises(FileNotFoundError, match="mounted"):
        target.put(source, "video.mp4", DIGEST)
    assert not (source.parent / "away").exists()


@pytest.mark.parametrize("name", ["../video.mp4", "/etc/video.mp4", "a/../../x", "."])
def test_a_name_stays_inside(source: Path, name: str) -> None:
    target = make_target({"type": "local", "path": str(source.parent / "share")})
    with pytest.raises(ValueError, match="inside"):
        target.put(source, name, DIGEST)
    assert source.read_bytes() == DATA and files(source.parent / "share") == []


@pytest.mark.parametrize(
    "config",
    [
        {},
        {"type": "ftp"},
        {"type": "local"},
        {"type": "local", "path": "here"},
        {"type": "local", "path": "/a", "key": "x"},
    ],
)
def test_a_bad_configuration_is_refused(config: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="storage"):
        make_target(config)
