"""App Home of one person: gathered anew whenever it is published, because their courses and roles may have changed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime

from bot.ask import Asker, Reply, SlackRefusal
from bot.blocks import home as blocks
from bot.blocks.parts import Block
from bot.desk import rendered
from bot.names import Names
from bot.scene import Stage, publish
from models.store import people, recordings_list, slack, slack_home, slack_inbox
from models.values import CourseId, PersonId, Role
from rooms.errors import DomainError

RECORDINGS = 5


class HomeVerbs:
    """The view, and its settings."""

    def __init__(self, stage: Stage, base_url: str, names: Names) -> None:
        self._stage = stage
        self._base_url = base_url
        self._names = names

    def view(self, team_id: str, user_id: str, *, limited: bool = False) -> Block:
        """What ``views.publish`` shows to this person now. ``limited``: Slack makes us wait."""
        asker = Asker(team_id, user_id, "", f"home:{team_id}:{user_id}")
        try:
            person_id, place = self._stage.linked(asker)
        except SlackRefusal:
            return self._rendered(blocks.unlinked_view())
        moderated = {course.course_id: course for course in self._stage.moderated(person_id)}
        home = blocks.Home(
            name=place.name,
            live=self._live(person_id),
            recordings=self._recordings(list(moderated)),
            channels=[
                blocks.LinkedChannel(link.channel_id, course.title, link.role, reason)
                for course in moderated.values()
                for link, reason in slack.all_channels_of(self._stage.db, course.course_id)
                if link.team_id == team_id
            ],
            moderates=bool(moderated),
            dm_calls=slack_home.wants_calls(self._stage.db, team_id, user_id),
            audit=[
                (line.at, line.action, line.result)
                for line in slack_inbox.audit_of(self._stage.db, person_id)
            ],
            limited=limited,
        )
        return self._rendered(blocks.home_view(home, datetime.now(UTC)))

    def _rendered(self, view: Block) -> Block:
        made: Block = rendered(view, self._names)
        return made

    def _live(self, person_id: PersonId) -> list[blocks.Live]:
        made = []
        for state in self._stage.live_of(person_id):
            role = people.membership_role(self._stage.db, state.course_id, person_id)
            url = f"{self._base_url}/room/{state.session_id}"
            made.append(blocks.Live(state, role is Role.MODERATOR, url))
        return made

    def _recordings(self, course_ids: list[CourseId]) -> list[dict[str, object]]:
        """The newest of the courses that the person moderates."""
        found = [
            asdict(each)
            for course_id in course_ids
            for each in recordings_list.find_recordings(
                self._stage.db, recordings_list.Filter(course_id), 0, RECORDINGS
            )[0]
        ]
        return sorted(found, key=lambda each: each["invoked_at"], reverse=True)[:RECORDINGS]

    def switch_calls(self, asker: Asker, value: str) -> Reply:
        """A direct message at each help call: on or off."""
        person_id, _ = self._stage.linked(asker)
        if value == "on" and not self._stage.moderated(person_id):
            raise DomainError("not_moderator")
        slack_home.want_calls(self._stage.db, asker.team_id, asker.user_id, value == "on")
        publish(self._stage, asker.team_id, asker.user_id)
        return Reply()
