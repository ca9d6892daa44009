import type { CompiledProgram } from '@spatialsv/engine';
import type { DecoderLayerV1 } from '../spec.js';
import { layerNames } from './layer-parameters.js';
import {
  type CachedShape,
  compileBlock,
  compileBlockStep,
  compileCachedBlock,
  compileCachedKeys,
  compileEmbed,
  compileHead,
  compileSequenceStep,
  type HeadRequest,
  type LayerProgramContext,
} from './layer-programs.js';
import { bindWeights, type WeightBinding, type Weights } from './weight-binding.js';

/** A program of the cache, and how it is made where it is not there. */
export interface ProgramSource {
  readonly key: string;
  readonly make: () => Promise<CompiledProgram>;
}

/**
 * The programs of a decoder by what they do, and the weights that each run of them binds. Layers of one kind whose weights have
 * equal types share a program.
 */
export class DecoderPrograms {
  readonly #context: LayerProgramContext;
  readonly #weights: Weights;
  readonly #bindings = new Map<string, WeightBinding>();

  constructor(context: LayerProgramContext, weights: Weights) {
    this.#context = context;
    this.#weights = weights;
  }

  /** Text and visual rows to hidden states. */
  embed(length: number, visualRows: number): ProgramSource {
    const { specs, key } = this.embedWeights();
    return {
      key: `embed:${length}:${visualRows}:${key}`,
      make: () => compileEmbed(this.#context, specs, { length, visualRows }),
    };
  }

  embedWeights(): WeightBinding {
    return this.#bind('embed', this.#context.decoder.names.embed);
  }

  /** A block over a whole sequence. */
  block(index: number, length: number): ProgramSource {
    const { kind, binding } = this.#layer(index);
    return {
      key: `block:${kind}:${length}:${binding.key}`,
      make: () => compileBlock(this.#context, kind, binding.specs, length),
    };
  }

  /** A block over a prompt, whose keys and values go into a cache. */
  cached(index: number, shape: CachedShape): ProgramSource {
    const { kind, binding } = this.#layer(index);
    return {
      key: `cached:${kind}:${shape.tokens}:${shape.capacity}:${binding.key}`,
      make: () => compileCachedBlock(this.#context, kind, binding.specs, shape),
    };
  }

  /** Keys and values of a prompt, and the one row that goes through the block alone. */
  keys(index: number, shape: CachedShape): ProgramSource {
    const { kind, binding } = this.#layer(index);
    return {
      key: `keys:${kind}:${shape.tokens}:${shape.capacity}:${binding.key}`,
      make: () => compileCachedKeys(this.#context, kind, binding.specs, shape),
    };
  }

  /** A block over tokens of several sequences that share a cache. */
  step(index: number, shape: CachedShape): ProgramSource {
    const { kind, binding } = this.#layer(index);
    return {
      key: `step:${kind}:${shape.tokens}:${shape.capacity}:${binding.key}`,
      make: () => compileBlockStep(this.#context, kind, binding.specs, shape),
    };
  }

  /** A block over tokens that follow in one sequence of a cache. */
  sequence(index: number, shape: CachedShape & { readonly window: number }): ProgramSource {
    const { kind, binding } = this.#layer(index);
    const { tokens, capacity, window } = shape;
    return {
      key: `sequence:${kind}:${tokens}:${capacity}:${window}:${binding.key}`,
      make: () => compileSequenceStep(this.#context, kind, binding.specs, shape),
    };
  }

  /** Final norm and logits. */
  head(length: number, request: HeadRequest): ProgramSource {
    const { specs, key } = this.headWeights(request);
    return {
      key: `head:${length}:${request.states}:${JSON.stringify(request.logits)}:${key}`,
      make: () => compileHead(this.#context, specs, length, request),
    };
  }

  headWeights({ logits: wanted }: HeadRequest): WeightBinding {
    const { finalNorm, logits } = this.#context.decoder.names;
    return wanted === 'none'
      ? this.#bind('norm', finalNorm)
      : this.#bind('head', [...finalNorm, ...logits]);
  }

  /** Weights of a layer, by layer-free name. */
  weights(index: number) {
    return this.#layer(index).binding.values;
  }

  #layer(index: number): { readonly kind: string; readonly binding: WeightBinding } {
    const layer: DecoderLayerV1 = this.#context.decoder.layers[index]!;
    const isThere = (name: string) => Object.hasOwn(this.#weights, name);
    const binding = this.#cached(`layer:${index}`, () => layerNames(layer, isThere));
    return { kind: layer.kind, binding };
  }

  #bind(part: string, names: readonly string[]): WeightBinding {
    return this.#cached(part, () => Object.fromEntries(names.map((name) => [name, name])));
  }

  #cached(part: string, names: () => Readonly<Record<string, string>>): WeightBinding {
    const binding = this.#bindings.get(part) ?? bindWeights(this.#weights, names());
    this.#bindings.set(part, binding);
    return binding;
  }
}
