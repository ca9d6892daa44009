import {
  type BackboneV1,
  decodeImage,
  type GeometryHeadModelV1,
  type GeometryLabelsV1,
  type LabellerV1,
  type LabelRequestV1,
  type PreparedInputsV1,
  poolFeatures,
  type RgbImage,
  type SampleV1,
  type ViewGridV1,
  type ViewInputV1,
  type ViewLayoutV1,
} from '@spatialsv/core';
import type { TrainConfig } from '../config/schema.js';
import { type Consensus, consensus } from '../labels/consensus.js';
import { learnableLabels, type ViewLabels, viewLabels } from '../labels/label-maps.js';
import type { RunModels } from '../run-models.js';
import { concat } from './concat.js';
import { requestedSize } from './training-data.js';

/** An image file as it is now. */
export interface ImageFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes. */
  readonly hash: string;
}

/** What of a sample makes its sequence. */
export interface SequenceRequest extends Pick<SampleV1, 'question' | 'system' | 'answer'> {
  readonly files: readonly Pick<ImageFile, 'path' | 'bytes'>[];
}

export interface Sequence {
  readonly layout: Layout;
  /** With the pixels. */
  readonly views: readonly ViewInputV1[];
}

export interface LabelsRequest {
  /** Paths of the images. */
  readonly images: readonly string[];
  readonly layout: Pick<Layout, 'grids' | 'imageSizes'>;
}

/** A prepared sequence without its pixels, with the layouts of its views and the sizes of its images. */
export type Layout = Omit<PreparedInputsV1, 'views'> & {
  readonly viewLayouts: readonly ViewLayoutV1[];
  readonly imageSizes: readonly { readonly height: number; readonly width: number }[];
};

/** Labels of a view set as they are learnt. */
export interface ViewSetLabels {
  /** By view, when there are heads. */
  readonly views?: readonly ViewLabels[] | undefined;
  /** What a second teacher says of them. */
  readonly consensus?: Consensus | undefined;
  /** (Σ h·w, C₃), when the source gives features and they are learnt. */
  readonly distilled?: { readonly data: Float32Array; readonly channels: number } | undefined;
}

/** What of a sample is made without the device. */
export interface SamplePreparation {
  /** Decodes images and lays out the sequence. @throws SpatialError as decoding and the backbone do. */
  sequence(request: SequenceRequest): Promise<Sequence>;
  /** Labels of a view set at the sizes that are learnt. @throws SpatialError as the source does. */
  labels(request: LabelsRequest): Promise<ViewSetLabels>;
}

export interface PreparationOptions {
  readonly backbone: Pick<BackboneV1, 'prepare'>;
  readonly heads: Pick<GeometryHeadModelV1, 'outputSize' | 'tasks'>;
  /** Whether features of the labels are learnt. */
  readonly distils: boolean;
  readonly source?: LabellerV1 | undefined;
  /** A second teacher, and the error at which a pixel of the labels counts half: see `consensus`. */
  readonly second?: { readonly source: LabellerV1; readonly tolerance: number } | undefined;
  /** Size of the labels to ask for. */
  readonly labelSize?: Pick<LabelRequestV1, 'height' | 'width'>;
}

/** How samples of a run are prepared. @param heads of the run. */
export function preparationOptions(
  config: TrainConfig,
  heads: PreparationOptions['heads'],
  { backbone, source, secondTeacher }: RunModels,
): PreparationOptions {
  const { tolerance } = config.secondTeacher ?? {};
  return {
    ...{ backbone, heads, source },
    distils: config.signals.includes('feat'),
    second:
      secondTeacher === undefined || source === undefined || tolerance === undefined
        ? undefined
        : { source: secondTeacher, tolerance },
    labelSize: requestedSize(config),
  };
}

/** Preparation on the thread that calls it. */
export class LocalPreparation implements SamplePreparation {
  readonly #options: PreparationOptions;

  constructor(options: PreparationOptions) {
    this.#options = options;
  }

  async sequence({ files, ...sample }: SequenceRequest): Promise<Sequence> {
    const images = await Promise.all(files.map(({ bytes, path }) => decodeImage(bytes, path)));
    const prepared = await this.#options.backbone.prepare(conversation(sample, images));
    return { layout: toLayout(prepared, images), views: prepared.views };
  }

  async labels({ images, layout }: LabelsRequest): Promise<ViewSetLabels> {
    const { source, second, labelSize } = this.#options;
    const labelsOf = async (teacher: LabellerV1) =>
      learnableLabels(await teacher.doLabel({ images, ...labelSize }), teacher.sourceId);
    const other = second && (await labelsOf(second.source));
    return viewSetLabels(await labelsOf(source!), other, layout, this.#options);
  }
}

function conversation(sample: Omit<SequenceRequest, 'files'>, images: readonly RgbImage[]) {
  const { question = '', system, answer } = sample;
  return {
    images,
    question,
    ...(system !== undefined && { system }),
    ...(answer !== undefined && { answer }),
  };
}

function toLayout(prepared: PreparedInputsV1, images: readonly RgbImage[]): Layout {
  const { views, ...rest } = prepared;
  return {
    ...rest,
    viewLayouts: views.map(({ layout }) => layout),
    imageSizes: images.map(({ height, width }) => ({ height, width })),
  };
}

function viewSetLabels(
  labels: GeometryLabelsV1,
  others: GeometryLabelsV1 | undefined,
  layout: LabelsRequest['layout'],
  { heads, distils, second }: PreparationOptions,
): ViewSetLabels {
  const maps = (of: GeometryLabelsV1) =>
    layout.grids.map((grid, view) => {
      const { covered } = grid;
      const image = layout.imageSizes[view]!;
      return viewLabels(of, view, { ...heads.outputSize(grid), covered, image });
    });
  const views = heads.tasks.length > 0 ? maps(labels) : undefined;
  return {
    views,
    consensus: views && others && consensus(views, maps(others), second!.tolerance),
    distilled: distils ? pooledFeatures(labels, layout) : undefined,
  };
}

function pooledFeatures(
  labels: GeometryLabelsV1,
  layout: LabelsRequest['layout'],
): ViewSetLabels['distilled'] {
  const { features } = labels;
  if (features === undefined) return undefined;
  const { h, w, channels } = features;
  const size = h * w * channels;
  const pooled = layout.grids.map((grid, view) => {
    const data = features.data.subarray(view * size, (view + 1) * size);
    const part = coveredPart(grid, layout.imageSizes[view]!);
    return poolFeatures({ data, views: 1, h, w, channels }, grid, part);
  });
  return { data: concat(pooled), channels };
}

/** What the grid sees of its image, in shares of the sides: features are those of whole images. */
export const coveredPart = (
  { covered }: Pick<ViewGridV1, 'covered'>,
  { width, height }: Layout['imageSizes'][number],
) => ({
  x0: covered.x0 / width,
  x1: covered.x1 / width,
  y0: covered.y0 / height,
  y1: covered.y1 / height,
});
