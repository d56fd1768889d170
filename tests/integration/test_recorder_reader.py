"""Reading a journal that still grows: torn ends wait, positions lead back to the same record."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from recorder.adopt import past_of
from recorder.capture import Capture
from recorder.journal import (
    MAX_FILE,
    MAX_RECORD,
    RECORD,
    JournalWriter,
    ManifestReader,
    Position,
    RecordReader,
    is_closed,
    media_files,
    read_manifest,
    read_records,
)
from recorder.timeline import build

pytestmark = pytest.mark.integration


def test_a_torn_record_waits_until_it_is_whole(tmp_path: Path) -> None:
    reader = RecordReader(tmp_path)
    assert reader.next() is None
    whole = RECORD.pack(3, 1, 1, 90, 1000) + b"abc"
    path = tmp_path / "media-0001.log"
    path.write_bytes(whole + whole[:10])
    first = reader.next()
    assert first is not None and first.data == b"abc" and reader.at == Position(1, 0)
    assert reader.next() is None
    path.write_bytes(whole + whole)
    assert reader.next() is not None and reader.at == Position(1, len(whole))
    reader.close()


def test_the_next_file_is_read_after_a_torn_end_and_positions_lead_back(tmp_path: Path) -> None:
    for run in range(2):
        writer = JournalWriter(tmp_path)
        for number in range(5):
            writer.frame(run, 1, number, 1000 + number, bytes([run, number]))
        writer.close()
        with (tmp_path / f"media-{run + 1:04d}.log").open("ab") as file:
            file.write(b"torn")
    reader = RecordReader(tmp_path)
    places = []
    while (record := reader.next()) is not None:
        places.append((reader.at, record))
    reader.close()
    assert [record.data for _, record in places] == [bytes([r, n]) for r in range(2) for n in range(5)]
    assert [record for _, record in places] == list(read_records(tmp_path))
    again = RecordReader(tmp_path, places[6][0])
    assert again.next() == places[6][1] and again.at == places[6][0]
    again.close()


def test_a_line_that_is_being_written_is_left_for_later(tmp_path: Path) -> None:
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(b'{"k":"start","at":1}\nnonsense\n{"k":"be')
    reader = ManifestReader(tmp_path)
    assert [line["k"] for line in reader.new_lines()] == ["start"]
    with path.open("ab") as file:
        file.write(b'at","at":2}\n{"k":"stop","at":3}')
    assert [line["k"] for line in reader.new_lines()] == ["beat"]
    assert [line["k"] for line in reader.rest()] == ["stop"]
    reader.close()


def test_a_journal_is_closed_when_its_last_line_says_so(tmp_path: Path) -> None:
    assert not is_closed(tmp_path)
    writer = JournalWriter(tmp_path)
    for number in range(3000):
        writer.note("level", number, loud="x" * 40)
    writer.flush()
    assert not is_closed(tmp_path)
    writer.note("stop", 3000, reason="moderator")
    writer.close()
    assert is_closed(tmp_path)
    with (tmp_path / "manifest.jsonl").open("ab") as file:
        file.write(b'{"k":"stop","at":30')
    assert not is_closed(tmp_path), "a torn line says nothing"


T0 = 1_800_000_000_000_000


def spoil(data: bytes, at: int, chance: random.Random) -> bytes:
    """The same with another byte at ``at``."""
    return data[:at] + bytes([data[at] ^ chance.randrange(1, 256)]) + data[at + 1 :]


def test_a_spoilt_byte_costs_no_more_frames_than_it_stands_in(tmp_path: Path) -> None:
    chance = random.Random(7)
    writer = JournalWriter(tmp_path)
    for n in range(120):
        writer.frame(1 + n % 4, n % 2, n * 960, T0 + n * 5_000, chance.randbytes(chance.randrange(1, 400)))
    writer.close()
    [path] = media_files(tmp_path)
    whole, good = path.read_bytes(), list(read_records(tmp_path))
    for _ in range(250):
        path.write_bytes(spoil(whole, chance.randrange(len(whole)), chance))
        kept = set(read_records(tmp_path))
        assert len(kept & set(good)) >= len(good) - 2
    # A sector that is gone, as after a loss of power.
    at = len(whole) // 2
    path.write_bytes(whole[:at] + bytes(4096) + whole[at + 4096 :])
    reader, places = RecordReader(tmp_path), set()
    while (record := reader.next()) is not None:
        places.add((record.segment, record.rtp))
    reader.close()
    wanted = [(record.segment, record.rtp) for record in good]
    assert {wanted[0], wanted[-1]} <= places <= set(wanted) and 3000 < reader.spoilt < 5000


def test_a_spoilt_byte_costs_no_more_lines_than_it_stands_in(tmp_path: Path) -> None:
    chance = random.Random(8)
    writer = JournalWriter(tmp_path)
    for n in range(60):
        writer.note("beat", T0 + n * 1_000_000, note="ä" * (n % 5))
    writer.close()
    path = tmp_path / "manifest.jsonl"
    whole, good = path.read_bytes(), read_manifest(tmp_path)
    assert len(good) == 60 and set(good[0]) == {"k", "at", "note"}
    for _ in range(250):
        path.write_bytes(spoil(whole, chance.randrange(len(whole)), chance))
        kept = read_manifest(tmp_path)
        assert len(kept) >= 58
        for line in kept:
            assert any(was.items() <= line.items() for was in good), "a number is believed that is wrong"


def test_a_journal_without_its_first_line_still_has_its_tracks(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path)
    writer.note("start", T0, recording_id="r")
    facts = {"person_id": "a", "source": "mic", "codec": "opus", "clock_rate": 48_000}
    writer.note("segment", T0 + 1_000_000, n=3, **facts)
    writer.note("mark", T0 + 1_000_000, n=3, rtp=0)
    writer.note("stop", T0 + 9_000_000)
    writer.close()
    path = tmp_path / "manifest.jsonl"
    path.write_bytes(b"#" + path.read_bytes()[1:])
    timeline = build(read_manifest(tmp_path))
    assert timeline.duration == 8_000_000 and list(timeline.segments) == [3] and not timeline.has_start
    assert past_of(tmp_path).start_us == T0 + 1_000_000


def test_empty_and_missing_files_and_too_large_frames_end_nothing(tmp_path: Path) -> None:
    for name in ("media-0001.log", "media-0004.log"):
        (tmp_path / name).touch()
    writer = JournalWriter(tmp_path)
    assert not writer.frame(1, 1, 0, T0, bytes(MAX_RECORD + 1)) and writer.dropped == 1
    assert writer.frame(1, 1, 0, T0, b"whole")
    writer.close()
    assert [path.name for path in media_files(tmp_path)][-1] == "media-0005.log"
    assert [record.data for record in read_records(tmp_path)] == [b"whole"]


def test_a_disk_that_refuses_leaves_no_descriptor_open_and_closes_none_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    before = descriptors()
    with monkeypatch.context() as full:
        full.setattr("os.write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
        for _ in range(3):
            with pytest.raises(OSError, match="No space"):
                Capture(tmp_path / "new", {}, T0)
    assert descriptors() == before
    writer = JournalWriter(tmp_path / "old")
    writer.frame(1, 1, 0, T0, b"a")
    writer.flush()
    writer._media_size = MAX_FILE + 1
    (tmp_path / "old" / "media-0002.log").mkdir()  # stands in the way of the next file
    (tmp_path / "old" / "media-0001.log").rename(tmp_path / "old" / "other")
    with monkeypatch.context() as full:
        full.setattr("recorder.journal._last_number", lambda _: 1)
        writer.frame(1, 1, 0, T0, b"b")
        for _ in range(2):
            with pytest.raises(OSError, match="exists"):
                writer.flush()
            with open(tmp_path / "theirs", "w") as theirs:  # takes the number of the closed file
                with pytest.raises(OSError, match="exists"):
                    writer.flush()
                theirs.write("still mine")
    (tmp_path / "old" / "media-0002.log").rmdir()
    writer.close()
    assert descriptors() == before
