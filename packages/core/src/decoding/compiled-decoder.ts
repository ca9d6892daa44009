import {
  type CompiledProgram,
  createTensor,
  type DeviceTensor,
  float32,
  int32,
  type ProgramCache,
  type RunValue,
  type Tree,
} from '@spatialsv/engine';
import type { DecoderLayerV1, DecoderSite, DecoderV1 } from '../spec.js';
import { type DecodeRequest, neededLayers } from './decode-sequence.js';
import { layerNames } from './layer-parameters.js';
import {
  compileBlock,
  compileBlockStep,
  compileEmbed,
  compileHead,
  type DecoderSizes,
  type HeadRequest,
  type LayerProgramContext,
} from './layer-programs.js';
import { type PaddedSequence, roundUp } from './sequence-layout.js';
import { siteOfLayer } from './tap-sites.js';
import { bindWeights, type WeightBinding, type Weights } from './weight-binding.js';

export interface CompiledDecoderOptions {
  readonly decoder: DecoderV1;
  readonly sizes: DecoderSizes;
  /** By full name; more than the decoder's own do no harm. */
  readonly weights: Weights;
  /** Where programs are kept; several parts of a model may share it. */
  readonly programs: ProgramCache;
  /** A device of the engine, `cpu` by default. */
  readonly device?: string;
}

export interface DecodedStates {
  /** (T, C) by site, padding left out. */
  readonly hidden: Readonly<Partial<Record<DecoderSite, Float32Array>>>;
  /** (T, K). */
  readonly logits?: Float32Array;
}

/** Keys and values of every layer on the device, (kvHeads, capacity, hd) each. */
export interface DecoderCache {
  readonly capacity: number;
  readonly layers: readonly { readonly keys: DeviceTensor; readonly values: DeviceTensor }[];
  dispose(): void;
}

export interface NextToken {
  readonly id: number;
  /** (R). */
  readonly positions: Int32Array;
  /** Slot of the cache that the token takes. */
  readonly slot: number;
}

/** Visual rows are padded to a multiple of this. */
const VISUAL_BUCKET = 64;

/**
 * Runs a decoder block by block: one program per kind of block and length serves all layers, each run with the layer's own
 * weights. The hidden states of a sequence stay in one tensor of the device, which every block overwrites.
 */
export class CompiledDecoder {
  readonly #options: CompiledDecoderOptions;
  readonly #context: LayerProgramContext;
  readonly #bindings = new Map<string, WeightBinding>();

  constructor(options: CompiledDecoderOptions) {
    const { decoder, sizes, device = 'cpu' } = options;
    this.#options = options;
    this.#context = { decoder, sizes, device };
  }

  /**
   * Hidden states and logits of a whole sequence.
   * @param visualRows (N, C) in the order of the placeholders.
   * @throws SpatialError TAP_UNKNOWN for a site that the decoder does not have, WEIGHT_MISSING.
   */
  async forward(
    sequence: PaddedSequence,
    visualRows: Float32Array,
    request: { readonly taps: readonly DecoderSite[]; readonly logits: boolean },
  ): Promise<DecodedStates> {
    const depth = this.#depth({ taps: request.taps, last: request.logits });
    const taps = new Set(request.taps);
    const hidden: Partial<Record<DecoderSite, Float32Array>> = {};
    return this.#withEmbedded(sequence, visualRows, async (x, positions) => {
      for (let index = 0; index < depth; index++) {
        const site = siteOfLayer(index, this.#context.sizes.layers);
        if (taps.has(site)) hidden[site] = await this.#copy(x, sequence);
        await this.#runBlock(index, x, positions, sequence.length);
      }
      const reached = siteOfLayer(depth, this.#context.sizes.layers);
      if (reached !== 'final' && taps.has(reached)) hidden[reached] = await this.#copy(x, sequence);
      const wanted = {
        states: taps.has('final'),
        logits: request.logits ? 'all' : 'none',
      } as const;
      const outputs = await this.#runHead(x, wanted);
      if (outputs.states !== undefined) hidden.final = await take(outputs.states, sequence);
      if (outputs.logits === undefined) return { hidden };
      return { hidden, logits: await take(outputs.logits, sequence) };
    });
  }

  /** A whole prompt: logits (K) of its last token, and the cache, which belongs to the caller. */
  async prefill(
    sequence: PaddedSequence,
    visualRows: Float32Array,
    capacity: number,
  ): Promise<{ readonly logits: Float32Array; readonly cache: DecoderCache }> {
    const cache = this.#newCache(capacity);
    try {
      const logits = await this.#withEmbedded(sequence, visualRows, async (x, positions) => {
        for (const [index, rows] of cache.layers.entries())
          await this.#runBlock(index, x, positions, sequence.length, rows);
        const outputs = await this.#runHead(x, ONE_ROW, sequence.tokens - 1);
        return take(outputs.logits!);
      });
      return { logits, cache };
    } catch (error) {
      cache.dispose();
      throw error;
    }
  }

  /** One token more, written into the cache. @returns its logits (K). */
  async step(cache: DecoderCache, { id, positions, slot }: NextToken): Promise<Float32Array> {
    const x = await this.#embed({ inputIds: Int32Array.of(id) }, 1, 0);
    try {
      for (const [index, rows] of cache.layers.entries()) {
        const layer = this.#layer(index);
        const { kind, binding } = layer;
        await this.#run(
          `step:${kind}:${cache.capacity}:${binding.key}`,
          () => compileBlockStep(this.#context, kind, binding.specs, cache.capacity),
          { parameters: binding.values, x, positions, slot, cache: rows },
        );
      }
      const outputs = await this.#runHead(x, ONE_ROW, 0);
      return await take(outputs.logits!);
    } finally {
      x.dispose();
    }
  }

  #depth(request: DecodeRequest): number {
    return neededLayers(request, this.#context.sizes.layers);
  }

  async #withEmbedded<Result>(
    sequence: PaddedSequence,
    rows: Float32Array,
    body: (x: DeviceTensor, positions: DeviceTensor) => Promise<Result>,
  ): Promise<Result> {
    const { sizes, device } = this.#context;
    const { length, inputIds, spliceIndex } = sequence;
    const count = roundUp(rows.length / sizes.hiddenSize, VISUAL_BUCKET);
    const visualRows = new Float32Array(count * sizes.hiddenSize);
    visualRows.set(rows);
    const spliced = count > 0 && { spliceIndex, visualRows };
    const x = await this.#embed({ inputIds, ...spliced }, length, count);
    const spec = int32(sizes.positionRows, length);
    const positions = createTensor(spec, sequence.positions.slice(), device);
    try {
      return await body(x, positions);
    } finally {
      x.dispose();
      positions.dispose();
    }
  }

  async #embed(inputs: Record<string, RunValue>, length: number, visualRows: number) {
    const binding = this.#bind('embed', this.#context.decoder.names.embed);
    const { x } = await this.#run(
      `embed:${length}:${visualRows}:${binding.key}`,
      () => compileEmbed(this.#context, binding.specs, { length, visualRows }),
      { parameters: binding.values, ...inputs },
    );
    return x!;
  }

  /** Turns `x` into the output of a block. @param rows take the keys and values. */
  async #runBlock(
    index: number,
    x: DeviceTensor,
    positions: DeviceTensor,
    length: number,
    rows?: DecoderCache['layers'][number],
  ): Promise<void> {
    const { kind, binding } = this.#layer(index);
    const capacity = rows?.keys.shape[1];
    await this.#run(
      `block:${kind}:${length}:${capacity}:${binding.key}`,
      () => compileBlock(this.#context, kind, binding.specs, length, capacity),
      { parameters: binding.values, x, positions },
      rows === undefined ? {} : { keys: rows.keys, values: rows.values },
    );
  }

  /** @param row the row whose logits are wanted, where it is one. */
  async #runHead(x: DeviceTensor, request: HeadRequest, row?: number) {
    if (!request.states && request.logits === 'none') return {};
    const { finalNorm, logits } = this.#context.decoder.names;
    const names = request.logits === 'none' ? finalNorm : [...finalNorm, ...logits];
    const binding = this.#bind(`head:${request.logits}`, names);
    const length = x.shape[0]!;
    return this.#run(
      `head:${length}:${request.states}:${request.logits}:${binding.key}`,
      () => compileHead(this.#context, binding.specs, length, request),
      { parameters: binding.values, x, ...(row !== undefined && { row: Int32Array.of(row) }) },
    );
  }

  #run(
    key: string,
    make: () => Promise<CompiledProgram>,
    inputs: Tree<RunValue>,
    into: Tree<DeviceTensor> = {},
  ): Promise<Readonly<Record<string, DeviceTensor | undefined>>> {
    const work = async (program: CompiledProgram) =>
      (await program.run(inputs, into)) as Readonly<Record<string, DeviceTensor>>;
    return this.#options.programs.use(key, make, work);
  }

  #layer(index: number): { readonly kind: string; readonly binding: WeightBinding } {
    const layer: DecoderLayerV1 = this.#context.decoder.layers[index]!;
    const isThere = (name: string) => Object.hasOwn(this.#options.weights, name);
    const binding = this.#cached(`layer:${index}`, () => layerNames(layer, isThere));
    return { kind: layer.kind, binding };
  }

  #bind(part: string, names: readonly string[]): WeightBinding {
    return this.#cached(part, () => Object.fromEntries(names.map((name) => [name, name])));
  }

  #cached(part: string, names: () => Readonly<Record<string, string>>): WeightBinding {
    const binding = this.#bindings.get(part) ?? bindWeights(this.#options.weights, names());
    this.#bindings.set(part, binding);
    return binding;
  }

  #newCache(capacity: number): DecoderCache {
    const { sizes, device } = this.#context;
    const spec = float32(sizes.kvHeads, capacity, sizes.headDim);
    const layers = Array.from({ length: sizes.layers }, () => ({
      keys: createTensor(spec, undefined, device),
      values: createTensor(spec, undefined, device),
    }));
    const dispose = () => {
      for (const { keys, values } of layers) {
        keys.dispose();
        values.dispose();
      }
    };
    return { capacity, layers, dispose };
  }

  /** The rows of the sequence: the next block overwrites the tensor. */
  async #copy(x: DeviceTensor, { tokens }: PaddedSequence): Promise<Float32Array> {
    const values = (await x.read()) as Float32Array;
    return values.slice(0, tokens * this.#context.sizes.hiddenSize);
  }
}

const ONE_ROW: HeadRequest = { states: false, logits: 'one' };

/** Values of a result that nobody else needs, padding left out. */
async function take(tensor: DeviceTensor, sequence?: PaddedSequence): Promise<Float32Array> {
  const values = (await tensor.read()) as Float32Array;
  tensor.dispose();
  return sequence === undefined ? values : values.slice(0, sequence.tokens * tensor.shape[1]!);
}
