import { expect, test } from "vitest";
import { detailFor } from "../src/media/detail";

test("what one receiver gets of a whole room stays within a classroom's network", () => {
  for (let cameras = 1; cameras <= 25; cameras += 1) {
    const { bitrate, scale } = detailFor(cameras, false);
    expect((cameras - 1) * bitrate).toBeLessThanOrEqual(3_600_000);
    const pixels = (640 * 360) / scale ** 2;
    expect((cameras - 1) * pixels).toBeLessThanOrEqual(6 * 640 * 360);
  }
});

test("detail never grows with the number of cameras", () => {
  for (const sharing of [false, true]) {
    for (let cameras = 1; cameras < 30; cameras += 1) {
      expect(detailFor(cameras + 1, sharing).bitrate).toBeLessThanOrEqual(detailFor(cameras, sharing).bitrate);
    }
  }
});

test("beside a shared screen pictures are small, and a lone sharer keeps theirs", () => {
  expect(detailFor(3, true).scale).toBe(2);
  expect(detailFor(1, true).scale).toBe(1);
});
