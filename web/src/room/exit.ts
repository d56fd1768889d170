/** Leaving by accident: a question before the window closes, a way straight back in, and a screen that stays awake. */
import { recordingHere, type Page } from "./context";
import type { RoomState } from "../protocol/types";

const KEY = "sideroom.joined";
/** A page that comes back so soon goes straight in, without the device check. */
export const REJOIN_MS = 60_000;
const NOTE_EVERY_MS = 15_000;

/** Would closing the window now take something from others? */
export function isRisky(state: RoomState | null, sharing: boolean): boolean {
  if (sharing) return true;
  if (state === null || state.you.role !== "moderator") return false;
  const others = Object.values(state.people).filter((person) => person.online && person.person_id !== state.you.person_id);
  const mine = Object.values(state.recordings).some((one) => one.desired !== "stopped" && one.started_by === state.you.person_id);
  if (mine) return true;
  const alone = !others.some((person) => person.role === "moderator");
  const busy = recordingHere(state) !== null || ["starting", "running", "closing"].includes(state.breakout.status);
  return alone && (busy || others.length > 0);
}

/** Was this tab in this session a moment ago? `now`: ms. */
export function cameBack(kept: string | null, sessionId: string, now: number): boolean {
  const [session, at] = (kept ?? "").split(" ");
  return session === sessionId && now - Number(at) >= 0 && now - Number(at) < REJOIN_MS;
}

export function mayRejoin(sessionId: string): boolean {
  try {
    return cameBack(sessionStorage.getItem(KEY), sessionId, Date.now());
  } catch {
    return false;
  }
}

function note(sessionId: string | null): void {
  try {
    if (sessionId === null) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, `${sessionId} ${Date.now()}`);
  } catch {
    // Without storage the device check is shown again.
  }
}

/** From joining to the end of the page's life in the room; returns how to stop. */
export function guardExit(page: Page, sessionId: string): () => void {
  const { store, media } = page;
  const inside = (): boolean => store.status.value !== "stopped";
  const ask = (event: BeforeUnloadEvent): void => {
    if (inside() && isRisky(store.state.value, media.screenOn.value)) event.preventDefault();
  };
  const remember = (): void => note(inside() ? sessionId : null);
  const stopStatus = store.status.subscribe((status) => {
    if (status === "stopped") note(null);
  });
  remember();
  const timer = setInterval(remember, NOTE_EVERY_MS);
  addEventListener("beforeunload", ask);
  addEventListener("pagehide", remember);
  const sleep = keepAwake(page, inside);
  return () => {
    clearInterval(timer);
    stopStatus();
    sleep();
    removeEventListener("beforeunload", ask);
    removeEventListener("pagehide", remember);
  };
}

/** Phones would fall asleep, and the call with them. The lock is gone whenever the page was hidden. */
function keepAwake(page: Page, inside: () => boolean): () => void {
  let lock: WakeLockSentinel | null = null;
  let stopped = false;
  const take = async (): Promise<void> => {
    if (!("wakeLock" in navigator) || document.hidden || stopped || !inside() || lock?.released === false) return;
    try {
      lock = await navigator.wakeLock.request("screen");
      page.awake.value = true;
      lock.addEventListener("release", () => (page.awake.value = false));
      if (stopped) await lock.release();
    } catch {
      // Refused to save the battery: the screen sleeps as it would have.
    }
  };
  const look = (): void => void take();
  document.addEventListener("visibilitychange", look);
  const stopStatus = page.store.status.subscribe((status) => {
    if (status === "stopped") void lock?.release();
  });
  look();
  return () => {
    stopped = true;
    stopStatus();
    document.removeEventListener("visibilitychange", look);
    void lock?.release();
  };
}
