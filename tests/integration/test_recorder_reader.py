"""Reading a journal that still grows: torn ends wait, positions lead back to the same record."""

from __future__ import annotations

from pathlib import Path

import pytest

from recorder.journal import (
    RECORD,
    JournalWriter,
    ManifestReader,
    Position,
    RecordReader,
    is_closed,
    read_records,
)

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
