"""Connecting a Slack user with a person of the course system: both sides hear of a connection that goes."""

from __future__ import annotations

from bot.blocks.parts import escape
from models.store import people, slack, slack_inbox, slack_outbox, slack_people
from models.store.database import Database

REPLACED = (
    "Your connection was replaced: *{name}* is now connected to another Slack user. "
    "Wasn’t this you? Open the room in your course and press *Disconnect*."
)
TAKEN_OVER = (
    "You’re now connected as *{name}* instead of *{before}*. Wasn’t this you? Type `/room disconnect`."
)


def connect(db: Database, team_id: str, user_id: str, person_id: str, how: str) -> None:
    """Link them. Earlier links of either go, and whoever loses one is told. ``how``: code | sign-in."""
    name = _name(db, person_id)
    before = slack_people.linked_person(db, team_id, user_id)
    others = [
        link.user_id
        for link in slack_people.links_of(db, person_id)
        if link.team_id == team_id and link.user_id != user_id
    ]
    slack.link_user(db, team_id, user_id, person_id)
    slack_inbox.audit(db, user_id, person_id, f"connect by {how}", "", "ok")
    for other in others:
        slack_inbox.audit(db, other, person_id, "connection replaced", "", "ok")
        _tell(db, team_id, other, REPLACED.format(name=name))
    if before is not None and before[0] != person_id:
        slack_inbox.audit(db, user_id, before[0], "connection replaced", "", "ok")
        _tell(db, team_id, user_id, TAKEN_OVER.format(name=name, before=_name(db, before[0])))


def disconnect(db: Database, person_id: str, by: str, team_id: str = "") -> int:
    """Forget a person's connections (in one workspace, or all); how many there were. ``by``: page | slack."""
    gone = 0
    for link in slack_people.links_of(db, person_id):
        if team_id in ("", link.team_id):
            slack.unlink_user(db, link.team_id, link.user_id)
            slack_inbox.audit(db, link.user_id, person_id, f"disconnect by {by}", "", "ok")
            gone += 1
    return gone


def _name(db: Database, person_id: str) -> str:
    person = people.get_person(db, person_id)
    return escape(person.name) if person is not None and person.name else "another person"


def _tell(db: Database, team_id: str, user_id: str, text: str) -> None:
    """A direct message; Slack opens it by the user's id."""
    slack_outbox.put_out(db, team_id=team_id, channel_id=user_id, method="message", payload={"text": text})
