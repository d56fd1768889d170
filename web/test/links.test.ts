/** Addresses in messages: found, and never more than the address. */
import { describe, expect, test } from "vitest";
import { linked } from "../src/room/links";

const links = (text: string): (string | undefined)[] => linked(text).flatMap(({ href, text: shown }) => (href === undefined ? [] : [`${shown} → ${href}`]));

describe("links", () => {
  test.each([
    ["See https://example.org/a?b=1#c.", ["https://example.org/a?b=1#c → https://example.org/a?b=1#c"]],
    ["(https://en.wikipedia.org/wiki/Cell_(biology))", ["https://en.wikipedia.org/wiki/Cell_(biology) → https://en.wikipedia.org/wiki/Cell_(biology)"]],
    ["www.example.org, or http://localhost:8080/x!", ["www.example.org → https://www.example.org/", "http://localhost:8080/x → http://localhost:8080/x"]],
    ["“https://example.org/”", ["https://example.org/ → https://example.org/"]],
    ["https://bücher.example/ü", ["https://bücher.example/ü → https://xn--bcher-kva.example/%C3%BC"]],
    ["javascript:alert(1) data:text/html,x ftp://example.org mail@example.org https:// https://nodot", []],
    ["<a href=\"https://example.org/\">x</a>", ["https://example.org/ → https://example.org/"]],
  ])("%s", (text, expected) => expect(links(text)).toEqual(expected));

  test("nothing of the text is lost", () => {
    const text = "a https://example.org/x, b (www.example.org) c\n";
    expect(linked(text).map((part) => part.text).join("")).toBe(text);
  });
});
