import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { CompiledProgram, DeviceTensor, ProgramUse } from '@spatialsv/core/kit';
import {
  expectAllclose,
  type Golden,
  readGolden,
  withTemporaryFolder,
} from '@spatialsv/core/testing';
import { parseDa3Config, readDa3Config } from './da3-config.js';
import { Da3Model } from './da3-model.js';
import { da3Shapes } from './da3-names.js';
import type { Da3Prediction } from './da3-prediction.js';
import { Da3Programs } from './da3-programs.js';
import type { ReferenceView } from './da3-reference-view.js';
import { openDa3Weights } from './da3-weights.js';
import { waves, writeFilled } from './testing/fill.js';
import { type TinyConfig, tinyConfigFile } from './testing/tiny-config.js';

interface Case {
  readonly config: TinyConfig;
  readonly views: number;
  readonly size: readonly [number, number];
  readonly strategy?: ReferenceView;
  readonly shifts?: Record<string, number>;
  readonly extrinsics?: number[][][];
  readonly intrinsics?: number[][][];
  readonly shapes: Record<string, number[]>;
  readonly tensors: number;
  readonly parameters: number;
  readonly scale?: number;
}

const CASES = [
  'first',
  'balanced',
  'middle',
  'cameras',
  'swiglu',
  'mono',
  'tall-single',
  'square-pair',
  'wide-five',
  'tall-range',
  'three-cameras',
  'mono-sky',
  'wide-layers',
  'nested',
];

const RELATIVE = 2e-5;

const product = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

/** The places that the reference stored, then mean and root mean square. */
const sampled = (values: Float32Array, count: number): number[] => {
  const places = Array.from({ length: count }, (_, i) => Math.floor((i * values.length) / count));
  const sum = values.reduce((total, value) => total + value, 0);
  const squares = values.reduce((total, value) => total + value * value, 0);
  const statistics = [sum / values.length, Math.sqrt(squares / values.length)];
  return [...places.map((place) => values[place]!), ...statistics];
};

const expectEqual = (golden: Golden<Case>, name: string, values: Float32Array): void => {
  const expected = golden.float32(name);
  const shape = golden.info.shapes[name]!;
  expect([name, values.length]).toEqual([name, product(shape)]);
  const rms = expected.at(-1)!;
  const found = sampled(values, expected.length - 2);
  try {
    expectAllclose(found, expected, { rtol: RELATIVE, atol: RELATIVE * rms });
  } catch (error) {
    throw new Error(`${name}: ${(error as Error).message}`);
  }
};

const joined = (parts: readonly Float32Array[]): Float32Array =>
  Float32Array.from(parts.flatMap((part) => [...part]));

/** The reference's rays are direction, then origin. */
const directionFirst = (rays: Float32Array): Float32Array =>
  rays.map((_, i) => rays[i - (i % 6) + ((i + 3) % 6)]!);

/** A program with another run. */
const recorded =
  (use: ProgramUse, runOf: (program: CompiledProgram) => CompiledProgram['run']): ProgramUse =>
  (work) =>
    use((program) =>
      work(Object.assign(Object.create(program) as CompiledProgram, { run: runOf(program) })),
    );

/** Keeps what passes between the programs of a network. */
class RecordingPrograms extends Da3Programs {
  /** Taps by place, of each view in the order of the images; and the tokens of known cameras. */
  readonly passed: Record<string, Float32Array[]> = {};

  override head(...shape: Parameters<Da3Programs['head']>): ProgramUse {
    return recorded(super.head(...shape), (program) => async (inputs, ...rest) => {
      const { taps } = inputs as { taps: Record<string, DeviceTensor> };
      for (const [place, tap] of Object.entries(taps)) await this.#keep(`tap.${place}`, tap);
      return program.run(inputs, ...rest);
    });
  }

  override encodeCameras(views: number): ProgramUse {
    return recorded(super.encodeCameras(views), (program) => async (...request) => {
      const outputs = (await program.run(...request)) as Record<string, DeviceTensor>;
      await this.#keep('cameraTokens', outputs['tokens']!);
      return outputs;
    });
  }

  async #keep(name: string, tensor: DeviceTensor): Promise<void> {
    this.passed[name] ??= [];
    this.passed[name].push(Float32Array.from(await tensor.read()));
  }
}

/** A model whose main network records. */
async function openRecording(folder: string) {
  const config = await readDa3Config(folder);
  const weights = await openDa3Weights(folder, config);
  const network = config.anyView ? 'anyView' : 'single';
  const programs = new RecordingPrograms(config[network]!, weights[network]!, { device: 'cpu' });
  const other = config.anyView && weights.single;
  const single = other && new Da3Programs(config.single!, other, { device: 'cpu' });
  const model = config.anyView
    ? new Da3Model(config, programs, single, weights.hash)
    : new Da3Model(config, undefined, programs, weights.hash);
  return { model, passed: programs.passed };
}

interface Predicted {
  readonly prediction: Da3Prediction;
  readonly passed: Readonly<Record<string, readonly Float32Array[]>>;
}

const predict = (info: Case, folder: string): Promise<Predicted> =>
  openRecording(folder).then(async ({ model, passed }) => {
    const [height, width] = info.size;
    const cameras = info.extrinsics && {
      extrinsicsWorldToCamera: info.extrinsics.flatMap((rows) => rows.slice(0, 3).flat()),
      intrinsics: info.intrinsics!.flat(2),
    };
    const pixels = waves(info.views, height, width);
    const prediction = await model.predict(
      { views: info.views, height, width, pixels },
      {
        features: 'last-tap',
        ...(info.strategy ? { referenceView: info.strategy } : {}),
        ...(cameras ? { cameras } : {}),
      },
    );
    await model.dispose();
    return { prediction, passed };
  });

describe.each(CASES)('equals the official code: %s', (name) => {
  let golden: Golden<Case>;
  let info: Case;
  let prediction: Da3Prediction;
  let passed: Predicted['passed'];

  beforeAll(async () => {
    golden = await readGolden(path.join(__dirname, '__golden__', name));
    info = golden.info;
    const file = tinyConfigFile(info.config);
    await withTemporaryFolder(async (folder) => {
      await writeFile(path.join(folder, 'config.json'), JSON.stringify(file));
      await writeFilled(folder, da3Shapes(parseDa3Config(file)), info.shifts);
      ({ prediction, passed } = await predict(info, folder));
    });
  });

  it('has its tensors and parameters', () => {
    const shapes = Object.values(da3Shapes(parseDa3Config(tinyConfigFile(info.config))));
    expect(shapes.length).toBe(info.tensors);
    expect(shapes.reduce((sum, shape) => sum + product(shape), 0)).toBe(info.parameters);
  });

  it('passes the same taps and camera tokens on inside', () => {
    const names = ['tap.0', 'tap.1', 'tap.2', 'tap.3', 'cameraTokens'];
    const known = names.filter((key) => golden.names.includes(key));
    expect(Object.keys(passed).sort()).toEqual(known.sort());
    for (const key of known) expectEqual(golden, key, joined(passed[key]!));
  });

  it('predicts the same', () => {
    const { features, rays } = prediction;
    const found: Record<string, Float32Array | undefined> = {
      depth: prediction.depth,
      depthConfidence: prediction.depthConfidence,
      rayConfidence: prediction.rayConfidence,
      pose: prediction.pose,
      extrinsics: prediction.extrinsics,
      intrinsics: prediction.intrinsics,
      sky: prediction.sky,
      'tap.3': features!.data,
    };
    if (rays && !info.scale) found['rays'] = directionFirst(rays.data);
    const known = Object.keys(found).filter((key) => golden.names.includes(key));
    for (const key of known) expectEqual(golden, key, found[key]!);
    expect(known.length).toBeGreaterThanOrEqual(info.shapes['pose'] ? 7 : 3);
    if (info.scale) expect(prediction.metresPerUnit! / info.scale).toBeCloseTo(1, 4);
  });
});
