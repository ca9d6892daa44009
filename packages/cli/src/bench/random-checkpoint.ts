/** Random bfloat16 checkpoints of real shapes, written once. */

import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { createRandom, float32Source, saveWeights, type TensorSource } from '@spatialsv/core';
import { sizeOf } from '@spatialsv/engine';

/** @returns a folder of the user's cache, which is filled when it is first asked for. */
export async function cachedFolder(
  name: string,
  write: (folder: string) => Promise<void>,
): Promise<string> {
  const cache = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
  const folder = path.join(cache, 'spatialsv', 'bench', name);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  try {
    await write(unfinished);
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return folder;
}

/** Writes random weights of these shapes into a checkpoint folder. */
export async function writeRandomWeights(
  folder: string,
  shapes: Readonly<Record<string, readonly number[]>>,
): Promise<void> {
  const entries = Object.entries(shapes);
  await saveWeights(folder, new Map(entries.map(([name, shape]) => [name, source(name, shape)])));
}

export type Json = Record<string, unknown>;

/** Rewrites a JSON file. @returns its new content. */
export async function editJson(file: string, edit: (content: Json) => Json): Promise<Json> {
  const content = edit(JSON.parse(await readFile(file, 'utf8')) as Json);
  await writeFile(file, `${JSON.stringify(content, null, 2)}\n`);
  return content;
}

const random = createRandom(7);
const TABLE_SIZE = 2 ** 22;
const PIECE = 2 ** 20;
/** Normal numbers in bfloat16, by deviation. */
const tables = new Map<number, Uint8Array>();

function tableOf(deviation: number): Uint8Array {
  const known = tables.get(deviation);
  if (known !== undefined) return known;
  const normals = random.normals(TABLE_SIZE, deviation);
  const made = float32Source(normals, [TABLE_SIZE], 'BF16').bytes() as Uint8Array;
  tables.set(deviation, made);
  return made;
}

/** Norms are 1, biases small, matrices normal with the variance 1 / fan-in. */
function source(name: string, shape: readonly number[]): TensorSource {
  const size = sizeOf(shape);
  if (shape.length === 1) {
    const isNorm = /(norm\d?|ln_q|layernorm)\.weight$/.test(name);
    const data = isNorm ? new Float32Array(size).fill(1) : random.normals(size, 0.02);
    return float32Source(data, shape, 'BF16');
  }
  const deviation = name.includes('embed_tokens') ? 0.04 : Math.sqrt(shape[0]! / size);
  return { dtype: 'BF16', shape, bytes: () => pieces(size, tableOf(deviation)) };
}

/** Pieces of the table from random places, one after the other: generating every number anew would take minutes. */
async function* pieces(size: number, table: Uint8Array): AsyncGenerator<Uint8Array> {
  for (let done = 0; done < size; done += PIECE) {
    const start = 2 * Math.floor(random.uniform(0, TABLE_SIZE - PIECE));
    yield table.subarray(start, start + 2 * Math.min(PIECE, size - done));
  }
}
