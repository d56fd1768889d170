"""What a viewer may see: the view of a session's state, the patch between two views, and the data of events. Pure.

docs/protocol.md §3–4 is the contract. Viewers of one class (moderators; participants of one room) share a view but for
their own bits, so ``Viewer`` works a commit out once a class and not once a browser.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

from models.values import MAIN_ROOM, CallStatus, PersonId, Role, RoomId
from rooms import events as e
from rooms.events import Event, Recorded
from rooms.state import HelpCall, Participant, Recording, Room, SessionState, Transition

View = dict[str, Any]
ViewersClass = tuple[RoomId, RoomId] | None
"""Moderators (None), or participants by the rooms they were in before and are in after a commit."""
COLLECTIONS = ("people", "rooms", "transitions", "calls", "recordings", "expected")
"""Members of a view that are patched entity by entity."""


def view(state: SessionState, person_id: PersonId, role: Role) -> View:
    """The whole view of one person, as docs/protocol.md §4 shows it."""
    if role is Role.MODERATOR:
        return {**moderators_view(state), **own_view(state, person_id, role)}
    return {**_participants_view(state, room_of(state, person_id)), **own_view(state, person_id, role)}


def room_of(state: SessionState, person_id: PersonId) -> RoomId:
    person = state.people.get(person_id)
    return person.room_id if person is not None else MAIN_ROOM


# -- entities --------------------------------------------------------------------------------------------------


def _time(at: datetime | None) -> str | None:
    return (
        None if at is None else at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )


def _session(state: SessionState) -> View:
    return {
        "session_id": state.session_id,
        "course_title": state.course_title,
        "room_title": state.room_title,
        "status": state.status.value,
        "opened_at": _time(state.opened_at),
        "sharing": state.sharing,
    }


def person_view(p: Participant, near: bool) -> View:
    """Near: in the viewer's room, or the viewer is a moderator. Far people have a name and a room only."""
    return {
        "person_id": p.person_id,
        "name": p.name,
        "role": p.role.value,
        "room_id": p.room_id,
        "assigned_room_id": p.assigned_room_id,
        "online": p.online,
        "mic": p.mic and near,
        "camera": p.camera and near,
        "screen": p.screen and near,
        "screen_since": _time(p.screen_since) if near else None,
        "hand_raised_at": _time(p.hand_raised_at) if near else None,
        "declines_recording": p.declines_recording and near,
    }


def _room(room: Room) -> View:
    return {"room_id": room.room_id, "name": room.name, "number": room.number, "locked": room.locked}


def _breakout(state: SessionState) -> View:
    b = state.breakout
    return {
        "status": b.status.value,
        "run": b.run,
        "assign": b.assign.value,
        "time_limit_s": b.time_limit_s,
        "countdown_s": b.countdown_s,
        "may_return": b.may_return,
        "record": b.record,
        "started_at": _time(b.started_at),
        "ends_at": _time(b.ends_at),
    }


def _transition(t: Transition, moves: Mapping[PersonId, RoomId]) -> View:
    return {
        "transition_id": t.transition_id,
        "kind": t.kind,
        "effective_at": _time(t.effective_at),
        "moves": dict(moves),
    }


def _call(call: HelpCall) -> View:
    return {
        "call_id": call.call_id,
        "person_id": call.person_id,
        "room_id": call.room_id,
        "raised_at": _time(call.raised_at),
        "status": call.status.value,
        "handled_by": call.handled_by,
    }


def _recording(r: Recording) -> View:
    return {
        "recording_id": r.recording_id,
        "room_id": r.room_id,
        "room_name": r.room_name,
        "status": r.status.value,
        "desired": r.desired,
        "since": _time(r.since),
        "recorded_s": r.recorded_s,
        "started_at": _time(r.started_at),
        "started_by": r.started_by,
        "layout": r.layout,
        "stop_reason": r.stop_reason,
        "warnings": [{"code": code, "person_id": who} for code, who in r.warnings],
        "error": r.error,
        "entry_id": r.entry_id,
    }


def _recording_mark(r: Recording) -> View:
    return {
        "recording_id": r.recording_id,
        "room_id": r.room_id,
        "status": r.status.value,
        "desired": r.desired,
    }


def _is_open(call: HelpCall) -> bool:
    return call.status in (CallStatus.RAISED, CallStatus.CLAIMED)


# -- views of a class ------------------------------------------------------------------------------------------


def moderators_view(state: SessionState) -> View:
    return {
        "session": _session(state),
        "people": {k: person_view(p, True) for k, p in state.people.items()},
        "rooms": {k: _room(r) for k, r in state.rooms.items()},
        "breakout": _breakout(state),
        "transitions": {k: _transition(t, t.moves) for k, t in state.transitions.items()},
        "calls": {k: _call(call) for k, call in state.calls.items() if _is_open(call)},
        "recordings": {k: _recording(r) for k, r in state.recordings.items()},
        "expected": {k: {"person_id": k, "room_id": v} for k, v in state.expected.items()},
    }


def common_view(state: SessionState) -> View:
    """What all participants see alike."""
    return {
        "session": _session(state),
        "rooms": {k: _room(r) for k, r in state.rooms.items()},
        "breakout": _breakout(state),
    }


def recordings_of(state: SessionState, room_id: RoomId) -> View:
    return {k: _recording_mark(r) for k, r in state.recordings.items() if r.room_id == room_id}


def _participants_view(state: SessionState, room_id: RoomId) -> View:
    return {
        **common_view(state),
        "people": {k: person_view(p, p.room_id == room_id) for k, p in state.people.items()},
        "recordings": recordings_of(state, room_id),
    }


def own_view(state: SessionState, person_id: PersonId, role: Role) -> View:
    """The bits of one person alone; participants' transitions and calls are theirs only."""
    me = state.people.get(person_id)
    own: View = {
        "you": {
            "person_id": person_id,
            "room_id": me.room_id if me is not None else MAIN_ROOM,
            "assigned_room_id": me.assigned_room_id if me is not None else None,
            "role": role.value,
        }
    }
    if role is not Role.MODERATOR:
        own["transitions"] = {
            k: _transition(t, {person_id: t.moves[person_id]} if person_id in t.moves else {})
            for k, t in state.transitions.items()
            if person_id in t.moves or t.kind in ("start", "end")
        }
        own["calls"] = {
            k: _call(x) for k, x in state.calls.items() if _is_open(x) and x.person_id == person_id
        }
    return own


# -- patches ---------------------------------------------------------------------------------------------------


def patch(before: View, after: View) -> View | None:
    """What must be merged into ``before`` to get ``after``; None when they are equal."""
    changes: View = {}
    for key, new in after.items():
        old = before.get(key)
        if old == new:
            continue
        if key not in COLLECTIONS or old is None:
            changes[key] = new
            continue
        entities: View = {k: v for k, v in new.items() if old.get(k) != v}
        entities |= {k: None for k in old if k not in new}
        changes[key] = entities
    return changes or None


class Viewer:
    """One commit seen by many: give it the states before and after, ask it for each viewer's patch.

    Everybody's entity is made at most twice a state (near and far) and compared once; a room's patch is put together from
    those, so the cost grows with people plus rooms, not with people times people.
    """

    def __init__(self, before: SessionState, after: SessionState) -> None:
        self._before = before
        self._after = after
        self._shared: dict[ViewersClass, View | None] = {}
        self._common: View | None = None
        self._far: View | None = None

    def patch(self, person_id: PersonId, role: Role) -> View | None:
        """The patch of this viewer's view. Do not change the result."""
        shared = self.shared_patch(self.viewers_class(person_id, role))
        own = self.own_patch(person_id, role)
        return {**(shared or {}), **own} if own is not None else shared

    def viewers_class(self, person_id: PersonId, role: Role) -> ViewersClass:
        """Viewers of one class have all but their own bits in common."""
        if role is Role.MODERATOR:
            return None
        return room_of(self._before, person_id), room_of(self._after, person_id)

    def own_patch(self, person_id: PersonId, role: Role) -> View | None:
        """The bits of this person alone; its members are never those of the shared patch."""
        return patch(own_view(self._before, person_id, role), own_view(self._after, person_id, role))

    def shared_patch(self, viewers: ViewersClass) -> View | None:
        """What a class has in common, worked out once."""
        if viewers not in self._shared:
            if viewers is None:
                self._shared[viewers] = patch(moderators_view(self._before), moderators_view(self._after))
            else:
                self._shared[viewers] = self._rooms_patch(*viewers)
        return self._shared[viewers]

    def _rooms_patch(self, old_room: RoomId, new_room: RoomId) -> View | None:
        """As ``patch`` of two participants' views, from the parts that all rooms share."""
        if self._common is None or self._far is None:
            self._common = patch(common_view(self._before), common_view(self._after)) or {}
            self._far = self._far_people()
        people = dict(self._far)
        for state, room_id in ((self._before, old_room), (self._after, new_room)):
            for key, person in state.people.items():
                if person.room_id == room_id:
                    self._near(people, key, old_room, new_room)
        recordings = patch(
            {"recordings": recordings_of(self._before, old_room)},
            {"recordings": recordings_of(self._after, new_room)},
        )
        changes = {**self._common, **(recordings or {})}
        if people:
            changes["people"] = people
        return changes or None

    def _far_people(self) -> View:
        """Entities that changed for somebody in none of their rooms."""
        changed: View = {k: None for k in self._before.people if k not in self._after.people}
        for key, person in self._after.people.items():
            old = self._before.people.get(key)
            if old is person:
                continue
            entity = person_view(person, False)
            if old is None or person_view(old, False) != entity:
                changed[key] = entity
        return changed

    def _near(self, people: View, key: PersonId, old_room: RoomId, new_room: RoomId) -> None:
        """Correct one person's entity for a viewer who goes from ``old_room`` to ``new_room``."""
        new = self._after.people.get(key)
        if new is None:
            return
        old = self._before.people.get(key)
        entity = person_view(new, new.room_id == new_room)
        if old is None or person_view(old, old.room_id == old_room) != entity:
            people[key] = entity
        else:
            people.pop(key, None)


# -- announcements ---------------------------------------------------------------------------------------------

_Announcer = Callable[[SessionState, Any, PersonId, bool], dict[str, Any] | None]


def announcement(
    recorded: Recorded, state: SessionState, person_id: PersonId, role: Role
) -> dict[str, Any] | None:
    """The ``data`` of an event for this viewer, None when they may not know of it. ``state`` is the one after it."""
    announcer = _ANNOUNCERS.get(type(recorded.event))
    if announcer is None:
        return None
    return announcer(state, recorded.event, person_id, role is Role.MODERATOR)


def may_read(x: e.ChatSent, viewer: PersonId, moderator: bool, room_id: RoomId) -> bool:
    """Whether a line belongs into the chat of somebody who is in ``room_id``."""
    if x.to == "room":
        return room_id == x.room_id
    return moderator or viewer in (x.person_id, x.to_person_id)


def chat_line(state: SessionState, x: e.ChatSent) -> View:
    """What a reader gets of a line. ``to_name``: the person a private line is for."""
    line = {"person_id": x.person_id, "name": x.name, "room_id": x.room_id, "text": x.text, "to": x.to}
    if x.to_person_id is not None:
        reader = state.people.get(x.to_person_id)
        line |= {"to_person_id": x.to_person_id, "to_name": reader.name if reader is not None else ""}
    return line


def _chat(state: SessionState, x: e.ChatSent, viewer: PersonId, moderator: bool) -> dict[str, Any] | None:
    return chat_line(state, x) if may_read(x, viewer, moderator, room_of(state, viewer)) else None


def _broadcast(
    state: SessionState, x: e.MessageBroadcast, viewer: PersonId, moderator: bool
) -> dict[str, Any] | None:
    if not moderator and room_of(state, viewer) not in x.room_ids:
        return None
    return {
        "person_id": x.person_id,
        "name": x.name,
        "text": x.text,
        "room_ids": list(x.room_ids),
        "people": x.people,
    }


def _muted(
    _s: SessionState, x: e.ParticipantMuted, viewer: PersonId, moderator: bool
) -> dict[str, Any] | None:
    if moderator:
        return {"person_ids": list(x.person_ids)}
    return {"person_ids": [viewer]} if viewer in x.person_ids else None


def _to_person(
    _s: SessionState, x: e.ParticipantRemoved, viewer: PersonId, moderator: bool
) -> dict[str, Any] | None:
    return {"person_id": x.person_id} if moderator or viewer == x.person_id else None


def _everybody() -> _Announcer:
    def announce(_s: SessionState, _x: Event, _v: PersonId, _m: bool) -> dict[str, Any]:
        return {}

    return announce


def _starting(_s: SessionState, x: e.BreakoutStarting, viewer: PersonId, _m: bool) -> dict[str, Any]:
    return {"effective_at": _time(x.effective_at), "room_id": x.moves.get(viewer)}


def _planned(_s: SessionState, x: e.MovesPlanned, viewer: PersonId, moderator: bool) -> dict[str, Any] | None:
    if viewer in x.moves:
        return {"effective_at": _time(x.effective_at), "room_id": x.moves[viewer], "kind": x.kind}
    return (
        {"effective_at": _time(x.effective_at), "kind": x.kind, "people": len(x.moves)} if moderator else None
    )


def _moved(
    _s: SessionState, x: e.ParticipantsMoved, viewer: PersonId, moderator: bool
) -> dict[str, Any] | None:
    if viewer in x.moves:
        return {"room_id": x.moves[viewer]}
    return {"people": len(x.moves)} if moderator else None


def _cancelled(
    _s: SessionState, x: e.MovesCancelled, viewer: PersonId, moderator: bool
) -> dict[str, Any] | None:
    if not moderator and viewer not in x.people:
        return None
    return {"kind": x.kind, "people": len(x.people)} if moderator else {"kind": x.kind}


def _sharing_stopped(
    _s: SessionState, x: e.SharingStopped, viewer: PersonId, moderator: bool
) -> dict[str, Any] | None:
    if moderator:
        return {"person_ids": list(x.person_ids), "name": x.name}
    return {"person_ids": [viewer], "name": x.name} if viewer in x.person_ids else None


def _sharing(_s: SessionState, x: e.SharingChanged, _v: PersonId, _m: bool) -> dict[str, Any]:
    return {"who": x.who}


def _closing(_s: SessionState, x: e.BreakoutClosing, _v: PersonId, _m: bool) -> dict[str, Any]:
    return {"effective_at": _time(x.effective_at), "reason": x.reason}


def _time_added(_s: SessionState, x: e.TimeAdded, _v: PersonId, _m: bool) -> dict[str, Any]:
    return {"seconds": x.seconds, "ends_at": _time(x.ends_at), "name": x.name}


def _call_of(
    state: SessionState, x: e.CallRaised | e.CallClaimed | e.CallClosed, viewer: PersonId, moderator: bool
) -> dict[str, Any] | None:
    call = state.calls.get(x.call_id)
    if call is None or not (moderator or call.person_id == viewer):
        return None
    return {
        "call_id": call.call_id,
        "person_id": call.person_id,
        "room_id": call.room_id,
        "status": call.status.value,
        "handled_by": call.handled_by,
        **({"marked": x.marked} if isinstance(x, e.CallClosed) else {}),
    }


def _recording_of(
    state: SessionState,
    x: e.RecordingInvoked | e.RecordingRequested | e.RecordingStatusChanged,
    viewer: PersonId,
    moderator: bool,
) -> dict[str, Any] | None:
    recording = state.recordings.get(x.recording_id)
    if recording is None:
        return None
    if moderator:
        return _recording(recording)
    return _recording_mark(recording) if recording.room_id == room_of(state, viewer) else None


def _session_ended(_s: SessionState, x: e.SessionEnded, _v: PersonId, _m: bool) -> dict[str, Any]:
    return {"reason": x.reason}


_ANNOUNCERS: dict[type[Event], _Announcer] = {
    e.SessionEnded: _session_ended,
    e.ChatSent: _chat,
    e.MessageBroadcast: _broadcast,
    e.ParticipantMuted: _muted,
    e.SharingChanged: _sharing,
    e.SharingStopped: _sharing_stopped,
    e.ParticipantRemoved: _to_person,
    e.RoomsCreated: _everybody(),
    e.BreakoutStarting: _starting,
    e.BreakoutStarted: _everybody(),
    e.MovesPlanned: _planned,
    e.MovesCancelled: _cancelled,
    e.ParticipantsMoved: _moved,
    e.BreakoutClosing: _closing,
    e.BreakoutEnded: _everybody(),
    e.TimeAdded: _time_added,
    e.CallRaised: _call_of,
    e.CallClaimed: _call_of,
    e.CallClosed: _call_of,
    e.RecordingInvoked: _recording_of,
    e.RecordingRequested: _recording_of,
    e.RecordingStatusChanged: _recording_of,
}
"""Events that are announced; all others reach the browser only as patches."""
