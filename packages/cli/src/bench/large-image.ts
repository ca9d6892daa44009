import type { RgbImage } from '@spatialsv/core';

/** A smooth image of 864 visual tokens (27 × 32 cells of 28 pixels). */
export function largeImage(): RgbImage {
  const [width, height] = [32 * 28, 27 * 28];
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < data.length; i += 1) {
    const [colour, x] = [i % 3, Math.floor(i / 3) % width];
    const y = Math.floor(i / 3 / width);
    data[i] = 128 + 100 * Math.sin(0.021 * (colour + 1) * x + 0.013 * y * (3 - colour) + colour);
  }
  return { width, height, data };
}
