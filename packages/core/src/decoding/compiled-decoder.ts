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
import { type PaddedSequence, roundUp, TOKEN_BUCKET } from './sequence-layout.js';
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

/** Text that follows what a cache holds. */
export interface NextTokens {
  /** (T). */
  readonly inputIds: Int32Array;
  /** (R, T). */
  readonly positions: Int32Array;
  /** Slot of the cache that the first of them takes. */
  readonly slot: number;
}

/** A program of the cache, and how it is made where it is not there. */
interface ProgramSource {
  readonly key: string;
  readonly make: () => Promise<CompiledProgram>;
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
      const outputs = await this.#runHead(x, headRequest(request));
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

  /**
   * Has the programs of {@link forward} compiled while something else runs, the vision encoder for example.
   * @param visualRows how many there will be.
   */
  async prepareForward(
    { length }: PaddedSequence,
    visualRows: number,
    request: { readonly taps: readonly DecoderSite[]; readonly logits: boolean },
  ): Promise<void> {
    const depth = this.#depth({ taps: request.taps, last: request.logits });
    const head = headRequest(request);
    this.#prepare([
      this.#embedProgram(length, roundUp(visualRows, VISUAL_BUCKET)),
      ...Array.from({ length: depth }, (_, index) => this.#blockProgram(index, length)),
      ...(isEmpty(head) ? [] : [this.#headProgram(length, head)]),
    ]);
  }

  /** As {@link prepareForward}, for {@link prefill} and the steps after it. */
  async prepareGeneration(
    { length }: PaddedSequence,
    visualRows: number,
    capacity: number,
  ): Promise<void> {
    const layers = this.#context.decoder.layers.map((_, index) => index);
    this.#prepare([
      this.#embedProgram(length, roundUp(visualRows, VISUAL_BUCKET)),
      ...layers.map((index) => this.#blockProgram(index, length, capacity)),
      this.#headProgram(length, ONE_ROW),
      this.#embedProgram(1, 0),
      ...layers.map((index) => this.#stepProgram(index, capacity)),
      this.#headProgram(1, ONE_ROW),
    ]);
  }

  #prepare(sources: readonly ProgramSource[]): void {
    for (const { key, make } of sources) this.#options.programs.prepare(key, make);
  }

  /** One token more, written into the cache. @returns its logits (K). */
  async step(cache: DecoderCache, { id, positions, slot }: NextToken): Promise<Float32Array> {
    const x = await this.#embed({ inputIds: Int32Array.of(id) }, 1, 0);
    try {
      for (const [index, rows] of cache.layers.entries()) {
        const parameters = this.#layer(index).binding.values;
        const program = this.#stepProgram(index, cache.capacity);
        await this.#run(program, { parameters, x, positions, slot, cache: rows });
      }
      const outputs = await this.#runHead(x, ONE_ROW, 0);
      return await take(outputs.logits!);
    } finally {
      x.dispose();
    }
  }

  /**
   * Several tokens of text more, written into the cache: what {@link step} would do one by one. Slots behind them may be
   * overwritten.
   * @returns logits (K) of the last one.
   */
  async extend(
    cache: DecoderCache,
    { inputIds, positions, slot }: NextTokens,
  ): Promise<Float32Array> {
    const { positionRows } = this.#context.sizes;
    const tokens = inputIds.length;
    const length = roundUp(tokens, TOKEN_BUCKET);
    const padded = new Int32Array(length);
    padded.set(inputIds);
    const places = Int32Array.from({ length: positionRows * length }, (_, k) => {
      const [row, column] = [Math.floor(k / length), k % length];
      return positions[row * tokens + Math.min(column, tokens - 1)]!;
    });
    const x = await this.#embed({ inputIds: padded }, length, 0);
    try {
      for (const [index, rows] of cache.layers.entries()) {
        const parameters = this.#layer(index).binding.values;
        const program = this.#stepProgram(index, cache.capacity, length);
        await this.#run(program, { parameters, x, positions: places, slot, cache: rows });
      }
      const outputs = await this.#runHead(x, ONE_ROW, tokens - 1);
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
    const parameters = this.#embedBinding().values;
    const program = this.#embedProgram(length, visualRows);
    const { x } = await this.#run(program, { parameters, ...inputs });
    return x!;
  }

  #embedProgram(length: number, visualRows: number): ProgramSource {
    const { specs, key } = this.#embedBinding();
    return {
      key: `embed:${length}:${visualRows}:${key}`,
      make: () => compileEmbed(this.#context, specs, { length, visualRows }),
    };
  }

  #embedBinding(): WeightBinding {
    return this.#bind('embed', this.#context.decoder.names.embed);
  }

  /** Turns `x` into the output of a block. @param rows take the keys and values. */
  async #runBlock(
    index: number,
    x: DeviceTensor,
    positions: DeviceTensor,
    length: number,
    rows?: DecoderCache['layers'][number],
  ): Promise<void> {
    const parameters = this.#layer(index).binding.values;
    await this.#run(
      this.#blockProgram(index, length, rows?.keys.shape[1]),
      { parameters, x, positions },
      rows === undefined ? {} : { keys: rows.keys, values: rows.values },
    );
  }

  #blockProgram(index: number, length: number, capacity?: number): ProgramSource {
    const { kind, binding } = this.#layer(index);
    return {
      key: `block:${kind}:${length}:${capacity}:${binding.key}`,
      make: () => compileBlock(this.#context, kind, binding.specs, length, capacity),
    };
  }

  #stepProgram(index: number, capacity: number, tokens = 1): ProgramSource {
    const { kind, binding } = this.#layer(index);
    return {
      key: `step:${kind}:${tokens}:${capacity}:${binding.key}`,
      make: () => compileBlockStep(this.#context, kind, binding.specs, { tokens, capacity }),
    };
  }

  /** @param row the row whose logits are wanted, where it is one. */
  async #runHead(x: DeviceTensor, request: HeadRequest, row?: number) {
    if (isEmpty(request)) return {};
    const parameters = this.#headBinding(request).values;
    const rows = row !== undefined && { row: Int32Array.of(row) };
    return this.#run(this.#headProgram(x.shape[0]!, request), { parameters, x, ...rows });
  }

  #headProgram(length: number, request: HeadRequest): ProgramSource {
    const { specs, key } = this.#headBinding(request);
    return {
      key: `head:${length}:${request.states}:${request.logits}:${key}`,
      make: () => compileHead(this.#context, specs, length, request),
    };
  }

  #headBinding({ logits: wanted }: HeadRequest): WeightBinding {
    const { finalNorm, logits } = this.#context.decoder.names;
    return this.#bind(`head:${wanted}`, wanted === 'none' ? finalNorm : [...finalNorm, ...logits]);
  }

  #run(
    { key, make }: ProgramSource,
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

const headRequest = (request: {
  readonly taps: readonly DecoderSite[];
  readonly logits: boolean;
}): HeadRequest => ({
  states: request.taps.includes('final'),
  logits: request.logits ? 'all' : 'none',
});

const isEmpty = ({ states, logits }: HeadRequest): boolean => !states && logits === 'none';

/** Values of a result that nobody else needs, padding left out. */
async function take(tensor: DeviceTensor, sequence?: PaddedSequence): Promise<Float32Array> {
  const values = (await tensor.read()) as Float32Array;
  tensor.dispose();
  return sequence === undefined ? values : values.slice(0, sequence.tokens * tensor.shape[1]!);
}
