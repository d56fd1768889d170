"""The core: ``decide`` says what follows from a command, ``evolve`` what an event does. Pure; tables, no switches.

No clock, no randomness, no I/O: time comes in as ``now``, ids follow from the command's id, a shuffle from its seed.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from rooms import commands as c
from rooms import decide_breakout as breakout
from rooms import decide_people as people
from rooms import decide_recording as recording
from rooms import decide_rooms as rooms
from rooms import decide_sharing as sharing
from rooms.commands import Command, Envelope
from rooms.context import Context
from rooms.errors import DomainError
from rooms.events import Event, Recorded
from rooms.evolve import evolve
from rooms.state import SessionState

_Decider = Callable[[Context, Any], tuple[Event, ...]]

DECIDERS: dict[type[Command], _Decider] = {
    c.OpenSession: people.open_session,
    c.EndSession: people.end_session,
    c.EnterSession: people.enter_session,
    c.LeaveSession: people.leave_session,
    c.RemoveParticipant: people.remove_participant,
    c.SetMedia: people.set_media,
    c.SetSharing: sharing.set_sharing,
    c.StopSharing: sharing.stop_sharing,
    c.LockRoom: rooms.lock_room,
    c.MuteParticipant: people.mute_participant,
    c.SetHand: people.set_hand,
    c.LowerHands: people.lower_hands,
    c.SendChat: people.send_chat,
    c.CreateRooms: breakout.create_rooms,
    c.KeepRooms: rooms.keep_rooms,
    c.SetBreakoutOptions: rooms.set_options,
    c.AssignRest: breakout.assign_rest,
    c.RemoveRoom: rooms.remove_room,
    c.AddRooms: rooms.add_rooms,
    c.RenameRoom: rooms.rename_room,
    c.AssignParticipant: breakout.assign_participant,
    c.StartBreakout: breakout.start_breakout,
    c.BroadcastMessage: breakout.broadcast_message,
    c.AddTime: breakout.add_time,
    c.JoinRoom: breakout.join_room,
    c.CallModerator: breakout.call_moderator,
    c.CancelCall: breakout.cancel_call,
    c.ClaimCall: breakout.claim_call,
    c.DismissCall: breakout.dismiss_call,
    c.MoveParticipant: breakout.move_participant,
    c.ShuffleParticipants: breakout.shuffle_participants,
    c.MoveToNextRoom: breakout.move_to_next_room,
    c.GatherEveryone: breakout.gather_everyone,
    c.SendEveryoneBack: breakout.send_everyone_back,
    c.CancelMoves: breakout.cancel_moves,
    c.EndBreakout: breakout.end_breakout,
    c.CompleteTransition: breakout.complete_transition,
    c.TimeIsUp: breakout.time_is_up,
    c.StartRecording: recording.start_recording,
    c.PauseRecording: recording.pause_recording,
    c.ResumeRecording: recording.resume_recording,
    c.StopRecording: recording.stop_recording,
    c.ExpireRecording: recording.expire_recording,
    c.SetRecordingLayout: recording.set_layout,
    c.SetRecordingConsent: recording.set_consent,
    c.ReportRecording: recording.report_recording,
    c.WarnOfRecording: recording.warn_of_recording,
    c.ReportFilm: recording.report_film,
}
AFTER_THE_END = (c.OpenSession, c.ReportRecording, c.WarnOfRecording, c.ReportFilm)
"""What may still be asked of a session that has ended (recordings are composed after it)."""


def decide(state: SessionState, envelope: Envelope, now: datetime) -> tuple[Event, ...]:
    """The events that follow from a command; none when it changes nothing. Raises DomainError."""
    command = envelope.command
    if state.seq == 0 and not isinstance(command, c.OpenSession):
        raise DomainError("no_session")
    if state.seq > 0 and not state.is_open and not isinstance(command, AFTER_THE_END):
        raise DomainError("session_ended")
    ctx = Context(state, envelope, now)
    events = DECIDERS[type(command)](ctx, command)
    return (*events, *recording.follow_ups(ctx, events, _after(ctx, events)))


def _after(ctx: Context, events: tuple[Event, ...]) -> Callable[[], SessionState]:
    """The state after ``events``, worked out only when somebody asks."""

    def work_out() -> SessionState:
        state = ctx.state
        for number, event in enumerate(events, start=1):
            state = evolve(
                state,
                Recorded(
                    ctx.envelope.session_id,
                    ctx.state.seq + number,
                    ctx.now,
                    ctx.actor,
                    ctx.envelope.command_id,
                    event,
                ),
            )
        return state

    return work_out


__all__ = ["DECIDERS", "decide", "evolve"]
