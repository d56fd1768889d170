/** Short notes over everything else, also over sheets and open dialogs. */
import type { JSX } from "preact";
import { useLayoutEffect, useRef } from "preact/hooks";
import { onDialogOpened } from "../ui/kit";
import { usePage } from "./context";

export function Toasts(): JSX.Element {
  const page = usePage();
  const box = useRef<HTMLDivElement>(null);
  const notes = page.toasts.value;
  const any = notes.length > 0;
  useLayoutEffect(() => {
    const element = box.current;
    // Older browsers have no popovers: there the notes lie over the sheets, not over dialogs.
    if (element === null || !any || typeof element.showPopover !== "function") return undefined;
    const lift = (): void => {
      // What was opened last lies on top, so it is opened anew after a dialog.
      if (element.matches(":popover-open")) element.hidePopover();
      element.showPopover();
    };
    lift();
    const stop = onDialogOpened(lift);
    return () => {
      stop();
      if (element.matches(":popover-open")) element.hidePopover();
    };
  }, [any]);
  return (
    <div ref={box} class="toasts" popover="manual" data-testid="toasts">
      {notes.map(({ key, text, action }) => action === undefined
        ? <p key={key} class="toast">{text}</p>
        : <button key={key} type="button" class="toast" onClick={action}>{text}</button>)}
    </div>
  );
}
