/** What every part of the room page shares: the store, the media, what is open, what is being said. */
import { signal, type Signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext } from "preact/hooks";
import type { Media } from "../media/media";
import type { RoomStore } from "../protocol/store";
import { Chimes } from "./sounds";
import type { PersonView, RecordingView, Result, RoomState } from "../protocol/types";

/** Whom the next chat message is for. */
export type ChatTarget = "room" | "moderators" | { person_id: string; name: string };
export type Panel = "people" | "chat" | null;
export type OpenDialog = "record" | "stop" | "layout" | "end" | "settings" | "shortcuts" | { remove: PersonView } | null;

export interface Toast {
  key: number;
  text: string;
  /** What a click on it does. */
  action?: () => void;
}

export interface Page {
  store: RoomStore;
  media: Media;
  /** The room token, for calls beside the WebSocket. */
  token: string;
  panel: Signal<Panel>;
  dialog: Signal<OpenDialog>;
  breakoutOpen: Signal<boolean>;
  toasts: Signal<Toast[]>;
  /** The newest sentences for screen readers; several may come at once. */
  said: Signal<Toast[]>;
  unread: Signal<number>;
  /** Recordings that were stopped in this window: its own note tells of them, and nothing tells of them again. */
  stopped: Set<string>;
  chatTarget: Signal<ChatTarget>;
  chimes: Chimes;
  /** The screen is kept awake. */
  awake: Signal<boolean>;
}

export function createPage(store: RoomStore, media: Media, token: string): Page {
  return {
    store, media, token,
    panel: signal<Panel>(null),
    dialog: signal<OpenDialog>(null),
    breakoutOpen: signal(false),
    toasts: signal<Toast[]>([]),
    said: signal<Toast[]>([]),
    unread: signal(0),
    stopped: new Set<string>(),
    chatTarget: signal<ChatTarget>("room"),
    chimes: new Chimes(),
    awake: signal(false),
  };
}

let toastKey = 0;
const KEEP_SAID = 5;
const KEEP_TOASTS = 4;
const TOAST_MS = 6000;

/** Said to screen readers; also when it is the same sentence as before. */
export function say(page: Page, text: string): void {
  page.said.value = [...page.said.value, { key: ++toastKey, text }].slice(-KEEP_SAID);
}

/** A short note that goes away by itself; also said to screen readers. */
export function toast(page: Page, text: string, action?: () => void): void {
  const key = ++toastKey;
  const close = (): void => void (page.toasts.value = page.toasts.value.filter((other) => other.key !== key));
  const run = action === undefined ? undefined : (): void => { close(); action(); };
  page.toasts.value = [...page.toasts.value, { key, text, action: run }].slice(-KEEP_TOASTS);
  say(page, text);
  setTimeout(close, TOAST_MS);
}

/** Show a refusal; true when the command was done. */
export function done(page: Page, result: Result): boolean {
  if (!result.ok) toast(page, result.error.message);
  return result.ok;
}

/** Open a panel, or close it; a sheet over it gives way. */
export function togglePanel(page: Page, name: "people" | "chat"): void {
  const open = page.panel.value !== name || page.breakoutOpen.value;
  page.panel.value = open ? name : null;
  if (open) page.breakoutOpen.value = false;
}

export const PageContext = createContext<Page | null>(null);

export function usePage(): Page {
  const page = useContext(PageContext);
  if (page === null) throw new Error("usePage is for the room page only");
  return page;
}

// -- questions to the state ------------------------------------------------------------------------------------

/** “BIO 101 · Room 3”: the course and the room one is in. */
export function roomName(state: RoomState, roomId: string): string {
  return state.rooms[roomId]?.name ?? state.session.room_title;
}

/** People in one's own room, oneself first, then in the order they came: a newcomer moves nobody. */
export function peopleHere(state: RoomState): PersonView[] {
  const { person_id, room_id } = state.you;
  const here = Object.values(state.people).filter((person) => person.online && person.room_id === room_id);
  return [...here.filter((p) => p.person_id === person_id), ...here.filter((p) => p.person_id !== person_id)];
}

/** Of these people who shares a screen, the latest first. */
export function sharers(people: PersonView[]): PersonView[] {
  return people.filter((person) => person.screen).sort((a, b) => (b.screen_since ?? "").localeCompare(a.screen_since ?? ""));
}

/** Who waits with a raised hand in one's own room: person → place in the line, from 1. */
export function handOrder(state: RoomState): ReadonlyMap<string, number> {
  const waiting = peopleHere(state).filter((person) => person.hand_raised_at !== null);
  waiting.sort((a, b) => (a.hand_raised_at ?? "").localeCompare(b.hand_raised_at ?? ""));
  return new Map(waiting.map((person, index) => [person.person_id, index + 1]));
}

/** The live recording of one's own room, if any. */
export function recordingHere(state: RoomState): RecordingView | null {
  const live = ["INVOKED", "RECORDING", "PAUSED"];
  const here = Object.values(state.recordings).filter((r) => r.room_id === state.you.room_id && live.includes(r.status));
  return here.at(-1) ?? null;
}
