import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import path from 'node:path';
import { parseQwen25VlConfig, qwen25Vl, qwen25VlShapes } from '@spatialsv/adapter-qwen25vl';
import { createRandom, float32Source, saveWeights, type TensorSource } from '@spatialsv/core';

/** Sizes of a checkpoint, as config.json names them. */
export interface LargeSize {
  readonly hidden_size: number;
  readonly intermediate_size: number;
  readonly num_hidden_layers: number;
  readonly num_attention_heads: number;
  readonly num_key_value_heads: number;
  readonly vocab_size: number;
  readonly mrope_section: readonly number[];
  readonly vision: Readonly<Record<string, unknown>>;
}

/** The published vision encoder of all sizes of Qwen2.5-VL. */
const VISION = {
  depth: 32,
  hidden_size: 1280,
  intermediate_size: 3420,
  num_heads: 16,
  window_size: 112,
  fullatt_block_indexes: [7, 15, 23, 31],
};
const DECODER_3B = {
  hidden_size: 2048,
  intermediate_size: 11008,
  num_hidden_layers: 36,
  num_attention_heads: 16,
  num_key_value_heads: 2,
  vocab_size: 151936,
  mrope_section: [16, 24, 24],
};

/** `large-3b` is the published Qwen2.5-VL-3B-Instruct; the others are smaller in every direction. */
export const LARGE_SIZES: Readonly<Record<string, LargeSize>> = {
  'large-3b': { ...DECODER_3B, vision: VISION },
  'large-1b': {
    ...DECODER_3B,
    hidden_size: 1536,
    intermediate_size: 8960,
    num_hidden_layers: 18,
    num_attention_heads: 12,
    vision: VISION,
  },
  'large-100m': {
    hidden_size: 512,
    intermediate_size: 2816,
    num_hidden_layers: 8,
    num_attention_heads: 8,
    num_key_value_heads: 2,
    vocab_size: 32000,
    mrope_section: [8, 12, 12],
    vision: {
      depth: 4,
      hidden_size: 320,
      intermediate_size: 856,
      num_heads: 4,
      window_size: 112,
      fullatt_block_indexes: [3],
    },
  },
};

/**
 * A random bfloat16 checkpoint of real shape, written once into the user's cache folder. Its tokenizer is the small one of
 * `spatialsv tiny`; the embedding table has all rows.
 * @returns its folder.
 */
export async function largeCheckpoint(name: string, size: LargeSize): Promise<string> {
  const cache = process.env['XDG_CACHE_HOME'] ?? path.join(homedir(), '.cache');
  const folder = path.join(cache, 'spatialsv', 'bench', name);
  if (existsSync(folder)) return folder;
  const unfinished = `${folder}.${process.pid}`;
  await mkdir(unfinished, { recursive: true });
  try {
    await writeCheckpoint(unfinished, size);
    await rename(unfinished, folder);
  } finally {
    await rm(unfinished, { recursive: true, force: true });
  }
  return folder;
}

async function writeCheckpoint(folder: string, size: LargeSize): Promise<void> {
  await qwen25Vl.writeTiny!({ folder, seed: 1, hiddenSize: 64, layers: 1, heads: 2 });
  const { vision, mrope_section, ...decoder } = size;
  const config = await editJson(path.join(folder, 'config.json'), (tiny) => ({
    ...tiny,
    ...decoder,
    torch_dtype: 'bfloat16',
    max_position_embeddings: 128000,
    rope_scaling: { type: 'mrope', mrope_section },
    vision_config: {
      ...(tiny['vision_config'] as object),
      ...vision,
      out_hidden_size: size.hidden_size,
    },
  }));
  await editJson(path.join(folder, 'preprocessor_config.json'), (tiny) => ({
    ...tiny,
    min_pixels: 3136,
    max_pixels: 12845056,
  }));
  const shapes = Object.entries(qwen25VlShapes(parseQwen25VlConfig(config, folder)));
  await saveWeights(folder, new Map(shapes.map(([name, shape]) => [name, source(name, shape)])));
}

type Json = Record<string, unknown>;

async function editJson(file: string, edit: (content: Json) => Json): Promise<Json> {
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
  const size = shape.reduce((product, n) => product * n, 1);
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
