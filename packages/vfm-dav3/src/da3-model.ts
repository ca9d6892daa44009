import type { Precision } from '@spatialsv/core/kit';
import { type Da3Config, readDa3Config } from './da3-config.js';
import { joinNested, metricDepth, skyMask } from './da3-metric.js';
import type { Da3Prediction, Da3Views, NetworkOutputs, PredictOptions } from './da3-prediction.js';
import { Da3Programs } from './da3-programs.js';
import { runNetwork } from './da3-run.js';
import { openDa3Weights } from './da3-weights.js';

/**
 * Opens a folder with `config.json` and `model.safetensors`. Weights stay in their file, memory-mapped.
 * @throws SpatialError FILE_MISSING | FILE_INVALID | CONFIG_INVALID | WEIGHT_MISSING | WEIGHT_UNEXPECTED |
 *   SHAPE_MISMATCH | DTYPE_UNSUPPORTED.
 */
export const openDa3 = async (
  folder: string,
  device = 'cpu',
  precision?: Precision,
): Promise<Da3Model> => {
  const config = await readDa3Config(folder);
  const weights = await openDa3Weights(folder, config);
  const programs = (network: 'anyView' | 'single') => {
    const tensors = weights[network];
    return tensors && new Da3Programs(config[network]!, tensors, { device, precision });
  };
  return new Da3Model(config, programs('anyView'), programs('single'), weights.hash);
};

/** An opened checkpoint. */
export class Da3Model {
  readonly config: Da3Config;
  /** SHA-256 of the weights; reads all of them. */
  readonly hashWeights: () => Promise<string>;
  readonly #anyView: Da3Programs | undefined;
  readonly #single: Da3Programs | undefined;

  constructor(
    config: Da3Config,
    anyView: Da3Programs | undefined,
    single: Da3Programs | undefined,
    hashWeights: () => Promise<string>,
  ) {
    this.config = config;
    this.hashWeights = hashWeights;
    this.#anyView = anyView;
    this.#single = single;
  }

  /**
   * Runs the network, or both networks of a nested model. Stops between programs and views when `signal` is aborted.
   * @throws SpatialError DATA_INVALID when a nested model sees hardly anything but sky.
   */
  async predict(views: Da3Views, options: PredictOptions = {}): Promise<Da3Prediction> {
    const size = { views: views.views, height: views.height, width: views.width };
    if (!this.#anyView) return { ...size, ...(await runNetwork(this.#single!, views, options)) };
    const outputs = await runNetwork(this.#anyView, views, options);
    if (!this.#single) return { ...size, ...outputs };
    // The features of a nested model are those of its any-view network.
    const single = await runNetwork(this.#single, views, { ...options, features: false });
    return { ...size, ...nest(outputs, single) };
  }

  async dispose(): Promise<void> {
    await Promise.all([this.#anyView?.dispose(), this.#single?.dispose()]);
  }
}

/** Depth and cameras of the any-view network in the metres of the metric one. */
const nest = (
  outputs: NetworkOutputs,
  single: NetworkOutputs,
): NetworkOutputs & Pick<Da3Prediction, 'metresPerUnit'> => {
  const { extrinsics, intrinsics, depthConfidence, rays } = outputs;
  const { scale, ...depths } = joinNested({
    depth: outputs.depth,
    depthConfidence: depthConfidence!,
    metric: metricDepth(single.depth, intrinsics!),
    sky: skyMask(single.sky!),
  });
  return {
    ...outputs,
    ...depths,
    sky: single.sky!,
    extrinsics: extrinsics!.map((value, i) => (i % 4 === 3 ? value * scale : value)),
    ...(rays ? { rays: { ...rays, data: scaleOrigins(rays.data, scale) } } : {}),
    metresPerUnit: scale,
  };
};

const scaleOrigins = (rays: Float32Array, scale: number): Float32Array =>
  rays.map((value, i) => (i % 6 < 3 ? value * scale : value));
