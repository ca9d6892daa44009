import {
  type BackboneV1,
  decodeImage,
  type GeometryHeadModelV1,
  type GeometryLabelsV1,
  type LabellerV1,
  type PreparedInputsV1,
  padSequence,
  poolFeatures,
  type RgbImage,
  readImageBytes,
  type SampleV1,
  type SupervisionRequestV1,
  type ViewGridV1,
  type ViewLayoutV1,
} from '@spatialsv/core';
import type { HostArray, Tree } from '@spatialsv/engine';
import { type Agreement, type Consensus, consensus } from '../labels/consensus.js';
import { learnableLabels, type ViewLabels, viewLabels } from '../labels/label-maps.js';
import {
  type GridGroup,
  gridGroups,
  type StepShape,
  targetBucket,
  tokenBucket,
} from '../step/step-shape.js';
import { ByteCache } from './byte-cache.js';
import { sha256 } from './sha256.js';
import type { Features, VisionFeatures } from './vision-features.js';

/** Everything that a step program takes for one sample. */
export interface SampleInputs {
  readonly shape: StepShape;
  /** The `sample` input. */
  readonly tensors: Tree<HostArray>;
  /** Tokens of the sequence, without padding. */
  readonly tokens: number;
  /** Whether the sample has a text target. */
  readonly hasText: boolean;
  /** How far the teachers agree on its labels, where there are two. */
  readonly agreement?: Agreement;
}

export interface SampleInputsOptions {
  readonly backbone: BackboneV1;
  readonly features: VisionFeatures;
  readonly heads: Pick<GeometryHeadModelV1, 'outputSize' | 'tasks'>;
  /** Whether features of the labels are learnt. */
  readonly distils: boolean;
  readonly source?: LabellerV1 | undefined;
  /** A second teacher, and the error at which a pixel of the labels counts half: see `consensus`. */
  readonly second?: { readonly source: LabellerV1; readonly tolerance: number } | undefined;
  /** Size of the labels to ask for. */
  readonly labelSize?: Pick<SupervisionRequestV1, 'height' | 'width'>;
  /** Bytes kept in memory of each: vision features, label maps, token layouts. */
  readonly cacheBytes?: number;
}

/** A prepared sequence without its pixels, with the layouts of its views and the sizes of its images. */
type Layout = Omit<PreparedInputsV1, 'views'> & {
  readonly viewLayouts: readonly ViewLayoutV1[];
  readonly imageSizes: readonly { readonly height: number; readonly width: number }[];
};

interface ViewSetLabels {
  /** By view, when there are heads. */
  readonly views?: readonly ViewLabels[] | undefined;
  /** What a second teacher says of them. */
  readonly consensus?: Consensus | undefined;
  /** (Σ h·w, C₃), when the source gives features and they are learnt. */
  readonly distilled?: { readonly data: Float32Array; readonly channels: number } | undefined;
}

const DEFAULT_CACHE_BYTES = 1 << 29;

/**
 * Turns samples into inputs of the step program, keeping what samples share: features of an image, labels of a view set.
 * What is kept is found by content: ids may repeat, and an image may be replaced under its path.
 */
export class SampleInputsBuilder {
  readonly #options: SampleInputsOptions;
  readonly #layouts: ByteCache<Layout>;
  readonly #features: ByteCache<Features>;
  readonly #labels: ByteCache<ViewSetLabels>;

  constructor(options: SampleInputsOptions) {
    const bytes = options.cacheBytes ?? DEFAULT_CACHE_BYTES;
    this.#options = options;
    this.#layouts = new ByteCache(bytes, layoutBytes);
    this.#features = new ByteCache(bytes, ({ data }) => data.byteLength);
    this.#labels = new ByteCache(bytes, labelBytes);
  }

  /**
   * @param withLabels whether the sample's geometric labels are used, where there is a source.
   * @throws SpatialError as reading images, the backbone and the source do.
   */
  async build(sample: SampleV1, withLabels = true): Promise<SampleInputs> {
    const files = await Promise.all(sample.images.map(readImageFile));
    const { layout, features } = await this.#layoutAndFeatures(sample, files);
    const labels = withLabels ? await this.#labelsOf(files, layout) : undefined;
    const shape = shapeOf(layout, features, labels);
    const views = <Value>(value: (index: number) => Value) =>
      Object.fromEntries(sample.images.map((_, index) => [`v${index}`, value(index)]));
    const { inputIds, positions, spliceIndex } = padSequence(layout, shape.tokens);
    const tensors = {
      inputIds,
      positions,
      spliceIndex,
      ...(shape.targets > 0 && targetTensors(layout.labels, shape.targets)),
      features: views((index) => features[index]!.data),
      cells: views((index) => layout.grids[index]!.tokenIndex),
      ...(labels?.views !== undefined && {
        labels: groupTensors(labels.views, labels.consensus, gridGroups(shape.views)),
      }),
      ...(labels?.distilled !== undefined && { distilled: labels.distilled.data }),
    };
    const agreement = labels?.consensus?.agreement;
    return {
      ...{ shape, tensors, tokens: layout.inputIds.length, hasText: shape.targets > 0 },
      ...(agreement && { agreement }),
    };
  }

  /** Pixels are decoded and prepared only when the layout or the features of an image are not at hand. */
  async #layoutAndFeatures(sample: SampleV1, files: readonly ImageFile[]) {
    let prepared: PreparedInputsV1 | undefined;
    const prepare = async () => {
      const images = await Promise.all(files.map(({ bytes, path }) => decodeImage(bytes, path)));
      prepared ??= await this.#options.backbone.prepare(conversation(sample, images));
      return { prepared, images };
    };
    const layout = await this.#layouts.get(contentKey(sample, files), async () => {
      const made = await prepare();
      return toLayout(made.prepared, made.images);
    });
    const features: Features[] = [];
    for (const [index, { hash }] of files.entries()) {
      features.push(
        await this.#features.get(`${hash}:${layout.viewLayouts[index]!.key}`, async () => {
          const { views } = prepared ?? (await prepare()).prepared;
          return this.#options.features.of(views[index]!);
        }),
      );
    }
    return { layout, features };
  }

  async #labelsOf(files: readonly ImageFile[], layout: Layout): Promise<ViewSetLabels | undefined> {
    const { source, second, labelSize } = this.#options;
    if (source === undefined) return undefined;
    const grids = layout.grids.map(({ h, w }) => `${h}x${w}`).join();
    // By path as well: a source may find what it knows of an image beside its file.
    const key = JSON.stringify([files.map(({ path, hash }) => [path, hash]), grids]);
    return this.#labels.get(key, async () => {
      const images = files.map(({ path }) => path);
      const labelsOf = async (teacher: LabellerV1) =>
        learnableLabels(await teacher.doSupervise({ images, ...labelSize }), teacher.sourceId);
      const other = second && (await labelsOf(second.source));
      return viewSetLabels(await labelsOf(source), other, layout, this.#options);
    });
  }
}

/** An image file as it is now. */
interface ImageFile {
  readonly path: string;
  readonly bytes: Uint8Array;
  /** SHA-256 of the bytes. */
  readonly hash: string;
}

async function readImageFile(path: string): Promise<ImageFile> {
  const bytes = await readImageBytes(path);
  return { path, bytes, hash: sha256(bytes) };
}

/** Equal for samples whose prepared sequences are equal. */
const contentKey = ({ question, system, answer }: SampleV1, files: readonly ImageFile[]): string =>
  sha256(JSON.stringify([question, system, answer, files.map(({ hash }) => hash)]));

function conversation(sample: SampleV1, images: readonly RgbImage[]) {
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

const layoutBytes = ({ inputIds }: Layout): number => 32 * inputIds.length;

const labelBytes = ({ views = [], distilled }: ViewSetLabels): number =>
  views.reduce((sum, { depth }) => sum + 15 * depth.byteLength, distilled?.data.byteLength ?? 0);

function shapeOf(
  layout: Layout,
  features: readonly Features[],
  labels: ViewSetLabels | undefined,
): StepShape {
  const targets = layout.labels.reduce((count, label) => count + (label >= 0 ? 1 : 0), 0);
  return {
    tokens: tokenBucket(layout.inputIds.length),
    positionRows: layout.positionRows,
    targets: targetBucket(targets),
    views: layout.grids.map(({ h, w }, index) => ({
      layout: layout.viewLayouts[index]!,
      h,
      w,
      features: features[index]!.shape,
    })),
    geometry: labels?.views !== undefined,
    featureChannels: labels?.distilled?.channels ?? 0,
    ...(labels?.consensus !== undefined && { weighted: true }),
  };
}

/** Row t predicts token t + 1. */
function targetTensors(labels: Int32Array, padded: number) {
  const at = [...labels.keys()].filter((index) => labels[index]! >= 0);
  const targetRows = new Int32Array(padded);
  const targets = new Int32Array(padded);
  const targetWeights = new Float32Array(padded);
  at.forEach((position, index) => {
    targetRows[index] = position - 1;
    targets[index] = labels[position]!;
    targetWeights[index] = 1 / at.length;
  });
  return { targetRows, targets, targetWeights };
}

function viewSetLabels(
  labels: GeometryLabelsV1,
  others: GeometryLabelsV1 | undefined,
  layout: Layout,
  { heads, distils, second }: SampleInputsOptions,
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

function pooledFeatures(labels: GeometryLabelsV1, layout: Layout): ViewSetLabels['distilled'] {
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

/** Label maps by grid group, with the group's share of the valid pixels and, with two teachers, the weights of the pixels. */
function groupTensors(
  views: readonly ViewLabels[],
  agreed: Consensus | undefined,
  groups: readonly GridGroup[],
) {
  const valid = (indices: readonly number[]) =>
    indices.reduce((sum, view) => sum + views[view]!.mask.reduce((a, b) => a + b, 0), 0);
  const total = Math.max(1, valid([...views.keys()]));
  const tensors = groups.map((group) => {
    const join = (name: keyof ViewLabels) => concat(group.views.map((view) => views[view]![name]));
    const share = Float32Array.of(groups.length === 1 ? 1 : valid(group.views) / total);
    const maps = {
      depth: join('depth'),
      mask: join('mask'),
      rays: join('rays'),
      rayMask: join('rayMask'),
      points: join('points'),
      share,
      ...(agreed && groupWeights(agreed, group)),
    };
    return [group.name, maps] as const;
  });
  return Object.fromEntries(tensors);
}

function groupWeights({ weights }: Consensus, group: GridGroup) {
  const join = (name: keyof Consensus['weights'][number]) =>
    concat(group.views.map((view) => weights[view]![name]));
  return { depthWeight: join('depth'), rayWeight: join('rays'), pointWeight: join('points') };
}

function concat(parts: readonly Float32Array[]): Float32Array {
  const joined = new Float32Array(parts.reduce((sum, part) => sum + part.length, 0));
  let offset = 0;
  for (const part of parts) {
    joined.set(part, offset);
    offset += part.length;
  }
  return joined;
}
