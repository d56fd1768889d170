"""Link the practice Slack's people and channels to the practice LMS's, as they would do by code and /room link."""

from __future__ import annotations

from models.store import people, slack, slack_people
from models.store.database import Database
from models.values import CourseId, Role
from sandbox.lms.world import PEOPLE, SITES

TEAM_ID = "T0PRACTICE"
ALICE_SLACK = "U0ALICE"
MODERATORS_CHANNEL = "C0BIO101MOD"
CLASS_CHANNEL = "C0BIO101"
USERS = {
    "U0ALICE": ("alice", "Alice Moreau"),
    "U0BOB": ("bob", "Bob Keller"),
    "U0CHARLIE": ("charlie", "Charlie Novak"),
}
CHANNELS = {
    MODERATORS_CHANNEL: ("bio101-moderators", True),
    CLASS_CHANNEL: ("bio101", False),
}


def link_practice(db: Database, issuer: str, course: str = "bio101") -> CourseId:
    """Alice's, Bob's and Charlie's Slack users and the two channels, linked. Safe to repeat. Returns the course.

    ``issuer``: the practice LMS's address; ``course``: its context id.
    """
    course_id = people.upsert_course(db, issuer, course, "BIO 101")
    other_id = people.upsert_course(db, issuer, SITES["his200"].context_id, "HIS 200")
    roles = {
        "alice": (course_id, Role.MODERATOR),
        "bob": (course_id, Role.PARTICIPANT),
        "charlie": (other_id, Role.MODERATOR),
    }
    for user_id, (key, name) in USERS.items():
        person_id = people.upsert_person(db, issuer, f"{issuer}/user/{PEOPLE[key].user_id}", name)
        its_course, role = roles[key]
        people.upsert_membership(db, its_course, person_id, role, [])
        slack.link_user(db, TEAM_ID, user_id, person_id)
        slack_people.remember(db, TEAM_ID, user_id, slack_people.Standing.MEMBER)
    alice = people.upsert_person(db, issuer, f"{issuer}/user/{PEOPLE['alice'].user_id}")
    slack.link_channel(db, TEAM_ID, MODERATORS_CHANNEL, course_id, "moderators", alice)
    slack.link_channel(db, TEAM_ID, CLASS_CHANNEL, course_id, "class", alice)
    return course_id
