/** Inside an LMS's frame: how tall the frame should be, and which part of it is in view. */

export const framed = (): boolean => window.parent !== window;

/** Space around a dialog, in pixels. */
const AROUND_PX = 16;

/** The height of what the page shows. The document's own height is no measure: it is never less than the frame's. */
function contentHeight(app: HTMLElement): number {
  const content = app.getBoundingClientRect().bottom + window.scrollY;
  const dialogs = [...document.querySelectorAll<HTMLDialogElement>("dialog[open]")];
  return Math.ceil(Math.max(content, ...dialogs.map((dialog) => dialog.scrollHeight + 2 * AROUND_PX)));
}

/**
 * Tell the LMS how tall we are, whenever that changes (Sakai reads a JSON string and takes every height). `mostPx` is for pages
 * with a bar at their end that has to stay in view: they scroll inside a frame of that height.
 */
export function followHeight(mostPx = Infinity): void {
  const app = document.getElementById("app");
  if (!framed() || !app) return;
  document.documentElement.dataset.framed = "";
  let told = 0;
  const tell = () => {
    const height = Math.min(contentHeight(app), mostPx);
    if (height === told || height <= 0) return;
    told = height;
    window.parent.postMessage(JSON.stringify({ subject: "lti.frameResize", height }), "*");
  };
  new ResizeObserver(tell).observe(app);
  // Dialogs stand outside the flow.
  new MutationObserver(tell).observe(app, { subtree: true, childList: true, attributes: true, attributeFilter: ["open"] });
}

let pressed: DOMRect | null = null;
// Modules are read without a page in tests.
if (typeof window !== "undefined" && framed())
  // Safari gives a pressed button no focus.
  document.addEventListener("pointerdown", (event) => { pressed = (event.target as Element).getBoundingClientRect(); }, true);

/** Where the person's attention is: the control that has the focus, else the one pressed last. */
function attention(): DOMRect | null {
  const active = document.activeElement;
  return active && active !== document.body ? active.getBoundingClientRect() : pressed;
}

/**
 * Keep a dialog beside what opened it and in the visible part of the frame: centred in a frame of two thousand pixels it would
 * be off the screen. Call before the dialog opens; returns how to stop.
 */
export function keepInView(dialog: HTMLDialogElement): () => void {
  if (!framed()) return () => undefined;
  const from = attention();
  const place = (top: number, bottom: number) => {
    dialog.style.maxBlockSize = `${Math.max(200, bottom - top - 2 * AROUND_PX)}px`;
    const height = dialog.getBoundingClientRect().height;
    const wanted = (from ? (from.top + from.bottom) / 2 : (top + bottom) / 2) - height / 2;
    dialog.style.insetBlockStart = `${Math.max(top + AROUND_PX, Math.min(wanted, bottom - AROUND_PX - height))}px`;
  };
  // The browser tells which part of us is on the screen, also across origins.
  const watch = new IntersectionObserver((entries) => {
    const seen = entries[entries.length - 1]?.intersectionRect;
    if (seen && seen.height > 0) place(Math.max(0, seen.top), Math.min(window.innerHeight, seen.bottom));
  });
  const look = () => {
    watch.disconnect();
    watch.observe(document.documentElement);
  };
  dialog.classList.add("placed");
  place(0, window.innerHeight);
  look();
  window.addEventListener("resize", look);
  return () => {
    watch.disconnect();
    window.removeEventListener("resize", look);
  };
}
