/** What the mark beside the room's name says. */
import { expect, test } from "vitest";
import { lineQuality } from "../src/room/network";

test("a line is as good as its round trip and its pictures", () => {
  expect(lineQuality(true, null, false)).toBe("good");
  expect(lineQuality(true, 40, false)).toBe("good");
  expect(lineQuality(true, 300, false)).toBe("fair");
  expect(lineQuality(true, 900, false)).toBe("poor");
  expect(lineQuality(true, 40, true)).toBe("poor");
  expect(lineQuality(false, 40, false)).toBe("lost");
});
