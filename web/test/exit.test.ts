/** Who is asked before the window closes, and who may come straight back. */
import { expect, test } from "vitest";
import type { PersonView, RoomState } from "../src/protocol/types";
import { cameBack, isRisky, REJOIN_MS } from "../src/room/exit";
import { bob, room } from "./rooms";

const tara: PersonView = { ...bob, person_id: "tara", name: "Tara", role: "moderator" };
const recorded: Partial<RoomState> = { recordings: { k: { recording_id: "k", room_id: "main", status: "RECORDING", desired: "recording" } } };

test("a student may close the window, unless they share", () => {
  expect(isRisky(room({}, "participant"), false)).toBe(false);
  expect(isRisky(room({}, "participant"), true)).toBe(true);
});

test("the only moderator is asked while others are here or something runs", () => {
  const idle = { breakout: { ...room().breakout, status: "none" as const } };
  expect(isRisky(room(idle), false)).toBe(true);
  expect(isRisky(room({ ...idle, people: {} }), false)).toBe(false);
  expect(isRisky(room({ ...idle, ...recorded, people: {} }), false)).toBe(true);
  expect(isRisky(room({ people: { tara } }), false)).toBe(false);
  expect(isRisky(null, false)).toBe(false);
});

test("who records is asked beside another moderator too", () => {
  const me = room().you.person_id;
  const by = (started_by: string, desired: "recording" | "stopped") =>
    room({ people: { tara }, recordings: { k: { recording_id: "k", room_id: "r1", status: "RECORDING", desired, started_by } } });
  expect(isRisky(by(me, "recording"), false)).toBe(true);
  expect(isRisky(by(me, "stopped"), false)).toBe(false);
  expect(isRisky(by("tara", "recording"), false)).toBe(false);
});

test("straight back within a minute, into the same session only", () => {
  expect(cameBack("s1 1000", "s1", 1000 + REJOIN_MS - 1)).toBe(true);
  expect(cameBack("s1 1000", "s1", 1000 + REJOIN_MS)).toBe(false);
  expect(cameBack("s1 1000", "s2", 1001)).toBe(false);
  expect(cameBack("s1 9000", "s1", 1000)).toBe(false); // the clock was set back
  expect(cameBack(null, "s1", 1000)).toBe(false);
  expect(cameBack("nonsense", "s1", 1000)).toBe(false);
});
