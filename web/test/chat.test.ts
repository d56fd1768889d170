/** A half-written message stays where it was begun. */
import { expect, test } from "vitest";
import { draftKey, draftOf, setDraft } from "../src/room/chat";

test("each room, the moderators and each person have a draft of their own", () => {
  setDraft(draftKey("r1", "room"), "only for Room 1");
  expect(draftOf(draftKey("main", "room"))).toBe("");
  expect(draftOf(draftKey("r1", "moderators"))).toBe("");
  setDraft(draftKey("r1", "moderators"), "help");
  // To the moderators one writes from wherever one is.
  expect(draftOf(draftKey("main", "moderators"))).toBe("help");
  expect(draftOf(draftKey("main", { person_id: "bob", name: "Bob" }))).toBe("");
  expect(draftOf(draftKey("r1", "room"))).toBe("only for Room 1");
});
