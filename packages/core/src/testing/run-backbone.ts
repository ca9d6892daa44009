import {
  compile,
  type DeviceTensor,
  float32,
  int32,
  ProgramCache,
  type Tensor,
  tf,
} from '@spatialsv/engine';
import {
  CompiledDecoder,
  decodeSequence,
  embedSequence,
  layerOfSite,
  padSequence,
  type SequenceTensors,
  siteOfLayer,
} from '../decoding/index.js';
import type {
  BackboneV1,
  DecoderSite,
  LayerCacheV1,
  Parameters,
  PreparedInputsV1,
} from '../spec.js';

/** What one pass over a prompt gives. */
export interface BackboneOutputs {
  /** By view: the projected rows, and (P, Cv) states of the patch embedding and of every vision block. */
  readonly views: readonly {
    readonly rows: HostTensor;
    readonly states: readonly HostTensor[];
  }[];
  /** (T, C) by layer: 0 = embeddings … L = after the final norm. */
  readonly hidden: readonly Float32Array[];
  /** (K) of the last token. */
  readonly logits: Float32Array;
  /** Per layer (kvHeads, T, hd). */
  readonly keys: readonly Float32Array[];
  readonly values: readonly Float32Array[];
}

export interface HostTensor {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

type Named = Record<string, Tensor>;

interface PromptTensors extends SequenceTensors {
  readonly weights: Parameters;
  readonly pixels: Named;
  readonly positions: Tensor;
}

const numbered = <Value>(values: readonly Value[]): Record<string, Value> =>
  Object.fromEntries(values.map((value, i) => [String(i), value]));

const readTensor = async (tensor: DeviceTensor): Promise<HostTensor> => ({
  data: (await tensor.read()) as Float32Array,
  shape: tensor.shape,
});

/** In the order of {@link numbered}. */
const readAll = (tensors: Readonly<Record<string, DeviceTensor>>): Promise<HostTensor[]> =>
  Promise.all(Object.keys(tensors).map((_, i) => readTensor(tensors[i]!)));

const dataOf = (tensors: readonly HostTensor[]): Float32Array[] => tensors.map(({ data }) => data);

const promptSpecs = (backbone: BackboneV1, prompt: PreparedInputsV1) => {
  const tokens = prompt.inputIds.length;
  return {
    weights: backbone.weights,
    pixels: numbered(prompt.views.map((view) => float32(...view.pixelShape))),
    inputIds: int32(tokens),
    spliceIndex: int32(tokens),
    positions: int32(prompt.positionRows, tokens),
  };
};

const promptValues = (prompt: PreparedInputsV1) => ({
  pixels: numbered(prompt.views.map((view) => view.pixelValues)),
  inputIds: prompt.inputIds,
  spliceIndex: prompt.spliceIndex,
  positions: prompt.positions,
});

/** Every site of a decoder, in the order of its layers. */
const allSites = (layers: number): DecoderSite[] =>
  Array.from({ length: layers + 1 }, (_, layer) => siteOfLayer(layer, layers));

/** Vision encoder and projector of every view, with all states. */
const encodeViews = (
  backbone: BackboneV1,
  prompt: PreparedInputsV1,
  { weights, pixels }: PromptTensors,
) => {
  const blocks = [...Array(backbone.config.visionBlocks + 1).keys()];
  return prompt.views.map(({ layout }, view) => {
    const { features, states } = backbone.encodeView(weights, pixels[view]!, layout, blocks);
    const asked: Named = Object.fromEntries(Object.entries(states).map(([k, state]) => [k, state]));
    return { rows: backbone.projectView(weights, features, layout), states: asked };
  });
};

const wholePrompt =
  (backbone: BackboneV1, prompt: PreparedInputsV1) => (tensors: PromptTensors) => {
    const { weights, positions } = tensors;
    const { decoder, config } = backbone;
    const views = encodeViews(backbone, prompt, tensors);
    const visualRows = tf.concat(
      views.map(({ rows }) => rows),
      0,
    );
    const embeddings = embedSequence(decoder, weights, { ...tensors, visualRows });
    const request = { taps: allSites(config.layers), last: true };
    const output = decodeSequence(decoder, weights, { embeddings, positions }, request);
    const last = tf.slice(output.last!, [prompt.inputIds.length - 1, 0]);
    const hidden = Object.entries(output.hidden).map(([site, state]) => [
      layerOfSite(site as DecoderSite, config.layers),
      state,
    ]);
    return {
      views: numbered(views),
      hidden: Object.fromEntries(hidden) as Named,
      logits: decoder.logits(weights, last),
      keys: numbered(output.cache.map(({ keys }) => keys)),
      values: numbered(output.cache.map(({ values }) => values)),
    };
  };

interface DeviceOutputs {
  readonly views: Readonly<
    Record<string, { rows: DeviceTensor; states: Readonly<Record<string, DeviceTensor>> }>
  >;
  readonly hidden: Readonly<Record<string, DeviceTensor>>;
  readonly logits: DeviceTensor;
  readonly keys: Readonly<Record<string, DeviceTensor>>;
  readonly values: Readonly<Record<string, DeviceTensor>>;
}

/** Runs a prepared prompt through every part of a backbone in one program, with taps at every site. */
export const runBackbone = async (
  backbone: BackboneV1,
  prompt: PreparedInputsV1,
): Promise<BackboneOutputs> => {
  const program = await compile(wholePrompt(backbone, prompt), promptSpecs(backbone, prompt));
  const outputs = (await program.run(promptValues(prompt))) as unknown as DeviceOutputs;
  const views = prompt.views.map(async (_, view) => ({
    rows: await readTensor(outputs.views[view]!.rows),
    states: await readAll(outputs.views[view]!.states),
  }));
  const result = {
    views: await Promise.all(views),
    hidden: dataOf(await readAll(outputs.hidden)),
    logits: (await readTensor(outputs.logits)).data,
    keys: dataOf(await readAll(outputs.keys)),
    values: dataOf(await readAll(outputs.values)),
  };
  await program.dispose();
  return result;
};

/** States of every site, logits of the last token: of the compiled, block-wise decoder over a padded prompt. */
export const runBlockwise = async (
  backbone: BackboneV1,
  prompt: PreparedInputsV1,
  { views }: BackboneOutputs,
): Promise<Pick<BackboneOutputs, 'hidden' | 'logits'>> => {
  const { decoder, config: sizes, weights } = backbone;
  const programs = new ProgramCache(8);
  const compiled = new CompiledDecoder({ decoder, sizes, weights, programs });
  const rows = Float32Array.from(views.flatMap(({ rows: { data } }) => [...data]));
  const sites = allSites(sizes.layers);
  const request = { taps: sites, logits: true };
  const { hidden, logits } = await compiled.forward(padSequence(prompt), rows, request);
  await programs.dispose();
  return {
    hidden: sites.map((site) => hidden[site]!),
    logits: logits!.subarray(-sizes.vocabularySize),
  };
};

/** Texts behind one prompt, by the ids of their tokens. */
export type Continuations = readonly (readonly number[])[];

/** Logits (K) of the last token of each of several texts behind one prompt, that is read once: decoded in one cache, together. */
export const runTogether = async (
  backbone: BackboneV1,
  prompt: PreparedInputsV1,
  { views }: BackboneOutputs,
  texts: Continuations,
): Promise<readonly Float32Array[]> => {
  const { decoder, config: sizes, weights } = backbone;
  const programs = new ProgramCache(8);
  const compiled = new CompiledDecoder({ decoder, sizes, weights, programs });
  const tokens = prompt.inputIds.length;
  const added = texts.reduce((sum, ids) => sum + ids.length, 0);
  const cache = compiled.createCache(tokens + added + 1);
  // From the last slot on, so that the order of slots is not that of tokens.
  const slots = Array.from({ length: tokens + added }, (_, i) => tokens + added - 1 - i);
  const seen = slots.splice(0, tokens);
  const rows = Float32Array.from(views.flatMap(({ rows: { data } }) => [...data]));
  await compiled.prefill(padSequence(prompt), rows, cache, seen);
  const sequences = texts.map((ids) => ({
    inputIds: Int32Array.from(ids),
    positions: behind(prompt, ids.length),
    seen,
    slots: slots.splice(0, ids.length),
  }));
  const logits = await compiled.extend(cache, sequences);
  cache.dispose();
  await programs.dispose();
  return logits;
};

/** (R, count) positions of the tokens behind a prompt. */
const behind = ({ positionRows, nextPosition }: PreparedInputsV1, count: number): Int32Array =>
  Int32Array.from({ length: positionRows * count }, (_, k) => nextPosition + (k % count));

/** A prompt with text behind it. */
export const continued = (prompt: PreparedInputsV1, ids: readonly number[]): PreparedInputsV1 => {
  const tokens = prompt.inputIds.length;
  const more = behind(prompt, ids.length);
  const rows = [...Array(prompt.positionRows).keys()];
  return {
    ...prompt,
    inputIds: Int32Array.of(...prompt.inputIds, ...ids),
    positions: Int32Array.from(
      rows.flatMap((row) => [
        ...prompt.positions.subarray(row * tokens, (row + 1) * tokens),
        ...more.subarray(row * ids.length, (row + 1) * ids.length),
      ]),
    ),
    nextPosition: prompt.nextPosition + ids.length,
    spliceIndex: Int32Array.from({ length: tokens + ids.length }, (_, i) => {
      const row = prompt.spliceIndex[i] ?? i;
      return i < tokens && row >= tokens ? row + ids.length : row;
    }),
  };
};

/** Slots of the cache beyond the prompt: decoding must not look at them. */
const SPARE_SLOTS = 3;

/** (kvHeads, T, hd) → (kvHeads, capacity, hd): the last token and the spare slots hold rubbish. */
const toCache = (
  rows: Float32Array,
  kvHeads: number,
  tokens: number,
  headDim: number,
): Float32Array => {
  const capacity = tokens + SPARE_SLOTS;
  const cache = new Float32Array(kvHeads * capacity * headDim).fill(7);
  for (let head = 0; head < kvHeads; head++) {
    const start = head * tokens * headDim;
    cache.set(rows.subarray(start, start + (tokens - 1) * headDim), head * capacity * headDim);
  }
  return cache;
};

interface StepTensors {
  readonly weights: Parameters;
  readonly cache: Readonly<Record<string, LayerCacheV1>>;
  readonly id: Tensor;
  readonly position: Tensor;
  readonly slot: Tensor;
}

/**
 * Decodes the last token of a prompt from a cache of all the others.
 * @returns (C) its final hidden state.
 */
export const runIncrementally = async (
  backbone: BackboneV1,
  prompt: PreparedInputsV1,
  outputs: BackboneOutputs,
): Promise<Float32Array> => {
  const { kvHeads, headDim } = backbone.config;
  const tokens = prompt.inputIds.length;
  const rows = float32(kvHeads, tokens + SPARE_SLOTS, headDim);
  const program = ({ weights, cache, id, position, slot }: StepTensors) => {
    const embeddings = backbone.decoder.embed(weights, id);
    const layers = Object.values(cache);
    const inputs = { embeddings, positions: position, cache: layers, cacheSlot: slot };
    const request = { taps: [], last: true };
    return { last: decodeSequence(backbone.decoder, weights, inputs, request).last! };
  };
  const compiled = await compile(program, {
    weights: backbone.weights,
    cache: numbered(outputs.keys.map(() => ({ keys: rows, values: rows }))),
    id: int32(1),
    position: int32(prompt.positionRows, 1),
    slot: int32(),
  });
  const fill = (filled: Float32Array) => toCache(filled, kvHeads, tokens, headDim);
  const position = (r: number): number => prompt.positions[(r + 1) * tokens - 1]!;
  const { last } = (await compiled.run({
    cache: numbered(
      outputs.keys.map((keys, layer) => ({
        keys: fill(keys),
        values: fill(outputs.values[layer]!),
      })),
    ),
    id: Int32Array.of(prompt.inputIds[tokens - 1]!),
    position: Int32Array.from({ length: prompt.positionRows }, (_, r) => position(r)),
    slot: Int32Array.of(tokens - 1),
  })) as { readonly last: DeviceTensor };
  const values = (await last.read()) as Float32Array;
  await compiled.dispose();
  return values;
};
