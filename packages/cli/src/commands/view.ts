import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { SpatialError } from '@spatialsv/core';
import { EVALUATION_FILE } from '@spatialsv/eval';
import { type Report, serveReport, writeReport } from '@spatialsv/inspect';
import type { CommandContext } from '../context.js';
import { counted } from '../counted.js';
import { evaluationReport, MOST_RUNS } from '../view/evaluation-report.js';
import { trainingReport } from '../view/training-report.js';

export interface ViewOptions {
  readonly out?: string;
  readonly port?: number;
  readonly json: boolean;
}

/** Writes the report of a run, or serves it until it is interrupted. */
export async function view(
  runs: readonly string[],
  { out, port, json }: ViewOptions,
  context: CommandContext,
): Promise<void> {
  const read = readerOf(runs);
  if (out === undefined) return serve(read, port, json, context);
  const { progress, signal } = context;
  progress.start('Writing');
  const report = await read();
  if (report.sceneKeys.length > 0) progress.start('Writing scenes', report.sceneKeys.length);
  const { page } = await writeReport(report, out, {
    signal,
    onProgress: (done) => progress.update(done),
  });
  progress.done(
    `${counted(report.questions.length, 'question')}, ${counted(report.sceneKeys.length, 'scene')}`,
  );
  context.out(json ? `${JSON.stringify({ page: resolve(page) })}\n` : `${page}\n`);
}

/** What kind of run it is, said once: a run that trains is read anew whenever somebody looks. */
function readerOf(runs: readonly string[]): () => Promise<Report> {
  const [first] = runs as [string];
  if (runs.length > MOST_RUNS)
    throw new SpatialError({
      code: 'USAGE',
      message: `view: expected at most ${MOST_RUNS} runs beside each other, found ${runs.length}`,
      hint: '`spatialsv compare` takes more of them.',
    });
  if (runs.every((run) => existsSync(join(run, EVALUATION_FILE)))) {
    let report: Promise<Report> | undefined;
    return () => {
      report ??= evaluationReport(runs);
      return report;
    };
  }
  if (runs.length === 1 && existsSync(join(first, CONFIG_FILE))) return () => trainingReport(first);
  const wrong = runs.find((run) => !existsSync(join(run, EVALUATION_FILE)))!;
  throw new SpatialError({
    code: 'FILE_MISSING',
    message: `${wrong}: expected a run folder of \`eval\` (${EVALUATION_FILE})${runs.length === 1 ? ` or of \`train\` (${CONFIG_FILE})` : ''}, found ${existsSync(wrong) ? 'neither' : 'nothing'}`,
    hint: 'Name the folder that was given as --out, or `out:` of the configuration.',
  });
}

/** What `train` writes first. */
const CONFIG_FILE = 'config.yaml';

async function serve(
  read: () => Promise<Report>,
  port: number | undefined,
  json: boolean,
  { out, err, signal }: CommandContext,
): Promise<void> {
  // What is wrong with the run is said before anybody looks.
  await read();
  const server = await serveReport(read, port === undefined ? {} : { port }).catch(
    (cause: Error) => {
      throw new SpatialError({
        code: 'USAGE',
        message: `--port ${port}: ${cause.message}`,
        hint: 'Choose another port, or leave it out for a free one.',
        cause,
      });
    },
  );
  out(json ? `${JSON.stringify({ url: server.url })}\n` : `${server.url}\n`);
  err('Open the address in a browser on this machine. Ctrl-C ends.\n');
  await new Promise<void>((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
  await server.close();
}
