/** Who has a tile in a big room. */
import { describe, expect, test } from "vitest";
import { MOST_TILES, seats } from "../src/room/seats";

const many = Array.from({ length: 300 }, (_, n) => `p${n}`);
const none: ReadonlySet<string> = new Set();

describe("seats", () => {
  test("in a small room everybody has a tile, oneself first", () => {
    expect(seats(["me", "a", "b"], ["b"], none, [])).toEqual(["me", "a", "b"]);
  });

  test("in a big room one place is left for how many more there are", () => {
    const first = seats(many, [], none, []);
    expect(first).toHaveLength(MOST_TILES - 1);
    expect(first[0]).toBe("p0");
  });

  test("whoever speaks gets a tile and nobody else changes place", () => {
    const before = seats(many, [], none, []);
    const after = seats(many, ["p200"], none, before);
    expect(after).toContain("p200");
    expect(after.filter((id, place) => id !== before[place])).toEqual(["p200"]);
    expect(seats(many, [], none, after)).toEqual(after);
  });

  test("whose picture arrives is shown before those without one", () => {
    const pictures = new Set(many.slice(100, 120));
    const after = seats(many, [], pictures, seats(many, [], none, []));
    expect(after.filter((id) => pictures.has(id))).toHaveLength(20);
    expect(after[0]).toBe("p0");
  });

  test("who leaves makes room for one other, at the same place", () => {
    const before = seats(many, [], none, []);
    const after = seats(many.filter((id) => id !== "p5"), [], none, before);
    expect(after.filter((id, place) => id !== before[place])).toHaveLength(1);
    expect(after).toHaveLength(MOST_TILES - 1);
  });
});
