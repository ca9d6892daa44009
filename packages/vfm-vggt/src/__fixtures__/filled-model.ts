import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { float32Source, writeSafetensors } from '@spatialsv/core/kit';
import { filled } from '@spatialsv/core/testing';
import { parseVggtConfig } from '../vggt-config.js';
import { vggtTensorShapes } from '../vggt-names.js';

/** Writes the checkpoint folder of a golden case: every weight follows from its name. */
export const writeFilled = async (
  folder: string,
  file: Readonly<Record<string, unknown>>,
): Promise<void> => {
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'config.json'), JSON.stringify(file));
  const shapes = vggtTensorShapes(parseVggtConfig(file));
  const sources = Object.entries(shapes).map(
    ([name, shape]) => [name, float32Source(filled(name, shape), shape)] as const,
  );
  await writeSafetensors(path.join(folder, 'model.safetensors'), new Map(sources));
};

/** (V, H, W, 3) in 0..1: the images of the golden cases. */
export const goldenPixels = (views: number, height: number, width: number): Float32Array => {
  const pixels = new Float32Array(views * height * width * 3);
  let i = 0;
  for (let s = 0; s < views; s++)
    for (let y = 0; y < height; y++)
      for (let x = 0; x < width; x++)
        for (let c = 0; c < 3; c++)
          pixels[i++] =
            0.5 + 0.45 * Math.sin(0.11 * (c + 1) * x + 0.07 * (s + 2) * y + 0.5 * c + 0.9 * s);
  return pixels;
};
