/** What was chosen, as the server takes it (docs/page-api.md §1), and how it is sent. */
import type { Boot } from "../ui/page";

export interface DeepLinkBoot extends Boot {
  deep_link: {
    id: string;
    /** Sakai's word for where the link goes: lessons, editor, assignment, or empty. */
    place: string;
    multiple: boolean;
    points: boolean;
    title: string;
    rooms: boolean;
    gallery: boolean;
  };
}

export type Choice =
  | { kind: "media"; entry_id: string; title: string; points?: number }
  | { kind: "gallery"; title: string; points?: number }
  | {
      kind: "room";
      title: string;
      wait: boolean;
      /** Record as soon as somebody comes; null: as in the course. */
      record: boolean | null;
      /** Empty: as in the course. */
      layout: "" | "grid" | "speaker" | "stage";
      points?: number;
    };

/** One choice more or less; where one link is taken, the newest replaces the others. */
export function toggled(chosen: Choice[], choice: Choice, multiple: boolean): Choice[] {
  const same = (other: Choice) =>
    other.kind === choice.kind && (other.kind !== "media" || choice.kind !== "media" || other.entry_id === choice.entry_id) && other.kind !== "room";
  const without = chosen.filter((other) => !same(other));
  if (without.length < chosen.length) return without;
  return multiple ? [...chosen, choice] : [choice];
}

/** Leave the page with a form of ours, whose answer goes on to the LMS. An empty list goes back without a link. */
export function send(boot: DeepLinkBoot, chosen: Choice[], points: number): void {
  const items = chosen.map((choice) => (points > 0 ? { ...choice, points } : choice));
  const form = document.createElement("form");
  form.method = "post";
  form.action = "/lti/deeplink";
  const fields = { token: boot.token, deep_link: boot.deep_link.id, items: JSON.stringify(items) };
  for (const [name, value] of Object.entries(fields)) {
    const input = document.createElement("input");
    input.type = "hidden";
    input.name = name;
    input.value = value;
    form.append(input);
  }
  document.body.append(form);
  form.submit();
}
