/** How fine the own camera is sent: the more people share the screen, the smaller each picture is shown. */

export interface Detail {
  /** Both sides are divided by this before encoding (the camera gives about 640×360). */
  scale: number;
  /** Bits a second at most. */
  bitrate: number;
  /** Frames a second at most. */
  rate: number;
}

const FEW: Detail = { scale: 1, bitrate: 600_000, rate: 30 };
const SOME: Detail = { scale: 4 / 3, bitrate: 350_000, rate: 24 };
const MANY: Detail = { scale: 2, bitrate: 200_000, rate: 20 };
const CROWD: Detail = { scale: 2, bitrate: 150_000, rate: 15 };

/**
 * `cameras`: pictures in the room, the own one too. A receiver of 25 cameras then gets at most 3.6 Mb/s instead of 15,
 * and decodes a quarter of the pixels.
 */
export function detailFor(cameras: number, sharing: boolean): Detail {
  if (cameras > 16) return CROWD;
  // While a screen is on stage, everybody else is in a narrow strip.
  if (cameras > 9 || (sharing && cameras > 1)) return MANY;
  return cameras > 4 ? SOME : FEW;
}
