/** One process of `npm run bench -- large`: answers about one image and prints its figures as JSON. */
import { readFileSync } from 'node:fs';
import { qwen25Vl } from '@spatialsv/adapter-qwen25vl';
import { type Device, openDevice, registerDevice, type WeightPolicy } from '@spatialsv/engine';
import { BackboneRunner } from '@spatialsv/eval';
import { largeImage } from './large-image.js';
import { median, peakRssMb } from './measure.js';

export interface LargeRunSettings {
  readonly folder: string;
  readonly policy: WeightPolicy;
  readonly question: string;
  readonly tokens: number;
}

/** Figures of a process; the peer prints those without `?`. */
export interface LargeRun {
  readonly load_s: number;
  readonly prefill_ms: number;
  /** Median of the tokens after the first. */
  readonly token_ms: number;
  readonly peak_mb: number;
  readonly ids: readonly number[];
  readonly prompt_ids?: readonly number[];
  /** From opening the folder until the first program of the model can run; copies of weights, `load_s`, not counted. */
  readonly first_program_s?: number;
}

async function run(settings: LargeRunSettings): Promise<LargeRun> {
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const firstProgram = watchFirstProgram(seconds);
  const backbone = await qwen25Vl.open(settings.folder, {});
  const runner = new BackboneRunner(backbone, { weights: settings.policy });
  const openedSeconds = seconds();
  await runner.load();
  const loadSeconds = seconds() - openedSeconds;
  const { question } = settings;
  const inputs = await backbone.prepare({ images: [largeImage()], question });
  const times = [performance.now()];
  const { ids } = await runner.generate(inputs, {
    maxNewTokens: settings.tokens,
    onToken: () => times.push(performance.now()),
  });
  const steps = times.slice(2).map((time, i) => time - times[i + 1]!);
  const result = {
    load_s: loadSeconds,
    first_program_s: (await firstProgram) - loadSeconds,
    prefill_ms: times[1]! - times[0]!,
    token_ms: median(steps),
    peak_mb: peakMb(),
    ids,
    prompt_ids: [...inputs.inputIds],
  };
  await runner.dispose();
  return result;
}

/** Seconds at which the CPU device has compiled its first program. */
function watchFirstProgram(seconds: () => number): Promise<number> {
  const device = openDevice('cpu');
  return new Promise((resolve) => {
    const watched: Device = {
      name: device.name,
      createTensor: (spec, data) => device.createTensor(spec, data),
      async compile(...parameters) {
        const program = await device.compile(...parameters);
        resolve(seconds());
        return program;
      },
    };
    registerDevice('cpu', () => watched);
  });
}

/** Peak resident memory, pages of mapped files included. */
function peakMb(): number {
  if (process.platform !== 'linux') return peakRssMb();
  return Number(/VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8'))?.[1]) / 1024;
}

const figures = await run(JSON.parse(process.argv[2]!) as LargeRunSettings);
process.stdout.write(`${JSON.stringify(figures)}\n`);
