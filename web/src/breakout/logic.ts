/** What the breakout sheets derive from the view. Pure; no rules of its own: the server decides. */
import type { PersonView, RecordingView, RoomState, RoomView, TransitionView } from "../protocol/types";

export const MAIN = "main";
/** “Student 9” stands before “Student 10”. */
const names = new Intl.Collator(undefined, { numeric: true });

export function roomsInOrder(state: RoomState): RoomView[] {
  return Object.values(state.rooms).sort((a, b) => a.number - b.number);
}

export function breakoutRooms(state: RoomState): RoomView[] {
  return roomsInOrder(state).filter((room) => room.number > 0);
}

export function isActive(state: RoomState): boolean {
  return state.breakout.status === "running" || state.breakout.status === "closing";
}

/** Before the start people stand where they are assigned, afterwards where they are. */
export function columnOf(state: RoomState, person: PersonView): string {
  return isActive(state) ? person.room_id : (person.assigned_room_id ?? MAIN);
}

export function byColumn(state: RoomState): Map<string, PersonView[]> {
  const columns = new Map(roomsInOrder(state).map((room) => [room.room_id, [] as PersonView[]]));
  for (const person of Object.values(state.people)) {
    if (!person.online && columnOf(state, person) === MAIN) continue;
    (columns.get(columnOf(state, person)) ?? columns.get(MAIN))?.push(person);
  }
  for (const people of columns.values()) people.sort((a, b) => names.compare(a.name, b.name));
  return columns;
}

/** Where a running countdown will take this person. */
export function plannedRoom(state: RoomState, personId: string): RoomView | null {
  for (const transition of Object.values(state.transitions)) {
    const roomId = transition.moves[personId];
    if (roomId && transition.kind !== "start") return state.rooms[roomId] ?? null;
  }
  return null;
}

export function liveRecording(state: RoomState, roomId: string): RecordingView | null {
  const live = Object.values(state.recordings).filter(
    (r) => r.room_id === roomId && ["INVOKED", "RECORDING", "PAUSED"].includes(r.status) && r.desired !== "stopped",
  );
  return live[0] ?? null;
}

/** Who is in a room now, by name. */
export function peopleIn(state: RoomState, roomId: string): PersonView[] {
  const here = Object.values(state.people).filter((person) => person.online && person.room_id === roomId);
  return here.sort((a, b) => names.compare(a.name, b.name));
}

/** Participants who are here and have no breakout room. */
export function unassigned(state: RoomState): PersonView[] {
  return Object.values(state.people).filter((p) => p.online && p.role !== "moderator" && (p.assigned_room_id ?? MAIN) === MAIN);
}

/** Participants in the main room who have a breakout room to go back to. */
export function gathered(state: RoomState): PersonView[] {
  return Object.values(state.people).filter(
    (p) => p.role !== "moderator" && p.room_id === MAIN && p.assigned_room_id !== null && p.assigned_room_id !== MAIN && p.assigned_room_id in state.rooms,
  );
}

/** How many people a room gets when so many are dealt evenly: `[least, most]`. */
export function shareOut(people: number, rooms: number): [number, number] {
  return [Math.floor(people / rooms), Math.ceil(people / rooms)];
}

/** Countdowns to show: one's own, and to moderators everybody's that they may take back. */
export function shownCountdowns(state: RoomState): TransitionView[] {
  const mine = myCountdown(state);
  const others = Object.values(state.transitions).filter((t) => t !== mine && (t.kind === "moves" || t.kind === "gather"));
  return [...(mine === null ? [] : [mine]), ...(state.you.role === "moderator" ? others : [])];
}

/** The countdown that concerns this person: one's own move first, else the start or end of the breakout. */
export function myCountdown(state: RoomState): TransitionView | null {
  const all = Object.values(state.transitions);
  return all.find((t) => t.moves[state.you.person_id]) ?? all.find((t) => t.kind === "start" || t.kind === "end") ?? null;
}

/** The room `step` columns further, for the keyboard. */
export function neighbour(state: RoomState, roomId: string, step: number): string {
  const order = roomsInOrder(state).map((room) => room.room_id);
  const at = order.indexOf(roomId);
  return order[(at + step + order.length) % order.length] ?? roomId;
}

export function secondsUntil(iso: string | null, now: number): number {
  return iso === null ? 0 : Math.max(0, (Date.parse(iso) - now) / 1000);
}
