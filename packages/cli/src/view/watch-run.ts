import { createHash } from 'node:crypto';
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import {
  type BackboneV1,
  type GeometryLabelsV1,
  type LabellerV1,
  type SampleV1,
  writeFileAtomic,
} from '@spatialsv/core';
import { liftPhotos, writeLift } from '@spatialsv/inspect';
import { learnableLabels, type WatchedLook } from '@spatialsv/train';
import { HEAD_CONVENTIONS } from '../lifts/heads.js';
import { likePredictions } from '../lifts/labels.js';
import { readImages } from '../model.js';
import {
  WATCH_FILE,
  WATCH_FOLDER,
  type WatchedSample,
  watchedFile,
  watchedSteps,
} from './training-report.js';

/** Keeps what a training run watches in its folder, for `view`: `watch/step-N/VIEWS.safetensors`, `watch/samples.json`. */
export class RunWatcher {
  readonly #run: string;
  readonly #backbone: BackboneV1;
  readonly #source: LabellerV1 | undefined;
  readonly #samples = new Map<string, WatchedSample>();
  #hasLooked = false;

  /** @param source whose labels stand beside what is seen. */
  constructor(run: string, backbone: BackboneV1, source: LabellerV1 | undefined) {
    this.#run = run;
    this.#backbone = backbone;
    this.#source = source;
  }

  async keep({ step, sample, maps }: WatchedLook): Promise<void> {
    if (!this.#hasLooked) await this.#forgetAfter(step);
    this.#hasLooked = true;
    const images = await readImages(sample.images);
    const question = sample.question ?? '';
    const inputs = await this.#backbone.prepare({ images, question });
    const labels = await this.#labelsOf(sample);
    const views = keyOf(sample);
    const file = watchedFile(this.#run, step, views);
    await mkdir(dirname(file), { recursive: true });
    await writeLift(file, {
      photos: await liftPhotos(
        images,
        inputs.grids.map(({ covered }) => covered),
      ),
      predictions: { ...maps, conventions: HEAD_CONVENTIONS },
      ...(labels && { labels: likePredictions(labels, { images, inputs }, maps) }),
    });
    await this.#note({ id: sample.id, category: sample.category ?? '', question, views });
  }

  /** Of a run that goes on from an earlier step: what lies ahead comes anew. */
  async #forgetAfter(step: number): Promise<void> {
    for (const ahead of (await watchedSteps(this.#run)).filter((other) => other > step))
      await rm(join(this.#run, WATCH_FOLDER, `step-${ahead}`), { recursive: true, force: true });
  }

  async #labelsOf({ images }: SampleV1): Promise<GeometryLabelsV1 | undefined> {
    if (this.#source === undefined) return undefined;
    const found = await this.#source.doLabel({ images });
    return learnableLabels(found, this.#source.sourceId);
  }

  /** Says what is watched, once for each sample. */
  async #note(sample: WatchedSample): Promise<void> {
    if (this.#samples.has(sample.views)) return;
    this.#samples.set(sample.views, sample);
    const folder = join(this.#run, WATCH_FOLDER);
    const text = `${JSON.stringify([...this.#samples.values()], null, 2)}\n`;
    await writeFileAtomic(join(folder, WATCH_FILE), text);
  }
}

/** Names a view set by its files, which do not move while a run goes on. */
const keyOf = ({ images }: SampleV1): string =>
  createHash('sha256').update(images.join('\n')).digest('hex').slice(0, 16);
