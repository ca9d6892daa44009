/** Data of `npm run bench -- eval`: rendered rooms with questions, long files of rows, a large table. */
import { createWriteStream } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { type BenchmarkQuestionV1, createRandom } from '@spatialsv/core';
import { writeDataset } from '@spatialsv/vfm-synthetic';
import { composePlugins } from '../composition.js';

export interface RoomsSize {
  readonly scenes: number;
  readonly views: number;
  readonly questionsPerScene: number;
  /** Side of a view in pixels. */
  readonly side: number;
}

/** Rooms in the format of MindCube. @returns the data folder, and the questions as a plain list for the peer. */
export async function writeRooms(folder: string, { side, ...size }: RoomsSize) {
  const data = path.join(folder, 'data');
  const rooms = { folder: data, seed: 3, split: 'tinybench', preface: false } as const;
  await writeDataset({ ...rooms, ...size, width: side, height: side });
  const questions = await readAll('mindcube', 'plain', data);
  const list = path.join(folder, 'questions.json');
  await writeFile(list, JSON.stringify(questions.map(plainly)));
  return { data, list, count: questions.length };
}

const plainly = ({ parts }: BenchmarkQuestionV1) => ({
  images: parts.flatMap((part) => (part.type === 'image' ? [part.image.source] : [])),
  text: parts.map((part) => (part.type === 'text' ? part.text : '')).join(''),
});

/** Every question of a benchmark. */
export async function readAll(id: string, variant: string, data: string) {
  const questions: BenchmarkQuestionV1[] = [];
  for await (const question of await questionsOf(id, variant, data)) questions.push(question);
  return questions;
}

export async function questionsOf(id: string, variant: string, data: string) {
  const benchmark = (await composePlugins(process.cwd())).resolveBenchmark(id);
  const onProblem = (problem: Error) => {
    throw problem;
  };
  return benchmark.questions(data, { variant, onProblem });
}

/** A question file of MindCube with so many rows about the images of a folder of rooms. */
export async function writeRows(data: string, file: string, count: number): Promise<void> {
  const rows = (await readFile(path.join(data, 'raw/MindCube_tinybench.jsonl'), 'utf8'))
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { readonly id: string });
  const line = (i: number) => {
    const row = rows[i % rows.length]!;
    return `${JSON.stringify({ ...row, id: `${row.id}-${i}` })}\n`;
  };
  await pipeline(Readable.from(pieces(count, line)), createWriteStream(file));
}

/** Lines in pieces: one by one they would take longer than what is measured. */
function* pieces(count: number, line: (i: number) => string): Generator<string> {
  for (let first = 0; first < count; first += 1000) {
    const size = Math.min(1000, count - first);
    yield Array.from({ length: size }, (_, i) => line(first + i)).join('');
  }
}

/** A table of MMBench with images of about 100 kB, in base64. @returns its rows. */
export async function writeTable(folder: string, bytes: number): Promise<number> {
  await mkdir(folder, { recursive: true });
  const noise = Buffer.from(Uint8Array.from({ length: 75_000 }, () => random.integer(256)));
  // Not an image that could be shown: only reading is measured.
  const header = Buffer.from('ffd8ffe000104a46494600010100000100010000', 'hex');
  const image = Buffer.concat([header, noise]).toString('base64');
  const rows = Math.ceil(bytes / (image.length + 100));
  const head = 'index\tquestion\tA\tB\tanswer\tcategory\tl2-category\tsplit\timage\n';
  const line = (i: number) =>
    `${i}\tWhich one is nearer, number ${i}?\tchair\ttable\tA\tspatial_relationship\trelation_reasoning\tdev\t${image}\n`;
  const lines = function* () {
    yield head;
    for (let i = 0; i < rows; i += 1) yield line(i);
  };
  const file = path.join(folder, 'MMBench_DEV_EN.tsv');
  await pipeline(Readable.from(lines()), createWriteStream(file));
  return rows;
}

const random = createRandom(11);
