import {
  type CompiledProgram,
  compile,
  type DeviceTensor,
  float32,
  int32,
  type ProgramTarget,
  type SpecTree,
  type Tensor,
  tf,
} from '@spatialsv/engine';
import { placeRows } from '../nn/cache-rows.js';
import type { BackboneConfigV1, DecoderV1, LayerCacheV1, Parameters } from '../spec.js';
import { embedSequence, type SequenceTensors } from './decode-sequence.js';

/** Sizes of a decoder that its programs are made for. */
export type DecoderSizes = Pick<
  BackboneConfigV1,
  'hiddenSize' | 'kvHeads' | 'headDim' | 'positionRows' | 'layers'
>;

export interface LayerProgramContext extends ProgramTarget {
  readonly decoder: DecoderV1;
  readonly sizes: DecoderSizes;
}

/** Length of a sequence, and of the visual rows that are spliced in; 0 without views. */
export interface EmbedShape {
  readonly length: number;
  readonly visualRows: number;
}

/** Ids and visual rows → `x` (T, C). */
export function compileEmbed(
  { decoder, sizes, device, precision }: LayerProgramContext,
  parameters: SpecTree,
  { length, visualRows }: EmbedShape,
): Promise<CompiledProgram> {
  const spliced = { spliceIndex: int32(length), visualRows: float32(visualRows, sizes.hiddenSize) };
  const specs = { parameters, inputIds: int32(length), ...(visualRows > 0 && spliced) };
  const program = (inputs: SequenceTensors & { readonly parameters: Parameters }) => ({
    x: embedSequence(decoder, inputs.parameters, inputs),
  });
  return compile(program, specs, { device, precision, name: 'embed' });
}

interface BlockTensors {
  readonly parameters: Parameters;
  readonly x: Tensor;
  readonly positions: Tensor;
}

function blockSpecs({ sizes }: LayerProgramContext, parameters: SpecTree, tokens: number) {
  return {
    parameters,
    x: float32(tokens, sizes.hiddenSize),
    positions: int32(sizes.positionRows, tokens),
  };
}

/** One block over a whole sequence; the state `x` (T, C) becomes the block's output. */
export function compileBlock(
  context: LayerProgramContext,
  kind: string,
  parameters: SpecTree,
  length: number,
): Promise<CompiledProgram> {
  const { decoder, device, precision } = context;
  const program = ({ parameters: weights, x, positions }: BlockTensors) => ({
    x: decoder.block(kind, weights, x, { positions }).x,
  });
  const specs = blockSpecs(context, parameters, length);
  return compile(program, specs, { device, precision, state: ['x'], name: 'block' });
}

/** Tokens of a run, and slots of the cache that takes them. */
export interface CachedShape {
  readonly tokens: number;
  readonly capacity: number;
}

type CachedTensors = BlockTensors & { readonly cache: LayerCacheV1; readonly slots: Tensor };

function cachedSpecs(
  context: LayerProgramContext,
  parameters: SpecTree,
  { tokens, capacity }: CachedShape,
) {
  const { kvHeads, headDim } = context.sizes;
  const rows = float32(kvHeads, capacity, headDim);
  return {
    ...blockSpecs(context, parameters, tokens),
    cache: { keys: rows, values: rows },
    slots: int32(tokens),
  };
}

const cachedOptions = ({ device, precision }: LayerProgramContext, name: string) => ({
  device,
  precision,
  state: ['x', 'cache'],
  name,
});

/** As {@link compileBlock}; keys and values go into `slots` (T) of the `cache` (kvHeads, capacity, hd), which is state. */
export function compileCachedBlock(
  context: LayerProgramContext,
  kind: string,
  parameters: SpecTree,
  shape: CachedShape,
): Promise<CompiledProgram> {
  const { decoder } = context;
  const program = ({ parameters: weights, x, positions, cache, slots }: CachedTensors) => {
    const { x: after, ...rows } = decoder.block(kind, weights, x, { positions });
    return { x: after, cache: placed(cache, rows, slots) };
  };
  const specs = cachedSpecs(context, parameters, shape);
  return compile(program, specs, cachedOptions(context, 'cached-block'));
}

/**
 * Keys and values of a whole sequence alone, for a last block behind which one row counts: they go into `slots` as in
 * {@link compileCachedBlock}, and nothing else of the block is computed.
 * @returns a program → `entering` (1, C), the `row` (1) of `x` that the block is still to be computed for.
 */
export function compileCachedKeys(
  context: LayerProgramContext,
  kind: string,
  parameters: SpecTree,
  shape: CachedShape,
): Promise<CompiledProgram> {
  const { decoder, device, precision } = context;
  type KeysTensors = CachedTensors & { readonly row: Tensor };
  const program = ({ parameters: weights, x, positions, cache, slots, row }: KeysTensors) => {
    const { x: _, ...rows } = decoder.block(kind, weights, x, { positions });
    return { entering: tf.gather(x, row as tf.Tensor1D), cache: placed(cache, rows, slots) };
  };
  const specs = { ...cachedSpecs(context, parameters, shape), row: int32(1) };
  return compile(program, specs, { device, precision, state: ['cache'], name: 'cached-keys' });
}

/** Slots of a cache before and after it grows. */
export interface GrownShape {
  readonly from: number;
  readonly to: number;
}

/** Rows (kvHeads, from, hd) of a cache → `grown` (kvHeads, to, hd): slot by slot the same, but for the last one, which is spare. */
export function compileGrownRows(
  { sizes, device }: LayerProgramContext,
  { from, to }: GrownShape,
): Promise<CompiledProgram<{ readonly grown: DeviceTensor }>> {
  const { kvHeads, headDim } = sizes;
  const program = ({ rows }: { readonly rows: Tensor }) => {
    const own = tf.slice(rows, [0, 0, 0], [kvHeads, from - 1, headDim]);
    return {
      grown: tf.pad(own, [
        [0, 0],
        [0, to - from + 1],
        [0, 0],
      ]),
    };
  };
  return compile(
    program,
    { rows: float32(kvHeads, from, headDim) },
    { device, name: 'grown-rows' },
  );
}

const placed = (cache: LayerCacheV1, rows: LayerCacheV1, slots: Tensor) => ({
  keys: placeRows(cache.keys, rows.keys, slots),
  values: placeRows(cache.values, rows.values, slots),
});

/** One block over new tokens of any of the sequences of a cache, by their `slots` and `mask`. */
export function compileBlockStep(
  context: LayerProgramContext,
  kind: string,
  parameters: SpecTree,
  shape: CachedShape,
): Promise<CompiledProgram> {
  const { decoder } = context;
  type StepTensors = CachedTensors & { readonly mask: Tensor };
  const program = ({ parameters: weights, x, ...inputs }: StepTensors) => {
    const { x: after, keys, values } = decoder.block(kind, weights, x, inputs);
    return { x: after, cache: { keys, values } };
  };
  const specs = {
    ...cachedSpecs(context, parameters, shape),
    mask: float32(shape.tokens, shape.capacity),
  };
  return compile(program, specs, cachedOptions(context, 'block-step'));
}

/**
 * As {@link compileBlockStep}, for a decoder whose blocks know one sequence: its keys and values are gathered from the slots
 * `seen` (W), the first `before` of which hold its tokens so far.
 * @param window W, at least as many as the tokens before and the new ones.
 */
export function compileSequenceStep(
  context: LayerProgramContext,
  kind: string,
  parameters: SpecTree,
  shape: CachedShape & { readonly window: number },
): Promise<CompiledProgram> {
  const { decoder } = context;
  type StepTensors = CachedTensors & { readonly seen: Tensor; readonly before: Tensor };
  const program = ({ parameters: weights, x, positions, ...step }: StepTensors) => {
    const { cache, slots, seen, before: cacheSlot } = step;
    const own = { keys: gatherSlots(cache.keys, seen), values: gatherSlots(cache.values, seen) };
    const { x: after, ...grown } = decoder.block(kind, weights, x, {
      positions,
      cache: own,
      cacheSlot,
    });
    const places = tf.add(cacheSlot, tf.range(0, shape.tokens, 1, 'int32'));
    const rows = {
      keys: gatherSlots(grown.keys, places),
      values: gatherSlots(grown.values, places),
    };
    return { x: after, cache: placed(cache, rows, slots) };
  };
  const specs = {
    ...cachedSpecs(context, parameters, shape),
    seen: int32(shape.window),
    before: int32(),
  };
  return compile(program, specs, cachedOptions(context, 'sequence-step'));
}

const gatherSlots = (rows: Tensor, slots: Tensor): Tensor =>
  tf.gather(rows, slots as tf.Tensor1D, 1);

/** What is wanted of the states after the last block. */
export interface HeadRequest {
  /** `states` (T, C) after the final norm. */
  readonly states: boolean;
  /** `logits` of every row (T, K), or of those that the input `rows` (n) names (n, K). */
  readonly logits: 'none' | 'all' | { readonly rows: number };
}

/** Final norm and logits of `x` (T, C). */
export function compileHead(
  { decoder, sizes, device, precision }: LayerProgramContext,
  parameters: SpecTree,
  length: number,
  { states, logits }: HeadRequest,
): Promise<CompiledProgram> {
  type HeadTensors = Omit<BlockTensors, 'positions'> & { readonly rows?: Tensor };
  const program = ({ parameters: weights, x, rows }: HeadTensors) => {
    const asked = rows === undefined ? x : tf.gather(x, rows as tf.Tensor1D);
    const last = decoder.finalNorm(weights, asked);
    return {
      ...(states && { states: last }),
      ...(logits !== 'none' && { logits: decoder.logits(weights, last) }),
    } as Record<string, Tensor>;
  };
  const x = float32(length, sizes.hiddenSize);
  const specs = { parameters, x, ...(typeof logits === 'object' && { rows: int32(logits.rows) }) };
  return compile(program, specs, { device, precision, name: 'head' });
}
