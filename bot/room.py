"""``/room`` itself from Slack: the live room's card, help, the way in, opening a session."""

from __future__ import annotations

from datetime import UTC, datetime

from bot.ask import Asker, Reply, SlackRefusal
from bot.blocks import card, messages
from bot.blocks.parts import actions, button, context, escape, section
from bot.grammar import Typed
from bot.names import Names
from bot.scene import Scene, Stage
from models.store import deeplinks, slack, slack_outbox
from rooms import commands as c
from rooms.errors import DomainError


class RoomVerbs:
    """One method a verb or button. Raises SlackRefusal or DomainError."""

    def __init__(self, stage: Stage, base_url: str, names: Names) -> None:
        self._stage = stage
        self._base_url = base_url
        self._names = names

    def status(self, asker: Asker, _typed: Typed | None = None) -> Reply:
        """The card, only for who asked; moderators may post it anew in the channel."""
        scene = self._stage.scene(asker)
        now = datetime.now(UTC)
        moderator = scene.actor.is_moderator
        blocks = card.card(scene.state, now, self.url(scene), moderators=moderator)
        if moderator and not asker.is_direct:
            blocks.append(actions("here", button("Post card here", "card_here", scene.state.session_id)))
        return Reply(messages.status_lines(scene.state, now), blocks)

    def url(self, scene: Scene) -> str:
        """The room's page; the browser proves who it is there, or is sent to the course page."""
        return f"{self._base_url}/room/{scene.state.session_id}"

    def card_here(self, asker: Asker, session_id: str) -> Reply:
        """Post the card anew at the end of this linked channel; the older one only says where it went."""
        scene = self._stage.scene(asker, session_id)
        scene.require_moderator()
        link = slack.channel_link(self._stage.db, asker.team_id, asker.channel_id)
        if link is None or link.suspended or link.course_id != scene.state.course_id:
            raise SlackRefusal(
                "channel_not_linked",
                "The card can only be posted in a channel linked to this course. Type `/room link`.",
            )
        key = f"card:{session_id}"
        self._retire(asker, key, scene.state.seq)
        slack.save_message(self._stage.db, asker.team_id, asker.channel_id, key, "")
        moderators = link.role == "moderators"
        blocks = card.card(scene.state, datetime.now(UTC), self.url(scene), moderators=moderators)
        slack_outbox.put_out(
            self._stage.db,
            team_id=asker.team_id,
            channel_id=asker.channel_id,
            method="message",
            payload={
                "text": card.text_of(scene.state),
                "blocks": blocks,
                "unfurl_links": False,
                "unfurl_media": False,
            },
            coalesce_key=key,
            rev=scene.state.seq,
            priority=2,
        )
        return Reply("The card is now posted here.", replace=True)

    def _retire(self, asker: Asker, key: str, rev: int) -> None:
        """An older card must not look live for ever. It is not deleted: help calls stand in its thread."""
        db, team_id, channel_id = self._stage.db, asker.team_id, asker.channel_id
        ts = slack.message_ts(db, team_id, channel_id, key)
        if ts is None:
            return
        moved = f"{slack_outbox.MOVED}{ts}"
        slack.save_message(db, team_id, channel_id, moved, ts)
        text = "The card has moved further down."
        slack_outbox.put_out(
            db,
            team_id=team_id,
            channel_id=channel_id,
            method="message",
            payload={"text": text, "blocks": [context(text)]},
            coalesce_key=moved,
            rev=rev,
            priority=2,
        )

    def help(self, asker: Asker, typed: Typed) -> Reply:
        return self.help_for(asker, typed.text)

    def help_for(self, asker: Asker, name: str) -> Reply:
        """What may be typed; people who are known to moderate nothing are not shown what only moderators can do."""
        person_id = slack.person_of(self._stage.db, asker.team_id, asker.user_id)
        moderates = person_id is None or bool(self._stage.moderated(person_id))
        return Reply("Commands", messages.help_blocks(name, self._names, moderates=moderates))

    def join(self, asker: Asker, typed: Typed) -> Reply:
        return self.enter(self._stage.scene(asker), typed.number)

    def enter(self, scene: Scene, number: int | None) -> Reply:
        """Whose page is open moves at once; everybody else gets the address of the page."""
        me = scene.state.people.get(scene.actor.person_id) if scene.actor.person_id is not None else None
        if number is not None:
            room = scene.room(number)
            if me is not None and me.online:
                self._stage.submit(scene, c.JoinRoom(room.room_id))
                return Reply(f"You’re moving to *{escape(room.name)}*.")
        text = f"*{escape(scene.state.course_title)}* is live. You’ll sign in through your course page."
        return Reply(
            text,
            [
                section(text),
                actions(
                    f"go:{scene.state.session_id}",
                    button("Open the room", "open_dashboard", style="primary", url=self.url(scene)),
                ),
            ],
        )

    def close(self, scene: Scene, number: int) -> Reply:
        """Bring the people of one breakout room back to the main room."""
        scene.require_moderator()
        room = scene.room(number)
        if number == 0:
            raise SlackRefusal("bad_usage", "The main room can’t be closed.")
        inside = [p.person_id for p in scene.state.people.values() if p.online and p.room_id == room.room_id]
        if not inside:
            raise SlackRefusal("person_unknown", f"No one is in *{escape(room.name)}*.")
        for person_id in inside:
            self._stage.submit(scene, c.MoveParticipant(person_id, scene.room(0).room_id), step=person_id)
        return Reply(f"Everyone in *{escape(room.name)}* is returning to the main room.")

    def start_session(self, asker: Asker) -> Reply:
        """Open the live room of this course, so that people who come find it; moderators only."""
        actor, course = self._stage.course(asker)
        if not actor.is_moderator:
            raise DomainError("not_moderator")
        link = slack.channel_link(self._stage.db, asker.team_id, asker.channel_id)
        room_key = link.room_key if link is not None else ""
        room = deeplinks.get_room(self._stage.db, course.course_id, room_key)
        title = room.title if room is not None else "Room"
        self._stage.rooms.open_session(course.course_id, course.title, title, room_key)
        return self.enter(self._stage.scene(asker), None)
