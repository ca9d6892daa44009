import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { float32Source, writeSafetensors } from '@spatialsv/core';
import { parseVggtConfig } from '../vggt-config.js';
import { vggtTensorShapes } from '../vggt-names.js';

/** (count) values in [−1, 1) that follow from a name, as reference/heads/fill.py makes them. */
const uniform = (name: string, count: number): Float64Array => {
  let state = 2166136261;
  for (const byte of Buffer.from(name)) state = Math.imul(state ^ byte, 16777619);
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    let x = (state + Math.imul(i, 0x9e3779b9)) | 0;
    x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
    x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
    values[i] = ((x ^ (x >>> 16)) >>> 0) / 2 ** 31 - 1;
  }
  return values;
};

const fill = (name: string, shape: readonly number[]): Float32Array => {
  const values = uniform(name, shape.reduce((a, b) => a * b, 1));
  const inputs = values.length / shape[0]!;
  if (name.endsWith('.gamma')) return Float32Array.from(values, (u) => 0.6 + 0.2 * u);
  if (shape.length === 1 && name.endsWith('.weight'))
    return Float32Array.from(values, (u) => 1 + 0.1 * u);
  if (name.endsWith('bias')) return Float32Array.from(values, (u) => 0.1 * u);
  if (name.endsWith('weight')) return Float32Array.from(values, (u) => u * Math.sqrt(3 / inputs));
  return Float32Array.from(values, (u) => 0.5 * u);
};

/** Writes the checkpoint folder of a golden case: every weight follows from its name. */
export const writeFilled = async (
  folder: string,
  file: Readonly<Record<string, unknown>>,
): Promise<void> => {
  await mkdir(folder, { recursive: true });
  await writeFile(path.join(folder, 'config.json'), JSON.stringify(file));
  const shapes = vggtTensorShapes(parseVggtConfig(file));
  const sources = [...shapes].map(
    ([name, shape]) => [name, float32Source(fill(name, shape), shape)] as const,
  );
  await writeSafetensors(path.join(folder, 'model.safetensors'), new Map(sources));
};

/** (V, H, W, 3) in 0..1: the pictures of the golden cases. */
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
