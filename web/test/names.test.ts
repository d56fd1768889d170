import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { conventions, knownZone } from "../src/ui/locale";
import { fold, graphemes, initials, limited } from "../src/ui/names";

/** The server's own examples (tests/unit/test_text.py): both sides have the same rules. */
const examples = JSON.parse(readFileSync(new URL("../../tests/payloads/names.json", import.meta.url), "utf-8")) as Record<
  "same" | "different" | "initials",
  [string, string][]
>;

describe("names that others wrote", () => {
  it.each(examples.same)("%j and %j are the same", (one, other) => expect(fold(one)).toBe(fold(other)));
  it.each(examples.different)("%j and %j differ", (one, other) => expect(fold(one)).not.toBe(fold(other)));
  it.each(examples.initials)("initials of %j", (name, letters) => expect(initials(name)).toBe(letters));
  it("counts as people do", () => expect(graphemes("a👨‍👩‍👧é")).toHaveLength(3));
});

describe("a field with a limit", () => {
  const family = "👨‍👩‍👧‍👦";
  const after = (value: string, caret: number, most: number, isComposing = false): [string, number] => {
    const field = { value, selectionEnd: caret, setSelectionRange: (start: number) => (field.selectionEnd = start) };
    const kept = limited({ currentTarget: field, isComposing } as unknown as Event & { currentTarget: HTMLInputElement }, most);
    expect(kept).toBe(field.value);
    return [kept, field.selectionEnd];
  };
  it("takes as many families as letters", () => expect(after(family.repeat(60), 60 * family.length, 60)).toEqual([family.repeat(60), 60 * family.length]));
  it("never cuts one", () => expect(after(family.repeat(3), 3 * family.length, 2)).toEqual([family.repeat(2), 2 * family.length]));
  it("takes less of what was typed, nothing of what stood there", () => expect(after("abXYcd", 4, 5)).toEqual(["abXcd", 3]));
  it("leaves an input method alone", () => expect(after("にほんご", 4, 3, true)).toEqual(["にほんご", 4]));
});

describe("what others call a locale", () => {
  it.each([
    ["de-AT", "en-AT"],
    ["en-GB", "en-GB"],
    ["zh-Hans", "en-CN"],
    ["ar", "en-EG"],
    ["en", "en-US"],
  ])("%s: English by the conventions of %s", (given, used) => expect(conventions(given)).toBe(used));
  it.each(["zh-CN-#Hans", "en_us_k12", "C", "C.UTF-8", "root", "*", "", "en_", "x", "\u0000", "a".repeat(500)])(
    "%j never stops a page",
    (given) => {
      expect(conventions(given)).toMatch(/^en/);
      expect(() => new Intl.DateTimeFormat(conventions(given)).format(new Date())).not.toThrow();
    },
  );
  it("takes a zone only when the browser knows it", () => {
    expect(knownZone("America/Los_Angeles")).toBe("America/Los_Angeles");
    expect(knownZone("$Context.timezone")).toBeUndefined();
    expect(knownZone(undefined)).toBeUndefined();
  });
});
