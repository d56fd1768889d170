/** What changed in the room that is worth a sentence, for eyes elsewhere and for screen readers. Pure. */
import type { PersonView, RoomState } from "../protocol/types";
import { recordingHere } from "./context";
import type { Sound } from "./sounds";
import type { TextKey } from "./texts";

export interface News {
  key: TextKey & (
    "say.call" | "say.hand" | "say.came" | "say.came_many" | "say.went" | "say.went_many" | "share.began" | "share.ended"
    | "rec.stopped" | "say.paused" | "say.resumed");
  facts: { name?: string; room?: string; count?: number };
  recording_id?: string;
  /** Also shown, not only spoken. */
  shown: boolean;
  sound?: Sound;
}

/** More who come or go at once are counted, not named. */
const MOST_NAMES = 2;

/** From one view to the next; nothing for the first one. */
export function news(before: RoomState | null, after: RoomState): News[] {
  if (before === null) return [];
  const found: News[] = [];
  const name = (id: string): string => after.people[id]?.name ?? "";
  if (after.you.role === "moderator") {
    for (const call of Object.values(after.calls)) {
      if (call.status !== "raised" || before.calls[call.call_id] !== undefined) continue;
      found.push({ key: "say.call", facts: { name: name(call.person_id), room: after.rooms[call.room_id]?.name ?? "" }, shown: true, sound: "call" });
    }
    for (const person of Object.values(after.people)) {
      const own = person.person_id === after.you.person_id || person.room_id !== after.you.room_id;
      if (own || person.hand_raised_at === null || before.people[person.person_id]?.hand_raised_at != null) continue;
      found.push({ key: "say.hand", facts: { name: person.name }, shown: true, sound: "hand" });
    }
  }
  if (before.you.room_id !== after.you.room_id) return found;
  found.push(...comingAndGoing(before, after));
  for (const person of Object.values(after.people)) {
    const was = before.people[person.person_id];
    if (was === undefined || person.person_id === after.you.person_id || person.room_id !== after.you.room_id) continue;
    if (was.room_id === person.room_id && was.screen !== person.screen) {
      found.push({ key: person.screen ? "share.began" : "share.ended", facts: { name: person.name }, shown: person.screen });
    }
  }
  const [was, is] = [recordingHere(before), recordingHere(after)];
  if (was !== null && is === null) found.push({ key: "rec.stopped", facts: {}, recording_id: was.recording_id, shown: false });
  if (was !== null && is !== null && was.recording_id === is.recording_id && was.status !== is.status) {
    if (is.status === "PAUSED") found.push({ key: "say.paused", facts: {}, shown: false });
    if (was.status === "PAUSED") found.push({ key: "say.resumed", facts: {}, shown: false });
  }
  return found;
}

/** The others in one's own room. */
function around(state: RoomState): PersonView[] {
  return Object.values(state.people).filter((p) => p.online && p.room_id === state.you.room_id && p.person_id !== state.you.person_id);
}

/** Said in one sentence for a crowd; both states are of the same room. */
function comingAndGoing(before: RoomState, after: RoomState): News[] {
  const [was, is] = [around(before), around(after)];
  const ids = (people: PersonView[]): Set<string> => new Set(people.map((p) => p.person_id));
  const [then, now] = [ids(was), ids(is)];
  const came = is.filter((p) => !then.has(p.person_id));
  const went = was.filter((p) => !now.has(p.person_id));
  return [...crowd(came, "say.came", "join"), ...crowd(went, "say.went")];
}

function crowd(people: PersonView[], key: "say.came" | "say.went", sound?: Sound): News[] {
  const chime = sound === undefined ? {} : { sound };
  if (people.length > MOST_NAMES) return [{ key: `${key}_many`, facts: { count: people.length }, shown: false, ...chime }];
  return people.map((person) => ({ key, facts: { name: person.name }, shown: false, ...chime }));
}
