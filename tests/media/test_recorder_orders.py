"""What people order reaches the journal through the real recorder service: consent, options, messages, the reason of the end."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from models.store.database import Database
from models.store.migrate import upgrade
from models.values import MAIN_ROOM, SYSTEM, RecordingStatus, Role, SessionId
from recorder.journal import read_manifest, read_records
from recorder.service import RecorderService
from recorder.settings import RecorderSettings
from rooms import commands as c
from rooms import view
from rooms.service import RoomsService, SystemClock
from rooms.state import Recording, SessionState
from tests.media.beepflash import SECRET, Source, TapServer
from tests.people import ALICE, BOB, COURSE, ask

pytestmark = pytest.mark.media


class Classroom:
    """Alice and Bob in a session, a tap that plays both, and a recorder in a thread."""

    def __init__(self, folder: Path) -> None:
        url = f"sqlite:///{folder / 'test.db'}"
        upgrade(url)
        self.folder = folder / "recordings"
        self._db = Database(url)
        self.rooms = RoomsService(self._db)
        self.rooms.start()
        self.tap = TapServer()
        self.session_id = self.rooms.open_session(COURSE, "Biology", "Seminar")
        for actor, name in ((ALICE, "Alice"), (BOB, "Bob")):
            self.tell(actor, c.EnterSession(name, actor.role))  # type: ignore[arg-type]
        self._settings = RecorderSettings(url, self.folder, tap_port=self.tap.port, tap_secret=SECRET)
        self.start_recorder()

    def start_recorder(self) -> None:
        self._recorder = RecorderService(self._settings, self.rooms, self._db)
        self._thread = threading.Thread(target=self._recorder.run)
        self._thread.start()

    def stop_recorder(self) -> None:
        self._recorder.stop()
        self._thread.join(30)

    def tell(self, actor: object, command: c.Command) -> None:
        self.rooms.submit(ask(actor, command, self.session_id))  # type: ignore[arg-type]

    def start(self, **options: object) -> Path:
        self.tell(ALICE, c.StartRecording(room_id=MAIN_ROOM, options=options))  # type: ignore[arg-type]
        until(lambda: self.recording().status is RecordingStatus.RECORDING, "the recording begins")
        assert self.tap.tapped.wait(30)
        return self.folder / self.recording().recording_id

    def play(self, seconds: float = 20.0) -> None:
        sources = [
            Source(number, who, source, number, 0.0, seconds, str(self.session_id))
            for number, (who, source) in enumerate((("alice", "camera"), ("alice", "mic"), ("bob", "mic")), 1)
        ]
        for source in sources:
            assert list(source.schedule())
        self.tap.play(sources, time.time() + 0.2)

    def recording(self) -> Recording:
        return next(iter(self.rooms.state(self.session_id).recordings.values()))

    def stop(self) -> None:
        self.tell(ALICE, c.StopRecording())
        until(lambda: self.recording().status is RecordingStatus.UPLOADING, "the recording ends")

    def close(self) -> None:
        self.stop_recorder()
        self.tap.close()
        self.rooms.close()
        self._db.close()


def until(condition: Callable[[], bool], what: str, seconds: float = 40.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


@pytest.fixture
def classroom(tmp_path: Path) -> Iterator[Classroom]:
    room = Classroom(tmp_path)
    yield room
    room.close()


def frames(journal: Path, who: str, after_us: int = 0) -> int:
    whose = {x["n"]: x["person_id"] for x in read_manifest(journal) if x["k"] == "segment"}
    return sum(whose[r.segment] == who and r.arrival_us > after_us for r in read_records(journal))


HOUR_NS = 3600 * 10**9


def set_wall_clock(monkeypatch: pytest.MonkeyPatch, on_ns: int) -> None:
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + on_ns)
    # The process that gives the orders is on the same machine.
    monkeypatch.setattr(SystemClock, "now", lambda _self: datetime.fromtimestamp(time.time_ns() / 1e9, UTC))


def began_s(journal: Path) -> float:
    """The Unix time at which a recording begins by its own account."""
    until(lambda: (journal / "manifest.jsonl").exists() and bool(lines(journal, "start")), "it begins")
    return int(str(lines(journal, "start")[0]["at"])) / 1e6


def test_a_recording_begins_with_the_wall_clock_of_then(
    classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = classroom.start()
    classroom.stop()
    set_wall_clock(monkeypatch, HOUR_NS)
    classroom.tell(ALICE, c.StartRecording(room_id=MAIN_ROOM))
    asked = time.monotonic()
    *_, second = classroom.rooms.state(classroom.session_id).recordings
    began = began_s(classroom.folder / second)
    assert time.monotonic() - asked < 8, "the next one is begun at once"
    assert abs(began - time.time_ns() / 1e9) < 10 and began - began_s(first) > 3500


def test_what_goes_on_keeps_its_clock_although_another_begins(
    classroom: Classroom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recorder is away, the wall clock is set, somebody asks for another recording: only then the recorder comes back."""
    other = classroom.rooms.open_session(COURSE, "Biology", "Another", "another")
    journal = classroom.start()
    classroom.stop_recorder()
    set_wall_clock(monkeypatch, HOUR_NS)
    classroom.rooms.submit(ask(ALICE, c.EnterSession("Alice", Role.MODERATOR), other))
    classroom.rooms.submit(ask(ALICE, c.StartRecording(room_id=MAIN_ROOM), other))
    (new,) = classroom.rooms.state(other).recordings
    classroom.start_recorder()
    began = began_s(classroom.folder / new)
    assert began - began_s(journal) < 300, "while one goes on, time does not step"
    classroom.stop()
    ended = int(str(lines(journal, "stop")[0]["at"])) / 1e6
    assert 0 < ended - began_s(journal) < 300


def lines(journal: Path, kind: str) -> list[dict[str, object]]:
    return [line for line in read_manifest(journal) if line["k"] == kind]


def test_bob_declines_by_himself_and_nothing_more_of_him_is_written(classroom: Classroom) -> None:
    journal = classroom.start()
    classroom.play()
    until(lambda: frames(journal, "bob") > 20, "Bob is captured at first")
    classroom.tell(BOB, c.SetRecordingConsent(True))
    until(lambda: any(line.get("declined") for line in lines(journal, "person")), "the recorder obeys")
    declined_us = next(int(str(line["at"])) for line in lines(journal, "person") if line.get("declined"))
    alice = frames(journal, "alice")
    until(lambda: frames(journal, "alice") > alice + 50, "Alice goes on")
    assert frames(journal, "bob", declined_us) == 0
    classroom.stop()
    assert [line["reason"] for line in lines(journal, "stop")] == ["moderator"]


def test_a_recording_of_chosen_tracks_captures_nothing_else(classroom: Classroom) -> None:
    journal = classroom.start(type="TRACK", audio_tracks=True, people=["alice"])
    classroom.play()
    until(lambda: frames(journal, "alice") > 50, "Alice's microphone is captured")
    classroom.stop()
    begun = {(line["person_id"], line["source"]) for line in lines(journal, "segment")}
    assert begun == {("alice", "mic")}
    [start] = lines(journal, "start")
    assert start["options"] == {"type": "TRACK", "audio_tracks": True, "people": ["alice"]}


def test_moderators_are_told_of_a_microphone_that_does_not_arrive_and_when_it_does(
    classroom: Classroom,
) -> None:
    classroom.tell(BOB, c.SetMedia(mic=True))
    classroom.start()
    until(lambda: classroom.recording().warnings == (("microphone_missing", BOB.person_id),), "it is missed")
    state = classroom.rooms.state(classroom.session_id)
    shown = view.view(state, ALICE.person_id, Role.MODERATOR)["recordings"]  # type: ignore[arg-type]
    assert [r["warnings"] for r in shown.values()] == [
        [{"code": "microphone_missing", "person_id": BOB.person_id}]
    ]
    students = view.view(state, BOB.person_id, Role.PARTICIPANT)["recordings"]  # type: ignore[arg-type]
    assert all("warnings" not in r for r in students.values())
    classroom.play()
    until(lambda: classroom.recording().warnings == (), "it has come")
    classroom.stop()


def test_a_changed_layout_stands_in_the_journal(classroom: Classroom) -> None:
    journal = classroom.start(layout="grid")
    classroom.tell(ALICE, c.SetRecordingLayout("speaker"))
    until(lambda: [x["layout"] for x in lines(journal, "layout")] == ["speaker"], "the layout is noted")
    classroom.stop()


def test_messages_and_calls_are_noted_once_also_those_of_a_time_without_a_recorder(
    classroom: Classroom,
) -> None:
    classroom.tell(ALICE, c.CreateRooms(1, countdown_s=0, time_limit_s=None))
    classroom.tell(ALICE, c.StartBreakout())
    for transition_id in list(classroom.rooms.state(classroom.session_id).transitions):
        classroom.tell(SYSTEM, c.CompleteTransition(transition_id))
    classroom.tell(ALICE, c.StartRecording(all_rooms=True))
    until(lambda: classroom.recording().status is RecordingStatus.RECORDING, "the recording begins")
    journal = classroom.folder / classroom.recording().recording_id
    classroom.tell(BOB, c.CallModerator())
    until(lambda: len(lines(journal, "event")) == 1, "the call is noted")
    classroom.stop_recorder()
    classroom.tell(ALICE, c.BroadcastMessage("Five minutes left"))
    classroom.start_recorder()
    until(lambda: len(lines(journal, "event")) == 2, "what was missed is noted")
    classroom.stop()
    told = [(x["what"], x["name"], x.get("text")) for x in lines(journal, "event")]
    assert told == [("call", "Bob", None), ("broadcast", "Alice", "Five minutes left")]


def test_of_many_states_of_a_session_only_the_newest_is_looked_at(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'test.db'}"
    upgrade(url)
    db = Database(url)
    rooms = RoomsService(db)
    service = RecorderService(RecorderSettings(url, tmp_path / "recordings"), rooms, db)
    service._looked.set()
    seen: list[int] = []
    service._reconcile = lambda state: seen.append(state.seq)  # type: ignore[method-assign]
    for seq in (3, 5, 4):
        service._states.put(SessionState(SessionId("s"), seq=seq))
    service._take_news()
    service._take_news()
    db.close()
    assert seen == [5]
