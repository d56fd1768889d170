"""May this actor do this? One table: command → rule. Pure; called by the service before ``decide``.

A rule answers with an error code, or None when it allows. What depends on the state of a room (may I go back to the
main room?) is decided in ``core``; here stands only who may ask at all.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from models.values import Actor, ActorKind
from rooms import commands as c
from rooms.commands import Command, Envelope
from rooms.errors import DomainError
from rooms.state import SessionState

_Rule = Callable[[SessionState, Actor, Any], str | None]


def authorise(state: SessionState, envelope: Envelope) -> None:
    """Raises DomainError when the actor may not ask for this command."""
    actor = envelope.actor
    if actor.kind is not ActorKind.SYSTEM and state.seq > 0:
        if actor.kind is ActorKind.PERSON and actor.course_id != state.course_id:
            raise DomainError("other_course")
        if actor.kind is ActorKind.API and actor.course_id not in (None, state.course_id):
            raise DomainError("other_course")
        if actor.person_id is not None and actor.person_id in state.removed:
            raise DomainError("removed")
    code = RULES[type(envelope.command)](state, actor, envelope.command)
    if code is not None:
        raise DomainError(code)


def _system(_state: SessionState, actor: Actor, _command: Command) -> str | None:
    return None if actor.kind is ActorKind.SYSTEM else "not_allowed"


def _moderator(_state: SessionState, actor: Actor, _command: Command) -> str | None:
    """Moderators of the course (also from Slack, without being in the room), integrators, and our own processes."""
    return None if actor.is_moderator else "not_moderator"


def _anybody(_state: SessionState, actor: Actor, _command: Command) -> str | None:
    return None if actor.kind is ActorKind.PERSON and actor.person_id is not None else "not_allowed"


def _present(state: SessionState, actor: Actor, _command: Command) -> str | None:
    if actor.kind is not ActorKind.PERSON or actor.person_id is None:
        return "not_allowed"
    return None if actor.person_id in state.people else "not_in_session"


def _hand(state: SessionState, actor: Actor, command: c.SetHand) -> str | None:
    if command.person_id is None or command.person_id == actor.person_id:
        return _present(state, actor, command)
    if command.raised:
        return "not_allowed"
    return _moderator(state, actor, command)


def _chat(state: SessionState, actor: Actor, command: c.SendChat) -> str | None:
    present = _present(state, actor, command)
    private = present is None and command.person_id is not None
    return _moderator(state, actor, command) if private else present


def _leave(state: SessionState, actor: Actor, command: c.LeaveSession) -> str | None:
    own = actor.kind is ActorKind.PERSON and actor.person_id == command.person_id
    return None if own else _system(state, actor, command)


def _end_session(state: SessionState, actor: Actor, command: c.EndSession) -> str | None:
    return _moderator(state, actor, command)


RULES: dict[type[Command], _Rule] = {
    c.OpenSession: _system,
    c.EndSession: _end_session,
    c.EnterSession: _anybody,
    c.LeaveSession: _leave,
    c.RemoveParticipant: _moderator,
    c.SetMedia: _present,
    c.SetSharing: _moderator,
    c.StopSharing: _moderator,
    c.LockRoom: _moderator,
    c.MuteParticipant: _moderator,
    c.SetHand: _hand,
    c.LowerHands: _moderator,
    c.SendChat: _chat,
    c.CreateRooms: _moderator,
    c.KeepRooms: _moderator,
    c.SetBreakoutOptions: _moderator,
    c.AssignRest: _moderator,
    c.RemoveRoom: _moderator,
    c.AddRooms: _moderator,
    c.RenameRoom: _moderator,
    c.AssignParticipant: _moderator,
    c.StartBreakout: _moderator,
    c.BroadcastMessage: _moderator,
    c.AddTime: _moderator,
    c.JoinRoom: _present,
    c.CallModerator: _present,
    c.CancelCall: _present,
    c.ClaimCall: _moderator,
    c.DismissCall: _moderator,
    c.MoveParticipant: _moderator,
    c.ShuffleParticipants: _moderator,
    c.MoveToNextRoom: _moderator,
    c.GatherEveryone: _moderator,
    c.SendEveryoneBack: _moderator,
    c.CancelMoves: _moderator,
    c.EndBreakout: _moderator,
    c.CompleteTransition: _system,
    c.TimeIsUp: _system,
    c.StartRecording: _moderator,
    c.PauseRecording: _moderator,
    c.ResumeRecording: _moderator,
    c.StopRecording: _moderator,
    c.ExpireRecording: _system,
    c.SetRecordingLayout: _moderator,
    c.SetRecordingConsent: _present,
    c.ReportRecording: _system,
    c.WarnOfRecording: _system,
    c.ReportFilm: _system,
}
