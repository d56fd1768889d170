/** Texts of one catalogue by key, with facts filled in; plural forms by the texts' language, figures by the person's region. */

import { LANGUAGE, knownZone, locale } from "./locale";

export type Entry = string | { one: string; other: string };
export type Facts = Record<string, string | number>;

const plural = new Intl.PluralRules(LANGUAGE);
const numbers = new Intl.NumberFormat(locale);

/** A `t(key, facts)` for a catalogue; `count` chooses the plural form. */
export function catalogue<T extends Record<string, Entry>>(texts: T): (key: keyof T & string, facts?: Facts) => string {
  return (key, facts = {}) => {
    const entry: Entry = texts[key] as Entry;
    const form =
      typeof entry === "string" ? entry : plural.select(Number(facts.count ?? 0)) === "one" ? entry.one : entry.other;
    return form.replace(/\{(\w+)\}/g, (whole, name: string) => {
      const fact = facts[name];
      return fact === undefined ? whole : typeof fact === "number" ? numbers.format(fact) : fact;
    });
  };
}

/** 754 → “12:34”. */
export function length(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (n: number) => String(n).padStart(2, "0");
  const hours = Math.floor(whole / 3600);
  const rest = `${two(Math.floor(whole / 60) % 60)}:${two(whole % 60)}`;
  return hours ? `${hours}:${rest}` : rest;
}

/** A day and time; with a zone in that one, which is named when the reader's own is another. */
export function day(iso: string, zone?: string): string {
  const at = new Date(iso);
  const timeZone = knownZone(zone);
  const format = (more: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "short", ...more }).format(at);
  const text = format({ timeZone });
  if (timeZone === undefined || text === format({})) return text;
  const name = new Intl.DateTimeFormat(locale, { timeZone, timeZoneName: "short" }).formatToParts(at).find((part) => part.type === "timeZoneName")?.value;
  return name ? `${text} ${name}` : text;
}
