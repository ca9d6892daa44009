import { type LabelStore, SpatialError } from '@spatialsv/core';
import { countSets } from './label-report.js';

/**
 * Keys that begin with one of the prefixes, all where there are none; in the order of the store.
 * @throws SpatialError USAGE for a prefix that no key begins with.
 */
export function selectKeys(store: LabelStore, prefixes: readonly string[] = []): string[] {
  const keys = [...store.keys()];
  const missing = prefixes.find((prefix) => !keys.some((key) => key.startsWith(prefix)));
  if (missing !== undefined) {
    throw new SpatialError({
      code: 'USAGE',
      message: `no key in ${store.folder} begins with "${missing}" (${countSets(keys.length)})`,
      hint: `\`spatialsv labels show ${store.folder}\` lists the keys.`,
    });
  }
  if (prefixes.length === 0) return keys;
  return keys.filter((key) => prefixes.some((prefix) => key.startsWith(prefix)));
}

/** Enough of a key to tell it from a million others. */
export const shortKey = (key: string): string => key.slice(0, 12);
