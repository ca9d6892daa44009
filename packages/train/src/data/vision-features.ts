import { mkdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import {
  type BackboneV1,
  float32Source,
  openSafetensors,
  type Parameters,
  type ViewInputV1,
  writeSafetensors,
} from '@spatialsv/core';
import {
  compile,
  type DeviceTensor,
  float32,
  ProgramCache,
  type ProgramTarget,
  type Tensor,
  takeValues,
} from '@spatialsv/engine';
import { mapValues } from '../records.js';
import { sha256 } from './sha256.js';

/** (P, Cv) features of one view. */
export interface Features {
  readonly data: Float32Array;
  readonly shape: readonly [number, number];
}

/** Changes when the same view has to get other features. */
const CACHE_VERSION = 1;

export interface VisionFeaturesOptions extends ProgramTarget {
  /** Identifies weights, configuration and adapter in the cache folder. */
  readonly modelHash: string;
  /** Folder that keeps features between runs. */
  readonly folder?: string | undefined;
}

/** Layouts whose programs are kept compiled. */
const PROGRAMS = 64;

/** The frozen vision encoder: computes the features of a view, or finds them in the cache folder. */
export class VisionFeatures {
  readonly #backbone: BackboneV1;
  readonly #options: VisionFeaturesOptions;
  readonly #programs = new ProgramCache(PROGRAMS);

  constructor(backbone: BackboneV1, options: VisionFeaturesOptions) {
    this.#backbone = backbone;
    this.#options = options;
  }

  async of(view: ViewInputV1): Promise<Features> {
    if (this.#options.folder === undefined) return this.#encode(view);
    const file = join(this.#options.folder, `${this.#key(view)}.safetensors`);
    return (await readFeatures(file)) ?? this.#keep(file, await this.#encode(view));
  }

  dispose(): Promise<void> {
    return this.#programs.dispose();
  }

  #key({ pixelValues, layout }: ViewInputV1): string {
    const bytes = new Uint8Array(
      pixelValues.buffer,
      pixelValues.byteOffset,
      pixelValues.byteLength,
    );
    const { modelHash, precision = 'float32' } = this.#options;
    const model = precision === 'float32' ? modelHash : `${modelHash} ${precision}`;
    return sha256(JSON.stringify([CACHE_VERSION, model, layout.key]), bytes);
  }

  async #encode(view: ViewInputV1): Promise<Features> {
    const { features } = await this.#programs.use(
      programKey(view),
      () => this.#compile(view),
      async (program) =>
        (await program.run({ pixelValues: view.pixelValues })) as { features: DeviceTensor },
    );
    const [rows, channels] = features.shape as [number, number];
    return { data: Float32Array.from(await takeValues(features)), shape: [rows, channels] };
  }

  #compile({ layout, pixelShape }: ViewInputV1) {
    const backbone = this.#backbone;
    const { device, precision } = this.#options;
    const frozen = Object.entries(backbone.weights).filter(
      ([name]) => backbone.parameterGroup(name) === 'vision',
    );
    return compile(
      ({ parameters, pixelValues }: { parameters: Parameters; pixelValues: Tensor }) => ({
        features: backbone.encodeView(parameters, pixelValues, layout).features,
      }),
      { parameters: Object.fromEntries(frozen), pixelValues: float32(...pixelShape) },
      { device, precision, name: 'vision-encoder' },
    );
  }

  async #keep(file: string, features: Features): Promise<Features> {
    await mkdir(this.#options.folder!, { recursive: true });
    const tensors = mapValues({ features }, ({ data, shape }) => float32Source(data, shape));
    await writeSafetensors(file, new Map(Object.entries(tensors)));
    return features;
  }
}

const programKey = ({ layout, pixelShape }: ViewInputV1): string =>
  `${layout.key}:${pixelShape.join()}`;

async function readFeatures(file: string): Promise<Features | undefined> {
  if ((await stat(file).catch(() => undefined)) === undefined) return undefined;
  const reader = await openSafetensors(file);
  const [rows, channels] = reader.info('features').shape as [number, number];
  return { data: await reader.readFloat32('features'), shape: [rows, channels] };
}
