import { type Parameters, SpatialError } from '@spatialsv/core';
import {
  type CompiledProgram,
  compile,
  type DeviceTensor,
  differentiate,
  float32,
  int32,
  type Tensor,
  takeValues,
} from '@spatialsv/engine';
import type { Tensors } from '../optimizer/group-update.js';
import { mapValues } from '../records.js';
import { addGradients } from '../step/step-program.js';
import { countMatches, type MatchCounts, type Matches, noMatches } from './correspondence.js';
import type { ChannelStatistics } from './feature-sources.js';
import type { CellFeatures } from './feature-store.js';
import {
  chunksOf,
  groupBy,
  joinPadded,
  type LossSum,
  type Metrics,
  type ProbeBatch,
  type ProbeContext,
  type ProbeModel,
} from './probe-model.js';
import { type ChannelScale, matchLoss, matchShapes, similarities } from './probe-network.js';
import type { ProbeSet, ViewLayout } from './view-sets.js';

/** How its programs are compiled. */
const RUNS = { name: 'match probe', singleThread: true } as const;
/** Pairs of views to a run of a program. */
const PAIRS = 8;
/** View sets that are measured together: few pairs are left over then. */
const MEASURED_SETS = 8;

interface Pair {
  readonly layouts: readonly [ViewLayout, ViewLayout];
  readonly features: readonly [CellFeatures, CellFeatures];
  readonly matches: Matches;
}

interface MatchBatch extends ProbeBatch {
  readonly pairs: readonly Pair[];
  readonly inputs: {
    readonly first: Float32Array;
    readonly second: Float32Array;
    readonly targets: Int32Array;
    readonly weights: Float32Array;
  };
}

interface PairInputs {
  readonly parameters: Parameters;
  readonly scale: ChannelScale;
  readonly first: Tensor;
  readonly second: Tensor;
}

interface StepInputs extends PairInputs {
  readonly accumulators: Parameters;
  readonly targets: Tensor;
  readonly weights: Tensor;
}

const cellsOf = ({ h, w }: ViewLayout): number => h * w;

/** A probe for cross-view correspondence: a linear map after which cells that show one point are alike. */
export class MatchProbe implements ProbeModel {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly scale: ChannelStatistics;
  readonly #context: ProbeContext;

  constructor(context: ProbeContext) {
    this.shapes = matchShapes(context.channels);
    this.scale = context.statistics;
    this.#context = context;
  }

  async batches(sets: readonly ProbeSet[]): Promise<readonly MatchBatch[]> {
    const pairs = (await Promise.all(sets.map((set) => this.#pairs(set)))).flat();
    const grids = ({ layouts }: Pair) => layouts.map(({ h, w }) => `${h}x${w}`).join(' to ');
    return groupBy(pairs, grids).flatMap((group) =>
      chunksOf(group, PAIRS).map((chunk) => this.#batch(chunk, grids(chunk[0]!))),
    );
  }

  compileStep({ pairs }: MatchBatch): Promise<CompiledProgram> {
    const program = ({ accumulators, targets, weights, ...inputs }: StepInputs) => {
      const { outputs, gradients } = differentiate((parameters) => {
        const { first, second, scale } = inputs;
        const similarity = similarities(parameters, first, second, scale);
        return { loss: matchLoss(similarity, targets, weights) };
      }, inputs.parameters);
      return { accumulators: addGradients(accumulators, gradients), loss: outputs.loss };
    };
    const cells = cellsOf(pairs[0]!.layouts[0]);
    const inputs = this.#specs(pairs[0]!);
    const specs = {
      ...inputs,
      accumulators: inputs.parameters,
      targets: int32(PAIRS, cells),
      weights: float32(PAIRS, cells),
    };
    const { device } = this.#context;
    return compile(program, specs, { ...RUNS, device, state: ['accumulators'] });
  }

  async measure(
    parameters: Tensors,
    sets: readonly ProbeSet[],
    signal?: AbortSignal,
  ): Promise<LossSum & { readonly metrics: Metrics }> {
    const counts = noMatches();
    let loss = 0;
    for (const some of chunksOf(sets, MEASURED_SETS)) {
      signal?.throwIfAborted();
      for (const batch of await this.batches(some)) {
        const found = await this.#similarities(parameters, batch);
        loss += found.loss;
        for (const [index, { matches, layouts }] of batch.pairs.entries()) {
          const size = cellsOf(layouts[0]) * cellsOf(layouts[1]);
          const part = found.similarity.subarray(index * size, (index + 1) * size);
          countMatches(counts, part, matches, layouts[1]);
        }
      }
    }
    return { loss, count: counts.matches, metrics: matchMetrics(counts) };
  }

  async #pairs(set: ProbeSet): Promise<Pair[]> {
    const { source, targets } = this.#context;
    const [features, pairs, layouts] = await Promise.all([
      source.read(set),
      targets.pairs(set),
      targets.layout(set),
    ]);
    return pairs.map(({ from, to, matches }) => ({
      layouts: [layouts[from]!, layouts[to]!],
      features: [features[from]!, features[to]!],
      matches,
    }));
  }

  #batch(pairs: readonly Pair[], grids: string): MatchBatch {
    const [first] = pairs as readonly [Pair];
    const cells = cellsOf(first.layouts[0]);
    const side = (index: 0 | 1) =>
      joinPadded(
        pairs.map(({ features }) => features[index].data),
        PAIRS,
        first.features[index].data.length,
      );
    const targets = new Int32Array(PAIRS * cells);
    const weights = new Float32Array(PAIRS * cells);
    for (const [index, { matches }] of pairs.entries())
      matches.cells.forEach((cell, match) => {
        targets[index * cells + cell] = matches.targets[match]!;
        weights[index * cells + cell] = 1;
      });
    return {
      key: `correspondence ${grids} x${this.#context.channels}`,
      pairs,
      inputs: { first: side(0), second: side(1), targets, weights },
      count: pairs.reduce((sum, { matches }) => sum + matches.cells.length, 0),
    };
  }

  #specs({ layouts: [from, to] }: Pair) {
    const { channels } = this.#context;
    return {
      parameters: mapValues(this.shapes, (shape) => float32(...shape)),
      scale: { mean: float32(channels), inverse: float32(channels) },
      first: float32(PAIRS, cellsOf(from), channels),
      second: float32(PAIRS, cellsOf(to), channels),
    };
  }

  async #similarities(parameters: Tensors, batch: MatchBatch) {
    const { programs } = this.#context;
    const outputs = await programs.use(
      `similarity ${batch.key}`,
      () => this.#compileSimilarities(batch),
      async (program) =>
        (await program.run({ parameters, scale: { ...this.scale }, ...batch.inputs })) as Record<
          'similarity' | 'loss',
          DeviceTensor
        >,
    );
    const [loss] = await takeValues(outputs.loss);
    return { similarity: await takeValues(outputs.similarity), loss: loss! };
  }

  #compileSimilarities({ pairs }: MatchBatch): Promise<CompiledProgram> {
    const program = ({ parameters, first, second, scale, ...given }: StepInputs) => {
      const similarity = similarities(parameters, first, second, scale);
      return { similarity, loss: matchLoss(similarity, given.targets, given.weights) };
    };
    const cells = cellsOf(pairs[0]!.layouts[0]);
    const specs = {
      ...this.#specs(pairs[0]!),
      targets: int32(PAIRS, cells),
      weights: float32(PAIRS, cells),
    };
    const { device } = this.#context;
    return compile(program, specs, { ...RUNS, device });
  }
}

/** @throws SpatialError DATA_INVALID without a match. */
export function matchMetrics(counts: MatchCounts): Metrics {
  const { matches } = counts;
  if (matches === 0)
    throw new SpatialError({
      code: 'DATA_INVALID',
      message: 'held-out scenes: no two views of a set show a point in common',
      hint: 'Correspondence needs sets of at least two views that overlap. Hold out more scenes, or leave the task out.',
    });
  const share = (count: number) => count / matches;
  return {
    recall1: share(counts.recall1),
    recall5: share(counts.recall5),
    pck10: share(counts.pck10),
    pck20: share(counts.pck20),
    matches,
  };
}
