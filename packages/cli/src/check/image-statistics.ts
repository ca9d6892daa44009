import type { ImageHeader } from '@spatialsv/core';
import { formatBytes } from '../format-bytes.js';

/** How often each value occurs, most frequent first. */
export function countBy<Item>(
  items: Iterable<Item>,
  nameOf: (item: Item) => string,
): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(nameOf(item), (counts.get(nameOf(item)) ?? 0) + 1);
  return Object.fromEntries([...counts].sort(([, a], [, b]) => b - a));
}

interface Range {
  readonly min: number;
  readonly median: number;
  readonly max: number;
}

export function rangeOf(values: readonly number[]): Range | undefined {
  const sorted = [...values].sort((a, b) => a - b);
  if (sorted.length === 0) return undefined;
  return { min: sorted[0]!, median: sorted[sorted.length >> 1]!, max: sorted.at(-1)! };
}

/** What the headers of images say together: formats, sizes, and what is rare. */
export function imageStatistics(images: readonly ImageHeader[]): Readonly<Record<string, unknown>> {
  const rare = {
    'turned by EXIF': (image: ImageHeader) => image.isTurned,
    'with transparency': (image: ImageHeader) => image.hasAlpha,
    'with several frames (the first is read)': (image: ImageHeader) => image.frames > 1,
    '16 bits a value': (image: ImageHeader) => image.depth === 'ushort',
  };
  const found = Object.entries(rare)
    .map(([name, is]) => [name, images.filter(is).length] as const)
    .filter(([, count]) => count > 0);
  return {
    images: images.length,
    ...(images.length > 0 && {
      formats: countBy(images, ({ format }) => format),
      width: rangeOf(images.map(({ width }) => width)),
      height: rangeOf(images.map(({ height }) => height)),
      bytes: formatBytes(images.reduce((sum, { bytes }) => sum + bytes, 0)),
    }),
    ...Object.fromEntries(found),
  };
}
