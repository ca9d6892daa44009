/** One process of `npm run bench -- large` and `backbones`: answers about images and prints its figures as JSON. */
import {
  float32Source,
  type PreparedInputsV1,
  readCheckpointConfig,
  writeSafetensors,
} from '@spatialsv/core';
import { type Device, openDevice, registerDevice, type WeightPolicy } from '@spatialsv/engine';
import { BackboneRunner } from '@spatialsv/eval';
import { composePlugins } from '../composition.js';
import { endWithParent } from './end-with-parent.js';
import { largeImage } from './large-image.js';
import { median, peakRssMb, statusMb } from './measure.js';

export interface AnswerSettings {
  readonly folder: string;
  readonly policy: WeightPolicy;
  readonly question: string;
  readonly views: number;
  readonly tokens: number;
  /** Whether the answer is timed the second time that it is given, when every program is compiled. */
  readonly again: boolean;
  /**
   * File to write what the peer is asked: `pixels.N` (P, patch values) and `grid.N` (rows, columns) of view N, `ids` (T), and
   * `first` (1), the position of the first visual row.
   */
  readonly prompt: string;
}

/** Figures of a process; the peer prints those without `?`. */
export interface AnswerRun {
  readonly load_s: number;
  /** From opening the folder until the first token is there, images read. */
  readonly first_token_s: number;
  readonly prefill_ms: number;
  /** Median of the tokens after the first. */
  readonly token_ms: number;
  readonly peak_mb: number;
  readonly ids: readonly number[];
  readonly prompt_tokens?: number;
  /** From opening the folder until the first program of the model can run; copies of weights, `load_s`, not counted. */
  readonly first_program_s?: number;
}

async function run(settings: AnswerSettings): Promise<AnswerRun> {
  const { folder, question, views, prompt } = settings;
  const adapter = (await composePlugins(folder)).resolveBackboneAdapter(
    await readCheckpointConfig(folder),
  );
  const started = performance.now();
  const seconds = () => (performance.now() - started) / 1000;
  const firstProgram = watchFirstProgram(seconds);
  const backbone = await adapter.open(folder);
  // The second answer of a process is to read its prompt again, as the peer does.
  const runner = new BackboneRunner(backbone, { weights: settings.policy, reuse: false });
  const openedSeconds = seconds();
  await runner.load();
  const loadSeconds = seconds() - openedSeconds;
  const images = Array.from({ length: views }, () => largeImage());
  const inputs = await backbone.prepare({ images, question });
  const answer = async () => {
    const times = [performance.now()];
    const { ids } = await runner.generate(inputs, {
      maxNewTokens: settings.tokens,
      repetitionPenalty: 1,
      onToken: () => times.push(performance.now()),
    });
    return { times, ids };
  };
  const first = await answer();
  const { times, ids } = settings.again ? await answer() : first;
  const steps = times.slice(2).map((time, i) => time - times[i + 1]!);
  const result = {
    load_s: loadSeconds,
    first_token_s: (first.times[1]! - started) / 1000,
    first_program_s: (await firstProgram) - loadSeconds,
    prefill_ms: times[1]! - times[0]!,
    token_ms: median(steps),
    peak_mb: peakMb(),
    ids,
    prompt_tokens: inputs.inputIds.length,
  };
  await runner.dispose();
  // Last: what the peer is asked is no part of what is measured.
  await writePrompt(prompt, inputs);
  return result;
}

/** Float32 holds ids exactly. */
async function writePrompt(file: string, prompt: PreparedInputsV1): Promise<void> {
  const { inputIds, views, grids } = prompt;
  const pixels = views.map(
    ({ pixelValues, pixelShape }, view) =>
      [`pixels.${view}`, float32Source(pixelValues, pixelShape)] as const,
  );
  const cells = grids.map(
    ({ h, w }, view) => [`grid.${view}`, float32Source(Float32Array.of(h, w), [2])] as const,
  );
  const first = float32Source(Float32Array.of(grids[0]!.tokenIndex[0]!), [1]);
  const ids = float32Source(Float32Array.from(inputIds), [inputIds.length]);
  await writeSafetensors(file, new Map([...pixels, ...cells, ['ids', ids], ['first', first]]));
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
const peakMb = (): number => statusMb('VmHWM') ?? peakRssMb();

endWithParent();
const figures = await run(JSON.parse(process.argv[2]!) as AnswerSettings);
process.stdout.write(`${JSON.stringify(figures)}\n`);
