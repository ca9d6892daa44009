import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { createRandom, encodePng, hashText, writeFileAtomic } from '@spatialsv/core/kit';
import { SpatialError } from '@spatialsv/core/spec';
import { createScene, type SceneOptions } from './create-scene.js';
import {
  AnswerBalance,
  checkWeights,
  drawQuestions,
  numberWord,
  type Question,
  type QuestionOptions,
} from './questions.js';
import { type RenderedView, renderView } from './render-view.js';
import { MOTIONS, type Motion, type Scene } from './scene.js';
import { writeSceneFile } from './scene-file.js';
import { measureAppearances } from './visibility.js';

export interface DatasetOptions extends Omit<SceneOptions, 'motion'>, QuestionOptions {
  /** Takes `raw/` and `other_all_image/`, like the `data/` folder of MindCube. */
  readonly folder: string;
  /** Number of rooms. */
  readonly scenes: number;
  readonly seed: number;
  /** Names the question file; rooms of different splits are different. Lower-case letters and digits. */
  readonly split: string;
  /** Size of the images, pixels. Default 224 × 224. */
  readonly width?: number;
  readonly height?: number;
  /** Default 8. */
  readonly questionsPerScene?: number;
  /** Camera motions, taken in turn. All three where absent. */
  readonly motions?: readonly Motion[];
  readonly signal?: AbortSignal;
  readonly onProgress?: (doneScenes: number, scenes: number) => void;
}

export interface DatasetSummary {
  /** The question file. */
  readonly file: string;
  readonly scenes: number;
  readonly images: number;
  readonly questions: number;
  /** How often each letter is right. */
  readonly letters: Readonly<Record<string, number>>;
  readonly categories: Readonly<Record<string, number>>;
}

/** One line of the question file, field for field as in MindCube. */
export interface MindCubeRow {
  /** Holds the name of the camera motion, from which readers tell the setting. */
  readonly id: string;
  /** Kind of question, camera motion. */
  readonly category: readonly string[];
  readonly type: string;
  /** Names of the scene's objects. */
  readonly meta_info: readonly (readonly string[])[];
  readonly question: string;
  /** Relative to the data set's folder. */
  readonly images: readonly string[];
  readonly gt_answer: string;
}

/**
 * Renders rooms and writes them in MindCube's layout: `raw/MindCube_<split>.jsonl`, images in
 * `other_all_image/<motion>/<scene>/<n>.png` and beside them `scene.json`, from which the source `synthetic` renders
 * exact labels. A pure function of its options; several splits may share a folder.
 * @throws SpatialError CONFIG_INVALID for options out of range; the signal's reason when it is aborted.
 */
export const writeDataset = async (options: DatasetOptions): Promise<DatasetSummary> => {
  checkOptions(options);
  const balance = new AnswerBalance();
  const rows: MindCubeRow[] = [];
  let images = 0;
  for (let index = 0; index < options.scenes; index++) {
    const written = await writeScene(options, index, balance);
    rows.push(...written.rows);
    images += written.images;
    options.onProgress?.(index + 1, options.scenes);
  }
  const file = path.join(options.folder, 'raw', `MindCube_${options.split}.jsonl`);
  await mkdir(path.dirname(file), { recursive: true });
  await writeFileAtomic(file, rows.map((row) => `${JSON.stringify(row)}\n`).join(''));
  return {
    file,
    scenes: options.scenes,
    images,
    questions: rows.length,
    letters: countBy(rows, (row) => row.gt_answer),
    categories: countBy(rows, (row) => row.category[0]!),
  };
};

const writeScene = async (
  options: DatasetOptions,
  index: number,
  balance: AnswerBalance,
): Promise<{ rows: MindCubeRow[]; images: number }> => {
  const { width = 224, height = 224, motions = MOTIONS } = options;
  const seed = sceneSeed(options.seed, options.split, index);
  const scene = createScene(seed, { ...options, motion: motions[index % motions.length]! });
  const name = `${options.split}_${String(index).padStart(6, '0')}`;
  const relative = `other_all_image/${scene.motion}/${name}`;
  const folder = path.join(options.folder, relative);
  await mkdir(folder, { recursive: true });
  const views = await writeViews(folder, scene, { width, height }, options.signal);
  const files = scene.cameras.map((_, view) => `${view + 1}.png`);
  await writeSceneFile(folder, { width, height, images: files, scene });
  const questions = drawQuestions(
    createRandom(seed + 1),
    scene,
    measureAppearances(scene.objects.length, views),
    options.questionsPerScene ?? 8,
    balance,
    options,
  );
  const rows = questions.map((question, k) =>
    makeRow(scene, question, {
      id: `${scene.motion}_${name}_q${k}`,
      images: question.views.map((view) => `${relative}/${files[view]!}`),
    }),
  );
  return { rows, images: views.length };
};

/** Renders a view while the image before it is being compressed; every view gives the event loop a turn. */
const writeViews = async (
  folder: string,
  scene: Scene,
  size: { readonly width: number; readonly height: number },
  signal: AbortSignal | undefined,
): Promise<RenderedView[]> => {
  const views: RenderedView[] = [];
  let writing: Promise<void> = Promise.resolve();
  for (const [k, camera] of scene.cameras.entries()) {
    await setImmediate();
    const view = renderView(scene, camera, size);
    await writing;
    signal?.throwIfAborted();
    writing = writeImage(path.join(folder, `${k + 1}.png`), view);
    views.push(view);
  }
  await writing;
  return views;
};

/** Not flushed to disk one by one: the question file is written last, whole, and names only finished images. */
const writeImage = async (file: string, { image }: RenderedView): Promise<void> => {
  const { data, width, height } = image;
  await writeFile(file, await encodePng(data, { width, height, channels: 3 }));
};

const makeRow = (
  scene: Scene,
  question: Question,
  { id, images }: { readonly id: string; readonly images: readonly string[] },
): MindCubeRow => ({
  id,
  category: [question.category, scene.motion],
  type: `${numberWord(images.length)}_view`,
  meta_info: [scene.objects.map((object) => object.name)],
  question: question.text,
  images,
  gt_answer: question.answer,
});

/** FNV-1a over seed, split and index, 53 bits: splits and neighbouring seeds share no room. */
const sceneSeed = (seed: number, split: string, index: number): number => {
  const text = `${seed}/${split}/${index}`;
  return (hashText(`high/${text}`) >>> 11) * 2 ** 32 + hashText(text);
};

const countBy = <Item>(
  items: readonly Item[],
  key: (item: Item) => string,
): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const item of items) counts[key(item)] = (counts[key(item)] ?? 0) + 1;
  return counts;
};

const checkOptions = (options: DatasetOptions): void => {
  checkCount('scenes', options.scenes, 1);
  checkCount('questionsPerScene', options.questionsPerScene ?? 8, 0);
  checkCount('width', options.width ?? 224, 16);
  checkCount('height', options.height ?? 224, 16);
  checkCount('maxImages', options.maxImages ?? 4, 2);
  checkSplit(options.split);
  if (options.categories) checkWeights(options.categories);
  const { motions = MOTIONS } = options;
  if (motions.length > 0 && motions.every((motion) => MOTIONS.includes(motion))) return;
  throw invalid('motions', `some of ${MOTIONS.join(', ')}`, motions.join(', ') || 'none');
};

const checkCount = (name: string, value: number, least: number): void => {
  if (Number.isInteger(value) && value >= least) return;
  throw invalid(name, `a whole number of at least ${least}`, String(value));
};

/** The split becomes a part of every id, and readers look for the motion's name in the id. */
const checkSplit = (split: string): void => {
  const reserved = [...MOTIONS, 'translation'].some((word) => split.includes(word));
  if (/^[a-z0-9]+$/.test(split) && !reserved) return;
  throw invalid('split', "lower-case letters and digits, without a camera motion's name", split);
};

const invalid = (name: string, expected: string, found: string): SpatialError =>
  new SpatialError({
    code: 'CONFIG_INVALID',
    message: `${name}: expected ${expected}, found ${found}`,
    hint: `Set ${name} to ${expected}.`,
  });
