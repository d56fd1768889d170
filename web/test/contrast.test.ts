/** Text has a contrast of at least 4.5 to what it stands on, controls of 3, in both colour schemes (WCAG 2.2). */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";

type Tokens = Record<string, string>;

function tokens(css: string): { light: Tokens; dark: Tokens } {
  const read = (block: string): Tokens => Object.fromEntries([...block.matchAll(/--([\w-]+): (#[0-9a-f]{6});/g)].map((m) => [m[1] ?? "", m[2] ?? ""]));
  const dark = css.indexOf("prefers-color-scheme: dark");
  const end = css.indexOf("\n}", dark) > 0 ? css.indexOf("\n}", dark) : undefined;
  const light = read(css.slice(0, dark));
  return { light, dark: { ...light, ...read(css.slice(dark, end)) } };
}

function file(name: string): string {
  return readFileSync(join(__dirname, "../src", name), "utf8");
}

function luminance(colour: string): number {
  const [r, g, b] = [1, 3, 5].map((at) => {
    const part = parseInt(colour.slice(at, at + 2), 16) / 255;
    return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
}

function contrast(one: string, other: string): number {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b) as [number, number];
  return (light + 0.05) / (dark + 0.05);
}

const kit = tokens(file("ui/tokens.css"));
const roomCss = file("room/room.css").split("\n").slice(0, 2).join("\n");
const room = tokens(roomCss);
const schemes = { light: { ...kit.light, ...room.light }, dark: { ...kit.dark, ...room.dark } };

const TEXT: [string, string][] = [
  ...["text", "soft", "accent", "danger", "warn", "ok"].flatMap((over): [string, string][] => [[over, "bg"], [over, "surface"], [over, "raised"]]),
  ["text", "accent-soft"], ["text", "tool"], ["soft", "accent-soft"], ["on-accent", "accent"], ["on-danger", "danger"], ["warn", "warn-soft"], ["tile-text", "tile"],
];
const CONTROLS: [string, string][] = [["control-line", "bg"], ["control-line", "surface"], ["control-line", "raised"], ["accent", "tile"]];

test("one of the two colours of the speaking ring stands out from any picture, whatever its brightness", () => {
  const ring = [schemes.light.ring, schemes.light["ring-line"]].map((colour) => colour ?? "");
  for (let level = 0; level < 256; level += 5) {
    const grey = `#${level.toString(16).padStart(2, "0").repeat(3)}`;
    expect(Math.max(...ring.map((colour) => contrast(colour, grey)))).toBeGreaterThanOrEqual(3);
  }
});

test("a caller who is offline is as readable as the others", () => {
  // Both classes set a colour; the one for callers must come later and weigh more.
  const css = file("breakout/breakout.css");
  expect(css).toMatch(/\.who\.calling\.off :is\(\.name, \.note\) \{ color: inherit; \}/);
  for (const sheet of ["ui/kit.css", "room/room.css"]) expect(file(sheet)).toContain("::placeholder { color: var(--soft); opacity: 1; }");
});

test("black on white is the known 21", () => expect(contrast("#000000", "#ffffff")).toBeCloseTo(21));

describe.each(["light", "dark"] as const)("%s", (scheme) => {
  const colours = schemes[scheme];
  const ratio = ([over, under]: [string, string]) => contrast(colours[over] ?? "", colours[under] ?? "");
  test.each(TEXT)("%s on %s is readable", (...pair) => expect(ratio(pair)).toBeGreaterThanOrEqual(4.5));
  test.each(CONTROLS)("%s on %s is visible", (...pair) => expect(ratio(pair)).toBeGreaterThanOrEqual(3));
});
