import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readDataset } from '@spatialsv/core/host';
import { type BenchmarkV1, type SampleV1, SpatialError } from '@spatialsv/core/spec';
import { extractMindCubeLetter } from '../extract/mindcube-letter.js';
import { groupBy } from '../group-by.js';

/** Where the questions lie below the folder a user names: the unpacked archive, its `raw` folder, or a bare copy. */
const CANDIDATES = [
  'MindCube_tinybench.jsonl',
  'raw/MindCube_tinybench.jsonl',
  'data/raw/MindCube_tinybench.jsonl',
];

/** MindCube-Tiny: accuracy over multiple-choice questions on 2–4 views. `folder` may also be a question file. */
export const mindCubeBenchmark: BenchmarkV1 = {
  specificationVersion: 'v1',
  kind: 'benchmark',
  id: 'mindcube',
  async *samples(folder: string): AsyncIterable<SampleV1> {
    yield* await readDataset({ format: 'mindcube', path: await questionFile(folder) });
  },
  extract: (_sample, text) => extractMindCubeLetter(text),
  remarks: revisionRemarks,
};

async function questionFile(folder: string): Promise<string> {
  for (const path of [folder, ...CANDIDATES.map((name) => join(folder, name))]) {
    if ((await stat(path).catch(() => undefined))?.isFile()) return path;
  }
  throw new SpatialError({
    code: 'FILE_MISSING',
    message: `${folder}: no MindCube questions found (looked for ${CANDIDATES.join(', ')})`,
    hint: 'Unpack data.zip of the MindCube data set and name its `data` folder, or name a question file.',
  });
}

const SETTINGS = ['rotation', 'among', 'around'] as const;

/** Row counts of the two known revisions of MindCube-Tiny. */
const REVISIONS = [
  { name: 'public', rotation: 200, among: 600, around: 250 },
  { name: 'paper', rotation: 200, among: 600, around: 400 },
];

/** A sentence when the questions are not the set of the paper's tables. */
function revisionRemarks(samples: readonly SampleV1[]): readonly string[] {
  const groups = groupBy(samples, ({ category }) => category ?? 'other');
  const counts = new Map([...groups].map(([category, group]) => [category, group.length]));
  const found = REVISIONS.find((revision) =>
    SETTINGS.every((setting) => revision[setting] === counts.get(setting)),
  );
  if (found?.name === 'paper') return [];
  const listed = [...counts].map(([name, count]) => `${name} ${count}`);
  return [
    `${found === undefined ? 'An unknown' : 'The public'} revision of MindCube-Tiny (${listed.join(', ')}): Overall is not comparable with the paper's 200/600/400.`,
  ];
}
