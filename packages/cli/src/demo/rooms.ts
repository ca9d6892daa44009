import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { readDataset, type SampleV1, splitInlineOptions, writeFileAtomic } from '@spatialsv/core';
import { type MindCubeRow, writeDataset } from '@spatialsv/vfm-synthetic';
import type { CommandContext } from '../context.js';
import type { DemoSettings } from './settings.js';

/** A rendered question file and what is in it. */
export interface RoomSet {
  readonly file: string;
  readonly rooms: number;
  readonly images: number;
  readonly samples: readonly SampleV1[];
}

const LETTERS = 'ABCDEFGH';

/** Renders rooms with their questions into `folder`. */
export async function renderRooms(
  settings: DemoSettings,
  folder: string,
  split: 'train' | 'heldout',
  { progress, signal }: CommandContext,
): Promise<RoomSet> {
  const scenes = split === 'train' ? settings.trainRooms : settings.heldOutRooms;
  progress.start(`Rendering ${scenes} rooms (${split})`, scenes);
  const { file, images } = await writeDataset({
    ...settings.rooms,
    folder,
    split,
    scenes,
    seed: settings.seed,
    width: settings.imageSize,
    height: settings.imageSize,
    preface: false,
    signal,
    onProgress: (done) => progress.update(done),
  });
  const ordered = await orderOptions(file, join(folder, 'raw', `${split}.jsonl`));
  const samples = await readByKind(ordered);
  progress.done(`${images} views, ${samples.length} questions (${split})`);
  return { file: ordered, rooms: scenes, images, samples };
}

/** The questions with their kind as category, where MindCube would put its setting. */
async function readByKind(file: string): Promise<SampleV1[]> {
  const lines = (await readFile(file, 'utf8')).trim().split('\n');
  const rows = lines.map((line) => JSON.parse(line) as MindCubeRow);
  const kinds = new Map(rows.map(({ id, category }) => [id, category[0]!]));
  const samples = await readDataset({ format: 'mindcube', path: file, prompt: 'plain' });
  return samples.map((sample) => ({ ...sample, category: kinds.get(sample.id)! }));
}

/**
 * Rewrites questions with their options in alphabetical order. A model that starts from nothing cannot learn within
 * minutes to look its answer up in a list that is shuffled each time; which answer is right stays as balanced as it was.
 * @returns `target`.
 */
async function orderOptions(file: string, target: string): Promise<string> {
  const lines = (await readFile(file, 'utf8')).trim().split('\n');
  const rows = lines.map((line) => JSON.stringify(withOrderedOptions(JSON.parse(line))));
  await writeFileAtomic(target, `${rows.join('\n')}\n`);
  return target;
}

/** The same question with options A, B, … in alphabetical order. */
function withOrderedOptions(row: MindCubeRow): MindCubeRow {
  const { stem, options } = splitInlineOptions(row.question);
  const ordered = Object.values(options).sort();
  const listed = ordered.map((text, index) => `${LETTERS[index]}. ${text}`);
  return {
    ...row,
    question: [stem, ...listed].join(' '),
    gt_answer: LETTERS[ordered.indexOf(options[row.gt_answer]!)]!,
  };
}
