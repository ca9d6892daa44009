/** Folders that hold a model, but not as weights that can be read here: what they are, and the way out. */
import { opendir } from 'node:fs/promises';
import path from 'node:path';
import { type ErrorCode, SpatialError } from './errors.js';
import { readText } from './files.js';
import { isJsonObject, type JsonObject, parseJsonText } from './json.js';

/** What a folder is instead of a checkpoint. */
export interface ForeignFolder {
  /** For example `a LoRA adapter of Qwen/Qwen2.5-VL-3B-Instruct`. */
  readonly what: string;
  /** What to do. */
  readonly hint: string;
}

/** Names that are looked at in a folder; no checkpoint has more. */
const MAX_NAMES = 20_000;

const MAX_CONFIG_BYTES = 1 << 24;

/** Sorted names of a folder, at most {@link MAX_NAMES}; none where it cannot be read. */
export const namesIn = async (folder: string): Promise<readonly string[]> => {
  const names: string[] = [];
  const entries = await opendir(folder).catch(() => undefined);
  if (entries === undefined) return names;
  for await (const { name } of entries) {
    names.push(name);
    if (names.length === MAX_NAMES) break;
  }
  return names.sort();
};

interface Kind {
  /** Names of which one lies in a folder of this kind. */
  readonly names: readonly RegExp[];
  /** @param found the first such name. @param names all names of the folder. */
  readonly describe: (
    folder: string,
    found: string,
    names: readonly string[],
  ) => Promise<ForeignFolder>;
}

const kind = (names: readonly RegExp[], what: string, hint: string): Kind => ({
  names,
  describe: async (_folder, found) => ({ what: `${what} (${found})`, hint }),
});

const PUBLISHED =
  'Take the folder of the published checkpoint: config.json, tokenizer files and *.safetensors.';

const CONVERT =
  'Take model.safetensors where it is published beside it. Otherwise write it anew with transformers: AutoModelForImageTextToText.from_pretrained(FOLDER).save_pretrained(NEW), then copy the tokenizer and processor files.';

const MERGE =
  'Merge it: PeftModel.from_pretrained(base, FOLDER).merge_and_unload().save_pretrained(NEW) with the library `peft`, then copy the tokenizer and processor files of the base model to NEW.';

const LORA_CONFIG = 'adapter_config.json';

/** In the order in which they are tried; the first that fits is named. */
const KINDS: readonly Kind[] = [
  { names: [/^adapter_config\.json$/, /^adapter_model\./], describe: describeLora },
  kind(
    [/\.gguf$/i],
    'GGUF weights, which llama.cpp reads',
    `${PUBLISHED} GGUF files are made from it.`,
  ),
  kind([/^model_index\.json$/], 'a diffusers pipeline', `It holds no language model. ${PUBLISHED}`),
  kind(
    [/^zero_to_fp32\.py$/, /^global_step\d+$/, /^mp_rank_\d+_model_states\.pt$/],
    'a training state of DeepSpeed',
    `Gather its parts: python zero_to_fp32.py FOLDER NEW --safe_serialization, then copy config.json, tokenizer and processor files.`,
  ),
  kind(
    [/\.distcp$/, /^pytorch_model_fsdp/],
    'a sharded training state of FSDP',
    'Gather its parts: accelerate merge-weights FOLDER NEW, then copy config.json, tokenizer and processor files.',
  ),
  kind(
    [
      /^pytorch_model.*\.bin$/,
      /^pytorch_model\.bin\.index\.json$/,
      /^(model|consolidated.*)\.pth?$/,
    ],
    'pickled PyTorch weights, which may run code when they are read',
    CONVERT,
  ),
  kind(
    [/^flax_model/, /^tf_model/, /\.msgpack$/, /\.h5$/],
    'weights of Flax or TensorFlow',
    PUBLISHED,
  ),
  kind([/\.onnx$/, /^onnx$/, /\.onnx_data$/], 'an ONNX export', PUBLISHED),
  kind(
    [/^weights.*\.npz$/, /\.mlpackage$/, /\.engine$/, /^openvino_model/],
    'an export for another runtime',
    PUBLISHED,
  ),
  { names: [/^snapshots$/], describe: describeCache },
  { names: [/^checkpoint-\d+$/, /^step-\d+$/, /^checkpoints$/], describe: describeRun },
  kind(
    [/\.(incomplete|part|aria2|crdownload)$/],
    'a download that is not complete',
    'Download the checkpoint again, to the end.',
  ),
];

async function describeLora(folder: string): Promise<ForeignFolder> {
  const config = await jsonIfGood(path.join(folder, LORA_CONFIG));
  const base = config['base_model_name_or_path'];
  const of = typeof base === 'string' ? ` of ${JSON.stringify(base.slice(0, 100))}` : '';
  return { what: `a LoRA adapter${of}, without the model that it changes`, hint: MERGE };
}

async function describeCache(folder: string): Promise<ForeignFolder> {
  const [snapshot] = await namesIn(path.join(folder, 'snapshots'));
  const place = path.join(folder, 'snapshots', snapshot ?? 'REVISION');
  return { what: "a model's folder in the cache of Hugging Face", hint: `Name ${place}.` };
}

async function describeRun(
  folder: string,
  _found: string,
  names: readonly string[],
): Promise<ForeignFolder> {
  const inner = names.includes('checkpoints')
    ? await namesIn(path.join(folder, 'checkpoints'))
    : [];
  const steps = inner.map((name) => path.join('checkpoints', name));
  const found = [...names, ...steps].filter((name) => /(checkpoint|step)-\d+$/.test(name));
  const last = found.sort((a, b) => stepOf(a) - stepOf(b)).at(-1);
  const place = last === undefined ? 'one of the checkpoints in it' : path.join(folder, last);
  return { what: 'the folder of a training run', hint: `Name ${place}.` };
}

const stepOf = (name: string): number => Number(/\d+$/.exec(name)![0]);

const jsonIfGood = async (file: string): Promise<JsonObject> => {
  try {
    const value = parseJsonText(await readText(file, MAX_CONFIG_BYTES));
    return isJsonObject(value) ? value : {};
  } catch {
    return {};
  }
};

/** What a folder without usable weights or config.json is; undefined where nothing tells. Reads no weights. */
export const recogniseFolder = async (folder: string): Promise<ForeignFolder | undefined> => {
  const names = await namesIn(folder);
  for (const { names: patterns, describe } of KINDS) {
    const found = names.find((name) => patterns.some((pattern) => pattern.test(name)));
    if (found !== undefined) return describe(folder, found, names);
  }
  return undefined;
};

/** What a single file is that was named instead of a folder. */
export const recogniseFile = (file: string): ForeignFolder | undefined => {
  if (/\.(zip|tar|tgz|gz|zst|7z|rar)$/i.test(file))
    return { what: 'an archive', hint: 'Unpack it and name the folder that holds config.json.' };
  if (/\.(safetensors|json|jinja)$/i.test(file))
    return { what: 'a file of a checkpoint', hint: `Name its folder: ${path.dirname(file)}` };
  const name = path.basename(file);
  const found = KINDS.some(({ names }) => names.some((pattern) => pattern.test(name)));
  return found ? { what: `weights in a file of their own (${name})`, hint: PUBLISHED } : undefined;
};

// ---------------------------------------------------------------------------------------------- quantisation

/** Files in which older tools say how they have quantised. */
const QUANTISER_FILES: Readonly<Record<string, string>> = {
  'quantize_config.json': 'GPTQ',
  'quant_config.json': 'AWQ',
  'hf_quant_config.json': 'ModelOpt',
};

const QUANTISERS: Readonly<Record<string, string>> = {
  bitsandbytes: 'bitsandbytes',
  awq: 'AWQ',
  gptq: 'GPTQ',
  fp8: 'FP8',
  fbgemm_fp8: 'FP8',
  'compressed-tensors': 'compressed-tensors',
  modelopt: 'ModelOpt',
};

const DEQUANTISE =
  'Take the folder that was not quantised (bfloat16, float16 or float32). Where there is none: model = AutoModelForImageTextToText.from_pretrained(FOLDER); model.dequantize(); model.save_pretrained(NEW).';

/**
 * How the weights of a folder are quantised, by config.json and the files of older tools.
 * @returns for example `weights quantised by bitsandbytes`; undefined where nothing says so.
 */
export const recogniseQuantisation = async (folder: string): Promise<ForeignFolder | undefined> => {
  const config = await jsonIfGood(path.join(folder, 'config.json'));
  const method = quantiserOf(config) ?? quantiserOf(config['text_config']);
  const names = await namesIn(folder);
  const byFile = names.map((name) => QUANTISER_FILES[name]).find((name) => name !== undefined);
  const found = method ?? byFile;
  return found === undefined
    ? undefined
    : { what: `weights quantised by ${found}`, hint: DEQUANTISE };
};

const quantiserOf = (config: unknown): string | undefined => {
  if (!isJsonObject(config)) return undefined;
  const settings = config['quantization_config'] ?? config['compression_config'];
  if (!isJsonObject(settings)) return isJsonObject(config['quantization']) ? 'MLX' : undefined;
  const method = settings['quant_method'];
  if (typeof method !== 'string')
    return settings['load_in_4bit'] === true || settings['load_in_8bit'] === true
      ? 'bitsandbytes'
      : 'an unnamed method';
  return QUANTISERS[method] ?? JSON.stringify(method);
};

// ---------------------------------------------------------------------------------------------- errors

/** An error that says what is there instead: `expected …, found <what>`. */
export const foreignError = (
  where: string,
  expected: string,
  { what, hint }: ForeignFolder,
  code: ErrorCode = 'FILE_MISSING',
): SpatialError =>
  new SpatialError({ code, message: `${where}: expected ${expected}, found ${what}`, hint });
