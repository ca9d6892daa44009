import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { decodeImage, type RgbImage, writeFileAtomic } from '@spatialsv/core';
import type { Answer, ExplainedCase } from '@spatialsv/eval';
import {
  type CaseRow,
  caseSvg,
  colorizedPng,
  depthRangeOf,
  type LiftPhoto,
  liftGeometry,
  type QualityMeasure,
  readLift,
  type StoredLift,
  svgToPng,
} from '@spatialsv/inspect';
import type { CommandContext } from '../context.js';
import { liftFile } from '../lifts/lift-questions.js';
import { signed } from './explain-figures.js';
import type { NamedRun } from './read-run.js';

/** A case with what was written of it, relative to the folder of the explanation. */
export interface WrittenCase extends ExplainedCase {
  readonly id: string;
  readonly category: string;
  readonly question: string;
  readonly expected: string | undefined;
  readonly models: readonly CaseModel[];
  readonly figure: { readonly svg: string; readonly png: string };
}

export interface CaseModel {
  readonly name: string;
  readonly answer: string;
  readonly right: boolean;
  readonly quality: number;
  /** Folder with the lift: images, point cloud, cameras and a page. */
  readonly lift: string;
}

/**
 * Writes every case: a figure with the views, the labels and what each model sees, and a folder with the lift of each model.
 * @param out folder of the explanation.
 */
export async function writeCases(
  cases: readonly ExplainedCase[],
  runs: readonly NamedRun[],
  out: string,
  measure: QualityMeasure,
  { progress, signal }: CommandContext,
): Promise<readonly WrittenCase[]> {
  progress.start('Writing cases', cases.length);
  const counts = new Map<string, number>();
  const written: WrittenCase[] = [];
  for (const one of cases) {
    signal.throwIfAborted();
    const number = (counts.get(one.kind) ?? 0) + 1;
    counts.set(one.kind, number);
    written.push(await writeCase(one, `${one.kind}-${number}`, runs, out, measure));
    progress.update(written.length);
  }
  progress.done(`${cases.length} cases`);
  return written;
}

interface Shown extends CaseModel {
  readonly stored: StoredLift;
}

async function writeCase(
  one: ExplainedCase,
  name: string,
  runs: readonly NamedRun[],
  out: string,
  measure: QualityMeasure,
): Promise<WrittenCase> {
  const sides = [{ model: one.model, quality: one.quality }, ...(one.other ? [one.other] : [])];
  const shown: Shown[] = [];
  for (const { model, quality } of sides) {
    const run = runs.find((candidate) => candidate.name === model)!;
    const lift = `cases/${name}/${model.replaceAll(/[^\w.-]+/g, '-')}`;
    const stored = await readLift(liftFile(run.folder, one.views));
    const answer = answerOf(run, one.key);
    const side = {
      name: model,
      answer: answer.raw.trim(),
      right: answer.score === 1,
      quality,
      lift,
    };
    await writeSide(side, stored, { run, one, measure }, join(out, lift));
    shown.push({ ...side, stored });
  }
  const run = runs.find((candidate) => candidate.name === one.model)!;
  const { question } = answerOf(run, one.key);
  const facts = {
    id: question.id,
    category: question.category,
    question: run.questions.get(one.key)!.text.trim(),
    expected: expectedOf(answerOf(run, one.key)),
  };
  const figure = await writeCaseFigure(name, shown, { ...facts, kind: one.kind, measure }, out);
  const models = shown.map(({ stored: _, ...side }) => side);
  return { ...one, ...facts, models, figure };
}

const answerOf = (run: NamedRun, key: string): Answer =>
  run.answers.find((answer) => answer.key === key)!;

function expectedOf({ question: { right, options = [] } }: Answer): string | undefined {
  if (right === undefined) return undefined;
  const option = options.find(({ letter }) => letter === right.value);
  return option === undefined ? right.value : `${option.letter}. ${option.text}`;
}

/** The image has no path: COLMAP would take its cameras for those of the file, which may be larger. */
async function pictureOf({ jpeg, name }: LiftPhoto): Promise<RgbImage> {
  const { data, width, height } = await decodeImage(jpeg, name);
  return { data, width, height };
}

async function writeSide(
  side: CaseModel,
  stored: StoredLift,
  { run, one, measure }: { run: NamedRun; one: ExplainedCase; measure: QualityMeasure },
  folder: string,
): Promise<void> {
  const images = await Promise.all(stored.photos.map(pictureOf));
  const answer = answerOf(run, one.key);
  await liftGeometry(
    {
      title: `What ${side.name} sees`,
      subtitle: `${answer.question.id}: ${measure.title} ${signed(side.quality, 3)}`,
      predictions: stored.predictions,
      images,
      ...(stored.labels && { labels: stored.labels }),
      dialogue: {
        question: run.questions.get(one.key)!.text.trim(),
        answer: side.answer,
        expected: expectedOf(answer),
        correct: side.right,
      },
    },
    folder,
  );
}

interface CaseFacts {
  readonly id: string;
  readonly kind: ExplainedCase['kind'];
  readonly question: string;
  readonly expected: string | undefined;
  readonly measure: QualityMeasure;
}

async function writeCaseFigure(
  name: string,
  shown: readonly Shown[],
  { id, kind, question, expected, measure }: CaseFacts,
  out: string,
): Promise<WrittenCase['figure']> {
  const [first] = shown as [Shown, ...Shown[]];
  const range = depthRangeOf(shown.map(({ stored }) => stored));
  const { photos, labels } = first.stored;
  const rows: CaseRow[] = [
    {
      title: 'Views',
      images: photos.map(({ jpeg, width, height }) => ({
        kind: 'jpeg',
        bytes: jpeg,
        aspect: width / height,
      })),
    },
  ];
  const aspects = photos.map(({ width, height }) => width / height);
  if (labels)
    rows.push({
      title: `Label depth (${first.stored.labelSource ?? 'unknown'}), near is warm: ${range.min.toFixed(2)} to ${range.max.toFixed(2)}, mean distance of the scene = 1`,
      images: await colorizedPng({ ...labels, aspects }, range),
    });
  for (const { name: model, stored, right, quality, answer } of shown)
    rows.push({
      title: `${model}, ${right ? 'right' : 'wrong'}: ${shortened(answer)} (${measure.title} ${signed(quality, 3)})`,
      images: await colorizedPng({ ...stored.predictions, aspects }, range),
    });
  const texts = [question, ...(expected === undefined ? [] : [`Right answer: ${expected}`])];
  const svg = caseSvg({ title: `${TITLES[kind]}: ${id}`, texts, rows });
  const files = { svg: `figures/case-${name}.svg`, png: `figures/case-${name}.png` };
  await mkdir(join(out, 'figures'), { recursive: true });
  await writeFileAtomic(join(out, files.svg), svg);
  await writeFileAtomic(join(out, files.png), await svgToPng(svg));
  return files;
}

const TITLES: Readonly<Record<ExplainedCase['kind'], string>> = {
  best: 'Right, with one of the best lifts',
  worst: 'Wrong, with one of the worst lifts',
  contrast: 'Two models',
};

/** Letters of an answer that a line holds. */
const LINE = 60;

const shortened = (text: string): string => {
  const line = text.replaceAll(/\s+/g, ' ');
  return line.length <= LINE ? line : `${line.slice(0, LINE)}…`;
};
