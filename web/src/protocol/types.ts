/** The browser's protocol as types: the view, messages and commands of docs/protocol.md. No behaviour. */

export type Role = "moderator" | "participant" | "guest";
export type MediaSource = "mic" | "camera" | "screen" | "screen_audio";
export type RecordingStatus = "INVOKED" | "RECORDING" | "PAUSED" | "UPLOADING" | "UPLOADED" | "ERRORED";
export type BreakoutStatus = "none" | "configured" | "starting" | "running" | "closing";
export type AssignMode = "auto" | "manual" | "self";

export type Sharing = "everyone" | "moderators";

export interface SessionView {
  session_id: string;
  course_title: string;
  room_title: string;
  status: string;
  opened_at: string | null;
  /** Who may share a screen. */
  sharing: Sharing;
}

export interface YouView {
  person_id: string;
  room_id: string;
  assigned_room_id: string | null;
  role: Role;
}

export interface PersonView {
  person_id: string;
  name: string;
  role: Role;
  room_id: string;
  assigned_room_id: string | null;
  online: boolean;
  mic: boolean;
  camera: boolean;
  screen: boolean;
  /** When the screen that is shared now was: the latest share is shown. */
  screen_since: string | null;
  hand_raised_at: string | null;
  /** Wants to be left out of recordings; known in the person's own room and to moderators. */
  declines_recording: boolean;
}

export interface RoomView {
  room_id: string;
  name: string;
  number: number;
  locked: boolean;
}

export interface BreakoutView {
  status: BreakoutStatus;
  run: number;
  assign: AssignMode;
  time_limit_s: number | null;
  countdown_s: number;
  may_return: boolean;
  record: boolean;
  started_at: string | null;
  ends_at: string | null;
}

export interface TransitionView {
  transition_id: string;
  kind: "start" | "moves" | "gather" | "end";
  effective_at: string;
  moves: Record<string, string>;
}

export interface CallView {
  call_id: string;
  person_id: string;
  room_id: string;
  raised_at: string;
  status: "raised" | "claimed";
  handled_by: string | null;
}

export type RecordingLayout = "grid" | "speaker" | "stage";

/** Participants get only the first four members; the others are absent for them. */
export type RecordingWarning = "microphone_missing" | "camera_missing" | "screen_missing" | "microphone_silent" | "clock_apart";

export interface RecordingView {
  recording_id: string;
  room_id: string;
  status: RecordingStatus;
  desired: "recording" | "paused" | "stopped";
  room_name?: string;
  since?: string;
  recorded_s?: number;
  started_at?: string | null;
  started_by?: string | null;
  error?: string | null;
  entry_id?: string | null;
  layout?: RecordingLayout;
  stop_reason?: string | null;
  /** Moderators only: what the recorder misses now. */
  warnings?: { code: RecordingWarning; person_id: string }[];
}

/** The state as one person may see it (docs/protocol.md §4). */
export interface RoomState {
  session: SessionView;
  you: YouView;
  people: Record<string, PersonView>;
  rooms: Record<string, RoomView>;
  breakout: BreakoutView;
  transitions: Record<string, TransitionView>;
  calls: Record<string, CallView>;
  recordings: Record<string, RecordingView>;
  /** Moderators only: people of the roster who have not arrived yet, with the breakout room they will be assigned to. */
  expected?: Record<string, { person_id: string; room_id: string }>;
}

/** A JSON merge of the view: see docs/protocol.md §3 “Patch”. */
export type Patch = Record<string, unknown>;

export interface ChatLine {
  seq: number;
  at: string;
  /** Null for a broadcast of an integrator. */
  person_id: string | null;
  name: string;
  /** Where its writer was; not of a broadcast. */
  room_id?: string;
  text: string;
  /** Only of a broadcast: the rooms it went to. */
  room_ids?: string[];
  /** Not of a broadcast. */
  to?: "room" | "moderators" | "person";
  /** Whom a private line is for. */
  to_person_id?: string;
  to_name?: string;
}

/** The chat of a room one has left, up to that moment. */
export interface EarlierChat {
  room_id: string;
  name: string;
  chat: ChatLine[];
}

export interface You {
  person_id: string;
  role: Role;
  name: string;
}

export interface Refusal {
  code: string;
  message: string;
  facts: Record<string, unknown>;
}

export type Result = { ok: true; seq: number } | { ok: false; error: Refusal };

/** What a recording shall be, as far as the page offers it (models/recording.py has the rest). */
export interface RecordingOptions {
  layout?: RecordingLayout;
  audio_tracks?: boolean;
  title_card?: boolean;
}

/** Every command a client may send, by wire name, with its arguments (rooms/commands.py). */
export interface Commands {
  end_session: Record<string, never>;
  remove_participant: { person_id: string };
  set_media: { mic?: boolean; camera?: boolean; screen?: boolean };
  set_sharing: { who: Sharing };
  stop_sharing: { person_id: string };
  lock_room: { room_id: string; locked: boolean };
  mute_participant: { person_id?: string };
  set_hand: { raised: boolean; person_id?: string };
  lower_hands: { room_id?: string };
  send_chat: { text: string; to?: "room" | "moderators"; person_id?: string };
  create_rooms: {
    count: number;
    assign?: AssignMode;
    names?: string[];
    time_limit_s?: number | null;
    countdown_s?: number;
    may_return?: boolean;
    members?: string[][];
    record?: boolean;
  };
  set_breakout_options: { time_limit_s?: number; countdown_s?: number; may_return?: boolean; record?: boolean };
  assign_rest: Record<string, never>;
  remove_room: { room_id: string };
  keep_rooms: { time_limit_s?: number | null; countdown_s?: number };
  add_rooms: { count?: number };
  rename_room: { room_id: string; name: string };
  assign_participant: { person_id: string; room_id: string | null };
  start_breakout: { record?: boolean };
  broadcast_message: { text: string; room_ids?: string[] };
  add_time: { seconds: number };
  join_room: { room_id: string };
  call_moderator: Record<string, never>;
  cancel_call: Record<string, never>;
  claim_call: { call_id: string };
  dismiss_call: { call_id: string };
  move_participant: { person_id: string; room_id: string };
  shuffle_participants: { seed: number };
  move_to_next_room: Record<string, never>;
  gather_everyone: Record<string, never>;
  send_everyone_back: Record<string, never>;
  cancel_moves: { transition_id?: string };
  end_breakout: Record<string, never>;
  start_recording: { room_id?: string; all_rooms?: boolean; options?: RecordingOptions };
  pause_recording: { recording_id?: string };
  resume_recording: { recording_id?: string };
  stop_recording: { recording_id?: string; all_rooms?: boolean };
  set_recording_layout: { layout: RecordingLayout; recording_id?: string };
  set_recording_consent: { declined: boolean };
}

export type CommandName = keyof Commands;

/** Ask for a command. Never rejects: a lost connection answers with `ok: false`, code `offline`. */
export type Send = <N extends CommandName>(name: N, args: Commands[N]) => Promise<Result>;

export interface IceServer {
  urls: string[];
  username?: string;
  credential?: string;
}

export interface TrackLine {
  mid: string;
  person_id: string;
  source: MediaSource;
}

export interface Welcome {
  type: "welcome";
  connection_id: string;
  resumed: boolean;
  /** The course lets participants enter with their microphone off; they may switch it on then. */
  enters_muted: boolean;
  server_time: string;
  you: You;
  seq: number;
  state: RoomState;
  chat: ChatLine[];
  earlier: EarlierChat[];
  ice_servers: IceServer[];
  slack: boolean;
  heartbeat_s: number;
}

export interface EventMessage {
  type: "event";
  seq: number;
  at: string;
  event: string;
  data: Record<string, unknown>;
  patch: Patch | null;
}

export interface SubscribeMessage {
  type: "subscribe";
  sdp: string | null;
  tracks: TrackLine[];
  version: number;
  /** Pictures that this line cannot carry. */
  withheld: number;
}

/** `reconnecting`: their page is not connected; `no_media`: it is, but their sound and picture do not arrive. */
export type Trouble = "reconnecting" | "no_media";

export type ServerMessage =
  | Welcome
  | EventMessage
  | SubscribeMessage
  | ({ type: "result"; id: string } & Result)
  | { type: "state"; seq: number; state: RoomState; chat: ChatLine[]; earlier: EarlierChat[] }
  | { type: "published"; sdp: string }
  | { type: "speakers"; person_ids: string[] }
  | { type: "troubles"; people: Record<string, Trouble> }
  | { type: "media_reset" }
  | { type: "pong"; t: number; server_time: string }
  | ({ type: "error"; id?: string | null } & Refusal)
  | { type: "bye"; code: string; message: string };

export type ClientMessage =
  | { type: "hello"; version: 1; token: string; last_seq: number; resume: string | null }
  | { type: "command"; id: string; name: CommandName; args: object }
  | { type: "publish"; sdp: string; sources: Record<string, MediaSource> }
  | { type: "subscribed"; sdp: string; version: number }
  | { type: "ping"; t: number }
  | { type: "leave" };

/** `stopped`: not coming back by itself; `Ended` says why. */
export type ConnectionStatus = "connecting" | "online" | "reconnecting" | "stopped";

export interface Ended {
  code: string;
  message: string;
}
