import type { RgbImage } from '@spatialsv/core';

export type ColorMapName = 'turbo' | 'viridis';

/**
 * 33 evenly spaced colours of each map, hexadecimal, from its low end to its high end; between them straight lines stay
 * within 2 of 255 of the full tables. viridis: S. van der Walt, N. Smith (2015, CC0); turbo: A. Mikhailov (2019).
 */
const STOPS: Readonly<Record<ColorMapName, string>> = {
  turbo:
    '30123b 392a73 4040a1 4456c7 466be3 467ff6 4293ff 37a7fa 29bbec 1dcdd8 18dcc3 1ee8b0 31f299 4cf97e 6bfd64 8aff4d ' +
    'a3fd3c b8f735 cced34 dee037 edd03a f8c03a fdae35 fe982c fb8022 f56817 ec520f e04009 d23105 c02302 ac1701 950d01 ' +
    '7a0403',
  viridis:
    '440154 470d60 48186a 482374 472d7b 453681 424086 3f4989 3b528b 375a8d 33638d 2f6a8e 2c728e 297a8e 26818e 23898e ' +
    '21908c 1f988b 1f9f88 21a685 28ae80 31b57b 3ebc74 4cc26c 5dc963 6ece58 82d34c 96d83f abdc32 c0df24 d5e21a eae51a ' +
    'fde725',
};

const LEVELS = 256;
const tables = new Map<ColorMapName, Uint8Array>();

/** (256, 3) uint8 RGB of a colour map, from its low end to its high end. */
export function colorTable(name: ColorMapName): Uint8Array {
  const known = tables.get(name);
  if (known !== undefined) return known;
  const stops = STOPS[name].split(' ').map(bytesOfHex);
  const table = new Uint8Array(LEVELS * 3);
  for (let level = 0; level < LEVELS; level++) {
    const place = (level / (LEVELS - 1)) * (stops.length - 1);
    const low = Math.min(stops.length - 2, Math.floor(place));
    for (let c = 0; c < 3; c++) {
      const [from, to] = [stops[low]![c]!, stops[low + 1]![c]!];
      table[level * 3 + c] = Math.round(from + (place - low) * (to - from));
    }
  }
  tables.set(name, table);
  return table;
}

/** Without Node's Buffer: the report page paints with the same tables. */
const bytesOfHex = (hex: string): number[] =>
  [0, 2, 4].map((at) => Number.parseInt(hex.slice(at, at + 2), 16));

/** Closed interval of values that a colour map spans. */
export interface ValueRange {
  readonly min: number;
  readonly max: number;
}

/**
 * Interval between two quantiles of the finite, unmasked values, so that a few outliers do not flatten an image.
 * @param mask 1 where a value counts; all where absent.
 * @returns `{ min: 0, max: 1 }` when nothing is valid; never an empty interval.
 */
export function valueRange(
  values: Float32Array,
  mask?: Uint8Array,
  low = 0.02,
  high = 0.98,
): ValueRange {
  const valid = values.filter((value, i) => Number.isFinite(value) && mask?.[i] !== 0).sort();
  if (valid.length === 0) return { min: 0, max: 1 };
  const min = valid[Math.floor(low * (valid.length - 1))]!;
  const max = valid[Math.ceil(high * (valid.length - 1))]!;
  if (max > min) return { min, max };
  // Half of one, or what still makes a difference beside a large value.
  const reach = Math.max(0.5, Math.abs(min) * 1e-3);
  return { min: min - reach, max: min + reach };
}

export interface ColorizeOptions {
  readonly map?: ColorMapName;
  readonly range?: ValueRange;
  /** 1 where a value is valid; invalid pixels become mid-grey, which no map contains. */
  readonly mask?: Uint8Array | undefined;
  /** Low values take the high end of the map (near things warm). */
  readonly reverse?: boolean;
}

const INVALID_GREY = 127;

/**
 * Paints a scalar map.
 * @param values (H, W) float32.
 * @returns RGB image of the same size.
 */
export function colorize(
  values: Float32Array,
  height: number,
  width: number,
  options: ColorizeOptions = {},
): RgbImage {
  const table = colorTable(options.map ?? 'turbo');
  const { min, max } = options.range ?? valueRange(values, options.mask);
  const data = new Uint8Array(height * width * 3);
  for (let i = 0; i < height * width; i++) {
    const value = values[i]!;
    if (!Number.isFinite(value) || options.mask?.[i] === 0) {
      data.fill(INVALID_GREY, i * 3, i * 3 + 3);
      continue;
    }
    const t = max > min ? Math.min(1, Math.max(0, (value - min) / (max - min))) : 0.5;
    const level = Math.round((options.reverse ? 1 - t : t) * (LEVELS - 1));
    data.set(table.subarray(level * 3, level * 3 + 3), i * 3);
  }
  return { data, height, width };
}
