import {
  type BackboneV1,
  type PreparedInputsV1,
  type SpatialCheckpoint,
  SpatialError,
} from '@spatialsv/core';
import {
  type CompiledProgram,
  type DeviceTensor,
  ProgramCache,
  type RunValue,
  type SpecTree,
  type Tree,
} from '@spatialsv/engine';
import { type GeometryMaps, GeometryRunner } from './geometry-runner.js';
import {
  compileForward,
  compilePrefill,
  compileStep,
  compileVision,
  type ProgramContext,
} from './runner-programs.js';
import { CACHE_BUCKET, type PaddedSequence, padSequence, roundUp } from './sequence-layout.js';
import { TokenText } from './token-text.js';

export interface RunnerOptions {
  /** A device of the engine, `cpu` by default. */
  readonly device?: string;
  /** Compiled programs to keep, 12 by default; one per shape of input. */
  readonly programs?: number;
  /** Values that replace weights of the checkpoint by name, for example those of a running training. */
  readonly parameters?: Readonly<Record<string, DeviceTensor>>;
}

export interface ForwardRequest {
  /** Layers whose hidden states are wanted: 0 = embeddings … L = after the final norm. */
  readonly layers: readonly number[];
  readonly logits?: boolean;
}

export interface ForwardResult {
  /** (T, C) by layer. */
  readonly hidden: Readonly<Record<number, Float32Array>>;
  /** (T, K). */
  readonly logits?: Float32Array;
}

export interface GenerateOptions {
  /** Tokens at most, 128 by default. */
  readonly maxNewTokens?: number;
  /** Called with the characters that each token completes. */
  readonly onText?: (text: string) => void;
  /** Called after each token. */
  readonly onToken?: (count: number) => void;
  /** Stops after the token under way. */
  readonly signal?: AbortSignal;
}

export interface GenerateResult {
  /** New tokens, without the one that ended the turn. */
  readonly ids: readonly number[];
  readonly text: string;
  readonly stoppedBy: 'end-of-turn' | 'length' | 'signal';
}

type Outputs = Readonly<Record<string, Tree<DeviceTensor>>>;

/**
 * Runs an opened checkpoint: vision encoder and projector per view, hidden states and logits of whole sequences, greedy
 * answers with a key-value cache, and the maps of the 3D heads. Weights stay in their files; programs are compiled once
 * per shape.
 */
export class BackboneRunner {
  readonly backbone: BackboneV1;
  readonly #context: ProgramContext;
  readonly #programs: ProgramCache;
  readonly #replaced: { readonly vision: Values; readonly decoder: Values };

  constructor(backbone: BackboneV1, options: RunnerOptions = {}) {
    this.backbone = backbone;
    this.#programs = new ProgramCache(options.programs ?? 12);
    const given = options.parameters ?? {};
    const isVision = (name: string) =>
      ['vision', 'projector'].includes(backbone.parameterGroup(name));
    const isDecoder = (name: string) => backbone.parameterGroup(name) === 'language-model';
    this.#replaced = { vision: pick(given, isVision), decoder: pick(given, isDecoder) };
    this.#context = {
      backbone,
      device: options.device ?? 'cpu',
      vision: weightSpecs(backbone, given, isVision),
      decoder: weightSpecs(backbone, given, isDecoder),
    };
  }

  /** (N, C) rows of all views in order, as the prompt places them. */
  async encodeViews(inputs: PreparedInputsV1): Promise<Float32Array> {
    const parts: Float32Array[] = [];
    for (const view of inputs.views) {
      const key = `vision:${view.gridThw.join()}:${view.pixelShape.join()}`;
      const { rows } = await this.#programs.use(
        key,
        () => compileVision(this.#context, view),
        (program) => this.#run(program, 'vision', { pixelValues: view.pixelValues }),
      );
      parts.push(await take(rows as DeviceTensor));
    }
    return concat(parts);
  }

  /**
   * Hidden states and logits of a whole sequence.
   * @throws SpatialError TAP_UNKNOWN for a layer that the decoder does not have.
   */
  async forward(inputs: PreparedInputsV1, request: ForwardRequest): Promise<ForwardResult> {
    const sequence = padSequence(inputs);
    const logits = request.logits === true;
    const layers = [...new Set(request.layers)].sort((a, b) => a - b);
    const key = `forward:${shapeKey(sequence)}:${layers.join()}:${logits}`;
    const given = await this.#sequenceValues(inputs, sequence);
    const outputs = await this.#programs.use(
      key,
      () => compileForward(this.#context, sequence, layers, logits),
      (program) => this.#run(program, 'decoder', given),
    );
    const { hiddenSize, vocabularySize } = this.backbone.config;
    const read = async (name: string, columns: number) =>
      (await take(outputs[name] as DeviceTensor)).slice(0, sequence.tokens * columns);
    const hidden: Record<number, Float32Array> = {};
    for (const layer of layers) hidden[layer] = await read(`h${layer}`, hiddenSize);
    return logits ? { hidden, logits: await read('logits', vocabularySize) } : { hidden };
  }

  /** Greedy answer: always the most probable token, until the turn ends. */
  async generate(inputs: PreparedInputsV1, options: GenerateOptions = {}): Promise<GenerateResult> {
    const limit = options.maxNewTokens ?? 128;
    const sequence = padSequence(inputs);
    const capacity = roundUp(Math.max(sequence.length, sequence.tokens + limit), CACHE_BUCKET);
    // Compiled while the prompt runs; a failure is met at the first step.
    return this.#programs.useAhead(
      `step:${capacity}`,
      () => compileStep(this.#context, capacity),
      async (stepping) => {
        const { logits, cache } = await this.#prefill(inputs, sequence, capacity);
        try {
          return await this.#continue(inputs, { logits, cache, stepping, limit }, options);
        } finally {
          for (const tensor of leaves(cache)) tensor.dispose();
        }
      },
    );
  }

  /**
   * The maps of the 3D heads for every view, at the output size of the first view's grid.
   * @throws SpatialError TAP_UNKNOWN when the heads read layers that the decoder does not have.
   */
  async predictGeometry(inputs: PreparedInputsV1, heads: SpatialCheckpoint): Promise<GeometryMaps> {
    requireViews(inputs);
    const { hidden } = await this.forward(inputs, { layers: heads.taps });
    const geometry = new GeometryRunner(this.#context, this.#programs, heads);
    return geometry.predict(inputs.grids, hidden);
  }

  /** Releases every compiled program. */
  dispose(): Promise<void> {
    return this.#programs.dispose();
  }

  async #prefill(inputs: PreparedInputsV1, sequence: PaddedSequence, capacity: number) {
    const key = `prefill:${shapeKey(sequence)}:${capacity}`;
    const given = await this.#sequenceValues(inputs, sequence);
    const lastRow = Int32Array.of(sequence.tokens - 1);
    const outputs = await this.#programs.use(
      key,
      () => compilePrefill(this.#context, sequence, capacity),
      (program) => this.#run(program, 'decoder', { ...given, lastRow }),
    );
    return {
      logits: await take(outputs['logits'] as DeviceTensor),
      cache: outputs['cache'] as Tree<DeviceTensor>,
    };
  }

  async #continue(
    inputs: PreparedInputsV1,
    start: {
      logits: Float32Array;
      cache: Tree<DeviceTensor>;
      stepping: Promise<CompiledProgram>;
      limit: number;
    },
    options: GenerateOptions,
  ): Promise<GenerateResult> {
    const answer = new TokenText((ids) => this.backbone.decodeTokens(ids));
    const finish = (stoppedBy: GenerateResult['stoppedBy']): GenerateResult => {
      options.onText?.(answer.flush());
      return { ids: answer.ids, text: answer.text, stoppedBy };
    };
    let { logits } = start;
    for (;;) {
      const id = argmax(logits);
      if (this.backbone.config.endOfTurnIds.includes(id)) return finish('end-of-turn');
      if (answer.ids.length >= start.limit) return finish('length');
      if (options.signal?.aborted) return finish('signal');
      const completed = answer.push(id);
      options.onText?.(completed);
      options.onToken?.(answer.ids.length);
      if (answer.ids.length >= start.limit) return finish('length');
      logits = await this.#step(await start.stepping, inputs, answer.ids, start.cache);
    }
  }

  /** Feeds the last new token and returns the logits of the next. */
  async #step(
    program: CompiledProgram,
    inputs: PreparedInputsV1,
    ids: readonly number[],
    cache: Tree<DeviceTensor>,
  ): Promise<Float32Array> {
    const place = ids.length - 1;
    const outputs = await this.#run(program, 'decoder', {
      inputIds: Int32Array.of(ids[place]!),
      positions: new Int32Array(inputs.positionRows).fill(inputs.nextPosition + place),
      slot: inputs.inputIds.length + place,
      cache,
    });
    return take(outputs['logits'] as DeviceTensor);
  }

  async #sequenceValues(
    inputs: PreparedInputsV1,
    sequence: PaddedSequence,
  ): Promise<Record<string, RunValue>> {
    const { inputIds, positions, spliceIndex, visualCapacity } = sequence;
    if (visualCapacity === 0) return { inputIds, positions };
    const visualRows = new Float32Array(visualCapacity * this.backbone.config.hiddenSize);
    visualRows.set(await this.encodeViews(inputs));
    return { inputIds, positions, spliceIndex, visualRows };
  }

  async #run(
    program: CompiledProgram,
    part: 'vision' | 'decoder',
    values: Record<string, Tree<RunValue>>,
  ): Promise<Outputs> {
    return (await program.run({ ...values, parameters: this.#replaced[part] })) as Outputs;
  }
}

type Values = Readonly<Record<string, DeviceTensor>>;

const pick = (values: Values, isWanted: (name: string) => boolean): Values =>
  Object.fromEntries(Object.entries(values).filter(([name]) => isWanted(name)));

function weightSpecs(
  backbone: BackboneV1,
  given: Values,
  isWanted: (name: string) => boolean,
): SpecTree {
  const names = Object.keys(backbone.weights).filter(isWanted);
  return Object.fromEntries(
    names.map((name) => {
      const value = given[name];
      if (value === undefined) return [name, backbone.weights[name]!];
      return [name, { shape: value.shape, dtype: value.dtype }];
    }),
  );
}

const shapeKey = ({ length, visualCapacity }: PaddedSequence): string =>
  `${length}:${visualCapacity}`;

/** Values of a result that nobody else needs. */
async function take(tensor: DeviceTensor): Promise<Float32Array> {
  const values = (await tensor.read()) as Float32Array;
  tensor.dispose();
  return values;
}

function leaves(tree: Tree<DeviceTensor>): DeviceTensor[] {
  if (typeof (tree as DeviceTensor).read === 'function') return [tree as DeviceTensor];
  return Object.values(tree as Record<string, Tree<DeviceTensor>>).flatMap(leaves);
}

function concat(parts: readonly Float32Array[]): Float32Array {
  const whole = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

/** Index of the first largest value. @throws SpatialError NON_FINITE when there is none. */
function argmax(values: Float32Array): number {
  let best = -1;
  for (let i = 0; i < values.length; i++) {
    if (best < 0 ? values[i]! > -Infinity : values[i]! > values[best]!) best = i;
  }
  if (best >= 0) return best;
  throw new SpatialError({
    code: 'NON_FINITE',
    message: `logits: expected a largest value among ${values.length}, found none that is a number`,
    hint: 'The weights are damaged or a training run diverged: check them with `spatialsv taps`.',
  });
}

function requireViews(inputs: PreparedInputsV1): void {
  if (inputs.grids.length > 0) return;
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: 'geometry: expected at least one view, found none',
    hint: 'Give one image or more.',
  });
}
