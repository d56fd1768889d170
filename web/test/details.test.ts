/** Which chapter plays. */
import { expect, test } from "vitest";
import { current, sentence } from "../src/library/details";

const chapters = [
  { at_s: 0, title: "Start" },
  { at_s: 10, title: "Bob came in" },
  { at_s: 20.4, title: "After a pause" },
];

test("the chapter that has begun last is the current one", () => {
  expect([0, 9.9, 10, 20, 20.4, 500].map((at) => current(chapters, at))).toEqual([0, 0, 1, 1, 2, 2]);
  expect(current([], 3)).toBe(-1);
});

test("warnings stand as sentences", () => {
  expect(sentence("the camera of Bob stood still for 8 s")).toBe("The camera of Bob stood still for 8 s.");
  expect(sentence("Ça va.")).toBe("Ça va.");
});
