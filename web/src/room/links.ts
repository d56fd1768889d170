/** Addresses in a message become links. Pure; nothing of the message is ever read as HTML. */

export interface Part {
  text: string;
  /** Where the part leads; absent for plain text. */
  href?: string;
}

const ADDRESS = /\b(?:https?:\/\/|www\.)[^\s<>"“”„‟«»]+/giu;
/** Marks that end the sentence rather than the address. */
const TAIL = /[.,;:!?'’…]+$/u;
const PAIRS: readonly (readonly [string, string])[] = [["(", ")"], ["[", "]"], ["{", "}"]];

export function linked(text: string): Part[] {
  const parts: Part[] = [];
  let from = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = trimmed(match[0]);
    const href = hrefOf(address);
    if (href === null) continue;
    if (match.index > from) parts.push({ text: text.slice(from, match.index) });
    parts.push({ text: address, href });
    from = match.index + address.length;
  }
  if (from < text.length) parts.push({ text: text.slice(from) });
  return parts;
}

/** Without the full stop behind it, and without a bracket that was opened before it. */
function trimmed(found: string): string {
  let address = found;
  for (;;) {
    const before = address;
    address = address.replace(TAIL, "");
    for (const [open, close] of PAIRS) {
      if (address.endsWith(close) && count(address, open) < count(address, close)) address = address.slice(0, -1);
    }
    if (address === before) return address;
  }
}

function count(text: string, mark: string): number {
  return text.split(mark).length - 1;
}

function hrefOf(address: string): string | null {
  try {
    const url = new URL(/^www\./i.test(address) ? `https://${address}` : address);
    return url.hostname.includes(".") || url.hostname === "localhost" ? url.href : null;
  } catch {
    return null;
  }
}
