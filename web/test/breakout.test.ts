import { describe, expect, it } from "vitest";
import { gathered, shownCountdowns, unassigned } from "../src/breakout/logic";
import { breakoutNotice, timeNotice } from "../src/breakout/notices";
import { currentBroadcasts, shareText, suggestedRooms } from "../src/breakout/sentences";
import type { ChatLine, EventMessage, PersonView, RoomState } from "../src/protocol/types";
import { sharers } from "../src/room/context";

function person(id: string, changes: Partial<PersonView> = {}): PersonView {
  return {
    person_id: id, name: id, role: "participant", room_id: "main", assigned_room_id: null, online: true, mic: false, camera: false,
    screen: false, screen_since: null, hand_raised_at: null, declines_recording: false, ...changes,
  };
}

function state(role: "moderator" | "participant", changes: Partial<RoomState> = {}): RoomState {
  return {
    session: { session_id: "s1", course_title: "BIO 101", room_title: "Room", status: "open", opened_at: null, sharing: "everyone" },
    you: { person_id: "me", room_id: "main", assigned_room_id: null, role },
    people: { me: person("me", { role }) },
    rooms: {
      main: { room_id: "main", name: "Main room", number: 0, locked: false },
      r1: { room_id: "r1", name: "Room 1", number: 1, locked: false },
      r2: { room_id: "r2", name: "Room 2", number: 2, locked: false },
    },
    breakout: {
      status: "running", run: 1, assign: "auto", time_limit_s: 600, countdown_s: 5, may_return: true, record: false,
      started_at: "2026-05-04T10:00:00.000Z", ends_at: "2026-05-04T10:10:00.000Z",
    },
    transitions: {}, calls: {}, recordings: {}, ...changes,
  };
}

function event(name: string, data: Record<string, unknown>): EventMessage {
  return { type: "event", seq: 9, at: "2026-05-04T10:05:00.000Z", event: name, data, patch: null };
}

describe("the set-up's sentence", () => {
  it.each([
    [5, 2, "5 participants in 2 rooms: 2 or 3 in each"],
    [6, 2, "6 participants in 2 rooms: 3 in each"],
    [1, 1, "1 participant in 1 room: 1 in each"],
    [3, 4, "3 participants in 4 rooms: some rooms stay empty"],
    [0, 4, "No participants are here yet. 4 rooms."],
  ])("%i people, %i rooms", (people, rooms, text) => expect(shareText(people, rooms)).toBe(text));

  it("suggests rooms of about four", () => {
    expect([0, 1, 3, 8, 30, 300].map(suggestedRooms)).toEqual([4, 2, 2, 2, 8, 20]);
  });
});

describe("time that is left", () => {
  it.each([
    [300.2, 299.9, "5 minutes left."],
    [60.1, 60, "1 minute left."],
    [10.1, 9.9, "10 seconds left."],
    [299.9, 299.7, null],
    [400, 5, "10 seconds left."], // the page slept
    [5, 300, null], // time was added
  ])("%f s, then %f s", (before, left, text) => expect(timeNotice(before, left)).toBe(text));
});

describe("sentences for events", () => {
  it("says who changed the time and by how much", () => {
    const at = (seconds: number) => breakoutNotice(state("participant"), event("time_added", { seconds, name: "Alice" }));
    expect(at(300)).toBe("Alice added 5 minutes.");
    expect(at(-60)).toBe("Alice shortened the time by 1 minute.");
    expect(at(-95)).toBe("Alice changed the time: 05:00 left.");
  });

  it("says that the time is up, and nothing more when a moderator ends it", () => {
    expect(breakoutNotice(state("participant"), event("breakout_closing", { reason: "time" }))).toBe("Time’s up. Everyone returns to the main room.");
    expect(breakoutNotice(state("participant"), event("breakout_closing", { reason: "moderator" }))).toBeNull();
  });

  it("tells only the caller, and only of a call that a moderator closed", () => {
    const told = (data: Record<string, unknown>) => breakoutNotice(state("participant"), event("call_closed", data));
    expect(told({ person_id: "me", status: "dismissed", marked: true })).toContain("A moderator closed your call.");
    expect(told({ person_id: "me", status: "done" })).toBeNull();
    expect(told({ person_id: "me", status: "done", handled_by: "gone", marked: true })).toBe("A moderator marked your call as done. Call again if you still need help.");
    expect(told({ person_id: "bob", status: "dismissed", marked: true })).toBeNull();
  });

  it("says back to the sender where a broadcast went", () => {
    const sent = (rooms: string[]) => breakoutNotice(state("moderator"), event("message_broadcast", { person_id: "me", room_ids: rooms }));
    expect(sent(["r1", "r2"])).toBe("Sent to all breakout rooms.");
    expect(sent(["r2"])).toBe("Sent to Room 2.");
  });
});

describe("broadcasts", () => {
  const line = (seq: number, at: string, changes: Partial<ChatLine> = {}): ChatLine =>
    ({ seq, at, person_id: "alice", name: "Alice", text: "…", room_ids: ["r1"], ...changes });
  const old = line(1, "2026-05-04T09:30:00.000Z");
  const now = line(2, "2026-05-04T10:02:00.000Z");
  const own = line(3, "2026-05-04T10:03:00.000Z", { person_id: "me" });
  const { room_ids: _none, ...chat } = line(4, "2026-05-04T10:04:00.000Z");

  it("are those of others in the breakout that runs", () => {
    expect(currentBroadcasts(state("participant"), [old, now, own, chat])).toEqual([now]);
    const over = state("participant");
    expect(currentBroadcasts({ ...over, breakout: { ...over.breakout, status: "configured", started_at: null } }, [now])).toEqual([]);
  });
});

describe("countdowns and places", () => {
  const moves = { transition_id: "t1", kind: "moves", effective_at: "", moves: { bob: "r1" } } as const;

  it("shows moderators the moves of others, to take them back", () => {
    expect(shownCountdowns(state("moderator", { transitions: { t1: moves } }))).toEqual([moves]);
    expect(shownCountdowns(state("participant", { transitions: { t1: moves } }))).toEqual([]);
    const mine = { ...moves, transition_id: "t2", moves: { me: "r1" } };
    expect(shownCountdowns(state("participant", { transitions: { t2: mine } }))).toEqual([mine]);
  });

  it("knows who has no room and who waits to go back", () => {
    const people = {
      new: person("new"), moved: person("moved", { assigned_room_id: "main" }), back: person("back", { assigned_room_id: "r1" }),
      gone: person("gone", { online: false }), teacher: person("teacher", { role: "moderator" }), stale: person("stale", { assigned_room_id: "r9" }),
    };
    const now = state("moderator", { people });
    expect(unassigned(now).map((p) => p.person_id)).toEqual(["new", "moved"]);
    expect(gathered(now).map((p) => p.person_id)).toEqual(["back"]);
  });

  it("puts the latest share first", () => {
    const people = [person("a", { screen: true, screen_since: "1" }), person("b"), person("c", { screen: true, screen_since: "2" })];
    expect(sharers(people).map((p) => p.person_id)).toEqual(["c", "a"]);
  });
});
