import path from 'node:path';
import { writePng } from '@spatialsv/core/kit';

/** Images of smooth colours that differ from view to view, written as PNG. */
export const writeImages = async (
  folder: string,
  count: number,
  { width, height }: { readonly width: number; readonly height: number },
): Promise<string[]> => {
  const files = Array.from({ length: count }, (_, view) => path.join(folder, `${view + 1}.png`));
  for (const [view, file] of files.entries()) {
    const data = Uint8Array.from({ length: width * height * 3 }, (_, i) =>
      colourOf(view, Math.floor(i / 3 / width), Math.floor(i / 3) % width, i % 3),
    );
    await writePng(file, data, { width, height, channels: 3 });
  }
  return files;
};

/** 8-bit value of a pixel of these images. */
export const colourOf = (view: number, y: number, x: number, channel: number): number =>
  Math.round(
    120 + 90 * Math.sin(0.31 * (channel + 1) * x + 0.17 * (view + 2) * y + channel + view),
  );
