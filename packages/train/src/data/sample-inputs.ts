import { padSequence, readImageBytes, type SampleV1 } from '@spatialsv/core';
import type { HostArray, Tree } from '@spatialsv/engine';
import type { Agreement, Consensus } from '../labels/consensus.js';
import type { ViewLabels } from '../labels/label-maps.js';
import {
  type GridGroup,
  gridGroups,
  type StepShape,
  targetBucket,
  tokenBucket,
} from '../step/step-shape.js';
import { ByteCache } from './byte-cache.js';
import { concat } from './concat.js';
import {
  type ImageFile,
  type Layout,
  LocalPreparation,
  type PreparationOptions,
  type SamplePreparation,
  type Sequence,
  type SequenceRequest,
  type ViewSetLabels,
} from './sample-preparation.js';
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

export interface SampleInputsOptions extends PreparationOptions {
  readonly features: Pick<VisionFeatures, 'of'>;
  /** What prepares samples; the options themselves say how where absent. */
  readonly preparation?: SamplePreparation | undefined;
  /** Bytes kept in memory of each: vision features, label maps, token layouts. */
  readonly cacheBytes?: number;
}

const DEFAULT_CACHE_BYTES = 1 << 29;

/**
 * Turns samples into inputs of the step program, keeping what samples share: features of an image, labels of a view set.
 * What is kept is found by content: ids may repeat, and an image may be replaced under its path.
 */
export class SampleInputsBuilder {
  readonly #options: SampleInputsOptions;
  readonly #preparation: SamplePreparation;
  readonly #layouts: ByteCache<Layout>;
  readonly #features: ByteCache<Features>;
  readonly #labels: ByteCache<ViewSetLabels>;

  constructor(options: SampleInputsOptions) {
    const bytes = options.cacheBytes ?? DEFAULT_CACHE_BYTES;
    this.#options = options;
    this.#preparation = options.preparation ?? new LocalPreparation(options);
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
    let made: Sequence | undefined;
    const sequence = async () => {
      made ??= await this.#preparation.sequence({ files, ...textsOf(sample) });
      return made;
    };
    const layout = await this.#layouts.get(
      contentKey(sample, files),
      async () => (await sequence()).layout,
    );
    const features: Features[] = [];
    for (const [index, { hash }] of files.entries()) {
      features.push(
        await this.#features.get(`${hash}:${layout.viewLayouts[index]!.key}`, async () => {
          const { views } = await sequence();
          return this.#options.features.of(views[index]!);
        }),
      );
    }
    return { layout, features };
  }

  async #labelsOf(files: readonly ImageFile[], layout: Layout): Promise<ViewSetLabels | undefined> {
    if (this.#options.source === undefined) return undefined;
    const grids = layout.grids.map(({ h, w }) => `${h}x${w}`).join();
    // By path as well: a source may find what it knows of an image beside its file.
    const key = JSON.stringify([files.map(({ path, hash }) => [path, hash]), grids]);
    return this.#labels.get(key, () =>
      this.#preparation.labels({
        images: files.map(({ path }) => path),
        layout: { grids: layout.grids, imageSizes: layout.imageSizes },
      }),
    );
  }
}

async function readImageFile(path: string): Promise<ImageFile> {
  const bytes = await readImageBytes(path);
  return { path, bytes, hash: sha256(bytes) };
}

function textsOf({ question, system, answer }: SampleV1): Omit<SequenceRequest, 'files'> {
  return {
    ...(question !== undefined && { question }),
    ...(system !== undefined && { system }),
    ...(answer !== undefined && { answer }),
  };
}

/** Equal for samples whose prepared sequences are equal. */
const contentKey = ({ question, system, answer }: SampleV1, files: readonly ImageFile[]): string =>
  sha256(JSON.stringify([question, system, answer, files.map(({ hash }) => hash)]));

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
