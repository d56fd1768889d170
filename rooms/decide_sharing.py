"""Decisions about shared screens: who may share, and ending somebody's share. Pure."""

from __future__ import annotations

from models.values import Role
from rooms import commands as c
from rooms import events as e
from rooms.context import Context
from rooms.events import Event

Events = tuple[Event, ...]


def set_sharing(ctx: Context, x: c.SetSharing) -> Events:
    if ctx.state.sharing == x.who:
        return ()
    people = ctx.state.people.values()
    ended = tuple(p.person_id for p in people if p.screen and p.role is not Role.MODERATOR)
    changed: Events = (e.SharingChanged(x.who),)
    if x.who == "everyone" or not ended:
        return changed
    return (*changed, e.SharingStopped(ended, ctx.actor.name))


def stop_sharing(ctx: Context, x: c.StopSharing) -> Events:
    person = ctx.person(x.person_id)
    return (e.SharingStopped((person.person_id,), ctx.actor.name),) if person.screen else ()
