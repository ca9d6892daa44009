import { execFile } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { type BackboneV1, SpatialError, withCleanup } from '@spatialsv/core';
import type { ProgramTarget } from '@spatialsv/engine';
import {
  loadTrainConfig,
  type MeasureRequest,
  measureTraining,
  planTraining,
  type TrainConfig,
  type TrainingMeasurement,
  type TrainingPlan,
} from '@spatialsv/train';
import { composePlugins } from '../composition.js';
import type { CommandContext } from '../context.js';
import { openModel } from '../model.js';
import { openSampleThreads } from '../sample-threads.js';
import { backboneOptions, openTeachers } from '../train-parts.js';
import { onTarget, type TrainCommandOptions } from './train.js';

const MAIN = fileURLToPath(new URL('../main.js', import.meta.url));

/** `train --plan`: measures in processes of their own, whose peak memory is theirs alone, and says what a run will take. */
export async function runPlan(
  file: string,
  options: Pick<TrainCommandOptions, 'json' | 'measure' | 'device' | 'precision'>,
  context: CommandContext,
): Promise<void> {
  const config = onTarget(await loadTrainConfig(file), options);
  const { backbone, plugins } = await open(config, file, context);
  if (options.measure !== undefined) {
    const [layers, recompute] = options.measure.split(',') as [string, 'none' | 'layer'];
    const { dispose, ...teachers } = await openTeachers(config, plugins);
    // They take memory and a core, as they do in the run.
    const threads = openSampleThreads(config, dirname(file));
    const given = {
      ...{ backbone, ...teachers, preparation: threads.preparation },
      findHead: plugins.resolveGeometryHead,
      formats: plugins,
    };
    const request = { layers: Number(layers), recompute };
    const measured = await withCleanup(
      () => measureTraining(config, given, request),
      threads.dispose,
      dispose,
    );
    context.out(`${JSON.stringify(measured)}\n`);
    return;
  }
  context.progress.start('Measuring');
  const plan = await planOf(file, config, backbone);
  context.progress.done('Measured');
  context.out(options.json ? `${JSON.stringify(plan)}\n` : describePlan(plan, config.device));
}

/** What a run of the configuration in a file will take. */
export const planOf = (
  file: string,
  config: TrainConfig,
  backbone: BackboneV1,
): Promise<TrainingPlan> =>
  planTraining(config, backbone.config.layers, (request) => measureInChild(file, request, config));

async function open(config: TrainConfig, file: string, context: CommandContext) {
  const plugins = await composePlugins(dirname(file), config.plugins);
  const backbone = await openModel(config.model, plugins, backboneOptions(config), context.err);
  return { plugins, backbone };
}

/**
 * A measurement in a process of its own.
 * @throws SpatialError OUT_OF_MEMORY for a process that the system has ended; USAGE with what another one said.
 */
export async function measureInChild(
  file: string,
  { layers, recompute }: MeasureRequest,
  { device, precision }: Partial<ProgramTarget> = {},
): Promise<TrainingMeasurement> {
  const measure = ['--measure', `${layers},${recompute}`];
  const target = [
    ...(device === undefined ? [] : ['--device', device]),
    ...(precision === undefined ? [] : ['--precision', precision]),
  ];
  const args = [...process.execArgv, MAIN, 'train', file, ...measure, ...target];
  try {
    const { stdout } = await promisify(execFile)(process.execPath, args);
    return JSON.parse(stdout) as TrainingMeasurement;
  } catch (cause) {
    const { signal, stderr = '' } = cause as { signal?: string; stderr?: string };
    const error = stderr.slice(stderr.indexOf('error['));
    throw new SpatialError({
      code: signal === 'SIGKILL' ? 'OUT_OF_MEMORY' : 'USAGE',
      message: `${file}: a measurement of ${layers} layers ended ${signal === undefined ? '' : `with ${signal} `}${error}`,
      hint: 'Correct what it names; where memory is short, set recompute: layer or train: { llm: lora }.',
      cause,
    });
  }
}

function describePlan(plan: TrainingPlan, device: string): string {
  const { peakMemoryMb, secondsPerStep, steps, recompute, freeMemoryMb } = plan;
  const gib = (mb: number) => (mb / 1024).toFixed(1);
  const fits = peakMemoryMb < freeMemoryMb ? '' : ' (more than there is)';
  const where = device.startsWith('cuda') ? ` on ${device}` : '';
  return `peak memory ${gib(peakMemoryMb)} GiB of ${gib(freeMemoryMb)} GiB that are free${where}${fits}
${secondsPerStep.toPrecision(3)} s per step, ${steps} steps, recompute: ${recompute}
`;
}
