"""The practice LMS's little world: people, courses, tools, roles. Plain data."""

from __future__ import annotations

from dataclasses import dataclass, field

_M = "http://purl.imsglobal.org/vocab/lis/v2/membership#"
_I = "http://purl.imsglobal.org/vocab/lis/v2/institution/person#"
_S = "http://purl.imsglobal.org/vocab/lis/v2/system/person#"

ROLE_CLAIMS: dict[str, list[str]] = {
    "maintain": [_M + "Instructor"],
    "access": [_M + "Learner"],
    # Sakai's own form with two “#”, not the standard membership/Instructor#TeachingAssistant.
    "Teaching Assistant": [_M + "Instructor#TeachingAssistant"],
    "admin": [_M + "Instructor", _I + "Administrator", _S + "Administrator"],
}


@dataclass(frozen=True, slots=True)
class Person:
    key: str
    given: str
    family: str
    note: str

    @property
    def name(self) -> str:
        return f"{self.given} {self.family}"


@dataclass(frozen=True, slots=True)
class Site:
    """A course site; ``members`` maps person → Sakai role."""

    key: str
    title: str
    members: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Tool:
    """One External Tool record: its own client id, as in Sakai."""

    key: str
    title: str
    client_id: str
    content: int


PEOPLE = {
    p.key: p
    for p in (
        Person("alice", "Alice", "Moreau", "moderator"),
        Person("tara", "Tara", "Singh", "teaching assistant"),
        Person("bob", "Bob", "Keller", "student"),
        Person("bea", "Bea", "Okafor", "student"),
        Person("ben", "Ben", "Lindqvist", "student"),
        Person("bo", "Bo", "Chen", "student"),
        Person("adam", "Adam", "Rossi", "administrator"),
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
                "alice": "maintain",
                "tara": "Teaching Assistant",
                "bob": "access",
                "bea": "access",
                "ben": "access",
                "bo": "access",
                "adam": "admin",
            },
        ),
        Site("his200", "HIS 200", {"charlie": "maintain", "adam": "admin"}),
    )
}
TOOLS = {
    t.key: t
    for t in (
        Tool("room", "Room", "5d0f7c3e-0001-4b6a-9a51-practice0001", 1),
        Tool("gallery", "Media Gallery", "5d0f7c3e-0002-4b6a-9a51-practice0002", 2),
        Tool("mymedia", "My Media", "5d0f7c3e-0003-4b6a-9a51-practice0003", 3),
        Tool("selector", "Insert media or a room", "5d0f7c3e-0004-4b6a-9a51-practice0004", 4),
    )
}


GROUPS: dict[str, tuple[tuple[str, str, tuple[str, ...]], ...]] = {
    "bio101": (
        ("g-lab-a", "Lab A", ("bob", "bea", "tara")),
        ("g-lab-b", "Lab B", ("ben", "bo")),
        ("g-project", "Project group", ()),
    )
}
"""Course groups of a site: (id, title, members)."""


def site_of(key: str, person: Person) -> Site | None:
    """A course, or the person's own My Workspace (``~key``), whose maintainer everybody is."""
    if key == f"~{person.key}":
        return Site(key, "Home", {person.key: "maintain"})
    return SITES.get(key)


def courses_of(person: Person) -> list[Site]:
    return [site for site in SITES.values() if person.key in site.members]
