/** What happens in a breakout that is worth a sentence to everybody it touches: by the event, or by the time that is left. */
import { useEffect, useRef } from "preact/hooks";
import type { EventMessage, RoomState } from "../protocol/types";
import { length } from "../ui/text";
import { broadcastRooms } from "./sentences";
import { useNow } from "./clock";
import { isActive, secondsUntil } from "./logic";
import { t } from "./texts";

/** The sentence for an event, null where the page shows enough already. */
export function breakoutNotice(state: RoomState, event: EventMessage): string | null {
  const { data } = event;
  const me = state.you.person_id;
  switch (event.event) {
    case "time_added":
      return timeText(String(data.name ?? ""), Number(data.seconds), state, Date.parse(event.at));
    case "breakout_closing":
      return data.reason === "time" ? t("timeUp") : null;
    case "moves_cancelled":
      return t(state.you.role === "moderator" ? "undone" : "stays");
    case "call_closed":
      if (data.person_id !== me || data.marked !== true) return null;
      if (data.status === "dismissed") return t("callClosed");
      return t("callDone", { name: state.people[String(data.handled_by)]?.name ?? t("aModerator") });
    case "message_broadcast": {
      if (data.person_id !== me) return null;
      const names = broadcastRooms(state, data.room_ids as string[]);
      return names === null ? t("sentToAll") : t("sentTo", { rooms: names });
    }
    default:
      return null;
  }
}

function timeText(name: string, seconds: number, state: RoomState, now: number): string {
  const facts = { name, count: Math.abs(seconds) / 60 };
  if (seconds % 60 === 0) return t(seconds > 0 ? "timeAdded" : "timeTaken", facts);
  return t("timeSet", { name, time: length(secondsUntil(state.breakout.ends_at, now)) });
}

const NOTICES_S = [300, 60, 10] as const;

/** Which notice falls between two looks at the clock: `before` and `left` are seconds. Null: none. */
export function timeNotice(before: number, left: number): string | null {
  const passed = NOTICES_S.filter((at) => before > at && left <= at).at(-1);
  if (passed === undefined) return null;
  return passed >= 60 ? t("minutesLeft", { count: passed / 60 }) : t("secondsLeft", { count: passed });
}

/** Tells when 5 minutes, 1 minute and 10 seconds are left. */
export function useTimeNotices(state: RoomState | null, serverNow: () => number, tell: (text: string) => void): void {
  const endsAt = state !== null && isActive(state) && state.breakout.status === "running" ? state.breakout.ends_at : null;
  const now = useNow(serverNow, endsAt !== null);
  const before = useRef<{ endsAt: string; left: number } | null>(null);
  useEffect(() => {
    if (endsAt === null) {
      before.current = null;
      return;
    }
    const left = secondsUntil(endsAt, now);
    const last = before.current;
    before.current = { endsAt, left };
    // Time that was taken away is told as such, not as time that ran out.
    const notice = last !== null && last.endsAt === endsAt ? timeNotice(last.left, left) : null;
    if (notice !== null) tell(notice);
  }, [endsAt, now]);
}
