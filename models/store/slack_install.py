"""Slack installations (one row a workspace, tokens encrypted at rest) and the one-use states of roads through Slack's pages."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Literal

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from sqlalchemy import delete, or_, update
from sqlmodel import col, select

from models.store.access import hash_secret
from models.store.database import Database
from models.tables import SlackChannelRow, SlackInstallRow, SlackLinkRow, SlackOutboxRow, SlackStateRow

UNINSTALLED = "uninstalled"
STATE_LIFE = timedelta(minutes=10)
LEASE = timedelta(seconds=60)
StateKind = Literal["install", "signin", "confirm"]


@dataclass(frozen=True, slots=True)
class Installation:
    """The app in a workspace. ``token_expires_at`` and ``refresh_token`` only when Slack rotates its tokens."""

    team_id: str
    bot_token: str
    team_name: str = ""
    enterprise_id: str = ""
    app_id: str = ""
    bot_user_id: str = ""
    bot_id: str = ""
    scopes: str = ""
    refresh_token: str = ""
    token_expires_at: datetime | None = None
    installed_by: str = ""
    installed_at: datetime | None = None
    suspended: bool = False
    reason: str = ""


class Installations:
    """``key``: 32 bytes as hex (of the site secret); who reads the database without it finds no token.

    ``previous``: the keys of earlier site secrets, which open what was sealed with them.
    """

    def __init__(self, db: Database, key: str, previous: Sequence[str] = ()) -> None:
        self._db = db
        keys = [Fernet(base64.urlsafe_b64encode(bytes.fromhex(each))) for each in (key, *previous)]
        self._current, self._any = keys[0], MultiFernet(keys)

    def save(self, installation: Installation) -> None:
        """Install, or install again: links that the removal of the app had suspended work again."""
        with self._db.write() as session:
            row = session.get(SlackInstallRow, installation.team_id)
            if row is None:
                row = SlackInstallRow(
                    team_id=installation.team_id, bot_token="", installed_at=datetime.now(UTC)
                )
                session.add(row)
            for name in ("team_name", "enterprise_id", "app_id", "bot_user_id", "bot_id", "scopes"):
                setattr(row, name, getattr(installation, name))
            row.bot_token = self._hide(installation.bot_token)
            row.refresh_token = self._hide(installation.refresh_token)
            row.token_expires_at, row.lease_until = installation.token_expires_at, None
            row.installed_by, row.installed_at = installation.installed_by, datetime.now(UTC)
            row.suspended, row.reason = False, ""
            for table in (SlackLinkRow, SlackChannelRow):
                mine = (col(table.team_id) == installation.team_id, col(table.reason) == UNINSTALLED)
                session.execute(update(table).where(*mine).values(suspended=False, reason=""))

    def find(self, team_id: str) -> Installation | None:
        """The installation that may be used now; None when there is none, or its token cannot be read any more."""
        with self._db.read() as session:
            row = session.get(SlackInstallRow, team_id)
        if row is None or row.suspended:
            return None
        try:
            return self._open(row)
        except InvalidToken:
            return None

    def note_of(self, team_id: str) -> Installation | None:
        """What is known about a workspace, also a suspended one; without tokens."""
        with self._db.read() as session:
            row = session.get(SlackInstallRow, team_id)
        return None if row is None else _plain(row)

    def all(self) -> list[Installation]:
        """Every workspace, also suspended ones; without tokens."""
        with self._db.read() as session:
            rows = session.exec(select(SlackInstallRow).order_by(col(SlackInstallRow.team_id))).all()
        return [_plain(row) for row in rows]

    def suspend(self, team_id: str, reason: str = UNINSTALLED) -> None:
        """The app is gone from a workspace: its tokens and waiting messages are deleted, its links kept but suspended."""
        with self._db.write() as session:
            row = session.get(SlackInstallRow, team_id)
            if row is None:
                row = SlackInstallRow(team_id=team_id, bot_token="", installed_at=datetime.now(UTC))
                session.add(row)
            row.suspended, row.reason = True, reason
            row.bot_token = row.refresh_token = ""
            session.execute(delete(SlackOutboxRow).where(col(SlackOutboxRow.team_id) == team_id))
            for table in (SlackLinkRow, SlackChannelRow):
                mine = (col(table.team_id) == team_id, col(table.suspended).is_(False))
                session.execute(update(table).where(*mine).values(suspended=True, reason=UNINSTALLED))

    def expiring(self, within: timedelta) -> Iterator[Installation]:
        """Installations whose token ends soon, each leased to the caller: refresh tokens can be used once only."""
        now = datetime.now(UTC)
        with self._db.read() as session:
            where = (col(SlackInstallRow.suspended).is_(False), col(SlackInstallRow.refresh_token) != "")
            rows = session.exec(
                select(SlackInstallRow).where(*where, col(SlackInstallRow.token_expires_at) < now + within)
            ).all()
        for row in rows:
            with self._db.write() as session:
                free = or_(col(SlackInstallRow.lease_until).is_(None), col(SlackInstallRow.lease_until) < now)
                leased = session.execute(
                    update(SlackInstallRow)
                    .where(
                        col(SlackInstallRow.team_id) == row.team_id,
                        col(SlackInstallRow.refresh_token) == row.refresh_token,
                        free,
                    )
                    .values(lease_until=now + LEASE)
                    .execution_options(synchronize_session=False)
                )
            found = self.find(row.team_id) if leased.rowcount == 1 else None  # type: ignore[attr-defined]
            if found is not None:
                yield found

    def renew(self, team_id: str, bot_token: str, refresh_token: str, expires_at: datetime) -> None:
        """Put in the tokens of a rotation; without a new refresh token the one that is stored stays."""
        with self._db.write() as session:
            row = session.get(SlackInstallRow, team_id)
            if row is not None and not row.suspended:
                row.bot_token = self._hide(bot_token)
                if refresh_token:
                    row.refresh_token = self._hide(refresh_token)
                row.token_expires_at, row.lease_until = expires_at, None

    def reseal(self) -> int:
        """Seal anew with the present key what an earlier one sealed; how many workspaces that were.

        What no key opens stays as it is: the right earlier secret may be given later.
        """
        with self._db.read() as session:
            rows = session.exec(select(SlackInstallRow)).all()
        done = 0
        for row in rows:
            if self._is_current(row.bot_token) and self._is_current(row.refresh_token):
                continue
            try:
                found = self._open(row)
            except InvalidToken:
                continue
            with self._db.write() as session:
                # Only what was read: a renewal in the meantime has sealed its tokens with the present key already.
                resealed = session.execute(
                    update(SlackInstallRow)
                    .where(
                        col(SlackInstallRow.team_id) == row.team_id,
                        col(SlackInstallRow.bot_token) == row.bot_token,
                        col(SlackInstallRow.refresh_token) == row.refresh_token,
                    )
                    .values(
                        bot_token=self._hide(found.bot_token), refresh_token=self._hide(found.refresh_token)
                    )
                    .execution_options(synchronize_session=False)
                )
                done += resealed.rowcount  # type: ignore[attr-defined]
        return done

    def _is_current(self, sealed: str) -> bool:
        if not sealed:
            return True
        try:
            self._current.decrypt(sealed.encode())
        except InvalidToken:
            return False
        return True

    def _hide(self, token: str) -> str:
        return self._current.encrypt(token.encode()).decode() if token else ""

    def _show(self, token: str) -> str:
        return self._any.decrypt(token.encode()).decode() if token else ""

    def _open(self, row: SlackInstallRow) -> Installation:
        return replace(
            _plain(row), bot_token=self._show(row.bot_token), refresh_token=self._show(row.refresh_token)
        )


def _plain(row: SlackInstallRow) -> Installation:
    return Installation(
        team_id=row.team_id,
        bot_token="",
        team_name=row.team_name,
        enterprise_id=row.enterprise_id,
        app_id=row.app_id,
        bot_user_id=row.bot_user_id,
        bot_id=row.bot_id,
        scopes=row.scopes,
        token_expires_at=row.token_expires_at,
        installed_by=row.installed_by,
        installed_at=row.installed_at,
        suspended=row.suspended,
        reason=row.reason,
    )


# -- states ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class State:
    """What a state stands for. ``nonce_hash`` and ``browser_hash`` are of secrets the one who comes back must show."""

    kind: StateKind
    person_id: str = ""
    course_id: str = ""
    team_id: str = ""
    user_id: str = ""
    nonce_hash: str = ""
    browser_hash: str = ""


def new_state(db: Database, state: State) -> str:
    """Remember a state for ten minutes; returns its secret (256 bits)."""
    secret = secrets.token_urlsafe(32)
    now = datetime.now(UTC)
    with db.write() as session:
        session.execute(delete(SlackStateRow).where(col(SlackStateRow.expires_at) < now))
        session.add(
            SlackStateRow(
                state_hash=hash_secret(secret),
                kind=state.kind,
                nonce_hash=state.nonce_hash,
                browser_hash=state.browser_hash,
                person_id=state.person_id,
                course_id=state.course_id,
                team_id=state.team_id,
                user_id=state.user_id,
                expires_at=now + STATE_LIFE,
            )
        )
    return secret


def take_state(db: Database, kind: StateKind, secret: str) -> State | None:
    """Use a state up; None when it is unknown, old, of another kind or was used. Of two at once, one gets it."""
    digest = hash_secret(secret)
    with db.write() as session:
        row = session.get(SlackStateRow, digest)
        if row is None or row.kind != kind or row.expires_at <= datetime.now(UTC):
            return None
        found = State(
            kind, row.person_id, row.course_id, row.team_id, row.user_id, row.nonce_hash, row.browser_hash
        )
        gone = session.execute(
            delete(SlackStateRow)
            .where(col(SlackStateRow.state_hash) == digest)
            .execution_options(synchronize_session=False)
        )
        return found if gone.rowcount == 1 else None  # type: ignore[attr-defined]
