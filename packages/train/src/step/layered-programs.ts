import {
  blockGradients,
  type DecoderSite,
  type DecoderV1,
  type Parameters,
  siteOfLayer,
} from '@spatialsv/core';
import {
  type CompiledProgram,
  compile,
  differentiate,
  float32,
  type ProgramTarget,
  type SpecTree,
  type Tensor,
  tf,
} from '@spatialsv/engine';
import type { PartWeights } from './part-weights.js';
import {
  addGradients,
  embedSample,
  type PackTensors,
  packLosses,
  packRequest,
  type StepModel,
} from './step-program.js';
import { type PackShape, viewsOf } from './step-shape.js';

/** Weights of a part of the model as its programs see them, by the names that the part gives them. */
interface PartTensors {
  readonly trained: Parameters;
  readonly frozen: Parameters;
}

interface AccumulatingTensors extends PartTensors {
  readonly accumulators: Parameters;
}

interface EmbedTensors extends PartTensors {
  readonly pack: PackTensors;
}

const allOf = ({ trained, frozen }: PartTensors): Parameters => ({ ...frozen, ...trained });

/** The state of a program that adds gradients up: there is none where nothing of its part is trained. */
const sumsOf = (accumulators: SpecTree): readonly string[] =>
  Object.keys(accumulators).length > 0 ? ['accumulators'] : [];

/** Everything that a layered step compiles for packs of one shape. */
export interface LayeredContext extends ProgramTarget {
  readonly model: StepModel;
  readonly shape: PackShape;
  /** Specs of the `pack` input. */
  readonly pack: Readonly<Record<string, SpecTree>>;
}

/** Of what goes from layer to layer, (T, C). */
export const rowsOf = ({ shape, model }: LayeredContext) =>
  float32(shape.tokens, model.backbone.config.hiddenSize);

/** What a block reads beside its weights and its input. */
export const BLOCK_INPUTS = ['positions', 'segments'] as const;

/** What the embedding reads of a pack. */
export const EMBED_INPUTS = ['inputIds', 'spliceIndex', 'features'] as const;

const embedInputs = ({ pack }: LayeredContext) => pick(pack, EMBED_INPUTS);

/** The entries of these names that are there. */
export const pick = <Value>(
  record: Readonly<Record<string, Value>>,
  names: readonly string[],
): Record<string, Value> =>
  Object.fromEntries(names.flatMap((name) => (name in record ? [[name, record[name]!]] : [])));

/** Ids and features of a pack → `x` (T, C). */
export function compileEmbedding(
  context: LayeredContext,
  { specs }: PartWeights,
): Promise<CompiledProgram> {
  const { model, shape, device, precision, replays } = context;
  const program = ({ pack, ...weights }: EmbedTensors) => ({
    x: tf.add(embedSample(model, viewsOf(shape), allOf(weights), pack), 0),
  });
  return compile(
    program,
    { ...specs, pack: embedInputs(context) },
    { device, precision, replays, name: 'embed' },
  );
}

/** dL/dx of the embeddings → gradients of what made them, added to the accumulators. */
export function compileEmbeddingGradients(
  context: LayeredContext,
  { specs, accumulators }: PartWeights,
): Promise<CompiledProgram> {
  const { model, shape, device, precision, replays } = context;
  type Inputs = EmbedTensors & AccumulatingTensors & { readonly dy: Tensor };
  const program = ({ pack, trained, frozen, accumulators: sums, dy }: Inputs) => {
    const { gradients } = differentiate((values) => {
      const y = embedSample(model, viewsOf(shape), { ...frozen, ...values }, pack);
      return { loss: tf.sum(tf.mul(y, dy)) };
    }, trained);
    return { accumulators: addGradients(sums, gradients) };
  };
  return compile(
    program,
    { ...specs, accumulators, pack: embedInputs(context), dy: rowsOf(context) },
    {
      device,
      precision,
      replays,
      state: sumsOf(accumulators),
      recomputeCheap: true,
      name: 'embed-gradients',
    },
  );
}

interface BlockTensors extends PartTensors, Pick<PackTensors, (typeof BLOCK_INPUTS)[number]> {
  readonly x: Tensor;
}

/** `x` (T, C) → `y` (T, C), the output of a block of a kind. */
export function compileForward(
  context: LayeredContext,
  kind: string,
  { specs }: PartWeights,
): Promise<CompiledProgram> {
  const { device, precision, replays } = context;
  const { decoder } = context.model.backbone;
  const program = ({ x, trained, frozen, ...inputs }: BlockTensors) => ({
    y: decoder.block(kind, allOf({ trained, frozen }), x, inputs).x,
  });
  return compile(
    program,
    { ...specs, x: rowsOf(context), ...pick(context.pack, BLOCK_INPUTS) },
    { device, precision, replays, name: 'block' },
  );
}

/**
 * Backward pass of a block from its input: the state `dy` becomes dL/dx, gradients are added to the accumulators.
 * @param isTapped whether a further gradient of x, `tap`, is added to it.
 */
export function compileBackward(
  context: LayeredContext,
  kind: string,
  { specs, accumulators }: PartWeights,
  isTapped: boolean,
): Promise<CompiledProgram> {
  const { device, precision, replays } = context;
  const { decoder } = context.model.backbone;
  type Inputs = BlockTensors & AccumulatingTensors & { readonly dy: Tensor; readonly tap?: Tensor };
  const program = ({ trained, frozen, accumulators: sums, tap, ...tensors }: Inputs) => {
    const { dx, gradients } = blockGradients(
      decoder as DecoderV1,
      kind,
      { trained, frozen },
      tensors,
    );
    return {
      dy: tap === undefined ? dx : tf.add(dx, tap),
      accumulators: addGradients(sums, gradients),
    };
  };
  const rows = rowsOf(context);
  return compile(
    program,
    {
      ...{ ...specs, accumulators, x: rows, dy: rows, ...pick(context.pack, BLOCK_INPUTS) },
      ...(isTapped && { tap: rows }),
    },
    {
      device,
      precision,
      replays,
      state: ['dy', ...sumsOf(accumulators)],
      recomputeCheap: true,
      name: 'block-gradients',
    },
  );
}

/** What the losses read of a pack. */
export const LOSS_INPUTS = ['samples'] as const;

/** What lies above the decoder's blocks takes their outputs by layer: `x0` is the embedding. */
export const stateName = (layer: number): string => `x${layer}`;

/** Layers whose outputs the losses of a pack read: tapped ones, and the last where it is needed, in order. */
export function readLayers({ model, shape }: LayeredContext, depth: number): readonly number[] {
  const { taps, last } = packRequest(model, shape);
  const tapped = taps.length > 0 ? model.taps : [];
  return [...new Set([...tapped, ...(last ? [depth] : [])])].sort((a, b) => a - b);
}

interface LossTensors extends AccumulatingTensors {
  readonly states: Parameters;
  readonly pack: Pick<PackTensors, 'samples'>;
}

/**
 * Final norm, logits, heads and losses: `losses`, the gradients `dx` of the layers that they read, and those of their own
 * parameters, added to the accumulators.
 */
export function compileLosses(
  context: LayeredContext,
  { specs, accumulators }: PartWeights,
  layers: readonly number[],
): Promise<CompiledProgram> {
  const { model, shape, device, precision, replays } = context;
  const names = layers.map(stateName);
  const program = ({ trained, frozen, accumulators: sums, states, pack }: LossTensors) => {
    const { outputs, gradients } = differentiate(
      (values) => {
        const parameters = { ...frozen, ...values };
        const decoded = decodedOf(context, parameters, values);
        return packLosses(model, shape, parameters, decoded, pack);
      },
      { ...trained, ...states },
    );
    const dx = Object.fromEntries(names.map((name) => [name, gradients[name]!]));
    return { losses: outputs.losses, dx, accumulators: addGradients(sums, gradients) };
  };
  const states = Object.fromEntries(names.map((name) => [name, rowsOf(context)]));
  return compile(
    program,
    { ...specs, accumulators, states, pack: pick(context.pack, LOSS_INPUTS) },
    {
      device,
      precision,
      replays,
      state: sumsOf(accumulators),
      recomputeCheap: true,
      name: 'losses',
    },
  );
}

/** The sites that the losses read, from the outputs of layers. */
function decodedOf({ model, shape }: LayeredContext, parameters: Parameters, states: Parameters) {
  const { decoder, config } = model.backbone;
  const { taps, last: needsLast } = packRequest(model, shape);
  const needsNorm = needsLast || taps.includes('final');
  const last = needsNorm
    ? decoder.finalNorm(parameters, states[stateName(config.layers)]!)
    : undefined;
  const hidden: Partial<Record<DecoderSite, Tensor>> = {};
  for (const layer of taps.length > 0 ? model.taps : []) {
    const site = siteOfLayer(layer, config.layers);
    hidden[site] = site === 'final' ? last! : states[stateName(layer)]!;
  }
  return { hidden, ...(last !== undefined && { last }) };
}
