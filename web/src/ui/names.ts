/** Names that others wrote: characters as people count them, initials, and the key of searches (as foundation/text.py has them). */

const segmenter = typeof Intl !== "undefined" && "Segmenter" in Intl ? new Intl.Segmenter("en", { granularity: "grapheme" }) : null;

/** Characters as people count them: letters with their marks, whole emoji. */
export function graphemes(text: string): string[] {
  // Firefox before 125 has no segmenter: code points with the marks and joiners that follow.
  return segmenter ? Array.from(segmenter.segment(text), (part) => part.segment) : (text.match(/\P{M}(?:[\p{M}\p{Emoji_Modifier}]|\u200d\P{M})*/gsu) ?? []);
}

/**
 * The text of a field after something was typed or pasted: at most so many characters as people count them. As with `maxlength`, what
 * is too much of the new text is not taken, and nothing that stood there goes; while an input method composes, nothing is changed.
 */
export function limited(event: Event & { currentTarget: HTMLInputElement | HTMLTextAreaElement }, most: number): string {
  const field = event.currentTarget;
  const { value } = field;
  if (value.length <= most || (event as unknown as InputEvent).isComposing) return value;
  const excess = graphemes(value).length - most;
  if (excess <= 0) return value;
  const caret = field.selectionEnd ?? value.length;
  const before = graphemes(value.slice(0, caret)).slice(0, -excess).join("");
  field.value = before + value.slice(caret);
  field.setSelectionRange(before.length, before.length);
  return field.value;
}

const VISIBLE = /[^\p{Default_Ignorable_Code_Point}\s\p{C}\u2800]|\p{Co}/u;
const NAMED = /[\p{L}\p{N}\p{Extended_Pictographic}\p{Regional_Indicator}]/u;

/** First characters of the first and the last word, upper case where that is still one character; “?” for no name. */
export function initials(name: string): string {
  const words = name.split(/\s+/u).filter((word) => VISIBLE.test(word));
  const ends = words.length > 1 ? [words[0], words[words.length - 1]] : words;
  return ends.map((word) => first(word ?? "")).join("") || "?";
}

function first(word: string): string {
  const found = graphemes(word);
  const letter = found.find((each) => NAMED.test(each)) ?? found[0] ?? "";
  const upper = letter.toUpperCase();
  return /^\p{Script=Georgian}/u.test(letter) || graphemes(upper).length > 1 ? letter : upper;
}

const SAME: [RegExp, string][] = [
  [/[‘’‚‛′‵`´ʹʻʼʽˈ＇‹›]/gu, "'"],
  [/[“”„‟″«»＂]/gu, '"'],
  [/[‐‑‒–—―−﹘﹣－]/gu, "-"],
  [/[İı]/gu, "i"],
];
const same = (text: string): string => SAME.reduce((found, [from, to]) => found.replace(from, to), text);

/** The key by which two spellings are the same; accents make a difference. */
export function fold(text: string): string {
  let key = same(text.normalize("NFC").replace(/\p{Cc}+/gu, " "));
  for (let turn = 0; turn < 2; turn++) {
    // Upper case first: ß and ς have no lower-case form of their own that matches.
    key = same(key.normalize("NFKC").toUpperCase().toLowerCase().replace(/ς/gu, "σ").normalize("NFKC"));
    key = key.replace(/(?!\s)[\p{Default_Ignorable_Code_Point}\p{Cf}\p{Cc}]+/gu, "").replace(/i\u0307/gu, "i");
  }
  return key.replace(/\s+/gu, " ").trim();
}
