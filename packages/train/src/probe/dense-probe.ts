import type { Parameters } from '@spatialsv/core';
import {
  type CompiledProgram,
  compile,
  type DeviceTensor,
  differentiate,
  float32,
  type Tensor,
  takeValues,
} from '@spatialsv/engine';
import type { Tensors } from '../optimizer/group-update.js';
import { mapValues } from '../records.js';
import { addGradients } from '../step/step-program.js';
import { DENSE_CHANNELS, type DenseTarget, type DenseTask, mapSize } from './dense-targets.js';
import type { ChannelStatistics } from './feature-sources.js';
import type { CellFeatures } from './feature-store.js';
import { mapMetrics } from './map-metrics.js';
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
import {
  type ChannelScale,
  denseShapes,
  type ProbeKind,
  predictMaps,
  squaredError,
} from './probe-network.js';
import type { ProbeSet, ViewLayout } from './view-sets.js';

/** Views to a run of a program; where there are fewer, the rest is zeros that count nothing. */
const VIEWS = 8;
/** View sets that are measured together: few views are left over then. */
const MEASURED_SETS = 16;

interface View {
  readonly layout: ViewLayout;
  readonly features: CellFeatures;
  readonly target: DenseTarget;
}

interface DenseBatch extends ProbeBatch {
  readonly h: number;
  readonly w: number;
  readonly views: readonly View[];
  readonly inputs: {
    readonly x: Float32Array;
    readonly target: Float32Array;
    readonly mask: Float32Array;
  };
}

interface StepInputs {
  readonly parameters: Parameters;
  readonly accumulators: Parameters;
  readonly scale: ChannelScale;
  readonly x: Tensor;
  readonly target: Tensor;
  readonly mask: Tensor;
}

/** A probe for maps over the pixels of a view. */
export class DenseProbe implements ProbeModel {
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly scale: ChannelStatistics;
  readonly #task: DenseTask;
  readonly #kind: ProbeKind;
  readonly #context: ProbeContext;

  constructor(task: DenseTask, kind: ProbeKind, context: ProbeContext) {
    this.shapes = denseShapes(kind, task, context.channels);
    this.#task = task;
    this.#kind = kind;
    this.scale = context.statistics;
    this.#context = context;
  }

  async batches(sets: readonly ProbeSet[]): Promise<readonly DenseBatch[]> {
    const views = (await Promise.all(sets.map((set) => this.#views(set)))).flat();
    return groupBy(views, ({ layout: { h, w } }) => `${h}x${w}`).flatMap((group) =>
      chunksOf(group, VIEWS).map((chunk) => this.#batch(chunk)),
    );
  }

  compileStep(batch: DenseBatch): Promise<CompiledProgram> {
    const program = ({ parameters, accumulators, target, mask, ...inputs }: StepInputs) => {
      const { outputs, gradients } = differentiate(
        (trained) => ({ loss: squaredError(this.#predict(trained, inputs), target, mask) }),
        parameters,
      );
      return { accumulators: addGradients(accumulators, gradients), loss: outputs.loss };
    };
    const { h, w } = batch;
    const { height, width } = mapSize(batch);
    const parameters = mapValues(this.shapes, (shape) => float32(...shape));
    const specs = {
      parameters,
      accumulators: parameters,
      scale: this.#scaleSpecs(),
      x: float32(VIEWS, h, w, this.#context.channels),
      target: float32(VIEWS, height, width, DENSE_CHANNELS[this.#task]),
      mask: float32(VIEWS, height, width),
    };
    return compile(program, specs, {
      device: this.#context.device,
      state: ['accumulators'],
      singleThread: true,
      name: `${this.#task} probe`,
    });
  }

  async measure(
    parameters: Tensors,
    sets: readonly ProbeSet[],
    signal?: AbortSignal,
  ): Promise<LossSum & { readonly metrics: Metrics }> {
    const metrics = mapMetrics(this.#task);
    let [loss, count] = [0, 0];
    for (const some of chunksOf(sets, MEASURED_SETS)) {
      signal?.throwIfAborted();
      for (const batch of await this.batches(some)) {
        const maps = await this.#maps(parameters, batch);
        for (const [index, { target }] of batch.views.entries()) {
          const size = target.values.length;
          const map = maps.subarray(index * size, (index + 1) * size);
          metrics.add(map, target);
          loss += squaredErrorOf(map, target);
        }
        count += batch.count;
      }
    }
    return { loss, count, metrics: metrics.result() };
  }

  async #views(set: ProbeSet): Promise<View[]> {
    const { source, targets } = this.#context;
    const [features, maps, layouts] = await Promise.all([
      source.read(set),
      targets.dense(this.#task, set),
      targets.layout(set),
    ]);
    return layouts.map((layout, view) => ({
      layout,
      features: features[view]!,
      target: maps[view]!,
    }));
  }

  #batch(views: readonly View[]): DenseBatch {
    const [{ layout, features, target }] = views as readonly [View];
    const { h, w } = layout;
    const masks = views.map((view) => view.target.mask);
    const { values, mask } = target;
    return {
      key: this.#key(h, w),
      h,
      w,
      views,
      inputs: {
        x: joinPadded(
          views.map((view) => view.features.data),
          VIEWS,
          features.data.length,
        ),
        target: joinPadded(
          views.map((view) => view.target.values),
          VIEWS,
          values.length,
        ),
        mask: joinPadded(masks, VIEWS, mask.length),
      },
      count: masks.reduce((sum, each) => sum + each.reduce((a, b) => a + b, 0), 0),
    };
  }

  #key(h: number, w: number): string {
    return `${this.#task} ${this.#kind} ${h}x${w}x${this.#context.channels}`;
  }

  #predict(parameters: Parameters, { x, scale }: Pick<StepInputs, 'x' | 'scale'>): Tensor {
    return predictMaps(this.#kind, this.#task, parameters, x, scale);
  }

  #scaleSpecs() {
    const { channels } = this.#context;
    return { mean: float32(channels), inverse: float32(channels) };
  }

  async #maps(parameters: Tensors, batch: DenseBatch): Promise<Float32Array> {
    const { programs } = this.#context;
    const { maps } = await programs.use(
      `maps ${batch.key}`,
      () => this.#compileMaps(batch),
      async (program) =>
        (await program.run({ parameters, scale: { ...this.scale }, x: batch.inputs.x })) as {
          maps: DeviceTensor;
        },
    );
    return takeValues(maps);
  }

  #compileMaps({ h, w }: DenseBatch): Promise<CompiledProgram> {
    const { device, channels } = this.#context;
    return compile(
      ({ parameters, ...inputs }: Pick<StepInputs, 'parameters' | 'scale' | 'x'>) => ({
        maps: this.#predict(parameters, inputs),
      }),
      {
        parameters: mapValues(this.shapes, (shape) => float32(...shape)),
        scale: this.#scaleSpecs(),
        x: float32(VIEWS, h, w, channels),
      },
      { device, singleThread: true, name: `${this.#task} probe` },
    );
  }
}

function squaredErrorOf(map: Float32Array, { values, mask }: DenseTarget): number {
  const channels = values.length / mask.length;
  let sum = 0;
  for (let pixel = 0; pixel < mask.length; pixel++) {
    if (mask[pixel] === 0) continue;
    for (let i = pixel * channels; i < (pixel + 1) * channels; i++)
      sum += (map[i]! - values[i]!) ** 2;
  }
  return sum;
}
