/** What a person switched on or off on this device; kept by the browser, else for this page only. */
import { signal, type Signal } from "@preact/signals";

export interface Preference {
  on: Signal<boolean>;
  set: (on: boolean) => void;
}

/** `name` in the browser's storage; `usual` is the value of whoever never chose. */
export function preference(name: string, usual: boolean): Preference {
  const key = `sideroom.${name}`;
  const read = (): boolean => {
    try {
      const kept = localStorage.getItem(key);
      return kept === null ? usual : kept === "1";
    } catch {
      return usual; // private windows may keep nothing
    }
  };
  const on = signal(read());
  const set = (wanted: boolean): void => {
    on.value = wanted;
    try {
      localStorage.setItem(key, wanted ? "1" : "0");
    } catch {
      // It holds for this page.
    }
  };
  return { on, set };
}

export const sounds = preference("sounds", true);
/** Loudspeakers may be heard by an open microphone, and so on the film. */
export const soundsWhileRecording = preference("sounds_recording", false);
/** People who come and go are said to screen readers. */
export const announcePeople = preference("announce_people", true);
