/** A session as tests begin with it: Alice looks, Bob is in the main room, a breakout runs. */
import type { PersonView, RoomState } from "../src/protocol/types";

export const bob: PersonView = {
  person_id: "bob", name: "Bob", role: "participant", room_id: "main", assigned_room_id: null, online: true, mic: true, camera: true,
  screen: false, screen_since: null, hand_raised_at: null, declines_recording: false,
};

export function room(change: Partial<RoomState> = {}, role: "moderator" | "participant" = "moderator"): RoomState {
  return {
    session: { session_id: "s", course_title: "BIO 101", room_title: "Room", status: "open", opened_at: null, sharing: "everyone" },
    you: { person_id: "alice", room_id: "main", assigned_room_id: null, role },
    people: { bob },
    rooms: { main: { room_id: "main", name: "Main room", number: 0, locked: false }, r1: { room_id: "r1", name: "Room 1", number: 1, locked: false } },
    breakout: { status: "running", run: 1, assign: "auto", time_limit_s: null, countdown_s: 5, may_return: true, record: false, started_at: null, ends_at: null },
    transitions: {}, calls: {}, recordings: {}, ...change,
  };
}
