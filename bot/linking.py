"""Connecting a person by a code, and channels to courses. The role that counts is the one in the course."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from bot import identity_links
from bot.ask import Asker, Reply, SlackRefusal, question
from bot.blocks import messages
from bot.blocks.parts import escape
from bot.grammar import Typed
from bot.identity import Identity
from bot.outcomes import SlackFailure
from bot.scene import ChannelLookup, Stage, publish
from foundation.text import fold
from models.store import deeplinks, people, slack, slack_outbox
from models.store.people import Course
from models.values import CourseId, PersonId
from rooms.errors import DomainError

EVERY = " · every room"
NO_CODE = "Open the room in your course. Under *Slack*, sign in, or press *Show code* and type `/room connect CODE`."


@dataclass(frozen=True, slots=True)
class Target:
    """What a channel may be linked to: a course with every room (``room_key`` empty), or one of its named rooms."""

    course_id: CourseId
    room_key: str
    title: str

    @property
    def key(self) -> str:
        return f"{self.course_id}/{self.room_key}" if self.room_key else self.course_id


class LinkVerbs:
    """One method a verb, button or form. Raises SlackRefusal or DomainError."""

    def __init__(self, stage: Stage, identity: Identity, channel: ChannelLookup) -> None:
        self._stage = stage
        self._identity = identity
        self._channel = channel

    # -- people ------------------------------------------------------------------------------------------------

    def connect(self, asker: Asker, typed: Typed) -> Reply:
        """Show whose account the code belongs to; nothing is connected before that is confirmed."""
        if not typed.text:
            return Reply(NO_CODE, code="shown")
        person_id = self._read(asker, typed.text, use=False)
        person = people.get_person(self._stage.db, person_id)
        courses = [course.title for course in self._stage.courses(person_id)]
        name = person.name if person is not None else ""
        meta = json.dumps({"c": asker.channel_id, "code": typed.text})
        return Reply(modal=messages.confirm_modal(meta, name, courses))

    def confirmed(self, asker: Asker, code: str) -> Reply:
        """The confirmation: the code is used up, and both sides hear of connections that go."""
        person_id = self._read(asker, code, use=True)
        identity_links.connect(self._stage.db, asker.team_id, asker.user_id, person_id, "code")
        publish(self._stage, asker.team_id, asker.user_id)
        person = people.get_person(self._stage.db, person_id)
        return Reply(f"Connected as *{escape(person.name if person else 'you')}*.")

    def _read(self, asker: Asker, code: str, *, use: bool) -> PersonId:
        found = slack.read_code(self._stage.db, asker.team_id, asker.user_id, code, use=False)
        if found == "too_many":
            raise SlackRefusal("code_wrong", "Too many wrong codes. Wait ten minutes, then get a new one.")
        if found == "wrong":
            raise SlackRefusal(
                "code_wrong",
                "This code is wrong, already used or older than ten minutes. Get a new one on the course page.",
            )
        self._identity.check_link(asker, found)
        if use and slack.read_code(self._stage.db, asker.team_id, asker.user_id, code, use=True) != found:
            raise SlackRefusal("code_wrong", "This code was just used. Get a new one on the course page.")
        return found

    def open_connect(self, asker: Asker) -> Reply:
        return Reply(modal=messages.connect_modal(json.dumps({"c": asker.channel_id})))

    def ask_disconnect(self, asker: Asker, _typed: Typed) -> Reply:
        self._stage.linked(asker)
        return question(
            "Disconnect your course account from Slack?", "disconnect", "", "Disconnect", danger=True
        )

    def disconnect(self, asker: Asker) -> Reply:
        person_id = slack.person_of(self._stage.db, asker.team_id, asker.user_id)
        if person_id is not None:
            identity_links.disconnect(self._stage.db, person_id, "slack", asker.team_id)
        publish(self._stage, asker.team_id, asker.user_id)
        return Reply("Disconnected. Your course account is no longer connected to Slack.", replace=True)

    # -- channels ----------------------------------------------------------------------------------------------

    def link(self, asker: Asker, typed: Typed) -> Reply:
        person_id, mine = self._may_link(asker)
        if typed.is_bare:
            return self._form(asker, person_id, mine)
        role = "class" if "class" in typed.words else "moderators"
        return self._link(asker, person_id, _choose(self._targets(mine), typed.text, role), role)

    def open_link(self, asker: Asker) -> Reply:
        person_id, mine = self._may_link(asker)
        return self._form(asker, person_id, mine)

    def _form(self, asker: Asker, person_id: PersonId, mine: list[Course]) -> Reply:
        found = slack.channel_link(self._stage.db, asker.team_id, asker.channel_id)
        targets = self._targets(mine)
        now = next(
            (
                each
                for each in targets
                if found and (each.course_id, each.room_key) == (found.course_id, found.room_key)
            ),
            targets[0],
        )
        meta = json.dumps({"c": asker.channel_id})
        role = found.role if found is not None else "moderators"
        return Reply(modal=messages.link_modal(meta, now.key, now.title, role))

    def _targets(self, mine: list[Course]) -> list[Target]:
        """Each course, and after it its named rooms when it has any."""
        made = []
        for course in mine:
            title = course.title or course.context_id
            rooms = deeplinks.list_rooms(self._stage.db, course.course_id)
            made.append(Target(course.course_id, "", title + EVERY if rooms else title))
            made += [Target(course.course_id, room.room_key, f"{title} · {room.title}") for room in rooms]
        return made

    def suggest(self, asker: Asker, typed: str) -> list[Target]:
        """For the form's picker: what the asker moderates, by a part of the title."""
        found = self._stage.place(asker)
        if found.person_id is None:
            return []
        said = fold(typed)
        targets = self._targets(self._stage.moderated(found.person_id))
        return [target for target in targets if said in fold(target.title)][:100]

    def link_chosen(self, asker: Asker, key: str, role: str) -> Reply:
        """The form's answer; the course is looked up among the asker's own anew."""
        person_id, mine = self._may_link(asker)
        target = next((each for each in self._targets(mine) if each.key == key), None)
        if target is None or role not in ("moderators", "class"):
            raise DomainError("not_moderator")
        return self._link(asker, person_id, target, role)

    def _may_link(self, asker: Asker) -> tuple[PersonId, list[Course]]:
        person_id, found = self._stage.linked(asker)
        if asker.is_direct:
            raise SlackRefusal("channel_unfit", "Type `/room link` in the channel you want to link.")
        mine = self._stage.moderated(person_id)
        if not mine:
            raise DomainError("not_moderator")
        if found.channel is not None and found.channel.course_id not in {c.course_id for c in mine}:
            raise SlackRefusal(
                "other_course",
                "This channel is linked to another course. A moderator of that course must type `/room unlink` first.",
            )
        return person_id, mine

    def _link(self, asker: Asker, person_id: PersonId, target: Target, role: str) -> Reply:
        self._check_place(asker, role)
        slack.link_channel(
            self._stage.db,
            asker.team_id,
            asker.channel_id,
            target.course_id,
            role,
            person_id,
            target.room_key,
        )
        kind = "moderators’ channel" if role == "moderators" else "class channel"
        where = f"to *{escape(target.title)}* as its {kind}."
        self._announce(asker, f"<@{asker.user_id}> linked this channel {where}")
        return Reply(f"This channel is linked {where}")

    def _check_place(self, asker: Asker, role: str) -> None:
        """Help calls name students: only a private channel of this workspace may get them."""
        try:
            info = self._channel(asker)
        except SlackFailure:
            raise SlackRefusal(
                "slack_unreachable", "Slack didn’t return this channel’s details. Try again."
            ) from None
        if info is None or info.get("is_member") is False:
            raise SlackRefusal(
                "app_not_in_channel",
                "The app isn’t in this channel. Type `/invite @Sideroom`, then try again.",
            )
        self._check_kind(info, role)

    @staticmethod
    def _check_kind(info: dict[str, Any], role: str) -> None:
        if info.get("is_ext_shared") or info.get("is_archived") or info.get("is_im"):
            raise SlackRefusal(
                "channel_unfit", "You can only link channels in this workspace that aren’t archived."
            )
        if role == "moderators" and not info.get("is_private"):
            raise SlackRefusal(
                "channel_unfit",
                "Everyone can read this channel. Link a private channel for moderators, or type `/room link class`.",
            )

    def ask_unlink(self, asker: Asker, _typed: Typed) -> Reply:
        self._require_moderator(asker)
        text = "Unlink this channel? It will no longer get the card, help calls or recordings."
        return question(text, "unlink", asker.channel_id, "Unlink", danger=True)

    def unlink(self, asker: Asker, channel_id: str) -> Reply:
        """A button: of the channel itself, or of the list in App Home (which names the channel)."""
        place = Asker(
            asker.team_id,
            asker.user_id,
            channel_id or asker.channel_id,
            asker.key,
            asker.home_team_id,
        )
        self._require_moderator(place)
        slack.unlink_channel(self._stage.db, place.team_id, place.channel_id)
        self._announce(place, f"<@{asker.user_id}> unlinked this channel from its course.")
        return Reply("This channel is no longer linked to a course.", replace=True)

    def _require_moderator(self, asker: Asker) -> None:
        """A moderator of the course to which the channel belongs, also while the link is suspended."""
        _, found = self._stage.linked(asker)
        if found.channel is None:
            raise SlackRefusal(
                "channel_not_linked", "This channel isn’t linked to a course. A moderator types `/room link`."
            )
        if found.role is None:
            raise DomainError("other_course")
        if found.role.value != "moderator":
            raise DomainError("not_moderator")

    def _announce(self, asker: Asker, text: str) -> None:
        """Everybody in the channel is told."""
        slack_outbox.put_out(
            self._stage.db,
            team_id=asker.team_id,
            channel_id=asker.channel_id,
            method="message",
            payload={"text": text},
            priority=2,
        )


def _choose(targets: list[Target], wanted: str, role: str) -> Target:
    """What is meant: the only course, or the title that was typed. Raises SlackRefusal."""
    said = fold(wanted)
    found = [each for each in targets if said in fold(each.title)]
    exact = [each for each in found if fold(each.title).removesuffix(fold(EVERY)).strip() == said]
    whole = [each for each in found if not each.room_key]  # a course's title is part of those of its rooms
    for meant in (exact, found, whole):
        if len(meant) == 1:
            return meant[0]
    titles = ", ".join(f"`/room link {role} {escape(each.title)}`" for each in (found or targets)[:10])
    raise SlackRefusal("bad_usage", f"Add which course: {titles}.", value="link")
