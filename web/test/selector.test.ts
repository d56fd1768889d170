/** What is chosen in the selector, and what a frame allows. */
import { describe, expect, test } from "vitest";
import { toggled, type Choice } from "../src/selector/answer";
import { frameCan } from "../src/ui/frame";

const film = (id: string): Choice => ({ kind: "media", entry_id: id, title: id });
const gallery: Choice = { kind: "gallery", title: "Gallery" };
const room: Choice = { kind: "room", title: "A", wait: false, record: null, layout: "" };

describe("choosing", () => {
  test("where one link is taken the newest replaces the others", () => {
    expect(toggled([film("a")], film("b"), false)).toEqual([film("b")]);
    expect(toggled([room], gallery, false)).toEqual([gallery]);
  });
  test("the same thing twice is none", () => {
    expect(toggled([film("a"), film("b")], film("a"), true)).toEqual([film("b")]);
    expect(toggled([gallery], gallery, false)).toEqual([]);
  });
  test("two rooms of one name are two rooms", () => {
    expect(toggled([room], room, true)).toEqual([room, room]);
  });
});

describe("a frame", () => {
  const page = (allowed: string[]) => ({ featurePolicy: { allowsFeature: (name: string) => allowed.includes(name) } }) as unknown as Document;
  test("tells what its policy allows", () => {
    expect(frameCan(page(["camera", "microphone"]), false)).toEqual({ top: false, camera: true, microphone: true, screen: false });
    expect(frameCan(page([]), false).camera).toBe(false);
  });
  test("counts as closed where the browser tells nothing; a window of our own as open", () => {
    expect(frameCan({} as Document, false).camera).toBe(false);
    expect(frameCan({} as Document, true)).toEqual({ top: true, camera: true, microphone: true, screen: true });
  });
});
