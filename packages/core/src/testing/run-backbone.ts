import { compile, type DeviceTensor, float32, int32, type Tensor, tf } from '@spatialsv/engine';
import type { BackboneV1, Parameters, PreparedInputsV1 } from '../spec.js';

/** What one pass over a prompt gives. */
export interface BackboneOutputs {
  readonly taps: readonly number[];
  /** Shape of the projected rows of each view. */
  readonly visualShapes: readonly (readonly number[])[];
  /** (T, C) by layer. */
  readonly hidden: Readonly<Record<number, Float32Array>>;
  /** (T, C). */
  readonly last: Float32Array;
  /** (K) of the last token. */
  readonly logits: Float32Array;
  /** Per layer (kvHeads, T, hd). */
  readonly keys: readonly Float32Array[];
  readonly values: readonly Float32Array[];
}

type Named = Record<string, Tensor>;

interface PromptTensors {
  readonly weights: Parameters;
  readonly pixels: Named;
  readonly ids: Tensor;
  readonly splice: Tensor;
  readonly positions: Tensor;
}

const numbered = <Value>(values: readonly Value[]): Record<string, Value> =>
  Object.fromEntries(values.map((value, i) => [String(i), value]));

const readAll = async (
  tensors: Readonly<Record<string, DeviceTensor>>,
): Promise<Float32Array[]> => {
  const arrays: Float32Array[] = [];
  for (let i = 0; tensors[i]; i++) arrays.push((await tensors[i]!.read()) as Float32Array);
  return arrays;
};

const promptSpecs = (backbone: BackboneV1, prompt: PreparedInputsV1) => {
  const tokens = prompt.inputIds.length;
  return {
    weights: backbone.weights,
    pixels: numbered(prompt.views.map((view) => float32(...view.pixelShape))),
    ids: int32(tokens),
    splice: int32(tokens),
    positions: int32(prompt.positionRows, tokens),
  };
};

/** Runs a prepared prompt through every part of a backbone, with taps at the first, middle and last layer. */
export const runBackbone = async (
  backbone: BackboneV1,
  prompt: PreparedInputsV1,
): Promise<BackboneOutputs> => {
  const { layers } = backbone.config;
  const taps = [...new Set([0, Math.ceil(layers / 2), layers])];
  const visualShapes: number[][] = [];
  const program = ({ weights, pixels, ids, splice, positions }: PromptTensors) => {
    const rows = prompt.views.map(({ gridThw }, view) => {
      const features = backbone.encodeView(weights, pixels[view]!, gridThw);
      return backbone.projectView(weights, features, gridThw);
    });
    visualShapes.splice(0, rows.length, ...rows.map(({ shape }) => shape));
    const embeddings = backbone.embed(weights, ids, splice, tf.concat(rows, 0));
    const output = backbone.decode(weights, { embeddings, positions }, { taps, last: true });
    const last = output.last!;
    const { keys, values } = output.cache;
    return {
      hidden: { ...output.hidden } as Named,
      last,
      logits: backbone.logits(weights, tf.slice(last, [last.shape[0]! - 1, 0])),
      keys: numbered(keys),
      values: numbered(values),
    };
  };
  const compiled = await compile(program, promptSpecs(backbone, prompt));
  const outputs = (await compiled.run({
    pixels: numbered(prompt.views.map((view) => view.pixelValues)),
    ids: prompt.inputIds,
    splice: prompt.spliceIndex,
    positions: prompt.positions,
  })) as unknown as {
    readonly hidden: Readonly<Record<string, DeviceTensor>>;
    readonly last: DeviceTensor;
    readonly logits: DeviceTensor;
    readonly keys: Readonly<Record<string, DeviceTensor>>;
    readonly values: Readonly<Record<string, DeviceTensor>>;
  };
  const hidden: Record<number, Float32Array> = {};
  for (const [layer, tensor] of Object.entries(outputs.hidden))
    hidden[Number(layer)] = (await tensor.read()) as Float32Array;
  const result = {
    taps,
    visualShapes,
    hidden,
    last: (await outputs.last.read()) as Float32Array,
    logits: (await outputs.logits.read()) as Float32Array,
    keys: await readAll(outputs.keys),
    values: await readAll(outputs.values),
  };
  await compiled.dispose();
  return result;
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
  readonly keys: Named;
  readonly values: Named;
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
  const cacheSpec = float32(kvHeads, tokens + SPARE_SLOTS, headDim);
  const cacheSpecs = numbered(outputs.keys.map(() => cacheSpec));
  const program = ({ weights, keys, values, id, position, slot }: StepTensors) => {
    const embeddings = backbone.embed(weights, id);
    const cache = { keys: Object.values(keys), values: Object.values(values) };
    const inputs = { embeddings, positions: position, cache, cacheSlot: slot };
    return { last: backbone.decode(weights, inputs, { taps: [], last: true }).last! };
  };
  const compiled = await compile(program, {
    weights: backbone.weights,
    keys: cacheSpecs,
    values: cacheSpecs,
    id: int32(1),
    position: int32(prompt.positionRows, 1),
    slot: int32(),
  });
  const fill = (rows: readonly Float32Array[]) =>
    numbered(rows.map((row) => toCache(row, kvHeads, tokens, headDim)));
  const row = (r: number): number => prompt.positions[(r + 1) * tokens - 1]!;
  const { last } = (await compiled.run({
    keys: fill(outputs.keys),
    values: fill(outputs.values),
    id: Int32Array.of(prompt.inputIds[tokens - 1]!),
    position: Int32Array.from({ length: prompt.positionRows }, (_, r) => row(r)),
    slot: Int32Array.of(tokens - 1),
  })) as unknown as { readonly last: DeviceTensor };
  const values = (await last.read()) as Float32Array;
  await compiled.dispose();
  return values;
};
