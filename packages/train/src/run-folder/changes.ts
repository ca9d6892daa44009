import { canonicalJson, SpatialError } from '@spatialsv/core';
import type { TrainConfig } from '../config/schema.js';
import type { Change, ChangeKind } from './change.js';
import type { RunManifest } from './manifest.js';

/** Settings that may differ when a run is resumed: they do not change what is computed. */
const CHANGEABLE: ReadonlySet<string> = new Set([
  'checkpointEvery',
  'cudaGraphs',
  'keepCheckpoints',
  'featureCache',
  'evaluation',
  'gradientStatisticsEvery',
  'prepareAhead',
  'prepareThreads',
  'brokenSamples',
  'tensorboard',
  'watch',
]);

/** What runs are made with whose settings do not say it. */
const ABSENT = { precision: 'float32' } as const;

/** @param stored the parsed `config.yaml` of the run. */
export function changedSettings(
  stored: Readonly<Record<string, unknown>>,
  config: TrainConfig,
): readonly Change[] {
  const now = JSON.parse(JSON.stringify(config)) as Record<string, unknown>;
  return changedEntries('settings', { ...ABSENT, ...stored }, { ...ABSENT, ...now }).filter(
    ({ name }) => !CHANGEABLE.has(name),
  );
}

/** What a run is made from now, beside what its manifest says. */
export function changedSources(before: RunManifest, now: RunManifest): readonly Change[] {
  const weights = (manifest: RunManifest) => ({
    adapter: manifest.model.adapter,
    sha256: manifest.model.weightsHash,
    configuration: manifest.model.configurationHash,
  });
  const data = (manifest: RunManifest) =>
    Object.fromEntries(
      manifest.data.map(({ sha256, samples }, index) => [
        `${index + 1}: ${now.data[index]?.path ?? before.data[index]!.path}`,
        { sha256, samples },
      ]),
    );
  const teachers = ({ source, secondTeacher }: RunManifest) => ({ source, secondTeacher });
  return [
    ...changedEntries('weights', weights(before), weights(now)),
    ...changedEntries('data', data(before), data(now)),
    ...changedEntries('labels', teachers(before), teachers(now)),
    ...changedEntries('versions', before.versions, now.versions),
    ...(before.machine === undefined
      ? []
      : changedEntries('machine', { ...before.machine }, { ...now.machine })),
  ];
}

type Entries = Readonly<Record<string, unknown>>;

/** Entries that differ between two records. */
export function changedEntries(kind: ChangeKind, before: Entries, now: Entries): readonly Change[] {
  const names = [...new Set([...Object.keys(before), ...Object.keys(now)])];
  return names
    .filter((name) => valueKey(before[name]) !== valueKey(now[name]))
    .map((name) => ({ kind, name, was: before[name], is: now[name] }));
}

/** Equal for equal JSON, whatever the order of its keys. */
const valueKey = (value: unknown): string =>
  value === undefined ? '' : canonicalJson(JSON.parse(JSON.stringify(value)));

/**
 * Lets a run go on only with what it was begun with, or with what was accepted.
 * @throws SpatialError CONFIG_INVALID naming every change that was not accepted, with what was and what is.
 */
export function requireAccepted(
  out: string,
  changes: readonly Change[],
  accepted: readonly ChangeKind[],
): void {
  const refused = changes.filter(({ kind }) => !accepted.includes(kind));
  if (refused.length === 0) return;
  const kinds = [...new Set([...accepted, ...refused.map(({ kind }) => kind)])];
  throw new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${out}: the run was begun with other ${describeAll(refused)}`,
    hint: `Restore what it was begun with, start a new run in another \`out\` folder, or go on with the change: --resume --accept-changes ${kinds.join(',')}`,
  });
}

/** Named in a message; thousands of images may have changed at once. */
const NAMED = 8;

function describeAll(changes: readonly Change[]): string {
  const named = changes.slice(0, NAMED).map(describe).join('; ');
  const more = changes.length - NAMED;
  return more > 0 ? `${named}; and ${more} more` : named;
}

const describe = ({ kind, name, was, is }: Change): string =>
  `${kind} ('${name}' was ${show(was)}, is ${show(is)})`;

const show = (value: unknown): string => (value === undefined ? 'absent' : JSON.stringify(value));
