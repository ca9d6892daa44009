import { type GeometryLabelsV1, labelMaps, type StoredLabeller } from '@spatialsv/core';
import { ByteCache } from '../data/byte-cache.js';
import { learnableLabels } from '../labels/label-maps.js';
import { type Matches, trueMatches } from './correspondence.js';
import { type DenseTarget, type DenseTask, denseTargets } from './dense-targets.js';
import type { FeatureStore } from './feature-store.js';
import type { ProbeSet, ViewLayout } from './view-sets.js';

/** Matches of two views of a set. */
export interface MatchedPair {
  readonly from: number;
  readonly to: number;
  readonly matches: Matches;
}

/** What is kept in memory of the targets of each task. */
const CACHE_BYTES = 1 << 28;

/** What view sets have to tell: targets of every task from the label store, made once and kept while there is room. */
export class ProbeTargets {
  readonly #labels: StoredLabeller;
  readonly #store: FeatureStore;
  readonly #layouts = new Map<string, Promise<readonly ViewLayout[]>>();
  readonly #dense = new ByteCache<readonly DenseTarget[]>(CACHE_BYTES, (views) =>
    views.reduce((sum, { values, mask }) => sum + values.byteLength + mask.byteLength, 0),
  );
  readonly #pairs = new ByteCache<readonly MatchedPair[]>(CACHE_BYTES, (pairs) =>
    pairs.reduce((sum, { matches }) => sum + 24 * matches.cells.length, 64),
  );

  constructor(labels: StoredLabeller, store: FeatureStore) {
    this.#labels = labels;
    this.#store = store;
  }

  layout({ id }: ProbeSet): Promise<readonly ViewLayout[]> {
    const known = this.#layouts.get(id) ?? this.#store.layout(id);
    this.#layouts.set(id, known);
    return known;
  }

  /** Labels as they are stored. @throws SpatialError DATA_INVALID where there are none. */
  labels({ hashes, images }: ProbeSet): GeometryLabelsV1 {
    const found = this.#labels.labelsOfContent(hashes);
    if (found === undefined) throw this.#labels.missingLabels(images);
    return found;
  }

  dense(task: DenseTask, set: ProbeSet): Promise<readonly DenseTarget[]> {
    return this.#dense.get(`${task} ${set.id}`, async () =>
      denseTargets(task, this.#learnable(set), await this.layout(set)),
    );
  }

  /** Every ordered pair of views that shows something in common. */
  pairs(set: ProbeSet): Promise<readonly MatchedPair[]> {
    return this.#pairs.get(set.id, async () => {
      const labels = this.#learnable(set);
      const layouts = await this.layout(set);
      const { points } = labelMaps(labels);
      const pairs: MatchedPair[] = [];
      for (let from = 0; from < labels.views; from++)
        for (let to = 0; to < labels.views; to++) {
          if (from === to) continue;
          const matches = trueMatches(labels, layouts, from, to, points);
          if (matches.cells.length > 0) pairs.push({ from, to, matches });
        }
      return pairs;
    });
  }

  #learnable(set: ProbeSet): GeometryLabelsV1 {
    return learnableLabels(this.labels(set), this.#labels.sourceId);
  }
}
