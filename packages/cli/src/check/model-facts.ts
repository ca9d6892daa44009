import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type BackboneV1, openWeights, type SafetensorsReader } from '@spatialsv/core';
import { listFolder } from '@spatialsv/core/host';
import { sizeOf } from '@spatialsv/engine';
import type { PassedOver } from './report.js';

type Facts = Readonly<Record<string, unknown>>;

/** What a model folder is: sizes, files, and the memory that opening it takes. */
export async function modelFacts(
  path: string,
  backbone: BackboneV1 | undefined,
  areWeightsRead: boolean,
): Promise<Facts> {
  const reader = await openWeights(path).catch(() => undefined);
  return {
    ...(backbone && backboneFacts(backbone)),
    ...(reader && weightFacts(reader)),
    ...(backbone && memoryFacts(backbone)),
    ...(await fileFacts(path)),
    ...(backbone && { 'values of the weights': areWeightsRead ? 'read' : 'not read (--weights)' }),
  };
}

function backboneFacts({ config }: BackboneV1): Facts {
  const { model, layers, hiddenSize, vocabularySize, generation } = config;
  const { sampling, repetitionPenalty, endOfTurnIds } = generation;
  return {
    'published model of this size': model ?? 'none',
    decoder: `${layers} layers of ${hiddenSize}, vocabulary ${vocabularySize}`,
    generation: {
      'end of turn': endOfTurnIds.join(' '),
      'repetition penalty': repetitionPenalty,
      sampling: sampling.doSample,
    },
  };
}

function weightFacts(reader: SafetensorsReader): Facts {
  const tensors = [...reader.tensors.values()];
  const types: Record<string, number> = {};
  for (const { dtype } of tensors) types[dtype] = (types[dtype] ?? 0) + 1;
  const bytes = tensors.reduce((sum, { byteLength }) => sum + byteLength, 0);
  return {
    tensors: tensors.length,
    types,
    files: new Set(tensors.map(({ shard }) => shard)).size,
    'size of the weights': gigabytes(bytes),
  };
}

/** Weights are mapped from their files; a float32 copy of the decoder's is made where memory suffices. */
function memoryFacts({ weights, parameterGroup }: BackboneV1): Facts {
  const count = (names: readonly string[]) =>
    names.reduce((sum, name) => sum + sizeOf(weights[name]!.shape), 0);
  const names = Object.keys(weights);
  const copied = names.filter(
    (name) => parameterGroup(name) === 'language-model' && weights[name]!.storedAs !== 'F32',
  );
  return {
    parameters: count(names),
    'memory, weights mapped': `${gigabytes(names.reduce((sum, name) => sum + weights[name]!.byteLength, 0))} of pages that can be given back`,
    'memory, float32 copy of the decoder':
      copied.length === 0 ? 'none is made' : gigabytes(4 * count(copied)),
  };
}

const gigabytes = (bytes: number): string =>
  bytes < 1e8 ? `${(bytes / 1e6).toFixed(2)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;

const TEMPLATES = ['chat_template.json', 'chat_template.jinja'];
const TOKENIZERS = ['tokenizer.json', 'vocab.json', 'tokenizer.model'];

async function fileFacts(path: string): Promise<Facts> {
  const names = new Set(await listFolder(path));
  const first = (candidates: readonly string[]) => candidates.find((name) => names.has(name));
  return {
    tokenizer: first(TOKENIZERS) ?? 'none',
    'chat template': first(TEMPLATES) ?? 'none of its own',
    '3D heads': names.has('spatialsv'),
  };
}

const READ =
  /^(config|generation_config|preprocessor_config|processor_config|tokenizer|tokenizer_config|added_tokens|vocab|chat_template)\.json$|^(merges\.txt|chat_template\.jinja|spatialsv|trainer)$/;

/** Of files that people look for in vain. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/\.(bin|pth?)$/, 'pickled values are not read'],
  [/\.gguf$/i, 'GGUF is not read'],
  [/\.onnx(_data)?$|^onnx$/, 'an export for another runtime'],
  [/\.safetensors(\.index\.json)?$/, 'not among the weights that are read'],
  [/\.py$/, 'code of the checkpoint is never run'],
  [/\.model$/, 'tokenizer.json is read'],
  [/^checkpoint-\d+$/, 'another checkpoint'],
];

/** What lies in the folder and is not read, with the reason where there is one to tell. */
export async function notRead(path: string): Promise<readonly PassedOver[]> {
  const reader = await openWeights(path).catch(() => undefined);
  const weights = new Set(reader?.weightMap.values());
  const isSingle = weights.has('model.safetensors');
  const isRead = (name: string) =>
    READ.test(name) ||
    weights.has(name) ||
    // Weights that cannot be opened are an error, not passed over.
    (reader === undefined && /\.safetensors(\.index\.json)?$/.test(name)) ||
    (name === 'model.safetensors.index.json' && reader !== undefined && !isSingle);
  const names = (await listFolder(path)).filter((name) => !name.startsWith('.') && !isRead(name));
  const known = names.map(async (name): Promise<PassedOver> => {
    const reason = REASONS.find(([pattern]) => pattern.test(name))?.[1];
    const found = await stat(join(path, name)).catch(() => undefined);
    const kind = found?.isDirectory() ? 'a folder that no part reads' : 'no part reads it';
    return { where: name, why: reason ?? kind };
  });
  return Promise.all(known);
}
