import type { SampleV1 } from '../spec.js';

/** Images that are labelled together: the views of one scene, in prompt order. */
export interface ViewSet {
  /** Absolute paths. */
  readonly images: readonly string[];
}

/** One part of work that is split: `index` counts from 1 to `count`. */
export interface Shard {
  readonly index: number;
  readonly count: number;
}

/**
 * Groups of neighbouring images; the last one may be smaller.
 * @param viewsPerSet all images form one set where absent.
 */
export const viewSetsOfImages = (
  images: readonly string[],
  viewsPerSet = images.length,
): ViewSet[] =>
  Array.from({ length: Math.ceil(images.length / viewsPerSet) }, (_, i) => ({
    images: images.slice(i * viewsPerSet, (i + 1) * viewsPerSet),
  }));

/** One set for each distinct list of images, in the order in which the lists appear first. */
export const viewSetsOfSamples = (samples: readonly Pick<SampleV1, 'images'>[]): ViewSet[] => {
  const sets = new Map<string, ViewSet>();
  for (const { images } of samples) {
    const list = JSON.stringify(images);
    if (!sets.has(list)) sets.set(list, { images });
  }
  return [...sets.values()];
};

/** Every `count`-th item: the shards 1 to `count` are disjoint, complete and differ by one item at most. */
export const shardOf = <Item>(items: readonly Item[], { index, count }: Shard): Item[] =>
  items.filter((_, i) => i % count === index - 1);
