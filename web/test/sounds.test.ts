/** When a sound may be heard. */
import { expect, test } from "vitest";
import type { RecordingStatus, RecordingView } from "../src/protocol/types";
import { mayPlay } from "../src/room/sounds";

const recording = (status: RecordingStatus): RecordingView => ({ recording_id: "k", room_id: "main", status, desired: "recording" });

test("silent while the room is recorded, unless somebody wants it otherwise", () => {
  expect(mayPlay(null, true, false)).toBe(true);
  expect(mayPlay(recording("RECORDING"), true, false)).toBe(false);
  expect(mayPlay(recording("RECORDING"), true, true)).toBe(true);
  expect(mayPlay(recording("PAUSED"), true, false)).toBe(true);
  expect(mayPlay(recording("INVOKED"), true, false)).toBe(true);
});

test("silent when switched off", () => {
  expect(mayPlay(null, false, true)).toBe(false);
});
