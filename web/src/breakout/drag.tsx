/** Drag a person to a room by pointer, with a keyboard twin (Space, arrows, Space). Knows columns by `data-room`. */
import { useRef, useState } from "preact/hooks";

export interface Held {
  personId: string;
  name: string;
  over: string | null;
  x: number;
  y: number;
  byKey: boolean;
}

const START_PX = 6;

function roomAt(x: number, y: number): string | null {
  const column = document.elementFromPoint(x, y)?.closest<HTMLElement>("[data-room]");
  return column?.dataset.room ?? null;
}

interface Options {
  drop: (personId: string, roomId: string) => void;
  neighbour: (roomId: string, step: number) => string;
  say: (personName: string, roomId: string, dropped: boolean) => void;
}

export function useDrag({ drop, neighbour, say }: Options) {
  const [held, setHeld] = useState<Held | null>(null);
  const from = useRef<{ x: number; y: number; id: number } | null>(null);

  const handlers = (personId: string, name: string, roomId: string) => ({
    onPointerDown: (event: PointerEvent) => {
      if (event.button !== 0 || (event.target as HTMLElement).closest("button")) return;
      from.current = { x: event.clientX, y: event.clientY, id: event.pointerId };
      (event.currentTarget as HTMLElement).setPointerCapture(event.pointerId);
    },
    onPointerMove: (event: PointerEvent) => {
      const start = from.current;
      if (!start || start.id !== event.pointerId) return;
      if (!held && Math.hypot(event.clientX - start.x, event.clientY - start.y) < START_PX) return;
      setHeld({ personId, name, over: roomAt(event.clientX, event.clientY), x: event.clientX, y: event.clientY, byKey: false });
    },
    onPointerUp: (event: PointerEvent) => {
      const target = held && !held.byKey ? roomAt(event.clientX, event.clientY) : null;
      from.current = null;
      setHeld(null);
      if (target && target !== roomId) drop(personId, target);
    },
    onPointerCancel: () => {
      from.current = null;
      setHeld(null);
    },
    onKeyDown: (event: KeyboardEvent) => {
      if ((event.target as HTMLElement).closest("button, input")) return;
      const mine = held?.byKey && held.personId === personId ? held : null;
      if (event.key === " ") {
        event.preventDefault();
        if (!mine) {
          setHeld({ personId, name, over: roomId, x: 0, y: 0, byKey: true });
          say(name, roomId, false);
        } else {
          setHeld(null);
          if (mine.over && mine.over !== roomId) {
            drop(personId, mine.over);
            say(name, mine.over, true);
          }
        }
      } else if (mine && event.key === "Escape") {
        event.preventDefault();
        event.stopPropagation();
        setHeld(null);
      } else if (mine && event.key.startsWith("Arrow")) {
        event.preventDefault();
        const step = event.key === "ArrowRight" || event.key === "ArrowDown" ? 1 : -1;
        const over = neighbour(mine.over ?? roomId, step);
        setHeld({ ...mine, over });
        say(name, over, false);
      }
    },
  });
  return { held, handlers };
}
