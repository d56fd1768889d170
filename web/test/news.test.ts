/** What is said aloud when the room changes. */
import { describe, expect, test } from "vitest";
import { news } from "../src/room/news";
import type { CallView, PersonView, RecordingView, RoomState } from "../src/protocol/types";

const bob: PersonView = {
  person_id: "bob", name: "Bob", role: "participant", room_id: "main", assigned_room_id: null, online: true, mic: true, camera: true,
  screen: false, screen_since: null, hand_raised_at: null, declines_recording: false,
};
const call: CallView = { call_id: "h1", person_id: "bob", room_id: "r1", raised_at: "2026-05-04T10:00:00.000Z", status: "raised", handled_by: null };

function room(change: Partial<RoomState> = {}, role: "moderator" | "participant" = "moderator"): RoomState {
  return {
    session: { session_id: "s", course_title: "BIO 101", room_title: "Room", status: "open", opened_at: null, sharing: "everyone" },
    you: { person_id: "alice", room_id: "main", assigned_room_id: null, role },
    people: { bob },
    rooms: { main: { room_id: "main", name: "Main room", number: 0, locked: false }, r1: { room_id: "r1", name: "Room 1", number: 1, locked: false } },
    breakout: { status: "running", run: 1, assign: "auto", time_limit_s: null, countdown_s: 5, may_return: true, record: false, started_at: null, ends_at: null },
    transitions: {}, calls: {}, recordings: {}, ...change,
  };
}

function recording(status: RecordingView["status"]): RoomState {
  return room({ recordings: { k: { recording_id: "k", room_id: "main", status, desired: "recording" } } }, "participant");
}

describe("news", () => {
  test("a help call is told to moderators once, wherever they are", () => {
    const after = room({ calls: { h1: call } });
    expect(news(room(), after)).toEqual([{ key: "say.call", facts: { name: "Bob", room: "Room 1" }, shown: true, sound: "call" }]);
    expect(news(after, after)).toEqual([]);
    expect(news(room({}, "participant"), room({ calls: { h1: call } }, "participant"))).toEqual([]);
  });

  test("a raised hand is told to moderators of the same room, a lowered one to nobody", () => {
    const raised = room({ people: { bob: { ...bob, hand_raised_at: "2026-05-04T10:00:00.000Z" } } });
    expect(news(room(), raised)).toEqual([{ key: "say.hand", facts: { name: "Bob" }, shown: true, sound: "hand" }]);
    expect(news(raised, room())).toEqual([]);
    const far = room({ people: { bob: { ...bob, room_id: "r1", hand_raised_at: "2026-05-04T10:00:00.000Z" } } });
    expect(news(room({ people: { bob: { ...bob, room_id: "r1" } } }), far)).toEqual([]);
  });

  test("pausing, going on and stopping a recording is told to everybody in its room", () => {
    const [on, paused, off] = [recording("RECORDING"), recording("PAUSED"), room({}, "participant")];
    expect([news(on, paused), news(paused, on), news(on, off)].flat().map((x) => x.key)).toEqual(["say.paused", "say.resumed", "rec.stopped"]);
    // Going to another room ends no recording.
    expect(news(on, { ...off, you: { ...off.you, room_id: "r1" } })).toEqual([]);
  });

  test("people who come and go are named, a crowd is counted, elsewhere is nobody's business", () => {
    const away = room({ people: { bob: { ...bob, online: false } } }, "participant");
    expect(news(away, room({}, "participant"))).toEqual([{ key: "say.came", facts: { name: "Bob" }, shown: false, sound: "join" }]);
    expect(news(room({}, "participant"), away)).toEqual([{ key: "say.went", facts: { name: "Bob" }, shown: false }]);
    const crowd = Object.fromEntries(["a", "b", "c"].map((id) => [id, { ...bob, person_id: id }]));
    expect(news(room({ people: {} }), room({ people: crowd }))).toEqual([{ key: "say.came_many", facts: { count: 3 }, shown: false, sound: "join" }]);
    const far = { ...bob, room_id: "r1" };
    expect(news(room({ people: {} }, "participant"), room({ people: { bob: far } }, "participant"))).toEqual([]);
    expect(news(room({}, "participant"), room({ people: { bob: far } }, "participant")).map((x) => x.key)).toEqual(["say.went"]);
  });

  test("the first view is no news", () => {
    expect(news(null, room({ calls: { h1: call } }))).toEqual([]);
  });
});
