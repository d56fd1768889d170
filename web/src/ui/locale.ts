/**
 * The language of the texts, and the conventions by which dates and numbers in them are written.
 *
 * The server sends a checked locale (foundation/locale.py); a page must open all the same with any other.
 */

/** The language that every catalogue is written in, and that the document's `lang` names. */
export const LANGUAGE = "en";

/** The person's locale from the page's boot data, as it came. */
function asked(): string {
  if (typeof document === "undefined") return "";
  try {
    const boot = JSON.parse(document.getElementById("boot")?.textContent ?? "{}") as { locale?: unknown };
    return typeof boot.locale === "string" ? boot.locale : "";
  } catch {
    return "";
  }
}

/**
 * English with the person's region: a date between English words is an English one, in the region's order and hours
 * (`de-AT` → `en-AT`, `zh-Hans` → `en-CN`). What is no locale: plain English.
 */
export function conventions(wanted: string): string {
  try {
    const region = new Intl.Locale(wanted).maximize().region;
    const found = region === undefined ? LANGUAGE : `${LANGUAGE}-${region}`;
    return Intl.DateTimeFormat.supportedLocalesOf(found).length > 0 ? found : LANGUAGE;
  } catch {
    return LANGUAGE;
  }
}

export const locale = conventions(asked());

/** The zone if the browser knows it, else its own (undefined). */
export function knownZone(zone: string | undefined): string | undefined {
  if (!zone) return undefined;
  try {
    return new Intl.DateTimeFormat(LANGUAGE, { timeZone: zone }).resolvedOptions().timeZone;
  } catch {
    return undefined;
  }
}
