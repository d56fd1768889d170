"""Everything that can be called under ``/api/v1``: one table for the door, the OpenAPI document and docs/rest.md."""

from __future__ import annotations

from typing import Final

from api.v1 import courses, meetings, recordings, storages, usage, webhooks
from api.v1.call import Route
from api.v1.recordings_schemas import (
    ActBody,
    Composition,
    EntryBody,
    Group,
    LayoutBody,
    ListQuery,
    RecomposeBody,
    Recording,
    RecordingConfig,
    RecordingConfigData,
    StartBody,
    TrackBody,
)
from api.v1.schemas import (
    CommandBody,
    Commanded,
    Course,
    Meeting,
    MeetingDetails,
    MeetingParticipant,
    UsageRow,
)

STARTING: Final = (
    "no_session",
    "session_ended",
    "other_course",
    "room_unknown",
    "not_running",
    "already_recording",
    "storage_unknown",
    "storage_unusable",
    "person_unknown",
    "not_moderator",
)
ACTING: Final = ("recording_unknown", "nothing_recording", "other_course", "session_ended")
HOOK: Final = ("webhook_unknown",)
STORAGE: Final = ("storage_unknown",)

ROUTES: Final = (
    # -- recordings
    Route(
        "POST", "/recordings", "start_recording", "recordings",
        "Record a room of a live session, or every breakout room",
        "recordings:write", recordings.start, Recording | Group, body=StartBody, codes=STARTING,
        status=201, is_recording=True,
        is_command=True,
        links=("get_recording", "act_on_recording", "set_recording_layout", "compose_again"),
    ),
    Route(
        "POST", "/recordings/track", "start_track_recording", "recordings",
        "Record separate tracks only, one file a participant",
        "recordings:write", recordings.track, Recording | Group, body=TrackBody, codes=STARTING,
        status=201, is_recording=True,
        is_command=True,
        links=("get_recording", "act_on_recording"),
    ),
    Route(
        "GET", "/recordings", "list_recordings", "recordings", "Recordings, by the time of their start call",
        "recordings:read", recordings.listing, Recording, query=ListQuery,
        is_list=True, is_paged=True, is_recording=True,
    ),
    Route(
        "GET", "/recordings/active-recording/{meeting_id}", "get_active_recording", "recordings",
        "The newest live recording of a meeting",
        "recordings:read", recordings.active, Recording, codes=("recording_unknown",), is_recording=True,
    ),
    Route(
        "GET", "/recordings/{recording_id}", "get_recording", "recordings", "A recording or a group, with files",
        "recordings:read", recordings.details, Recording | Group, codes=("recording_unknown",), is_recording=True,
    ),
    Route(
        "PUT", "/recordings/{recording_id}", "act_on_recording", "recordings", "Pause, resume or stop",
        "recordings:write", recordings.act, Recording | Group, body=ActBody,
        codes=(*ACTING, "not_paused", "already_paused"), is_recording=True,
        is_command=True,
    ),
    Route(
        "PATCH", "/recordings/{recording_id}", "change_recording", "recordings",
        "Rename a recording, publish it to the course, or unpublish it",
        "recordings:write", recordings.change, Recording, body=EntryBody,
        codes=("recording_unknown", "still_recording"), is_recording=True,
    ),
    Route(
        "DELETE", "/recordings/{recording_id}", "delete_recording", "recordings",
        "Delete a recording's files and its place in the library",
        "recordings:write", recordings.delete, Recording,
        codes=("recording_unknown", "still_recording"), is_recording=True,
    ),
    Route(
        "PUT", "/recordings/{recording_id}/layout", "set_recording_layout", "recordings",
        "Another layout while it records",
        "recordings:write", recordings.set_layout, Recording | Group, body=LayoutBody, codes=ACTING,
        is_recording=True,
        is_command=True,
    ),
    Route(
        "POST", "/recordings/{recording_id}/compositions", "compose_again", "recordings",
        "Make another version of a recording: other layout, size or format",
        "recordings:write", recordings.recompose, Composition, body=RecomposeBody,
        codes=("recording_unknown", "still_recording"), status=202, is_recording=True,
    ),
    Route(
        "GET", "/recordings/{recording_id}/compositions", "list_compositions", "recordings",
        "Other versions that were requested",
        "recordings:read", recordings.composed, Composition, codes=("recording_unknown",), is_list=True,
        is_recording=True,
    ),
    # -- courses and their sessions
    Route(
        "GET", "/courses", "list_courses", "courses", "Courses, by title",
        "recordings:read", courses.listing, Course, query=courses.CoursesQuery, is_list=True, is_paged=True,
    ),
    Route(
        "GET", "/courses/{course_id}/recording_config", "get_recording_config", "courses",
        "What a course's recordings are by default",
        "recordings:read", courses.get_config, RecordingConfigData, codes=("course_unknown",), is_recording=True,
    ),
    Route(
        "PUT", "/courses/{course_id}/recording_config", "put_recording_config", "courses",
        "Replace a course's recording defaults, and whether its main room is recorded on start",
        "recordings:write", courses.put_config, RecordingConfigData, body=RecordingConfig,
        codes=("course_unknown", "person_unknown", "not_moderator"), is_recording=True,
    ),
    Route(
        "GET", "/meetings", "list_meetings", "meetings", "Sessions, newest first",
        "recordings:read", meetings.listing, Meeting, query=meetings.MeetingsQuery, is_list=True, is_paged=True,
    ),
    Route(
        "GET", "/meetings/{meeting_id}", "get_meeting", "meetings", "A session with its rooms and how many are there",
        "recordings:read", meetings.details, MeetingDetails, codes=("no_session",),
    ),
    Route(
        "GET", "/meetings/{meeting_id}/participants", "list_participants", "meetings",
        "Who is in a session, or was, in order of arrival",
        "recordings:read", meetings.participants, MeetingParticipant, query=meetings.ParticipantsQuery,
        codes=("no_session",), is_list=True, is_paged=True,
    ),
    Route(
        "POST", "/sessions/{session_id}/commands", "send_command", "meetings",
        "Any moderator's command of docs/protocol.md §2",
        "commands", meetings.command, Commanded, body=CommandBody,
        codes=("no_session", "session_ended", "other_course", "not_in_session", "not_running", "no_rooms",
               "already_running", "closing", "room_unknown", "person_unknown", "recording_unknown"),
        is_command=True,
    ),
    # -- webhooks
    Route(
        "GET", "/webhooks", "list_webhooks", "webhooks", "Webhooks, oldest first",
        "webhooks", webhooks.listing, webhooks.WebhookData, is_list=True,
    ),
    Route(
        "GET", "/webhooks/all", "list_webhook_events", "webhooks", "Events that webhooks can receive",
        "webhooks", webhooks.events, webhooks.EventData, is_list=True,
    ),
    Route(
        "POST", "/webhooks", "create_webhook", "webhooks", "A new webhook; its secret is shown only in this answer",
        "webhooks", webhooks.create, webhooks.WebhookWithSecret, body=webhooks.WebhookBody,
        codes=("other_course", "course_unknown", "too_many"), status=201,
        links=("get_webhook", "change_webhook", "test_webhook", "list_deliveries", "delete_webhook"),
    ),
    Route(
        "GET", "/webhooks/{webhook_id}", "get_webhook", "webhooks", "One webhook",
        "webhooks", webhooks.details, webhooks.WebhookData, codes=HOOK,
    ),
    Route(
        "PUT", "/webhooks/{webhook_id}", "replace_webhook", "webhooks", "Replace all of a webhook but its secret",
        "webhooks", webhooks.replace, webhooks.WebhookData, body=webhooks.WebhookReplacement, codes=HOOK,
    ),
    Route(
        "PATCH", "/webhooks/{webhook_id}", "change_webhook", "webhooks", "Change parts of a webhook",
        "webhooks", webhooks.change, webhooks.WebhookData, body=webhooks.WebhookChange,
        codes=(*HOOK, "bad_value"),
    ),
    Route(
        "DELETE", "/webhooks/{webhook_id}", "delete_webhook", "webhooks", "Delete a webhook and its log",
        "webhooks", webhooks.delete, None, codes=HOOK,
    ),
    Route(
        "POST", "/webhooks/{webhook_id}/secret", "rotate_webhook_secret", "webhooks",
        "A new secret, shown only in this answer; the old one signs too for a while",
        "webhooks", webhooks.rotate, webhooks.WebhookWithSecret, body=webhooks.RotateBody, codes=HOOK,
    ),
    Route(
        "POST", "/webhooks/{webhook_id}/test", "test_webhook", "webhooks", "Send a test message",
        "webhooks", webhooks.test, webhooks.DeliveryData, codes=(*HOOK, "webhook_off"), status=202,
    ),
    Route(
        "GET", "/webhooks/{webhook_id}/deliveries", "list_deliveries", "webhooks",
        "What was sent in the last 30 days, newest first",
        "webhooks", webhooks.deliveries, webhooks.DeliveryData, query=webhooks.DeliveriesQuery, codes=HOOK,
        is_list=True, is_paged=True,
    ),
    Route(
        "GET", "/webhooks/{webhook_id}/deliveries/{delivery_id}", "get_delivery", "webhooks",
        "A message with its body and every try",
        "webhooks", webhooks.delivery, webhooks.DeliveryDetails, codes=(*HOOK, "delivery_unknown"),
    ),
    Route(
        "POST", "/webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver", "redeliver", "webhooks",
        "Send a message again, with the same id",
        "webhooks", webhooks.redeliver, webhooks.DeliveryData,
        codes=(*HOOK, "delivery_unknown", "webhook_off"), status=202,
    ),
    # -- storages and usage
    Route(
        "GET",
        "/storages",
        "list_storages",
        "storages",
        "Where copies go: the site's and the course's storages",
        "storage",
        storages.listing,
        storages.StorageData,
        is_list=True,
    ),
    Route(
        "POST", "/storages", "create_storage", "storages", "A new storage, saved when it could be tried out",
        "storage:write", storages.create, storages.StorageData, body=storages.StorageBody,
        codes=("other_course", "course_unknown", "storage_unusable", "too_many"), status=201, is_recording=True,
        links=("get_storage", "change_storage", "check_storage", "retry_storage", "remove_storage"),
    ),
    Route(
        "GET", "/storages/{storage_id}", "get_storage", "storages", "One storage",
        "storage", storages.details, storages.StorageData, codes=STORAGE,
    ),
    Route(
        "PATCH", "/storages/{storage_id}", "change_storage", "storages",
        "Change a storage's name, options or credentials",
        "storage:write", storages.change, storages.StorageData, body=storages.StorageChange,
        codes=(*STORAGE, "storage_unusable"), is_recording=True,
    ),
    Route(
        "DELETE", "/storages/{storage_id}", "remove_storage", "storages",
        "Stop using a storage and delete its credentials; existing copies stay",
        "storage:write", storages.remove, None, codes=STORAGE,
    ),
    Route(
        "POST", "/storages/{storage_id}/check", "check_storage", "storages",
        "Try a storage out now: write, look, read, delete",
        "storage:write", storages.check, storages.StorageData, codes=STORAGE, is_recording=True,
    ),
    Route(
        "POST", "/storages/{storage_id}/retry", "retry_storage", "storages",
        "Make the failed copies at a storage again now",
        "storage:write", storages.retry, storages.Retried, codes=STORAGE, is_recording=True,
    ),
    Route(
        "GET", "/usage", "get_usage", "usage", "What was recorded and is kept, a course and month a row",
        "usage", usage.listing, UsageRow, query=usage.UsageQuery, is_list=True,
    ),
)  # fmt: skip
