"""The practice LMS's little world: people, courses, tools, roles. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field
from uuid import NAMESPACE_URL, uuid5

_M = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
_I = "http://purl.imsglobal.org/vocab/lis/v2/institution/person#"
_S = "http://purl.imsglobal.org/vocab/lis/v2/system/person#"

ROLE_CLAIMS: dict[str, list[str]] = {
    # Course sites have these three roles, project sites and My Workspace “maintain” and “access”.
    "Instructor": [_M + "Instructor"],
    "Student": [_M + "Learner"],
    # Sakai's own form with two “#”, not the standard membership/Instructor#TeachingAssistant.
    "Teaching Assistant": [_M + "Instructor#TeachingAssistant"],
    "maintain": [_M + "Instructor"],
    "access": [_M + "Learner"],
    # What a super user is launched with, whatever their role in the site is.
    "admin": [_I + "Administrator", _M + "Instructor", _S + "Administrator"],
}
SHORT_ROLES = {
    "Instructor": "Instructor",
    "maintain": "Instructor",
    "Student": "Learner",
    "access": "Learner",
    "Teaching Assistant": "TeachingAssistant",
}
"""The old names that the roster sends beside the long ones."""


@dataclass(frozen=True, slots=True)
class Person:
    """``key`` is the login name (Sakai's eid). ``viewing``: nobody, but what “View Site As” makes of a role in a site."""

    key: str
    given: str
    family: str
    note: str
    super_user: bool = False
    viewing: str = ""

    @property
    def name(self) -> str:
        return f"{self.given} {self.family}"

    @property
    def user_id(self) -> str:
        """Sakai's internal id: a UUID, but for the administrator of a fresh installation."""
        return "admin" if self.super_user else str(uuid5(NAMESPACE_URL, f"practice-user:{self.key}"))

    @property
    def email(self) -> str:
        if self.viewing:
            return f"{self.key.partition('+')[0]}+{self.viewing}@localhost"
        return "" if self.super_user else f"{self.key}@practice.example"


@dataclass(frozen=True, slots=True)
class Site:
    """A site; ``members`` maps person → Sakai role. ``id`` is the context id: a UUID, but where somebody chose one."""

    key: str
    title: str
    members: dict[str, str] = field(default_factory=dict)
    id: str = ""

    @property
    def context_id(self) -> str:
        return self.id or self.key

    def role_of(self, person: Person) -> str:
        """The role that a launch names: a super user's is “admin” in every course."""
        if person.viewing:
            return person.viewing
        return "admin" if person.super_user and not self.key.startswith("~") else self.members[person.key]


@dataclass(frozen=True, slots=True)
class Tool:
    """One External Tool record: its own client id and number, as in Sakai.

    The last three are its boxes: *Provide Roster*, *return grades* with *create grade columns*, *Send Email Addresses*.
    """

    key: str
    title: str
    client_id: str
    content: int
    roster: bool = True
    grades: bool = True
    email: bool = True
    login_path: str = ""

    @property
    def number(self) -> int:
        """As in the token address."""
        return self.content


PEOPLE = {
    p.key: p
    for p in (
        Person("alice", "Alice", "Moreau", "moderator"),
        Person("tara", "Tara", "Singh", "teaching assistant"),
        Person("bob", "Bob", "Keller", "student"),
        Person("bea", "Bea", "Okafor", "student"),
        Person("ben", "Ben", "Lindqvist", "student"),
        Person("bo", "Bo", "Chen", "student"),
        Person("adam", "Adam", "Rossi", "administrator", super_user=True),
        Person("charlie", "Charlie", "Novak", "teaches another course"),
    )
}
SITES = {
    s.key: s
    for s in (
        Site(
            "bio101",
            "BIO 101",
            {
                "tara": "Teaching Assistant",
                "alice": "Instructor",
                "ben": "Student",
                "bob": "Student",
                # Who made the site belongs to it.
                "adam": "Instructor",
                "bea": "Student",
                "bo": "Student",
            },
        ),
        Site(
            "his200",
            "HIS 200",
            {"charlie": "Instructor", "adam": "Instructor"},
            id="6f1c1c0e-52d1-4c36-9d0e-6a0f4f3b7c21",
        ),
        Site(
            "project",
            "Field trip",
            {"bob": "maintain", "alice": "access", "bea": "access"},
            id="0d2f2f52-8f0b-4e0c-a2b4-3d9f5f1e6a77",
        ),
    )
}
TOOLS = {
    t.key: t
    for t in (
        Tool("room", "Room", "5d0f7c3e-0001-4b6a-9a51-practice0001", 1),
        Tool("gallery", "Media Gallery", "5d0f7c3e-0002-4b6a-9a51-practice0002", 2, False, False, False),
        Tool("mymedia", "My Media", "5d0f7c3e-0003-4b6a-9a51-practice0003", 3, False, False, False),
        Tool(
            "selector",
            "Insert media or a room",
            "5d0f7c3e-0004-4b6a-9a51-practice0004",
            4,
            roster=False,
            email=False,
        ),
    )
}


GROUPS: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "bio101": (
        ("bdabeeec-c76d-4508-9643-8850484b9835", "Lab A", ("bob", "bea", "tara")),
        ("2d59fe21-9b05-45a1-91de-c4cfa6582fe7", "Lab B", ("ben", "bo")),
        ("77ed2c97-34e1-4232-a321-8fc747d1205e", "Projektübung", ()),
    )
}
"""Course groups of a site: (id, title, members)."""


def viewing_as(site: Site, role: str) -> Person:
    """The pseudo user of “View Site As”: one for each site and role, in no roster, shared by all teachers of the site."""
    eid = f"{site.context_id}+{role.lower()}"
    return Person(eid, role, role, f"what {role} sees", viewing=role)


def site_with(context_id: str) -> Site | None:
    """The site that the services know by this id."""
    return next((site for site in SITES.values() if site.context_id == context_id), None)


def site_of(key: str, person: Person) -> Site | None:
    """A course, or the person's own My Workspace (``~key``), whose maintainer everybody is."""
    if key == f"~{person.key}":
        return Site(key, "Home", {person.key: "maintain"}, id=f"~{person.user_id}")
    return SITES.get(key)


def courses_of(person: Person) -> list[Site]:
    return [site for site in SITES.values() if person.key in site.members]
