/** Single-key shortcuts of the room, off while somebody types or a panel, a sheet or a dialog has the focus, or for good (WCAG 2.1.4). */
import { useState } from "preact/hooks";
import type { JSX } from "preact";
import { recordingHere, type Page } from "./context";
import { Check } from "./recording";
import { t } from "./texts";
import { toggleDevice, toggleHand, toggleScreen } from "./toolbar";

export const SHORTCUTS = ["m", "v", "s", "h", "b", "r", "?"] as const;
type Shortcut = (typeof SHORTCUTS)[number];

function isShortcut(key: string): key is Shortcut {
  return (SHORTCUTS as readonly string[]).includes(key);
}

const OFF = "sideroom.shortcuts_off";

/** Private windows may keep nothing; then they are on. */
function areOff(): boolean {
  try {
    return localStorage.getItem(OFF) !== null;
  } catch {
    return false;
  }
}

export function ShortcutSwitch(): JSX.Element {
  const [on, setOn] = useState(!areOff());
  const change = (wanted: boolean): void => {
    try {
      if (wanted) localStorage.removeItem(OFF);
      else localStorage.setItem(OFF, "1");
    } catch {
      return;
    }
    setOn(wanted);
  };
  return <Check label={t("shortcuts.on")} checked={on} testId="shortcuts-on" onChange={change} />;
}

export function listenForShortcuts(page: Page): () => void {
  const listener = (event: KeyboardEvent): void => {
    const key = event.key.toLowerCase();
    if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || !isShortcut(key) || areOff()) return;
    const target = event.target;
    if (target instanceof HTMLElement && target.closest("input, textarea, select, [contenteditable], dialog[open], [role=menu], .panel, .sheet")) return;
    event.preventDefault();
    run(page, key);
  };
  window.addEventListener("keydown", listener);
  return () => window.removeEventListener("keydown", listener);
}

function run(page: Page, key: Shortcut): void {
  const state = page.store.state.value;
  const moderator = state?.you.role === "moderator";
  switch (key) {
    case "m":
      void toggleDevice(page, "mic");
      break;
    case "v":
      void toggleDevice(page, "camera");
      break;
    case "s":
      void toggleScreen(page);
      break;
    case "h":
      void toggleHand(page);
      break;
    case "b":
      if (moderator) page.breakoutOpen.value = !page.breakoutOpen.value;
      break;
    case "r":
      if (!moderator || state === null) break;
      // Asked either way: one key must never end a recording.
      page.dialog.value = recordingHere(state) === null ? "record" : "stop";
      break;
    case "?":
      page.dialog.value = "shortcuts";
  }
}
