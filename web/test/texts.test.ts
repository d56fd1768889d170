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
