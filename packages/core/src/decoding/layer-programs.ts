import {
  type CompiledProgram,
  compile,
  float32,
  int32,
  type SpecTree,
  type Tensor,
  tf,
} from '@spatialsv/engine';
import type { BackboneConfigV1, DecoderV1, LayerCacheV1, Parameters } from '../spec.js';
import { embedSequence, type SequenceTensors } from './decode-sequence.js';

/** Sizes of a decoder that its programs are made for. */
export type DecoderSizes = Pick<
  BackboneConfigV1,
  'hiddenSize' | 'kvHeads' | 'headDim' | 'positionRows' | 'layers'
>;

export interface LayerProgramContext {
  readonly decoder: DecoderV1;
  readonly sizes: DecoderSizes;
  readonly device: string;
}

/** Length of a sequence, and of the visual rows that are spliced in; 0 without views. */
export interface EmbedShape {
  readonly length: number;
  readonly visualRows: number;
}

/** Ids and visual rows → `x` (T, C). */
export function compileEmbed(
  { decoder, sizes, device }: LayerProgramContext,
  parameters: SpecTree,
  { length, visualRows }: EmbedShape,
): Promise<CompiledProgram> {
  const spliced = { spliceIndex: int32(length), visualRows: float32(visualRows, sizes.hiddenSize) };
  const specs = { parameters, inputIds: int32(length), ...(visualRows > 0 && spliced) };
  const program = (inputs: SequenceTensors & { readonly parameters: Parameters }) => ({
    x: embedSequence(decoder, inputs.parameters, inputs),
  });
  return compile(program, specs, { device, name: 'embed' });
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

/**
 * One block over a whole sequence; the state `x` (T, C) becomes the block's output.
 * @param capacity slots of a cache for `keys` and `values` (kvHeads, capacity, hd); without it they are not returned.
 */
export function compileBlock(
  context: LayerProgramContext,
  kind: string,
  parameters: SpecTree,
  length: number,
  capacity?: number,
): Promise<CompiledProgram> {
  const { decoder, device } = context;
  const program = ({ parameters: weights, x: before, positions }: BlockTensors) => {
    const { x, keys, values } = decoder.block(kind, weights, before, { positions });
    if (capacity === undefined) return { x };
    return { x, keys: grow(keys, capacity), values: grow(values, capacity) };
  };
  const specs = blockSpecs(context, parameters, length);
  return compile(program, specs, { device, state: ['x'], name: 'block' });
}

/** (kvHeads, T, hd) → (kvHeads, capacity, hd), zeros behind. */
function grow(rows: Tensor, capacity: number): Tensor {
  return tf.pad(rows, [
    [0, 0],
    [0, capacity - rows.shape[1]!],
    [0, 0],
  ]);
}

/** One block over new tokens, usually one; `x` (T, C) and the `cache` of the block are state. */
export function compileBlockStep(
  context: LayerProgramContext,
  kind: string,
  parameters: SpecTree,
  { tokens, capacity }: { readonly tokens: number; readonly capacity: number },
): Promise<CompiledProgram> {
  const { decoder, sizes, device } = context;
  const rows = float32(sizes.kvHeads, capacity, sizes.headDim);
  type StepTensors = BlockTensors & { readonly cache: LayerCacheV1; readonly slot: Tensor };
  const program = ({ parameters: weights, x, positions, cache, slot }: StepTensors) => {
    const step = { positions, cache, cacheSlot: slot };
    const { x: after, keys, values } = decoder.block(kind, weights, x, step);
    return { x: after, cache: { keys, values } };
  };
  const specs = { ...blockSpecs(context, parameters, tokens), cache: { keys: rows, values: rows } };
  const options = { device, state: ['x', 'cache'], name: 'block-step' };
  return compile(program, { ...specs, slot: int32() }, options);
}

/** What is wanted of the states after the last block. */
export interface HeadRequest {
  /** `states` (T, C) after the final norm. */
  readonly states: boolean;
  /** `logits` of every row (T, K), or of the one row that the input `row` (1) names (1, K). */
  readonly logits: 'none' | 'one' | 'all';
}

/** Final norm and logits of `x` (T, C). */
export function compileHead(
  { decoder, sizes, device }: LayerProgramContext,
  parameters: SpecTree,
  length: number,
  { states, logits }: HeadRequest,
): Promise<CompiledProgram> {
  type HeadTensors = Omit<BlockTensors, 'positions'> & { readonly row?: Tensor };
  const program = ({ parameters: weights, x, row }: HeadTensors) => {
    const rows = row === undefined ? x : tf.gather(x, row as tf.Tensor1D);
    const last = decoder.finalNorm(weights, rows);
    return {
      ...(states && { states: last }),
      ...(logits !== 'none' && { logits: decoder.logits(weights, last) }),
    } as Record<string, Tensor>;
  };
  const x = float32(length, sizes.hiddenSize);
  const specs = { parameters, x, ...(logits === 'one' && { row: int32(1) }) };
  return compile(program, specs, { device, name: 'head' });
}
