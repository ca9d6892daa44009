/** Text side of a tiny checkpoint: a small tokenizer that is made, or the files of a real one. */
import type { JsonObject } from '../json.js';
import type { TinyCheckpointOptions } from '../spec.js';
import { makeTinyLlamaTokenizer } from './tiny-llama-tokenizer.js';
import { makeTinyTokenizer, tokenizerConfig } from './tiny-tokenizer.js';
import { addTokens, readTokenizerFiles } from './tokenizer-files.js';
import { idsByToken } from './tokenizer-json.js';

export interface TinyTextSpec {
  /** Structure of a small tokenizer: that of Qwen2's (default), or of Llama's. */
  readonly kind?: 'qwen' | 'llama';
  /** Special tokens of the family, in the order of their ids; without the `<unk>`, `<s>` and `</s>` of every Llama. */
  readonly special: readonly string[];
  /** Keys of the family in tokenizer_config.json, for example `eos_token`. */
  readonly config: JsonObject;
  /** Upper bound on learnt tokens, 1500 by default. */
  readonly maxMerges?: number | undefined;
}

export interface TinyText {
  /** Content of tokenizer.json and tokenizer_config.json, by file name. */
  readonly files: Readonly<Record<string, JsonObject>>;
  /** Ids by token. */
  readonly ids: ReadonlyMap<string, number>;
  /** Rows that an embedding table needs: the largest id and one. */
  readonly size: number;
}

/**
 * Makes a small tokenizer of a corpus, or takes the one of a folder and adds the family's special tokens that it lacks behind
 * its own, in their order. A chat template of that folder is left out: the family writes its own.
 * @throws SpatialError FILE_MISSING | FILE_INVALID for a folder without the files of a tokenizer.
 */
export async function tinyText(
  { corpus = [], tokenizer }: Pick<TinyCheckpointOptions, 'corpus' | 'tokenizer'>,
  spec: TinyTextSpec,
): Promise<TinyText> {
  if (tokenizer !== undefined) return realText(tokenizer, spec);
  const { kind = 'qwen', special, config, maxMerges = 1500 } = spec;
  if (kind === 'qwen') {
    const made = makeTinyTokenizer(corpus, maxMerges, special);
    return textOf(made.json, tokenizerConfig(made, config));
  }
  const made = makeTinyLlamaTokenizer(corpus, maxMerges, special);
  const settings = { ...LLAMA_SETTINGS, additional_special_tokens: special, ...config };
  return textOf(made.json, tokenizerConfig(made, settings));
}

/** What every Llama has in tokenizer_config.json. */
const LLAMA_SETTINGS: JsonObject = {
  add_bos_token: true,
  add_eos_token: false,
  add_prefix_space: true,
  bos_token: '<s>',
  eos_token: '</s>',
  legacy: true,
  model_max_length: 4096,
  tokenizer_class: 'LlamaTokenizer',
  unk_token: '<unk>',
};

async function realText(folder: string, { special, config }: TinyTextSpec): Promise<TinyText> {
  const { json, settings } = addTokens(await readTokenizerFiles(folder), special);
  const { chat_template: _, ...kept } = settings;
  return textOf(json, { ...kept, ...config });
}

function textOf(json: JsonObject, settings: JsonObject): TinyText {
  const ids = idsByToken(json);
  const size = 1 + [...ids.values()].reduce((most, id) => Math.max(most, id), -1);
  return { files: { 'tokenizer.json': json, 'tokenizer_config.json': settings }, ids, size };
}
