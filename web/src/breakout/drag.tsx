/**
 * Drag a person to a room by pointer, with a keyboard twin (Space, arrows, Space). Knows columns by `data-room`.
 * A finger scrolls the page as everywhere; held still for a moment it picks the person up.
 */
import { useEffect, useRef, useState } from "preact/hooks";

export interface Held {
  personId: string;
  name: string;
  over: string | null;
  x: number;
  y: number;
  byKey: boolean;
}

const START_PX = 6;
/** A finger that rests so long does not mean to scroll. */
const TOUCH_MS = 350;

function roomAt(x: number, y: number): string | null {
  const column = document.elementFromPoint(x, y)?.closest<HTMLElement>("[data-room]");
  return column?.dataset.room ?? null;
}

interface Options {
  drop: (personId: string, roomId: string) => void;
  neighbour: (roomId: string, step: number) => string;
  say: (personName: string, roomId: string, dropped: boolean) => void;
}

interface Press {
  x: number;
  y: number;
  id: number;
  touch: boolean;
  timer?: ReturnType<typeof setTimeout>;
}

export type Drag = ReturnType<typeof useDrag>["drag"];

/** `drag` stays the same function for life, so that rows given it need not be drawn again. */
export function useDrag(options: Options) {
  const [held, setHeld] = useState<Held | null>(null);
  const now = useRef({ held, options });
  now.current = { held, options };
  const press = useRef<Press | null>(null);
  const end = (): void => {
    clearTimeout(press.current?.timer);
    press.current = null;
    setHeld(null);
  };

  useEffect(() => {
    // Once picked up, a finger moves the person and not the page.
    const still = (event: TouchEvent): void => {
      if (now.current.held && !now.current.held.byKey) event.preventDefault();
    };
    document.addEventListener("touchmove", still, { passive: false });
    return () => {
      document.removeEventListener("touchmove", still);
      clearTimeout(press.current?.timer);
    };
  }, []);

  const make = (personId: string, name: string, roomId: string) => ({
    onPointerDown: (event: PointerEvent) => {
      if (event.button !== 0 || (event.target as HTMLElement).closest("button, .menu")) return;
      const { clientX: x, clientY: y, pointerId: id } = event;
      const touch = event.pointerType === "touch";
      const made: Press = { x, y, id, touch };
      clearTimeout(press.current?.timer);
      press.current = made;
      const row = event.currentTarget as HTMLElement;
      if (!touch) row.setPointerCapture(id);
      else made.timer = setTimeout(() => setHeld({ personId, name, over: roomId, x, y, byKey: false }), TOUCH_MS);
    },
    onPointerMove: (event: PointerEvent) => {
      const start = press.current;
      if (!start || start.id !== event.pointerId) return;
      const { held } = now.current;
      const far = Math.hypot(event.clientX - start.x, event.clientY - start.y) >= START_PX;
      if (!held && (start.touch || !far)) {
        if (far) clearTimeout(start.timer);
        return;
      }
      setHeld({ personId, name, over: roomAt(event.clientX, event.clientY), x: event.clientX, y: event.clientY, byKey: false });
    },
    onPointerUp: (event: PointerEvent) => {
      const { held, options } = now.current;
      const target = held && !held.byKey ? roomAt(event.clientX, event.clientY) : null;
      end();
      if (target && target !== roomId) options.drop(personId, target);
    },
    onPointerCancel: end,
    onKeyDown: (event: KeyboardEvent) => {
      if ((event.target as HTMLElement).closest("button, input")) return;
      const { held, options } = now.current;
      const mine = held?.byKey && held.personId === personId ? held : null;
      if (event.key === " ") {
        event.preventDefault();
        if (!mine) {
          setHeld({ personId, name, over: roomId, x: 0, y: 0, byKey: true });
          options.say(name, roomId, false);
        } else {
          setHeld(null);
          if (mine.over && mine.over !== roomId) {
            options.drop(personId, mine.over);
            options.say(name, mine.over, true);
          }
        }
      } else if (mine && event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        setHeld(null);
      } else if (mine && event.key.startsWith("Arrow")) {
        event.preventDefault();
        const step = event.key === "ArrowRight" || event.key === "ArrowDown" ? 1 : -1;
        const over = options.neighbour(mine.over ?? roomId, step);
        setHeld({ ...mine, over });
        options.say(name, over, false);
      }
    },
  });
  const drag = useRef(make).current;
  return { held, drag };
}
