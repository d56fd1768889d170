"""Database tables (SQLModel), nothing else. Only ``models.store`` may import this; rules live elsewhere.

Times are aware UTC (``UtcDateTime``). Secrets that we only compare (codes, tokens) are stored as SHA-256 hex.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Index, UniqueConstraint
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator
from sqlmodel import Field, SQLModel


class UtcDateTime(TypeDecorator[datetime]):
    """Aware UTC in Python on every database; refuses naive times."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("naive datetime refused; use aware UTC")
        return value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


# -- LTI -------------------------------------------------------------------------------------------------------


class PlatformRow(SQLModel, table=True):
    """One registration: an issuer may have many client ids (Sakai: one a tool)."""

    __tablename__ = "platform"
    __table_args__ = (UniqueConstraint("issuer", "client_id"),)
    id: int | None = Field(default=None, primary_key=True)
    issuer: str = Field(index=True)
    client_id: str
    name: str = ""
    auth_login_url: str
    auth_token_url: str
    jwks_url: str
    app: str = "room"
    """Which product tool this registration is for: room | gallery | mymedia | selector."""
    accept_new_deployments: bool = True
    jwks_cache: dict[str, Any] | None = Field(default=None, sa_type=JSON)
    jwks_fetched_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    jwks_asked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the newest fetch of the keyset began; it is under way until ``jwks_fetched_at`` is not older."""
    created_at: datetime = Field(sa_type=UtcDateTime)


class DeploymentRow(SQLModel, table=True):
    __tablename__ = "deployment"
    __table_args__ = (UniqueConstraint("platform_id", "deployment_id"),)
    id: int | None = Field(default=None, primary_key=True)
    platform_id: int = Field(foreign_key="platform.id")
    deployment_id: str
    approved: bool = True


class ToolKeyRow(SQLModel, table=True):
    """Our signing keys. ``state``: signing | next | retired; a retired one stays in our JWKS for a while."""

    __tablename__ = "tool_key"
    kid: str = Field(primary_key=True)
    state: str = "signing"
    private_pem: str
    public_jwk: dict[str, Any] = Field(sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)
    retired_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class LtiStateRow(SQLModel, table=True):
    """One OIDC login under way: state and one-use nonce bound to each other and to the client."""

    __tablename__ = "lti_state"
    state_hash: str = Field(primary_key=True)
    nonce_hash: str = Field(unique=True)
    platform_id: int = Field(foreign_key="platform.id")
    target_link_uri: str
    browser_hash: str = ""
    """Of the secret that the browser got with the login, in a cookie or in the platform's storage."""
    storage_target: str = ""
    """Where the platform keeps data for us (``lti_storage_target``); empty: nowhere."""
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class LtiInviteRow(SQLModel, table=True):
    """A one-time link with which an administrator's LMS may register itself as a platform."""

    __tablename__ = "lti_invite"
    code_hash: str = Field(primary_key=True)
    app: str
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class DeepLinkRow(SQLModel, table=True):
    """A deep linking request that waits for its answer: what the platform asked for, for one person and one use."""

    __tablename__ = "deep_link"
    id_hash: str = Field(primary_key=True)
    platform_id: int = Field(foreign_key="platform.id")
    deployment_id: str
    course_id: str
    person_id: str
    settings: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class CourseRoomRow(SQLModel, table=True):
    """A named room of a course besides its first one, made by inserting it as a link. ``room_key`` is never empty."""

    __tablename__ = "course_room"
    course_id: str = Field(primary_key=True, foreign_key="course.id")
    room_key: str = Field(primary_key=True)
    title: str
    settings: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)


class MediaShareRow(SQLModel, table=True):
    """A media entry that a link in another course shows: that course's members may see it."""

    __tablename__ = "media_share"
    entry_id: str = Field(primary_key=True, foreign_key="media_entry.id", ondelete="CASCADE")
    course_id: str = Field(primary_key=True, foreign_key="course.id")
    created_at: datetime = Field(sa_type=UtcDateTime)


class PersonRow(SQLModel, table=True):
    """A person is (issuer, sub), across courses and client ids."""

    __tablename__ = "person"
    __table_args__ = (UniqueConstraint("issuer", "sub"),)
    id: str = Field(primary_key=True)
    issuer: str
    sub: str
    name: str = ""
    email: str = ""
    locale: str = ""
    search_key: str = ""
    """Name and address by the key of comparisons, kept by ``models.store.search``."""
    created_at: datetime = Field(sa_type=UtcDateTime)
    seen_at: datetime = Field(sa_type=UtcDateTime)


class CourseRow(SQLModel, table=True):
    __tablename__ = "course"
    __table_args__ = (UniqueConstraint("issuer", "context_id"),)
    id: str = Field(primary_key=True)
    issuer: str
    context_id: str
    title: str = ""
    label: str = ""
    time_zone: str = ""
    """IANA name, as the platform told it; empty: it never did."""
    search_key: str = ""
    """Title by the key of comparisons, kept by ``models.store.search``."""
    nrps_url: str = ""
    platform_id: int | None = Field(default=None, foreign_key="platform.id")
    settings: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    history: list[str] = Field(default_factory=list, sa_type=JSON)
    """Context ids of the courses that this one was copied from, as the platform tells (``Context.id.history``)."""
    created_at: datetime = Field(sa_type=UtcDateTime)


class MembershipRow(SQLModel, table=True):
    """A person's role in a course as last proven by a launch or the roster."""

    __tablename__ = "membership"
    course_id: str = Field(primary_key=True, foreign_key="course.id")
    person_id: str = Field(primary_key=True, foreign_key="person.id")
    role: str
    lms_roles: list[str] = Field(default_factory=list, sa_type=JSON)
    source: str = "launch"
    """What proved it last: launch | roster | preview (somebody looks at the course as a role sees it)."""
    seen_at: datetime = Field(sa_type=UtcDateTime)
    roster_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Since when the person stands in the course's roster; null: never did (delegated access, administrators)."""


class HandoffCodeRow(SQLModel, table=True):
    __tablename__ = "handoff_code"
    code_hash: str = Field(primary_key=True)
    person_id: str
    course_id: str
    room_key: str
    room_title: str
    role: str
    name: str
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class TokenRow(SQLModel, table=True):
    """Bearer tokens of pages. ``kind``: page | room."""

    __tablename__ = "token"
    token_hash: str = Field(primary_key=True)
    kind: str
    person_id: str
    course_id: str
    room_key: str = ""
    room_title: str = ""
    role: str
    name: str
    session_id: str = ""
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


# -- sessions and their events ---------------------------------------------------------------------------------


class SessionRow(SQLModel, table=True):
    """A class meeting. ``live_key`` is ``course_id/room_key`` while open and null after: one open session a room."""

    __tablename__ = "session"
    id: str = Field(primary_key=True)
    course_id: str = Field(index=True)
    room_key: str = ""
    live_key: str | None = Field(default=None, unique=True)
    title: str = ""
    search_key: str = ""
    """Title by the key of comparisons, kept by ``models.store.search``."""
    status: str = "open"
    seq: int = 0
    opened_at: datetime = Field(sa_type=UtcDateTime)
    ended_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class EventRow(SQLModel, table=True):
    """The log: append only. (session_id, seq) unique is the optimistic lock; ``id`` orders the tail of all sessions."""

    __tablename__ = "event"
    __table_args__ = (UniqueConstraint("session_id", "seq"),)
    id: int | None = Field(default=None, primary_key=True)
    session_id: str = Field(index=True)
    seq: int
    at: datetime = Field(sa_type=UtcDateTime)
    command_id: str
    actor: dict[str, Any] = Field(sa_type=JSON)
    type: str
    data: dict[str, Any] = Field(sa_type=JSON)


class CommandRow(SQLModel, table=True):
    """Answered commands: a repeated id gets the first answer (events first_seq…last_seq; last < first: none)."""

    __tablename__ = "command"
    command_id: str = Field(primary_key=True)
    session_id: str
    first_seq: int
    last_seq: int
    at: datetime = Field(sa_type=UtcDateTime, index=True)


# -- recordings and the library --------------------------------------------------------------------------------


class RecordingRow(SQLModel, table=True):
    """One recording of one room. Status and times follow the session's events (written in the same transaction)."""

    __tablename__ = "recording"
    __table_args__ = (Index("ix_recording_course_invoked", "course_id", "invoked_at"),)
    id: str = Field(primary_key=True)
    session_id: str = Field(index=True)
    course_id: str = Field(index=True)
    room_id: str
    room_name: str
    is_breakout: bool = False
    parent_id: str | None = Field(default=None, index=True)
    started_by: str | None = None
    status: str = Field(index=True)
    desired: str = "recording"
    invoked_at: datetime = Field(sa_type=UtcDateTime, index=True)
    started_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    stopped_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    duration_s: float | None = None
    size_bytes: int | None = Field(default=None, sa_type=BigInteger)
    file_name: str = ""
    journal_path: str = ""
    error: str | None = None
    progress: float = 0.0
    composed_s: float = 0.0
    """Length of what is composed already, also while it is still recorded."""
    eta_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When the film will be ready at the present pace; null: not known."""
    options: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """What differs from the defaults of ``models.recording.RecordingOptions``."""
    layout: str = "grid"
    start_reason: str = "moderator"
    stop_reason: str | None = None
    caller: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """Who started and who stopped it: ``{"start": actor, "stop": actor | null}``."""
    lease_owner: str = ""
    """Who composes it now; a lease past ``lease_until`` may be taken by another worker."""
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    attempts: int = 0


class CompositionRow(SQLModel, table=True):
    """Another film of a recording, asked for after the first. ``status``: waiting, done or failed."""

    __tablename__ = "composition"
    id: str = Field(primary_key=True)
    recording_id: str = Field(index=True)
    options: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    requested_by: str | None = None
    status: str = Field(index=True)
    progress: float = 0.0
    eta_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    error: str | None = None
    file_name: str = ""
    lease_owner: str = ""
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    attempts: int = 0
    created_at: datetime = Field(sa_type=UtcDateTime)


class MediaEntryRow(SQLModel, table=True):
    """One item of the library. Owner sees it in My Media; the course sees it in its channel when published;
    moderators see it in the breakout recordings folder when ``folder`` is set."""

    __tablename__ = "media_entry"
    __table_args__ = (
        Index("ix_media_entry_course_recorded", "course_id", "recorded_at"),
        Index("ix_media_entry_owner_recorded", "owner_id", "recorded_at"),
    )
    id: str = Field(primary_key=True)
    course_id: str = Field(index=True)
    owner_id: str | None = Field(default=None, index=True)
    recording_id: str | None = Field(default=None, unique=True)
    title: str
    room_name: str = ""
    search_key: str = ""
    """Title and room by the key of comparisons, kept by ``models.store.search``."""
    folder: str = ""
    """``breakout`` for the breakout recordings folder."""
    published: bool = True
    status: str = "processing"
    path: str = ""
    """Folder of the entry's files, relative to the library root."""
    file_name: str = ""
    mime: str = "video/mp4"
    size_bytes: int = Field(default=0, sa_type=BigInteger)
    duration_s: float = 0.0
    width: int = 0
    height: int = 0
    sha256: str = ""
    quality: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    recorded_at: datetime = Field(sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class MediaFileRow(SQLModel, table=True):
    """One file of a library entry. ``kind``: composite | audio | track_audio | track_video | chapters | thumbnail."""

    __tablename__ = "media_file"
    entry_id: str = Field(primary_key=True, foreign_key="media_entry.id")
    name: str = Field(primary_key=True)
    kind: str
    mime: str
    size_bytes: int = Field(default=0, sa_type=BigInteger)
    sha256: str = ""
    duration_s: float = 0.0
    person_id: str | None = None
    title: str = ""
    quality: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    created_at: datetime = Field(sa_type=UtcDateTime)


class ApiKeyRow(SQLModel, table=True):
    """An integrator's key. ``course_id`` null: for all courses."""

    __tablename__ = "api_key"
    id: str = Field(primary_key=True)
    key_hash: str = Field(unique=True)
    name: str
    scopes: list[str] = Field(default_factory=list, sa_type=JSON)
    course_id: str | None = None
    created_at: datetime = Field(sa_type=UtcDateTime)
    revoked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    last_used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


# -- webhooks --------------------------------------------------------------------------------------------------


class WebhookRow(SQLModel, table=True):
    """Who wants to hear of which events. ``course_id`` null: of all courses. Secrets are sealed (webhooks.seal)."""

    __tablename__ = "webhook"
    id: str = Field(primary_key=True)
    name: str
    url: str
    events: list[str] = Field(default_factory=list, sa_type=JSON)
    enabled: bool = True
    disabled_reason: str = ""
    course_id: str | None = Field(default=None, index=True)
    secret: str
    old_secret: str = ""
    """The secret before a rotation; it signs too until ``old_until``."""
    old_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    updated_at: datetime = Field(sa_type=UtcDateTime)


class WebhookDeliveryRow(SQLModel, table=True):
    """One message for one webhook: outbox while ``pending``, log after that.

    (webhook_id, event_id) unique: an event of the log becomes one message, whoever follows the log.
    """

    __tablename__ = "webhook_delivery"
    __table_args__ = (
        UniqueConstraint("webhook_id", "event_id"),
        Index("ix_webhook_delivery_due", "status", "next_at"),
        Index("ix_webhook_delivery_order", "webhook_id", "order_key", "status"),
    )
    id: int | None = Field(default=None, primary_key=True)
    message_id: str = Field(unique=True)
    webhook_id: str = Field(foreign_key="webhook.id", ondelete="CASCADE")
    event_id: int | None = None
    """Null for a test message, which has no event."""
    event: str
    order_key: str
    """Messages with the same key are sent one after the other."""
    body: str
    status: str = "pending"
    """pending | delivered | failed."""
    attempts: int = 0
    next_at: datetime = Field(sa_type=UtcDateTime)
    give_up_at: datetime = Field(sa_type=UtcDateTime)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    response_status: int | None = None
    error: str = ""
    created_at: datetime = Field(sa_type=UtcDateTime, index=True)
    done_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class WebhookAttemptRow(SQLModel, table=True):
    """One try to deliver a message."""

    __tablename__ = "webhook_attempt"
    id: int | None = Field(default=None, primary_key=True)
    delivery_id: int = Field(foreign_key="webhook_delivery.id", ondelete="CASCADE", index=True)
    at: datetime = Field(sa_type=UtcDateTime)
    duration_ms: int
    response_status: int | None = None
    response_text: str = ""
    error: str = ""


class WebhookCursorRow(SQLModel, table=True):
    """How far the event log has become messages: one row, made by the migration."""

    __tablename__ = "webhook_cursor"
    id: int = Field(primary_key=True)
    event_id: int
    gaps: dict[str, float] = Field(default_factory=dict, sa_type=JSON)
    """Ids below ``event_id`` that were not visible yet → Unix time of the sighting (on PostgreSQL they may come late)."""


# -- storages and copies ---------------------------------------------------------------------------------------


class StorageRow(SQLModel, table=True):
    """A place that gets copies. ``scope``: site | course | call (given with one start call)."""

    __tablename__ = "storage"
    id: str = Field(primary_key=True)
    scope: str = Field(index=True)
    course_id: str | None = Field(default=None, index=True)
    name: str = ""
    config: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    """Type, bucket and the like; no credentials."""
    sealed: str = ""
    """The credentials, encrypted with the key ``key_id``; empty when there are none."""
    key_id: str = ""
    keep_local: bool = True
    """False: the file here may go when its copies are confirmed."""
    delete_copies: bool = False
    """True: the copy goes too when its entry expires or is deleted."""
    checked_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    problem: str | None = None
    """What the last dry run found; None: it works."""
    created_at: datetime = Field(sa_type=UtcDateTime)
    removed_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class TransferRow(SQLModel, table=True):
    """The copies of one entry at one storage. ``status``: waiting | copying | done | failed | deleting | deleted.

    A failed one is tried again at ``next_at``; None: given up. It outlives its entry, so that copies can be deleted.
    """

    __tablename__ = "transfer"
    __table_args__ = (
        UniqueConstraint("entry_id", "storage_id"),
        Index("ix_transfer_status_settled", "status", "settled"),
        Index("ix_transfer_storage_status", "storage_id", "status"),
    )
    id: str = Field(primary_key=True)
    entry_id: str = Field(index=True)
    storage_id: str = Field(index=True, foreign_key="storage.id")
    folder: str
    """Where its files are at the storage."""
    status: str = Field(default="waiting", index=True)
    attempts: int = 0
    failing_since: datetime | None = Field(default=None, sa_type=UtcDateTime)
    next_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    error: str | None = None
    lease_owner: str = ""
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    created_at: datetime = Field(sa_type=UtcDateTime)
    done_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """When size and checksum of every file were confirmed there."""
    settled: bool = False
    """The entry's clock and its files here were seen to after that."""


class TransferFileRow(SQLModel, table=True):
    """One file of a transfer. ``state`` is what the storage needs to go on with an unfinished copy."""

    __tablename__ = "transfer_file"
    transfer_id: str = Field(primary_key=True, foreign_key="transfer.id")
    name: str = Field(primary_key=True)
    size_bytes: int = Field(default=0, sa_type=BigInteger)
    sha256: str = ""
    mime: str = ""
    copied_bytes: int = Field(default=0, sa_type=BigInteger)
    state: dict[str, Any] = Field(default_factory=dict, sa_type=JSON)
    address: str = ""
    done_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


# -- Slack -----------------------------------------------------------------------------------------------------


class SlackLinkRow(SQLModel, table=True):
    """A Slack user of a workspace ↔ a person."""

    __tablename__ = "slack_link"
    team_id: str = Field(primary_key=True)
    user_id: str = Field(primary_key=True)
    person_id: str = Field(index=True)
    suspended: bool = False
    reason: str = ""
    """Why it is suspended: deactivated | uninstalled."""
    linked_at: datetime = Field(sa_type=UtcDateTime)


class SlackUserRow(SQLModel, table=True):
    """What Slack said about a user: no name, only whether they may act."""

    __tablename__ = "slack_user"
    team_id: str = Field(primary_key=True)
    user_id: str = Field(primary_key=True)
    standing: str
    """member | guest | bot | deactivated | stranger"""
    checked_at: datetime = Field(sa_type=UtcDateTime)
    wanted: bool = Field(default=False, index=True)
    """Somebody needed this while it was no longer fresh: ask Slack again soon."""


class SlackInstallRow(SQLModel, table=True):
    """The app in one workspace (installation by OAuth). Tokens are encrypted, and empty once it is suspended."""

    __tablename__ = "slack_install"
    team_id: str = Field(primary_key=True)
    team_name: str = ""
    enterprise_id: str = ""
    app_id: str = ""
    bot_user_id: str = ""
    bot_id: str = ""
    scopes: str = ""
    bot_token: str
    refresh_token: str = ""
    token_expires_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    lease_until: datetime | None = Field(default=None, sa_type=UtcDateTime)
    """Whoever set it exchanges the one-use refresh token; nobody else until then."""
    installed_by: str = ""
    installed_at: datetime = Field(sa_type=UtcDateTime)
    suspended: bool = False
    reason: str = ""


class SlackStateRow(SQLModel, table=True):
    """A road through Slack's pages that is under way: taken out (deleted) by who comes back first."""

    __tablename__ = "slack_state"
    state_hash: str = Field(primary_key=True)
    kind: str
    """install | signin | confirm"""
    nonce_hash: str = ""
    browser_hash: str = ""
    person_id: str = ""
    course_id: str = ""
    team_id: str = ""
    user_id: str = ""
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class SlackCodeRow(SQLModel, table=True):
    """One-use linking codes shown in the LMS page."""

    __tablename__ = "slack_code"
    code_hash: str = Field(primary_key=True)
    person_id: str
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class SlackTryRow(SQLModel, table=True):
    """Wrong linking codes of a Slack user: at most 5 in 10 minutes."""

    __tablename__ = "slack_try"
    id: int | None = Field(default=None, primary_key=True)
    team_id: str
    user_id: str = Field(index=True)
    at: datetime = Field(sa_type=UtcDateTime, index=True)


class SlackChannelRow(SQLModel, table=True):
    """A Slack channel ↔ a course's room. ``role``: moderators | class."""

    __tablename__ = "slack_channel"
    team_id: str = Field(primary_key=True)
    channel_id: str = Field(primary_key=True)
    course_id: str = Field(index=True)
    room_key: str = ""
    room_title: str = ""
    role: str = "moderators"
    linked_by: str
    suspended: bool = False
    reason: str = ""
    linked_at: datetime = Field(sa_type=UtcDateTime)


class SlackMessageRow(SQLModel, table=True):
    """Messages of ours that we keep up to date: key like ``card:SID``, ``call:HID``, ``rec:RID``."""

    __tablename__ = "slack_message"
    team_id: str = Field(primary_key=True)
    channel_id: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    ts: str = ""
    permalink: str = ""
    rev: int = 0


class SlackHomeRow(SQLModel, table=True):
    """Somebody who opened App Home, and what they chose there."""

    __tablename__ = "slack_home"
    team_id: str = Field(primary_key=True)
    user_id: str = Field(primary_key=True)
    dm_calls: bool = False
    """A direct message at each help call of the courses they moderate."""
    opened_at: datetime = Field(sa_type=UtcDateTime)


class SlackInboxRow(SQLModel, table=True):
    """Requests already taken: written before the ack, so that repeats change nothing."""

    __tablename__ = "slack_inbox"
    key: str = Field(primary_key=True)
    kind: str
    received_at: datetime = Field(sa_type=UtcDateTime, index=True)
    state: str = "new"


class SlackOutboxRow(SQLModel, table=True):
    """Slack calls to make. One row a ``coalesce_key``: only the newest revision survives."""

    __tablename__ = "slack_outbox"
    id: int | None = Field(default=None, primary_key=True)
    team_id: str
    channel_id: str
    method: str
    coalesce_key: str | None = Field(default=None, index=True)
    payload: dict[str, Any] = Field(sa_type=JSON)
    rev: int = 0
    priority: int = 5
    not_before: datetime = Field(sa_type=UtcDateTime, index=True)
    attempts: int = 0
    created_at: datetime = Field(sa_type=UtcDateTime)


class AuditRow(SQLModel, table=True):
    """Who did what through which door (Slack actions, role changes, deletions)."""

    __tablename__ = "audit"
    id: int | None = Field(default=None, primary_key=True)
    at: datetime = Field(sa_type=UtcDateTime, index=True)
    door: str
    person_id: str | None = None
    external_id: str = ""
    action: str
    target: str = ""
    result: str = "ok"


# -- administration --------------------------------------------------------------------------------------------


class AdminAccountRow(SQLModel, table=True):
    """A local administrator of this installation (``sideroom admin create``)."""

    __tablename__ = "admin_account"
    name: str = Field(primary_key=True)
    password_hash: str
    created_at: datetime = Field(sa_type=UtcDateTime)
    signed_in_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


class AdminSessionRow(SQLModel, table=True):
    """Who is signed in on the administration page. ``account`` null: came from the LMS as ``person_id``."""

    __tablename__ = "admin_session"
    token_hash: str = Field(primary_key=True)
    account: str | None = Field(default=None, index=True)
    person_id: str | None = None
    name: str
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class AdminTryRow(SQLModel, table=True):
    """Wrong passwords: so many of an account and address, then a pause."""

    __tablename__ = "admin_try"
    id: int | None = Field(default=None, primary_key=True)
    account: str = Field(index=True)
    address: str
    at: datetime = Field(sa_type=UtcDateTime, index=True)


class AdminCodeRow(SQLModel, table=True):
    """One-use codes that take an LMS system administrator from the course page to the administration page."""

    __tablename__ = "admin_code"
    code_hash: str = Field(primary_key=True)
    person_id: str
    name: str
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)
    used_at: datetime | None = Field(default=None, sa_type=UtcDateTime)


# -- services of the platforms ---------------------------------------------------------------------------------


class CourseServiceRow(SQLModel, table=True):
    """A service that a launch offered for a course. ``name``: roster | groups | grades."""

    __tablename__ = "course_service"
    course_id: str = Field(primary_key=True, foreign_key="course.id")
    name: str = Field(primary_key=True)
    platform_id: int = Field(foreign_key="platform.id")
    url: str
    scopes: list[str] = Field(default_factory=list, sa_type=JSON)
    seen_at: datetime = Field(sa_type=UtcDateTime)
    deployment_id: str = Field(default="", sa_column_kwargs={"server_default": ""})
    """The deployment whose launch offered it."""


class ServiceTokenRow(SQLModel, table=True):
    """Access tokens for services, shared by all processes. ``key`` is made of issuer, client id, deployment and scopes."""

    __tablename__ = "service_token"
    key: str = Field(primary_key=True)
    issuer: str
    client_id: str
    scopes: str
    token: str
    expires_at: datetime = Field(sa_type=UtcDateTime, index=True)


class RosterSyncRow(SQLModel, table=True):
    """When a course's roster is to be fetched, and what came of it the last time."""

    __tablename__ = "roster_sync"
    course_id: str = Field(primary_key=True, foreign_key="course.id")
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    done_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    members: int = 0
    attempts: int = 0
    error: str = ""


class CourseGroupRow(SQLModel, table=True):
    __tablename__ = "course_group"
    course_id: str = Field(primary_key=True, foreign_key="course.id")
    group_id: str = Field(primary_key=True)
    name: str


class GroupMemberRow(SQLModel, table=True):
    __tablename__ = "group_member"
    course_id: str = Field(primary_key=True, foreign_key="course.id")
    group_id: str = Field(primary_key=True)
    person_id: str = Field(primary_key=True, foreign_key="person.id")


class PlatformHealthRow(SQLModel, table=True):
    """How the last use of a connection went. ``kind``: keyset | token | roster | groups | grades."""

    __tablename__ = "platform_health"
    platform_id: int = Field(primary_key=True, foreign_key="platform.id")
    kind: str = Field(primary_key=True)
    ok: bool
    reason: str = ""
    at: datetime = Field(sa_type=UtcDateTime)


class MeetingRow(SQLModel, table=True):
    """An ended session that was looked at for attendance. ``counts``: it was long enough and the course asked for it."""

    __tablename__ = "meeting"
    session_id: str = Field(primary_key=True)
    course_id: str = Field(foreign_key="course.id", index=True)
    room_key: str
    counts: bool
    length_s: float
    at: datetime = Field(sa_type=UtcDateTime)


class AttendanceRow(SQLModel, table=True):
    """How long somebody was in a meeting while a moderator was there."""

    __tablename__ = "attendance"
    session_id: str = Field(primary_key=True, foreign_key="meeting.session_id")
    person_id: str = Field(primary_key=True, foreign_key="person.id")
    present_s: float
    attended: bool


class GradeColumnRow(SQLModel, table=True):
    """The column of a room's attendance in the LMS's gradebook. ``url`` empty: not made yet."""

    __tablename__ = "grade_column"
    course_id: str = Field(primary_key=True, foreign_key="course.id")
    room_key: str = Field(primary_key=True)
    title: str
    url: str = ""
    maximum: float
    made_maximum: float = 0.0
    """The maximum that the column has in the LMS now."""


class ScoreRow(SQLModel, table=True):
    """A person's attendance score of a room, and how far its way into the LMS has come."""

    __tablename__ = "score"
    course_id: str = Field(primary_key=True, foreign_key="course.id")
    room_key: str = Field(primary_key=True)
    person_id: str = Field(primary_key=True, foreign_key="person.id")
    points: float
    comment: str = ""
    due_at: datetime | None = Field(default=None, sa_type=UtcDateTime, index=True)
    attempts: int = 0
    sent_at: datetime | None = Field(default=None, sa_type=UtcDateTime)
    error: str = ""
