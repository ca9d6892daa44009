import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type BenchmarkV1, readDataset, type SampleV1, SpatialError } from '@spatialsv/core';
import { extractMindCubeLetter } from '../extract/mindcube-letter.js';

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

/** Row counts of the two known revisions of MindCube-Tiny. */
const REVISIONS = [
  { name: 'public', rotation: 200, among: 600, around: 250 },
  { name: 'paper', rotation: 200, among: 600, around: 400 },
];

/** A sentence to print when the questions are not the set of the paper's tables; undefined when they are. */
export function mindCubeRevisionWarning(
  counts: Readonly<Record<string, number>>,
): string | undefined {
  const found = REVISIONS.find(
    (revision) =>
      revision.rotation === counts['rotation'] &&
      revision.among === counts['among'] &&
      revision.around === counts['around'],
  );
  if (found?.name === 'paper') return undefined;
  const listed = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  return `${found === undefined ? 'An unknown' : 'The public'} revision of MindCube-Tiny (${listed.join(', ')}): Overall is not comparable with the paper's 200/600/400.`;
}
