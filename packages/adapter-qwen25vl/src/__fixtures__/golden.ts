import { cp, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeSequence, embedSequence, float32Source, readImage, saveWeights, siteOfLayer, type Tensor, tf } from '@spatialsv/core/kit';
import type { BackboneV1, LayerCacheV1, Parameters, PreparedInputsV1 } from '@spatialsv/core/spec';
import { type Golden, readGolden, wideWeight } from '@spatialsv/core/testing';
import { qwen25Vl } from '../plugin.js';
import { parseQwen25VlConfig, qwen25VlShapes } from '../qwen25vl-config.js';

export const GOLDEN = fileURLToPath(new URL('../__golden__/', import.meta.url));

/** One golden case with its checkpoint opened by the adapter. */
export interface GoldenCase {
  readonly golden: Golden;
  readonly folder: string;
  /** Content of config.json. */
  readonly config: Readonly<Record<string, unknown>>;
  readonly model: BackboneV1;
  /** Host values by published name. */
  readonly weights: Readonly<Record<string, { data: Float32Array; shape: readonly number[] }>>;
  /** The conversation of the case, prepared by the adapter from the image files. */
  readonly inputs: PreparedInputsV1;
  /** Tokens before the answer. */
  readonly promptLength: number;
}

/**
 * Writes the checkpoint of a case into a temporary folder (the caller removes it), opens it and prepares its
 * conversation.
 */
export async function openGoldenCase(name: 'tied' | 'untied'): Promise<GoldenCase> {
  const golden = await readGolden(path.join(GOLDEN, name));
  const folder = await mkdtemp(path.join(tmpdir(), 'qwen25vl-golden-'));
  await cp(path.join(GOLDEN, 'checkpoint'), folder, { recursive: true });
  const text = await readFile(path.join(folder, 'config.json'), 'utf8');
  const config = { ...JSON.parse(text), tie_word_embeddings: name === 'tied' };
  await writeFile(path.join(folder, 'config.json'), JSON.stringify(config));
  const shapes = Object.entries(qwen25VlShapes(parseQwen25VlConfig(config)));
  const filled = shapes.map(([key, shape]) => [key, { data: wideWeight(key, shape), shape }] as const);
  const sources = filled.map(([key, { data, shape }]) => [key, float32Source(data, shape)] as const);
  await saveWeights(folder, new Map(sources));
  const model = await qwen25Vl.open(folder);
  const info = golden.info as { images: string[]; question: string; answer: string; promptLength: number };
  const images = await Promise.all(info.images.map((file) => readImage(path.join(GOLDEN, name, file))));
  const inputs = await model.prepare({ images, question: info.question, answer: info.answer });
  const weights = Object.fromEntries(filled);
  return { golden, folder, config, model, weights, inputs, promptLength: info.promptLength };
}

/** Host inputs of {@link goldenProgram}: the conversation, and targets shifted to the positions that predict them. */
export function goldenInputs(inputs: PreparedInputsV1): Record<string, Float32Array | Int32Array> {
  const shifted = Int32Array.from(inputs.labels, (_, i) => inputs.labels[i + 1] ?? -100);
  return {
    ...Object.fromEntries(inputs.views.map((view, i) => [`pixels${i}`, view.pixelValues])),
    inputIds: inputs.inputIds,
    spliceIndex: inputs.spliceIndex,
    positions: inputs.positions,
    targets: shifted.map((label) => Math.max(label, 0)),
    targetWeights: Float32Array.from(shifted, (label) => (label < 0 ? 0 : 1)),
  };
}

/** Shapes of {@link goldenInputs}. */
export function goldenInputShapes(inputs: PreparedInputsV1): Record<string, readonly number[]> {
  const tokens = inputs.inputIds.length;
  return {
    ...Object.fromEntries(inputs.views.map((view, i) => [`pixels${i}`, view.pixelShape])),
    inputIds: [tokens],
    spliceIndex: [tokens],
    positions: [3, tokens],
    targets: [tokens],
    targetWeights: [tokens],
  };
}

export interface GoldenOutputs {
  readonly projector: Tensor;
  /** By layer index, 0 … L. */
  readonly hidden: Readonly<Record<number, Tensor>>;
  readonly last: Tensor;
  readonly logits: Tensor;
  /** Mean cross-entropy over the labelled tokens. */
  readonly loss: Tensor;
  /** (kvHeads, T, hd) per layer. */
  readonly cache: readonly LayerCacheV1[];
}

/** The whole model as one program: pixels and ids to every hidden state, logits and text loss. */
export function goldenProgram(
  model: BackboneV1,
  prepared: PreparedInputsV1,
  parameters: Parameters,
  inputs: Readonly<Record<string, Tensor>>,
  crossEntropySum: (logits: Tensor, targets: Tensor, weights: Tensor) => Tensor,
): GoldenOutputs {
  const rows = prepared.views.map(({ layout }, i) => {
    const { features } = model.encodeView(parameters, inputs[`pixels${i}`]!, layout);
    return model.projectView(parameters, features, layout);
  });
  const { decoder, config } = model;
  const projector = tf.concat(rows, 0);
  const sequence = { inputIds: inputs['inputIds']!, spliceIndex: inputs['spliceIndex']! };
  const embeddings = embedSequence(decoder, parameters, { ...sequence, visualRows: projector });
  const sites = Array.from({ length: config.layers + 1 }, (_, k) => siteOfLayer(k, config.layers));
  const decoderInputs = { embeddings, positions: inputs['positions']! };
  const decoded = decodeSequence(decoder, parameters, decoderInputs, { taps: sites, last: true });
  const hidden = Object.fromEntries(sites.map((site, layer) => [layer, decoded.hidden[site]!]));
  const last = decoded.last!;
  const logits = decoder.logits(parameters, last);
  const weights = inputs['targetWeights']!;
  const loss = tf.div(crossEntropySum(logits, inputs['targets']!, weights), tf.sum(weights));
  return { projector, hidden, last, logits, loss, cache: decoded.cache };
}
