/** What changed in the room that is worth a sentence, for eyes elsewhere and for screen readers. Pure. */
import type { RoomState } from "../protocol/types";
import { recordingHere } from "./context";

export interface News {
  key: "say.call" | "say.hand" | "share.began" | "share.ended" | "rec.stopped" | "say.paused" | "say.resumed";
  facts: { name?: string; room?: string };
  /** Also shown, not only spoken. */
  shown: boolean;
}

/** From one view to the next; nothing for the first one. */
export function news(before: RoomState | null, after: RoomState): News[] {
  if (before === null) return [];
  const found: News[] = [];
  const name = (id: string): string => after.people[id]?.name ?? "";
  if (after.you.role === "moderator") {
    for (const call of Object.values(after.calls)) {
      if (call.status !== "raised" || before.calls[call.call_id] !== undefined) continue;
      found.push({ key: "say.call", facts: { name: name(call.person_id), room: after.rooms[call.room_id]?.name ?? "" }, shown: true });
    }
    for (const person of Object.values(after.people)) {
      const own = person.person_id === after.you.person_id || person.room_id !== after.you.room_id;
      if (own || person.hand_raised_at === null || before.people[person.person_id]?.hand_raised_at !== null) continue;
      found.push({ key: "say.hand", facts: { name: person.name }, shown: false });
    }
  }
  if (before.you.room_id !== after.you.room_id) return found;
  for (const person of Object.values(after.people)) {
    const was = before.people[person.person_id];
    if (was === undefined || person.person_id === after.you.person_id || person.room_id !== after.you.room_id) continue;
    if (was.room_id === person.room_id && was.screen !== person.screen) {
      found.push({ key: person.screen ? "share.began" : "share.ended", facts: { name: person.name }, shown: person.screen });
    }
  }
  const [was, is] = [recordingHere(before), recordingHere(after)];
  if (was !== null && is === null) found.push({ key: "rec.stopped", facts: {}, shown: false });
  if (was !== null && is !== null && was.recording_id === is.recording_id && was.status !== is.status) {
    if (is.status === "PAUSED") found.push({ key: "say.paused", facts: {}, shown: false });
    if (was.status === "PAUSED") found.push({ key: "say.resumed", facts: {}, shown: false });
  }
  return found;
}
