/** What the mark beside the room's name says. */
import { expect, test } from "vitest";
import { addressesIn } from "../src/media/media";
import { lineQuality } from "../src/room/network";

test("a line is as good as its round trip and its pictures", () => {
  expect(lineQuality(true, null, false)).toBe("good");
  expect(lineQuality(true, 40, false)).toBe("good");
  expect(lineQuality(true, 300, false)).toBe("fair");
  expect(lineQuality(true, 900, false)).toBe("poor");
  expect(lineQuality(true, 40, true)).toBe("poor");
  expect(lineQuality(false, 40, false)).toBe("lost");
  expect(lineQuality(true, 40, false, "blocked")).toBe("lost");
  expect(lineQuality(true, 40, false, "connecting")).toBe("good");
});

test("what IT must let through is in the server's description, each way once", () => {
  const line = (text: string): string => `a=candidate:${text}\r\n`;
  const sdp = `v=0\r\n${line("1 1 udp 2130706431 192.0.2.7 40000 typ host")}${line("2 1 tcp 2122317823 192.0.2.7 40000 typ host tcptype passive")}`;
  expect(addressesIn(sdp + sdp)).toEqual([{ protocol: "udp", ip: "192.0.2.7", port: 40000 }, { protocol: "tcp", ip: "192.0.2.7", port: 40000 }]);
});
