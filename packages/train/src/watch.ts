import {
  type BackboneV1,
  decodeSequence,
  type Parameters,
  type SampleV1,
  SpatialError,
} from '@spatialsv/core';
import {
  compile,
  type DeviceTensor,
  ProgramCache,
  type ProgramTarget,
  type Tensor,
  takeValues,
} from '@spatialsv/engine';
import { unlessBroken } from './data/run-samples.js';
import type { SampleInputs, SampleInputsBuilder } from './data/sample-inputs.js';
import type { TrainingSample } from './data/training-data.js';
import type { ModelState } from './model-state.js';
import { withoutDropout } from './step/held-out-program.js';
import { predictMaps } from './step/predict-maps.js';
import {
  embedSample,
  gatherGrid,
  type SampleTensors,
  type StepModel,
  tapSites,
} from './step/step-program.js';
import { type GridGroup, gridGroups, type StepShape, stepKey } from './step/step-shape.js';
import { measuringSpecs } from './step/step-specs.js';

/** What the heads say of the views of a sample, at the output size of the first view's grid. */
export interface WatchedMaps {
  readonly views: number;
  readonly height: number;
  readonly width: number;
  /** (V, H, W) z-depth. */
  readonly depth: Float32Array;
  /** The other maps of the heads, by name: (V, H, W) confidences, (V, H, W, 6) `rays`, (V, H, W, 3) `points`. */
  readonly [name: string]: Float32Array | number;
}

/** A sample that is watched, as the model sees it after a step. */
export interface WatchedLook {
  /** Optimiser steps taken. */
  readonly step: number;
  readonly sample: SampleV1;
  readonly maps: WatchedMaps;
}

export interface WatchOptions extends ProgramTarget {
  readonly model: StepModel;
  readonly state: ModelState;
  readonly builder: Pick<SampleInputsBuilder, 'build'>;
  readonly samples: readonly TrainingSample[];
  readonly onWatch: (look: WatchedLook) => Promise<void>;
  /** Whether a sample that cannot be read is left out of a look. */
  readonly skipsBroken: boolean;
}

/** Shapes whose programs are kept compiled. */
const PROGRAMS = 4;

/** Lifts a few samples with the parameters as they are; nothing of it enters the training. */
export class Watch {
  readonly #options: WatchOptions;
  readonly #programs = new ProgramCache(PROGRAMS);

  /** @throws SpatialError CONFIG_INVALID when the heads say nothing about depth. */
  constructor(options: WatchOptions) {
    this.#options = options;
    if (options.model.heads.tasks.includes('depth')) return;
    throw new SpatialError({
      code: 'CONFIG_INVALID',
      message: 'watch: expected heads with the task depth, found none that is trained',
      hint: 'Remove `watch`, or take an arm with 3D heads.',
    });
  }

  /** Shows every watched sample, one after the other. */
  async look(step: number): Promise<void> {
    const { samples, builder, onWatch, skipsBroken } = this.#options;
    for (const sample of samples) {
      const inputs = await unlessBroken(skipsBroken, () => builder.build(sample));
      if (inputs !== undefined) await onWatch({ step, sample, maps: await this.#lift(inputs) });
    }
  }

  async #lift({ shape, tensors }: SampleInputs): Promise<WatchedMaps> {
    const { state, model } = this.#options;
    const parameters = state.published;
    const inputs = { frozen: state.frozenTensors, parameters, sample: tensors };
    const outputs = await this.#programs.use(
      stepKey(shape),
      () => this.#compile(shape),
      async (program) =>
        (await program.run(inputs)) as Record<string, Record<string, DeviceTensor>>,
    );
    const size = model.heads.outputSize(shape.views[0]!);
    const maps: Record<string, Float32Array> = {};
    for (const group of gridGroups(shape.views))
      for (const [name, tensor] of Object.entries(outputs[group.name]!))
        await place(maps, name, tensor, group, shape.views.length);
    return { views: shape.views.length, ...size, ...maps } as WatchedMaps;
  }

  #compile(shape: StepShape) {
    const { model, state, device, precision } = this.#options;
    const specs = measuringSpecs(model, state, shape);
    return compile(watchProgram(model, shape), specs, { device, precision, name: 'watch' });
  }

  dispose(): Promise<void> {
    return this.#programs.dispose();
  }
}

/** Puts the maps of some views into their places among all views. */
async function place(
  maps: Record<string, Float32Array>,
  name: string,
  tensor: DeviceTensor,
  { views }: GridGroup,
  count: number,
): Promise<void> {
  const values = await takeValues(tensor);
  const each = values.length / views.length;
  maps[name] ??= new Float32Array(count * each);
  for (const [i, view] of views.entries())
    maps[name].set(values.subarray(i * each, (i + 1) * each), view * each);
}

interface WatchTensors {
  readonly frozen: Parameters;
  readonly parameters: Parameters;
  readonly sample: SampleTensors;
}

/** The maps of the heads by grid group, without dropout. A program. */
function watchProgram(model: StepModel, shape: StepShape) {
  return ({ frozen, parameters: trained, sample }: WatchTensors) => {
    const parameters = withoutDropout({ ...frozen, ...trained });
    const { decoder }: Pick<BackboneV1, 'decoder'> = model.backbone;
    const sites = tapSites(model);
    const { hidden } = decodeSequence(
      decoder,
      parameters,
      {
        embeddings: embedSample(model, shape.views, parameters, sample),
        positions: sample.positions,
      },
      { taps: sites, last: false },
    );
    const size = model.heads.outputSize(shape.views[0]!);
    return Object.fromEntries(
      gridGroups(shape.views).map((group): [string, Record<string, Tensor>] => {
        const taps = sites.map((site) => gatherGrid(hidden[site]!, group, sample));
        return [
          group.name,
          { ...predictMaps(model.heads, parameters, taps, size) } as Record<string, Tensor>,
        ];
      }),
    );
  };
}

/** The first samples with different views. */
export async function watchedSamples(
  samples: AsyncIterable<TrainingSample>,
  count: number,
): Promise<readonly TrainingSample[]> {
  const byViews = new Map<string, TrainingSample>();
  for await (const sample of samples) {
    const key = sample.images.join('\n');
    if (sample.images.length > 0 && !byViews.has(key)) byViews.set(key, sample);
    if (byViews.size === count) break;
  }
  return [...byViews.values()];
}
