import { rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { qwen25Vl } from '@spatialsv/adapter-qwen25vl';
import { type StepMetrics, train, trainConfigSchema } from '@spatialsv/train';
import { syntheticSource, writeDataset } from '@spatialsv/vfm-synthetic';
import type { Target } from '../target.js';
import { memoryFigures } from './measure.js';

/** Images of one sample. */
export interface GpuViews {
  readonly views: number;
  readonly width: number;
  readonly height: number;
}

/** 980 visual tokens a view: with the question about 4,096 tokens. */
export const VIEWS_4096: GpuViews = { views: 4, width: 980, height: 784 };
export const VIEWS_SMALL: GpuViews = { views: 2, width: 56, height: 56 };

export interface GpuTraining {
  readonly tokens: number;
  readonly stepMs: number;
  readonly memory: Awaited<ReturnType<typeof memoryFigures>>;
}

/** The first steps compile, encode the images and label them. */
const STEPS = 5;

/**
 * Steps of a run that trains a whole Qwen2.5-VL but its encoder, and 3D heads, with all losses; layers are computed again. The run
 * goes on until the process ends, which is the caller's to do: however it is stopped, it saves tens of gigabytes.
 * @param model folder of the checkpoint.
 */
export async function measureGpuTraining(
  model: string,
  size: GpuViews,
  target: Target,
): Promise<GpuTraining> {
  const folder = await mkdtemp(path.join(tmpdir(), 'spatialsv-gpu-train-'));
  // The run writes there until the end.
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  return trainIn(folder, model, size, target);
}

async function trainIn(
  folder: string,
  model: string,
  size: GpuViews,
  target: Target,
): Promise<GpuTraining> {
  const dataset = { scenes: 1, seed: 1, questionsPerScene: 1, preface: false, ...size };
  await writeDataset({ folder: path.join(folder, 'data'), split: 'tinybench', ...dataset });
  const data = { path: path.join(folder, 'data/raw/MindCube_tinybench.jsonl'), format: 'mindcube' };
  const maxPixels = size.width * size.height;
  const config = trainConfigSchema.parse({
    ...{ model, out: path.join(folder, 'run'), data: [data], source: 'synthetic', ...target },
    ...{ batchSize: 1, checkpointEvery: 0, schedule: { steps: 1e6, warmupRatio: 0 } },
    ...{ recompute: 'layer', imageBudget: { maxPixels } },
  });
  const backbone = await qwen25Vl.open(model, { maxPixels });
  const source = await syntheticSource.open({});
  const steps = await new Promise<readonly StepMetrics[]>((resolve, reject) => {
    const seen: StepMetrics[] = [];
    const onStep = (metrics: StepMetrics) => {
      seen.push(metrics);
      if (seen.length === STEPS) resolve([...seen]);
    };
    train(config, { backbone, source, onStep }).catch(reject);
  });
  const fastest = steps.toSorted((a, b) => b.samplesPerSecond - a.samplesPerSecond)[0]!;
  return {
    tokens: Math.round(fastest.tokensPerSecond / fastest.samplesPerSecond),
    stepMs: 1000 / fastest.samplesPerSecond,
    memory: await memoryFigures(target.device),
  };
}
