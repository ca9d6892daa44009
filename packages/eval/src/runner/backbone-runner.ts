import {
  type BackboneV1,
  bindWeights,
  CompiledDecoder,
  type DecoderSite,
  isViewSite,
  type PreparedInputsV1,
  padSequence,
  parseTapSite,
  type SpatialCheckpoint,
  SpatialError,
  siteIndex,
  siteOfLayer,
  type TapSite,
  type ViewGridV1,
  type ViewInputV1,
  type ViewSite,
} from '@spatialsv/core';
import {
  type DeviceTensor,
  type Precision,
  ProgramCache,
  type Tree,
  takeValues,
  type WeightPolicy,
  type WeightReport,
  WeightSet,
} from '@spatialsv/engine';
import type { GenerateOptions, GenerateResult } from './answer.js';
import { AnswerBatch, visualTokens } from './answer-batch.js';
import { requireFinite } from './finite.js';
import { type GeometryMaps, GeometryRunner } from './geometry-runner.js';
import { compileVision, type ProgramContext } from './runner-programs.js';

export interface RunnerOptions {
  /** A device of the engine, `cpu` by default. */
  readonly device?: string;
  /** Of vision encoder, projector and decoder, `float32` by default; 3D heads are float32. */
  readonly precision?: Precision | undefined;
  /** Compiled programs to keep, 32 by default; a decoder needs three per length of a sequence. */
  readonly programs?: number;
  /** Values that replace weights of the checkpoint by name, for example those of a running training. */
  readonly parameters?: Readonly<Record<string, DeviceTensor>>;
  /** What is read of the decoder's weights, `auto` by default. */
  readonly weights?: WeightPolicy;
  /** Answers that are decoded together at most, 8 by default. */
  readonly answers?: number;
  /**
   * Whether an answer starts from the keys and values of another, where both prompts begin alike up to their last view.
   * Default true.
   */
  readonly reuse?: boolean;
}

export interface ForwardRequest<Site extends TapSite = TapSite> {
  /** Sites whose states are wanted. */
  readonly sites: readonly Site[];
  readonly logits?: boolean;
}

/** States of one view: patches of the vision encoder (P, Cv), or rows of the projector (h·w, C), row-major. */
export interface ViewStates {
  readonly data: Float32Array;
  readonly shape: readonly number[];
}

/** By site: of every site that was asked for, where its type says which those are. */
type BySite<Asked extends TapSite, Site extends TapSite, States> = TapSite extends Asked
  ? Readonly<Partial<Record<Site, States>>>
  : Readonly<Record<Asked & Site, States>>;

export interface ForwardResult<Asked extends TapSite = TapSite> {
  /** Those of the decoder, (T, C). */
  readonly hidden: BySite<Asked, DecoderSite, Float32Array>;
  /** Those of the views, in the order of the views. */
  readonly views: BySite<Asked, ViewSite, readonly ViewStates[]>;
  /** (T, K). */
  readonly logits?: Float32Array;
}

type Outputs = Readonly<Record<string, Tree<DeviceTensor>>>;

/**
 * Runs an opened checkpoint: vision encoder and projector per view, hidden states and logits of whole sequences,
 * answers with a key-value cache, and the maps of the 3D heads. Weights stay in their files; programs are compiled once
 * per shape, and one program serves all blocks of the decoder.
 */
export class BackboneRunner {
  readonly backbone: BackboneV1;
  readonly #context: ProgramContext;
  readonly #programs: ProgramCache;
  readonly #decoder: CompiledDecoder;
  readonly #weights: WeightSet;
  readonly #answers: AnswerBatch;

  constructor(backbone: BackboneV1, options: RunnerOptions = {}) {
    this.backbone = backbone;
    const programs = new ProgramCache(options.programs ?? 32);
    const { device = 'cpu', precision, parameters: given = {} } = options;
    this.#weights = decoderWeights(backbone, given, options);
    const weights = { ...backbone.weights, ...this.#weights.values(), ...given };
    const vision = Object.keys(weights).filter(
      (name) => backbone.parameterGroup(name) !== 'language-model',
    );
    this.#programs = programs;
    this.#context = {
      backbone,
      device,
      precision,
      vision: bindWeights(weights, Object.fromEntries(vision.map((name) => [name, name]))),
    };
    this.#decoder = new CompiledDecoder({
      decoder: backbone.decoder,
      sizes: backbone.config,
      weights,
      programs,
      device,
      precision,
    });
    this.#answers = new AnswerBatch({
      backbone,
      decoder: this.#decoder,
      encodeViews: (inputs) => this.encodeViews(inputs),
      size: options.answers ?? 8,
      reuse: options.reuse ?? true,
    });
  }

  /** What is read of the decoder's weights, and why. */
  get weights(): WeightReport {
    return this.#weights.report;
  }

  /** Makes float32 copies of weights now instead of at their first use, where there are to be any. */
  load(): Promise<void> {
    return this.#weights.load();
  }

  /** (N, C) rows of all views in order, as the prompt places them. */
  async encodeViews(inputs: PreparedInputsV1): Promise<Float32Array> {
    return (await this.#encode(inputs, [])).rows;
  }

  /**
   * States at any sites, and logits of a whole sequence.
   * @throws SpatialError TAP_UNKNOWN for a site that the backbone does not have.
   */
  forward<Site extends TapSite>(
    inputs: PreparedInputsV1,
    request: ForwardRequest<Site>,
  ): Promise<ForwardResult<Site>>;
  async forward(inputs: PreparedInputsV1, request: ForwardRequest): Promise<ForwardResult> {
    const { config } = this.backbone;
    const asked = [...new Set(request.sites)].map((site) => parseTapSite(site, config));
    const sites = asked.filter((site): site is DecoderSite => !isViewSite(site));
    const wanted = { taps: sites, logits: request.logits === true };
    const isDecoded = sites.length > 0 || wanted.logits;
    const sequence = padSequence(inputs);
    const [encoded] = await Promise.all([
      this.#encode(inputs, asked.filter(isViewSite)),
      isDecoded && this.#decoder.prepareForward(sequence, visualTokens(inputs), wanted),
    ]);
    if (!isDecoded) return { hidden: {}, views: encoded.states };
    const decoded = await this.#decoder.forward(sequence, encoded.rows, wanted);
    return { views: encoded.states, ...decoded };
  }

  /** Vision encoder and projector of every view: the rows of all of them, and their states by site. */
  async #encode(inputs: PreparedInputsV1, sites: readonly ViewSite[]) {
    const rows: Float32Array[] = [];
    const states: Partial<Record<ViewSite, ViewStates[]>> = {};
    for (const site of sites) states[site] = [];
    const blocks = sites.filter((site) => site !== 'projector').map(siteIndex);
    for (const [index, view] of inputs.views.entries()) {
      const next = inputs.views[index + 1];
      if (next !== undefined) this.#prepareView(next, blocks);
      const outputs = await this.#encodeView(view, blocks);
      const ofView = await takeStates(outputs['rows'] as DeviceTensor);
      rows.push(ofView.data);
      states.projector?.push(gridRows(ofView, inputs.grids[index]!));
      const tapped = (outputs['states'] ?? {}) as Readonly<Record<string, DeviceTensor>>;
      for (const block of blocks) states[`vision:${block}`]!.push(await takeStates(tapped[block]!));
    }
    return { rows: concat(rows), states };
  }

  #encodeView(view: ViewInputV1, blocks: readonly number[]): Promise<Outputs> {
    const { pixelValues } = view;
    const { values: parameters } = this.#context.vision;
    return this.#programs.use(
      viewKey(view, blocks),
      () => compileVision(this.#context, view, blocks),
      async (program) => (await program.run({ parameters, pixelValues })) as Outputs,
    );
  }

  #prepareView(view: ViewInputV1, blocks: readonly number[]): void {
    this.#programs.prepare(viewKey(view, blocks), () => compileVision(this.#context, view, blocks));
  }

  /**
   * Answers token by token until the turn ends. Greedy, unless sampling is asked for. Answers that are asked for at the same time
   * are decoded together; the tokens of each are those that it has alone.
   * @throws SpatialError NON_FINITE for logits that are no numbers.
   */
  generate(inputs: PreparedInputsV1, options: GenerateOptions = {}): Promise<GenerateResult> {
    return this.#answers.generate(inputs, options);
  }

  /**
   * The maps of the 3D heads for every view, at the output size of the first view's grid.
   * @throws SpatialError TAP_UNKNOWN when the heads read layers that the decoder does not have, NON_FINITE for states and maps
   *   with NaN or infinities.
   */
  async predictGeometry(inputs: PreparedInputsV1, heads: SpatialCheckpoint): Promise<GeometryMaps> {
    requireViews(inputs);
    const { layers } = this.backbone.config;
    const sites = heads.taps.map((layer) => siteOfLayer(layer, layers));
    const geometry = new GeometryRunner(this.#context, this.#programs, heads);
    const [{ hidden }] = await Promise.all([
      this.forward(inputs, { sites }),
      geometry.prepare(inputs.grids),
    ]);
    const origin = { backbone: this.backbone, heads: heads.parameters };
    for (const [site, states] of Object.entries(hidden))
      await requireFinite(`hidden states at ${site}`, states!, origin);
    const maps = await geometry.predict(inputs.grids, hidden);
    for (const [name, values] of Object.entries(maps))
      if (values instanceof Float32Array) await requireFinite(`map ${name}`, values, origin);
    return maps;
  }

  /** Releases every compiled program, and copies of weights. */
  async dispose(): Promise<void> {
    await this.#answers.dispose();
    await this.#programs.dispose();
    await this.#weights.dispose();
  }
}

/** Weights that the blocks and the head read; of a table that only gives embeddings a few rows are read, from the file. */
function decoderWeights(
  backbone: BackboneV1,
  given: Readonly<Record<string, DeviceTensor>>,
  { device, weights: policy }: RunnerOptions,
): WeightSet {
  const { embed, logits } = backbone.decoder.names;
  const isRead = ([name]: readonly [string, unknown]) =>
    backbone.parameterGroup(name) === 'language-model' &&
    !Object.hasOwn(given, name) &&
    (logits.includes(name) || !embed.includes(name));
  const tensors = Object.fromEntries(Object.entries(backbone.weights).filter(isRead));
  return new WeightSet(tensors, {
    ...(device !== undefined && { device }),
    ...(policy !== undefined && { policy }),
  });
}
const viewKey = ({ layout, pixelShape }: ViewInputV1, blocks: readonly number[]): string =>
  `vision:${layout.key}:${pixelShape.join()}:${blocks.join()}`;

async function takeStates(tensor: DeviceTensor): Promise<ViewStates> {
  return { shape: tensor.shape, data: await takeValues(tensor) };
}

/** Rows of the grid cells, row-major, of the rows (N, C) of all positions of a view. */
export function gridRows({ data, shape }: ViewStates, grid: ViewGridV1): ViewStates {
  const channels = shape[1]!;
  const positions = [...grid.tokenIndex, ...grid.extraIndex].sort((a, b) => a - b);
  const places = new Map(positions.map((position, row) => [position, row]));
  const cells = new Float32Array(grid.tokenIndex.length * channels);
  grid.tokenIndex.forEach((position, cell) => {
    const row = places.get(position)!;
    cells.set(data.subarray(row * channels, (row + 1) * channels), cell * channels);
  });
  return { data: cells, shape: [grid.tokenIndex.length, channels] };
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

function requireViews(inputs: PreparedInputsV1): void {
  if (inputs.grids.length > 0) return;
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: 'geometry: expected at least one view, found none',
    hint: 'Give one image or more.',
  });
}
