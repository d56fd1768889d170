/** What an answer rejects. */
import { expect, test } from "vitest";
import { rejectedMids } from "../src/media/publisher";

test("lines with port 0 are the rejected ones", () => {
  const answer = [
    "v=0", "a=group:BUNDLE 0 2", "m=audio 40000 UDP/TLS/RTP/SAVPF 111", "a=mid:0",
    "m=video 0 UDP/TLS/RTP/SAVPF 0", "c=IN IP4 0.0.0.0", "a=mid:1", "a=inactive",
    "m=video 40000 UDP/TLS/RTP/SAVPF 96", "a=mid:2", "m=application 0 UDP/DTLS/SCTP webrtc-datachannel", "a=mid:data", "",
  ];
  expect(rejectedMids(answer.join("\r\n"))).toEqual(["1", "data"]);
  expect(rejectedMids(answer.join("\n"))).toEqual(["1", "data"]);
  expect(rejectedMids("")).toEqual([]);
});
