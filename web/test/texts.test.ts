/** Catalogues: every key used exists, and none is left over. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

const root = join(__dirname, "../src");
const files = readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => /\.tsx?$/.test(name));
const sources = new Map(files.map((name) => [name.replaceAll("\\", "/"), readFileSync(join(root, name), "utf8")]));

/** Which files speak from which catalogue. */
function speakers(catalogueFile: string): string[] {
  const own = sources.get(catalogueFile) ?? "";
  if (!catalogueFile.endsWith("texts.ts")) return [own];
  const folder = catalogueFile.slice(0, catalogueFile.lastIndexOf("/"));
  // A file with a catalogue of its own speaks from that one.
  return [...sources]
    .filter(([name, text]) => name.startsWith(`${folder}/`) && name !== catalogueFile && !text.includes("catalogue("))
    .map(([, text]) => text);
}

function keysOf(text: string): string[] {
  const block = /(?:catalogue\(|const texts = )\{\n([\s\S]*?)\n\}/.exec(text)?.[1] ?? "";
  return [...block.matchAll(/^ {2}(?:"([^"]+)"|(\w+)): /gm)].map((found) => found[1] ?? found[2] ?? "");
}

const catalogues = [...sources].filter(([name, text]) => name !== "ui/text.ts" && text.includes("catalogue(")).map(([name]) => name);

test("the catalogues are found", () => {
  expect(catalogues).toEqual(expect.arrayContaining(["admin/texts.ts", "breakout/texts.ts", "library/library.tsx", "lobby/lobby.tsx", "room/texts.ts"]));
});

describe.each(catalogues)("%s", (name) => {
  const keys = keysOf(sources.get(name) ?? "");
  const said = speakers(name).map((text) => text.replace(/catalogue\(\{\n[\s\S]*?\n\}\)/, ""));

  test("has no unused text", () => {
    const all = said.join("\n");
    // Keys made from parts (`trouble.${kind}.${trouble}`) count by their fixed beginning.
    const made = [...all.matchAll(/t\(`([\w.]+\.)\$\{/g)].map((found) => found[1] ?? "");
    const used = (key: string) => all.includes(`"${key}"`) || made.some((start) => key.startsWith(start)) || unquoted(all, key);
    expect(keys.length).toBeGreaterThan(0);
    expect(keys.filter((key) => !used(key))).toEqual([]);
  });

  test("has every text that is used", () => {
    const asked = said.flatMap((text) => [...text.matchAll(/\bt\("([^"]+)"/g)].map((found) => found[1] ?? ""));
    expect(asked.filter((key) => !keys.includes(key))).toEqual([]);
  });
});

/** The library's scopes are keys too: `t(scope)`. */
function unquoted(text: string, key: string): boolean {
  return new RegExp(`\\b${key.replace(/[.?]/g, "\\$&")}: (t\\(|")`).test(text);
}

/** What a native speaker wouldn't say, with what to say instead. Texts of a catalogue only: names in the code are their own matter. */
const BANNED: readonly (readonly [RegExp, string])[] = [
  [/\bfilms?\b/i, "recording, video"],
  [/\b(goes|go|going) on\b/i, "resume, continue"],
  [/\banew\b/i, "again"],
  [/\bfor ever\b/i, "forever"],
  [/\bof (its|your|their|his|her) own\b/i, "separate, new"],
  [/\b(some|every)body\b/i, "someone, everyone"],
  [/\bnobody\b/i, "no one"],
  [/\bwhoever\b/i, "anyone who"],
  [/\b(shall|otherwise than)\b/i, "must, differs from"],
  [/\balso\b/i, "leave it out"],
  [/\b(may not|cannot|does not|do not|is not|are not|did not|could not|was not)\b/i, "can't, doesn't, don't, isn't …"],
  [/\b(loudspeakers?|by hand|let in|kept out|under way)\b/i, "speaker, manually, allowed, blocked, in progress"],
  [/\bmeetings?\b/i, "session"],
  [/\w'\w|s' /, "the typographic apostrophe: ’"],
  [/\d %|\} %/, "95%, without a space"],
];

/** The faults of a text: each banned phrase that it has. */
function faultsOf(text: string): string[] {
  return BANNED.filter(([phrase]) => phrase.test(text)).map(([phrase, instead]) => `“${text}”: ${phrase.source} (say: ${instead})`);
}

/** All texts between quotes of a catalogue. */
function textsOf(name: string): string[] {
  const block = /(?:catalogue\(|const texts = )\{\n([\s\S]*?)\n\}/.exec(sources.get(name) ?? "")?.[1] ?? "";
  return [...block.matchAll(/:\s+"([^"\n]*)"/g)].map((found) => found[1] ?? "");
}

test.each(catalogues)("%s reads as a native product writer would write", (name) => {
  const texts = textsOf(name);
  expect(texts.length).toBeGreaterThan(0);
  expect(texts.flatMap(faultsOf)).toEqual([]);
});

test.each([
  "The recording goes on.", "This film cannot be played here.", "The room opens in a window of its own.", "As soon as somebody comes",
  "Nobody has come yet", "Everybody in a grid", "Whoever speaks, large", "0: for ever", "Also a separate audio file", "95 %", "It's here",
])("%s would be refused", (text) => expect(faultsOf(text)).not.toEqual([]));
