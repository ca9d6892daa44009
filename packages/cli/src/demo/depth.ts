import type { GeometryLabelsV1, LabellerV1, SampleV1, SpatialCheckpoint } from '@spatialsv/core';
import type { BackboneRunner } from '@spatialsv/eval';
import { learnableLabels, type ViewLabels, viewLabels } from '@spatialsv/train';
import { readImages } from '../model.js';

/** Sums of a root mean square error over valid pixels. */
interface ErrorSum {
  squares: number;
  pixels: number;
}

/** Root mean square errors of depth on view sets, in units of the mean distance of the scene. */
export interface DepthErrors {
  readonly rmse: number;
  readonly pixels: number;
  readonly viewSets: number;
}

/** Samples with different view sets, the first of each. */
export function distinctViewSets(samples: readonly SampleV1[]): readonly SampleV1[] {
  const known = new Map(samples.map((sample) => [sample.images.join('\n'), sample]));
  return [...known.values()];
}

/** Labels of one view set at the size of the heads' maps, in the scale in which they are learnt. */
export async function labelsAtHeads(
  labeller: LabellerV1,
  sample: SampleV1,
  size: { readonly height: number; readonly width: number },
  image: { readonly height: number; readonly width: number },
): Promise<{ readonly labels: GeometryLabelsV1; readonly views: readonly ViewLabels[] }> {
  const labels = learnableLabels(
    await labeller.doLabel({ images: sample.images }),
    labeller.sourceId,
  );
  const covered = { x0: 0, y0: 0, x1: image.width, y1: image.height };
  const views = sample.images.map((_, view) =>
    viewLabels(labels, view, { ...size, covered, image }),
  );
  return { labels, views };
}

/** View sets with labels. */
export interface DepthSet {
  readonly labeller: LabellerV1;
  readonly samples: readonly SampleV1[];
  /** Give the size at which depths are compared. */
  readonly heads: SpatialCheckpoint;
}

/** Depth error of the model's heads. */
export async function modelDepthErrors(
  { labeller, samples, heads }: DepthSet,
  runner: BackboneRunner,
): Promise<DepthErrors> {
  const sum = { squares: 0, pixels: 0 };
  for (const sample of samples) {
    const images = await readImages(sample.images);
    const inputs = await runner.backbone.prepare({ images, question: sample.question ?? '' });
    const { depth, height, width } = await runner.predictGeometry(inputs, heads);
    const { views } = await labelsAtHeads(labeller, sample, { height, width }, images[0]!);
    const pixels = height * width;
    for (const [index, view] of views.entries()) {
      addErrors(sum, view, (pixel) => depth![index * pixels + pixel]!);
    }
  }
  return finish(sum, samples.length);
}

/** The best constant depth of some view sets: the mean over their valid pixels. */
export async function meanDepth(set: DepthSet, imageSize: number): Promise<number> {
  let total = 0;
  let pixels = 0;
  for (const views of await allLabels(set, imageSize)) {
    for (const { depth, mask } of views) {
      depth.forEach((value, pixel) => {
        total += value * mask[pixel]!;
        pixels += mask[pixel]!;
      });
    }
  }
  return total / pixels;
}

/** Depth error of answering the same depth everywhere. */
export async function constantDepthErrors(
  set: DepthSet,
  imageSize: number,
  constant: number,
): Promise<DepthErrors> {
  const sum = { squares: 0, pixels: 0 };
  for (const views of await allLabels(set, imageSize)) {
    for (const view of views) addErrors(sum, view, () => constant);
  }
  return finish(sum, set.samples.length);
}

async function allLabels(
  { labeller, samples, heads }: DepthSet,
  imageSize: number,
): Promise<readonly (readonly ViewLabels[])[]> {
  const image = { height: imageSize, width: imageSize };
  const cells = Math.max(1, Math.round(imageSize / 28));
  const size = heads.heads.outputSize({ h: cells, w: cells });
  const all: (readonly ViewLabels[])[] = [];
  for (const sample of samples) {
    all.push((await labelsAtHeads(labeller, sample, size, image)).views);
  }
  return all;
}

function addErrors(sum: ErrorSum, { depth, mask }: ViewLabels, predict: (pixel: number) => number) {
  depth.forEach((value, pixel) => {
    if (mask[pixel] === 0) return;
    sum.squares += (predict(pixel) - value) ** 2;
    sum.pixels += 1;
  });
}

const finish = ({ squares, pixels }: ErrorSum, viewSets: number): DepthErrors => ({
  rmse: Math.sqrt(squares / Math.max(1, pixels)),
  pixels,
  viewSets,
});
