import { appendFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import {
  type LabelFailure,
  type LabelLicenceV1,
  type LabellerV1,
  type LabelRunObserver,
  type LabelRunResult,
  SpatialError,
} from '@spatialsv/core';
import type { CommandContext } from '../context.js';
import { counted } from '../counted.js';

/** Log of view sets that were not labelled, in the folder of the store. */
const failureFile = (store: string): string => join(store, 'failures.jsonl');

export const describeLicence = ({ name, commercialUse }: LabelLicenceV1): string =>
  commercialUse ? name : `${name}, not for commercial use`;

/** `1 view set`, `2 view sets`. */
export const countSets = (count: number): string => counted(count, 'view set');

/** Shows how far a run is, and notes failures as they come. */
export function labelObserver(store: string, { progress }: CommandContext): LabelRunObserver {
  let failures = 0;
  let startedMs = performance.now();
  let isWaiting = false;
  return {
    onLook: (done, total) => {
      if (done === 1) progress.start('Looking for finished view sets', total);
      progress.update(done);
    },
    onStart: ({ present, missing }) => {
      progress.done(`${countSets(present)} there already, ${missing} to label`);
      if (missing > 0) progress.start('Labelling', missing);
      startedMs = performance.now();
    },
    onProgress: (done, views) => {
      const rate = views / ((performance.now() - startedMs) / 1000);
      const failed = failures > 0 ? `, ${failures} failed` : '';
      progress.update(done, `${rate.toPrecision(2)} views/s${failed}`);
    },
    onWait: (sets) => {
      if (!isWaiting) progress.start(`Waiting for ${countSets(sets)} of other processes`);
      isWaiting = true;
    },
    onFailure: async (failure) => {
      failures += 1;
      const line = JSON.stringify({ at: new Date().toISOString(), ...failure });
      await appendFile(failureFile(store), `${line}\n`);
    },
  };
}

/** What `--json` prints. */
export function labelSummary(
  store: string,
  stored: number,
  { provenance }: LabellerV1,
  result: LabelRunResult,
): object {
  const { source, model, licence } = provenance;
  const viewsPerSecond = result.seconds > 0 ? result.views / result.seconds : 0;
  return { store, source, model, licence, ...result, viewsPerSecond, stored };
}

/** The same as one line. */
export function describeRun(store: string, stored: number, result: LabelRunResult): string {
  const { written, views, present, skipped, rejected, seconds } = result;
  const rate = views > 0 ? `, ${(views / seconds).toPrecision(3)} views/s` : '';
  const failed = skipped + rejected > 0 ? `, ${skipped} skipped, ${rejected} rejected` : '';
  return `${store}: ${countSets(written)} labelled (${counted(views, 'view')}${rate}), ${present} there already${failed}; ${stored} in the store\n`;
}

const SHOWN = 10;

/** Lists failures and ends the command with exit code 1. @throws SpatialError DATA_INVALID unless there is none. */
export function endWithFailures(
  store: string,
  { failures, sets }: LabelRunResult,
  { err }: CommandContext,
): void {
  if (failures.length === 0) return;
  for (const failure of failures.slice(0, SHOWN)) err(`${describeFailure(failure)}\n`);
  const missing = failures.some(({ code }) => code === 'FILE_MISSING')
    ? ' Paths in --data are relative to --image-root.'
    : '';
  if (failures.length > SHOWN) err(`… and ${failures.length - SHOWN} more\n`);
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `${failures.length} of ${countSets(sets)} not labelled; ${failureFile(store)} lists them`,
    hint: `Correct or leave out their images and repeat the command: finished view sets are kept.${missing}`,
  });
}

const STAGES = { image: 'skipped', source: 'skipped', labels: 'rejected' } as const;

const describeFailure = ({ stage, images, code, message }: LabelFailure): string =>
  `${STAGES[stage]} ${describeImages(images)}: ${code}: ${message}`;

/** `room/1.png +3`. */
export function describeImages(images: readonly string[]): string {
  const first = images[0]!;
  const more = images.length > 1 ? ` +${images.length - 1}` : '';
  return `${join(basename(dirname(first)), basename(first))}${more}`;
}
