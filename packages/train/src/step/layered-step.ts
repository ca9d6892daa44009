import { neededLayers } from '@spatialsv/core';
import {
  type CompiledProgram,
  type DeviceTensor,
  ProgramCache,
  type ProgramTarget,
  type RunValue,
  type Tree,
} from '@spatialsv/engine';
import { joinSamples, packShape } from '../data/join-samples.js';
import type { SampleInputs } from '../data/sample-inputs.js';
import type { ModelState } from '../model-state.js';
import {
  compileBackward,
  compileEmbedding,
  compileEmbeddingGradients,
  compileForward,
  compileLosses,
  EMBED_INPUTS,
  type LayeredContext,
  LOSS_INPUTS,
  pick,
  readLayers,
  stateName,
} from './layered-programs.js';
import { LOG_VARIANCES } from './log-variances.js';
import { type PartWeights, partWeights } from './part-weights.js';
import { type ProgramUsage, UsageMeter } from './program-usage.js';
import type { SampleLosses, SampleRunner } from './sample-runner.js';
import { readLosses } from './sample-step.js';
import { packRequest, type StepModel } from './step-program.js';
import { type PackShape, packKey } from './step-shape.js';
import { packSpecs } from './step-specs.js';
import { StepTensors } from './step-tensors.js';

/** A shape of pack takes five programs, and a block per kind. */
const PROGRAMS = 320;

/** A program of the cache, and how it is made where it is not there. */
interface ProgramSource {
  readonly key: string;
  readonly make: () => Promise<CompiledProgram>;
}

type Outputs = Readonly<Record<string, DeviceTensor>>;
type PackValues = Readonly<Record<string, Tree<RunValue>>>;

/**
 * Forward and backward passes layer by layer: of the decoder nothing is kept but the inputs of its layers, and each is
 * computed again in the backward pass. One program per kind of block and length serves all layers of it. Gradients are those of
 * one graph.
 */
export class LayeredStep implements SampleRunner {
  readonly #model: StepModel;
  readonly #target: ProgramTarget;
  readonly #programs = new ProgramCache(PROGRAMS);
  readonly #parts: StepParts;
  readonly #meter = new UsageMeter();
  /** Tensors that are kept for the next pack of their shape. */
  #last: { readonly key: string; readonly tensors: StepTensors } | undefined;

  constructor(model: StepModel, state: ModelState, target: ProgramTarget) {
    this.#model = model;
    this.#target = target;
    this.#parts = stepParts(model, state);
  }

  prepare(samples: readonly SampleInputs[]): void {
    const shape = packShape(samples);
    const context = this.#context(shape);
    const { embed, layers } = this.#parts;
    const depth = this.#depth(shape);
    const wanted = layers.slice(0, depth).map((_, index) => this.#forward(context, index));
    const losses = this.#losses(context, readLayers(context, depth));
    for (const { key, make } of [this.#embed(context, embed), ...wanted, losses])
      this.#programs.prepare(key, make);
  }

  async run(samples: readonly SampleInputs[]): Promise<readonly SampleLosses[]> {
    const { shape, tensors: joined } = joinSamples(samples);
    const context = this.#context(shape);
    const pack = joined as PackValues;
    const depth = this.#depth(shape);
    const tensors = await this.#tensorsFor(context, pack, depth);
    try {
      const { kept, shared } = tensors;
      await this.#embedded(context, pack, kept[0]!);
      for (let layer = 0; layer < depth; layer++) await this.#applied(context, layer, kept, shared);
      // Its inputs, and one gradient of them.
      this.#meter.hold(
        (kept.length + 1) * 4 * shape.tokens * this.#model.backbone.config.hiddenSize,
      );
      const losses = await this.#lossesOf(context, tensors, pack);
      await this.#goBack(context, tensors, pack);
      return await readLosses(losses, this.#model, shape.samples);
    } finally {
      if (tensors !== this.#last?.tensors) tensors.dispose();
    }
  }

  /** Those of the last pack where programs are replayed, which have their addresses, and its shape was the same. */
  async #tensorsFor(
    context: LayeredContext,
    pack: PackValues,
    depth: number,
  ): Promise<StepTensors> {
    const key = packKey(context.shape);
    if (this.#last?.key === key) {
      await this.#last.tensors.rewrite(pack);
      return this.#last.tensors;
    }
    this.#forgetTensors();
    const read = readLayers(context, depth);
    const tensors = await StepTensors.create(context, pack, { depth, read });
    if (this.#target.replays === true) this.#last = { key, tensors };
    return tensors;
  }

  #forgetTensors(): void {
    this.#last?.tensors.dispose();
    this.#last = undefined;
  }

  get usage(): ProgramUsage {
    return this.#meter.usage;
  }

  dispose(): Promise<void> {
    this.#forgetTensors();
    return this.#programs.dispose();
  }

  #context(shape: PackShape): LayeredContext {
    const pack = packSpecs(this.#model.heads, shape);
    return { ...this.#target, model: this.#model, shape, pack };
  }

  #depth(shape: PackShape): number {
    return neededLayers(
      packRequest(this.#model, shape),
      this.#model.backbone.decoder.layers.length,
    );
  }

  async #embedded(context: LayeredContext, given: PackValues, x: DeviceTensor): Promise<void> {
    const { embed } = this.#parts;
    const pack = pick(given, EMBED_INPUTS);
    await this.#use(this.#embed(context, embed), { ...embed.values, pack }, { x });
  }

  /** Applies a layer to its input, and keeps the input of the next one. */
  async #applied(
    context: LayeredContext,
    layer: number,
    kept: readonly DeviceTensor[],
    shared: Outputs,
  ): Promise<void> {
    const { values } = this.#parts.layers[layer]!.weights;
    const inputs = { ...values, x: kept[layer]!, ...shared };
    await this.#use(this.#forward(context, layer), inputs, { y: kept[layer + 1]! });
  }

  /** Writes the gradients of what it reads. @returns the losses. */
  async #lossesOf(
    context: LayeredContext,
    { kept, dx }: StepTensors,
    given: PackValues,
  ): Promise<DeviceTensor> {
    const { top } = this.#parts;
    const layers = readLayers(context, kept.length - 1);
    const states = Object.fromEntries(layers.map((layer) => [stateName(layer), kept[layer]!]));
    const pack = pick(given, LOSS_INPUTS);
    const inputs = { ...top.values, accumulators: top.sums, states, pack };
    const { losses } = await this.#use(this.#losses(context, layers), inputs, { dx });
    return losses as DeviceTensor;
  }

  /** From the topmost layer down to the lowest that anything below or in it is trained. */
  async #goBack(
    context: LayeredContext,
    { kept, shared, dx }: StepTensors,
    pack: PackValues,
  ): Promise<void> {
    const { embed, layers } = this.#parts;
    const lowest = embed.isTrained ? 0 : layers.findIndex(({ weights }) => weights.isTrained);
    const depth = kept.length - 1;
    const dy = dx[stateName(depth)]!;
    for (let layer = depth - 1; layer >= Math.max(0, lowest); layer--) {
      if (lowest < 0) break;
      const { weights } = layers[layer]!;
      const tap = dx[stateName(layer)];
      const x = kept[layer]!;
      const given = { ...weights.values, accumulators: weights.sums, x, ...shared, dy };
      const source = this.#backward(context, layer, tap !== undefined);
      await this.#use(source, { ...given, ...(tap !== undefined && { tap }) });
    }
    if (!embed.isTrained) return;
    const given = { ...embed.values, accumulators: embed.sums, pack: pick(pack, EMBED_INPUTS), dy };
    await this.#use(this.#embedGradients(context, embed), given);
  }

  #use(
    { key, make }: ProgramSource,
    inputs: Tree<RunValue>,
    into?: Tree<DeviceTensor>,
  ): Promise<Outputs> {
    const work = async (program: CompiledProgram) => {
      this.#meter.note(key, program.stats);
      return (await program.run(inputs, into)) as Outputs;
    };
    return this.#programs.use(key, make, work);
  }

  #embed(context: LayeredContext, part: PartWeights): ProgramSource {
    return {
      key: `embed:${packKey(context.shape)}`,
      make: () => compileEmbedding(context, part),
    };
  }

  #embedGradients(context: LayeredContext, part: PartWeights): ProgramSource {
    return {
      key: `embed-gradients:${packKey(context.shape)}`,
      make: () => compileEmbeddingGradients(context, part),
    };
  }

  #forward(context: LayeredContext, layer: number): ProgramSource {
    const { kind, weights } = this.#parts.layers[layer]!;
    return {
      key: `forward:${lengthKey(context)}:${kind}:${weights.key}`,
      make: () => compileForward(context, kind, weights),
    };
  }

  #backward(context: LayeredContext, layer: number, isTapped: boolean): ProgramSource {
    const { kind, weights } = this.#parts.layers[layer]!;
    return {
      key: `backward:${lengthKey(context)}:${isTapped}:${kind}:${weights.key}`,
      make: () => compileBackward(context, kind, weights, isTapped),
    };
  }

  #losses(context: LayeredContext, layers: readonly number[]): ProgramSource {
    return {
      key: `losses:${packKey(context.shape)}`,
      make: () => compileLosses(context, this.#parts.top, layers),
    };
  }
}

/** All that a block's program depends on of a shape. */
const lengthKey = ({ shape: { tokens, positionRows, samples } }: LayeredContext): string =>
  `${tokens}:${positionRows}:${samples.length > 1}`;

/** A model as its programs divide it. */
interface StepParts {
  /** Embedding table, projector, and whatever else lies below the blocks. */
  readonly embed: PartWeights;
  readonly layers: readonly { readonly kind: string; readonly weights: PartWeights }[];
  /** Final norm, logits, heads and projectors, and what weighs the losses. */
  readonly top: PartWeights;
}

function stepParts({ backbone }: StepModel, state: ModelState): StepParts {
  const { decoder } = backbone;
  const { names, layers } = decoder;
  const above = [...names.finalNorm, ...names.logits];
  const inBlocks = new Set(layers.flatMap((layer) => Object.values(layer.names)));
  const isBelow = (name: string) =>
    names.embed.includes(name) ||
    !(above.includes(name) || inBlocks.has(name) || backbone.parameterGroup(name) === 'vision');
  const isAbove = (name: string) => name.startsWith('spatial.') || name === LOG_VARIANCES;
  const others = [...Object.keys(state.optimizer.parameters), ...Object.keys(state.frozenTensors)];
  return {
    embed: partWeights(state, byOwnName(Object.keys(backbone.weights).filter(isBelow))),
    layers: layers.map(({ kind, names: own }) => ({ kind, weights: partWeights(state, own) })),
    top: partWeights(state, byOwnName([...above, ...others.filter(isAbove)])),
  };
}

const byOwnName = (names: readonly string[]): Record<string, string> =>
  Object.fromEntries(names.map((name) => [name, name]));
