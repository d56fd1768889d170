/** What the device check shows of the room: asked again while it is open. */
import { useEffect, useState } from "preact/hooks";
import { ApiError, call } from "../ui/page";

export interface Before {
  people: { name: string; role: string }[];
  recording: boolean;
  mute_on_entry: boolean;
}

const EVERY_MS = 5000;

/** `ended`: the code of a refusal that joining would meet too. */
export function useBefore(token: string): { before: Before | null; ended: string | null } {
  const [before, setBefore] = useState<Before | null>(null);
  const [ended, setEnded] = useState<string | null>(null);
  useEffect(() => {
    let live = true;
    const look = (): void => {
      call<Before>({ token }, "GET", "/app/api/before").then(
        (found) => { if (live) setBefore(found); },
        (error: unknown) => {
          // Anything else is told by joining; a hiccup is no reason to keep anybody out.
          if (live && error instanceof ApiError && ["removed", "session_ended", "unauthenticated"].includes(error.code)) setEnded(error.code);
        },
      );
    };
    look();
    const timer = setInterval(look, EVERY_MS);
    return () => { live = false; clearInterval(timer); };
  }, [token]);
  return { before, ended };
}
