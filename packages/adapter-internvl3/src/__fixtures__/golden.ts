import { cp, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { float32Source, saveWeights } from '@spatialsv/core/kit';
import { type GoldenBackboneInfo, wideWeight } from '@spatialsv/core/testing';
import { parseInternVl3Config } from '../internvl3-config.js';
import { internVl3Shapes } from '../internvl3-names.js';
import type { CheckpointLayout } from '../model-type.js';
import { internVl3 } from '../plugin.js';
import { nativeNames } from './native-names.js';

export const GOLDEN = fileURLToPath(new URL('../__golden__/', import.meta.url));

export interface GoldenInfo extends GoldenBackboneInfo {
  readonly layout: CheckpointLayout;
  readonly tieWordEmbeddings: boolean;
  readonly maxTiles: number | null;
  /** Images that the tower sees of each view. */
  readonly tiles: readonly number[];
}

/** Values that reference/internvl3/make_golden.py makes from the names of transformers' layout. */
export function goldenWeight(name: string, shape: readonly number[]): Float32Array {
  const parts = nativeNames(name);
  const [rows, ...rest] = shape as [number, ...number[]];
  const values = parts.map((part) => wideWeight(part, [rows / parts.length, ...rest]));
  return Float32Array.from(values.flatMap((part) => [...part]));
}

/** Writes a golden checkpoint into a temporary folder, which the caller removes. */
export async function writeGoldenFolder(layout: CheckpointLayout, tied = false) {
  const folder = await mkdtemp(path.join(tmpdir(), 'internvl3-golden-'));
  await cp(path.join(GOLDEN, layout), folder, { recursive: true });
  const file = path.join(folder, 'config.json');
  const config = { ...JSON.parse(await readFile(file, 'utf8')), tie_word_embeddings: tied };
  await writeFile(file, JSON.stringify(config));
  const shapes = internVl3Shapes(parseInternVl3Config(config));
  const sources = Object.entries(shapes).map(
    ([name, shape]) => [name, float32Source(goldenWeight(name, shape), shape)] as const,
  );
  await saveWeights(folder, new Map(sources));
  return { folder, shapes };
}

export async function openGolden(info: GoldenInfo) {
  const { folder, shapes } = await writeGoldenFolder(info.layout, info.tieWordEmbeddings);
  const settings = info.maxTiles === null ? {} : { maxTiles: info.maxTiles };
  const backbone = await internVl3.open(folder, { settings });
  return { backbone, weight: (name: string) => goldenWeight(name, shapes[name]!) };
}
