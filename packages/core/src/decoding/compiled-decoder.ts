import {
  type CompiledProgram,
  createTensor,
  type DeviceTensor,
  float32,
  int32,
  type ProgramCache,
  type ProgramTarget,
  type RunValue,
  type TensorSpec,
  type Tree,
  takeValues,
} from '@spatialsv/engine';
import type { DecoderSite, DecoderV1 } from '../spec.js';
import { type DecodeRequest, neededLayers } from './decode-sequence.js';
import { createCache, type DecoderCache, growCache } from './decoder-cache.js';
import { DecoderPrograms, type ProgramSource } from './decoder-programs.js';
import type { DecoderSizes, HeadRequest, LayerProgramContext } from './layer-programs.js';
import { lastToken, layOutNext, type NextTokens, nextMask, rowBucket } from './next-rows.js';
import { type PaddedSequence, roundUp } from './sequence-layout.js';
import { siteOfLayer } from './tap-sites.js';
import type { Weights } from './weight-binding.js';

/** On `cpu` by default. */
export interface CompiledDecoderOptions extends Partial<ProgramTarget> {
  readonly decoder: DecoderV1;
  readonly sizes: DecoderSizes;
  /** By full name; more than the decoder's own do no harm. */
  readonly weights: Weights;
  /** Where programs are kept; several parts of a model may share it. */
  readonly programs: ProgramCache;
}

export interface DecodedStates {
  /** (T, C) by site, padding left out. */
  readonly hidden: Readonly<Partial<Record<DecoderSite, Float32Array>>>;
  /** (T, K). */
  readonly logits?: Float32Array;
}

/** Values that all layers of a run read, with their specs. */
type Constants = Readonly<Record<string, readonly [TensorSpec, Int32Array | Float32Array]>>;

/** Slots that a block of one sequence reads come in multiples of this. */
const WINDOW_BUCKET = 64;

/** Visual rows are padded to a multiple of this. */
const VISUAL_BUCKET = 64;

/**
 * Runs a decoder block by block: one program per kind of block and length serves all layers, each run with the layer's own
 * weights. The hidden states of a sequence stay in one tensor of the device, which every block overwrites.
 */
export class CompiledDecoder {
  readonly #options: CompiledDecoderOptions;
  readonly #context: LayerProgramContext;
  readonly #programs: DecoderPrograms;

  constructor(options: CompiledDecoderOptions) {
    const { decoder, sizes, device = 'cpu', precision } = options;
    this.#options = options;
    this.#context = { decoder, sizes, device, precision };
    this.#programs = new DecoderPrograms(this.#context, options.weights);
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
        await this.#runLayer(index, this.#programs.block(index, sequence.length), { x, positions });
      }
      const reached = siteOfLayer(depth, this.#context.sizes.layers);
      if (reached !== 'final' && taps.has(reached)) hidden[reached] = await this.#copy(x, sequence);
      const outputs = await this.#runHead(x, headRequest(request));
      if (outputs.states !== undefined) hidden.final = await take(outputs.states, sequence);
      if (outputs.logits === undefined) return { hidden };
      return { hidden, logits: await take(outputs.logits, sequence) };
    });
  }

  /** An empty cache, which belongs to the caller. */
  createCache(capacity: number): DecoderCache {
    return createCache(this.#context, capacity);
  }

  /** A larger cache with the same content, in the place of this one, which is disposed: see {@link growCache}. */
  growCache(cache: DecoderCache, capacity: number): Promise<DecoderCache> {
    return growCache(this.#context, cache, capacity);
  }

  /**
   * A whole prompt, whose keys and values go into these slots of a cache.
   * @param slots (T). @returns logits (K) of its last token.
   */
  prefill(
    sequence: PaddedSequence,
    visualRows: Float32Array,
    cache: DecoderCache,
    slots: ArrayLike<number>,
  ): Promise<Float32Array> {
    const places = new Int32Array(sequence.length).fill(cache.capacity - 1);
    places.set(slots);
    const { length: tokens } = sequence;
    const shape = { tokens, capacity: cache.capacity };
    return this.#withEmbedded(sequence, visualRows, (x, positions) =>
      this.#withTensors({ slots: [int32(tokens), places] }, async (inputs) => {
        const whole = this.#wholeLayers();
        for (const [index, rows] of cache.layers.slice(0, whole).entries())
          await this.#runLayer(index, this.#programs.cached(index, shape), {
            ...{ x, positions, cache: rows },
            ...inputs,
          });
        if (whole < cache.layers.length)
          return this.#lastRow(cache, sequence, slots, { x, positions, ...inputs });
        const [logits] = await this.#logitsOf(x, Int32Array.of(sequence.tokens - 1));
        return logits!;
      }),
    );
  }

  /** Layers that a prompt goes through as a whole: behind the last one a single row counts, where blocks take a row alone. */
  #wholeLayers(): number {
    const { layers, takesSlots } = this.#context.decoder;
    return takesSlots === true ? layers.length - 1 : layers.length;
  }

  /** The last layer of a prompt: keys and values of all its tokens, then the block of the last token alone. */
  async #lastRow(
    cache: DecoderCache,
    sequence: PaddedSequence,
    slots: ArrayLike<number>,
    inputs: Readonly<Record<string, DeviceTensor>>,
  ): Promise<Float32Array> {
    const { capacity, layers } = cache;
    const index = layers.length - 1;
    const rows = layers[index]!;
    const parameters = this.#programs.weights(index);
    const keys = this.#programs.keys(index, { tokens: sequence.length, capacity });
    const row = Int32Array.of(sequence.tokens - 1);
    const { constants } = this.#stepInputs(capacity, [lastToken(sequence, slots)]);
    const x = (await this.#run(keys, { parameters, cache: rows, row, ...inputs }))['entering']!;
    try {
      return await this.#withTensors(constants, async (step) => {
        const program = this.#programs.step(index, { tokens: 1, capacity });
        await this.#runLayer(index, program, { x, cache: rows, ...step });
        const [logits] = await this.#logitsOf(x, Int32Array.of(0));
        return logits!;
      });
    } finally {
      x.dispose();
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
      this.#programs.embed(length, roundUp(visualRows, VISUAL_BUCKET)),
      ...Array.from({ length: depth }, (_, index) => this.#programs.block(index, length)),
      ...(isEmpty(head) ? [] : [this.#programs.head(length, head)]),
    ]);
  }

  /** As {@link prepareForward}, for {@link prefill} and the steps after it, with a token of so many sequences each. */
  async prepareGeneration(
    { length }: PaddedSequence,
    visualRows: number,
    { capacity, sequences = 1 }: { readonly capacity: number; readonly sequences?: number },
  ): Promise<void> {
    const layers = this.#context.decoder.layers.map((_, index) => index);
    const whole = this.#wholeLayers();
    const shape = { tokens: length, capacity };
    this.#prepare([
      this.#programs.embed(length, roundUp(visualRows, VISUAL_BUCKET)),
      ...layers.slice(0, whole).map((index) => this.#programs.cached(index, shape)),
      ...layers.slice(whole).map((index) => this.#programs.keys(index, shape)),
    ]);
    if (this.#context.decoder.takesSlots !== true) {
      this.#prepare([this.#programs.head(length, rowsOfLogits(1))]);
      return;
    }
    const together = rowBucket(sequences);
    this.#prepare([
      ...layers.slice(whole).map((index) => this.#programs.step(index, { tokens: 1, capacity })),
      this.#programs.head(1, rowsOfLogits(1)),
      this.#programs.embed(together, 0),
      ...layers.map((index) => this.#programs.step(index, { tokens: together, capacity })),
      this.#programs.head(together, rowsOfLogits(together)),
    ]);
  }

  #prepare(sources: readonly ProgramSource[]): void {
    for (const { key, make } of sources) this.#options.programs.prepare(key, make);
  }

  /**
   * Text that follows in sequences of a cache, a token each or more: their keys and values go into their slots. All of them are
   * one pass over the weights, where the decoder takes slots.
   * @returns logits (K) of the last token of each.
   */
  async extend(
    cache: DecoderCache,
    sequences: readonly NextTokens[],
  ): Promise<readonly Float32Array[]> {
    if (this.#context.decoder.takesSlots === true) return this.#extendTogether(cache, sequences);
    const logits: Float32Array[] = [];
    for (const sequence of sequences) logits.push(await this.#extendOne(cache, sequence));
    return logits;
  }

  async #extendTogether(cache: DecoderCache, sequences: readonly NextTokens[]) {
    const { capacity } = cache;
    const { next, constants } = this.#stepInputs(capacity, sequences);
    const tokens = next.inputIds.length;
    return this.#through(cache, next.inputIds, next.last, constants, (index) =>
      this.#programs.step(index, { tokens, capacity }),
    );
  }

  /** What a step reads of sequences that go on. */
  #stepInputs(capacity: number, sequences: readonly NextTokens[]) {
    const { positionRows } = this.#context.sizes;
    const next = layOutNext(sequences, positionRows, capacity - 1);
    const tokens = next.inputIds.length;
    const constants: Constants = {
      positions: [int32(positionRows, tokens), next.positions],
      slots: [int32(tokens), next.slots],
      mask: [float32(tokens, capacity), nextMask(sequences, tokens, capacity)],
    };
    return { next, constants };
  }

  /** For blocks that know one sequence. */
  async #extendOne(cache: DecoderCache, sequence: NextTokens): Promise<Float32Array> {
    const { capacity } = cache;
    const { positionRows } = this.#context.sizes;
    const next = layOutNext([sequence], positionRows, capacity - 1);
    const tokens = next.inputIds.length;
    const before = sequence.seen.length;
    const window = roundUp(before + tokens, WINDOW_BUCKET);
    const seen = new Int32Array(window).fill(capacity - 1);
    seen.set(sequence.seen);
    const constants: Constants = {
      positions: [int32(positionRows, tokens), next.positions],
      slots: [int32(tokens), next.slots],
      seen: [int32(window), seen],
      before: [int32(), Int32Array.of(before)],
    };
    const [logits] = await this.#through(cache, next.inputIds, next.last, constants, (index) =>
      this.#programs.sequence(index, { tokens, capacity, window }),
    );
    return logits!;
  }

  /** Embeds text, runs every block over it, and gives the logits of some rows. */
  async #through(
    cache: DecoderCache,
    inputIds: Int32Array,
    rows: Int32Array,
    constants: Constants,
    program: (index: number) => ProgramSource,
  ): Promise<readonly Float32Array[]> {
    const x = await this.#embed({ inputIds }, inputIds.length, 0);
    try {
      return await this.#withTensors(constants, async (inputs) => {
        for (const [index, layer] of cache.layers.entries())
          await this.#runLayer(index, program(index), { x, cache: layer, ...inputs });
        return this.#logitsOf(x, rows);
      });
    } finally {
      x.dispose();
    }
  }

  /** Values that all layers read, on the device for the time of `body`. */
  async #withTensors<Result>(
    values: Constants,
    body: (tensors: Readonly<Record<string, DeviceTensor>>) => Promise<Result>,
  ): Promise<Result> {
    const { device } = this.#context;
    const tensors = Object.fromEntries(
      Object.entries(values).map(([name, [spec, data]]) => [
        name,
        createTensor(spec, data, device),
      ]),
    );
    try {
      return await body(tensors);
    } finally {
      for (const tensor of Object.values(tensors)) tensor.dispose();
    }
  }

  /** Logits (K) of these rows of x. */
  async #logitsOf(x: DeviceTensor, rows: Int32Array): Promise<readonly Float32Array[]> {
    // As many as a program has: what is asked for in vain is the first row again.
    const padded = new Int32Array(rowBucket(rows.length)).fill(rows[0]!);
    padded.set(rows);
    const outputs = await this.#runHead(x, rowsOfLogits(padded.length), padded);
    const all = await takeValues(outputs.logits!);
    const size = all.length / padded.length;
    return Array.from(rows, (_, i) => all.subarray(i * size, (i + 1) * size));
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
    const parameters = this.#programs.embedWeights().values;
    const program = this.#programs.embed(length, visualRows);
    const { x } = await this.#run(program, { parameters, ...inputs });
    return x!;
  }

  /** Turns `x` into the output of a block. */
  async #runLayer(
    index: number,
    program: ProgramSource,
    inputs: Readonly<Record<string, Tree<RunValue>>>,
  ): Promise<void> {
    const parameters = this.#programs.weights(index);
    await this.#run(program, { parameters, ...inputs });
  }

  /** @param rows the rows whose logits are wanted, where they are not all. */
  async #runHead(x: DeviceTensor, request: HeadRequest, rows?: Int32Array) {
    if (isEmpty(request)) return {};
    const parameters = this.#programs.headWeights(request).values;
    const asked = rows !== undefined && { rows };
    return this.#run(this.#programs.head(x.shape[0]!, request), { parameters, x, ...asked });
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

  /** The rows of the sequence: the next block overwrites the tensor. */
  async #copy(x: DeviceTensor, { tokens }: PaddedSequence): Promise<Float32Array> {
    const values = (await x.read()) as Float32Array;
    return values.slice(0, tokens * this.#context.sizes.hiddenSize);
  }
}

const rowsOfLogits = (rows: number): HeadRequest => ({ states: false, logits: { rows } });

const headRequest = (request: {
  readonly taps: readonly DecoderSite[];
  readonly logits: boolean;
}): HeadRequest => ({
  states: request.taps.includes('final'),
  logits: request.logits ? 'all' : 'none',
});

const isEmpty = ({ states, logits }: HeadRequest): boolean => !states && logits === 'none';

/** Values of a result that nobody else needs, padding left out. */
async function take(tensor: DeviceTensor, sequence: PaddedSequence): Promise<Float32Array> {
  const [, channels] = tensor.shape;
  return (await takeValues(tensor)).slice(0, sequence.tokens * channels!);
}
