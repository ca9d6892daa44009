import type { GeometryLabelsV1 } from '@spatialsv/core';
import { colorize, type ValueRange, valueRange } from '../color-map.js';
import { encodeDepthPng16, rgbPng } from '../images.js';
import type { ExportedFile } from './label-set.js';

const LARGEST_CODE = 65535;
const MILLI = 1e-3;

/** Depth of a view set, 1 in the mask where it is valid. */
type DepthMaps = Pick<GeometryLabelsV1, 'depth' | 'conventions'> &
  Partial<Pick<GeometryLabelsV1, 'mask'>>;

/**
 * Depth of one step of the 16-bit images of a view set: a millimetre for metric depth, unless that saturates; for
 * relative depth the finest power of ten that does not.
 */
export function depthStep({ depth, mask, conventions }: DepthMaps): number {
  const isValid = (value: number, i: number) => mask?.[i] !== 0 && Number.isFinite(value);
  const max = depth.reduce(
    (most, value, i) => (isValid(value, i) ? Math.max(most, value) : most),
    0,
  );
  if (max === 0) return MILLI;
  // From its text: 10 ** -4 is not 0.0001.
  const finest = Number(`1e${Math.ceil(Math.log10(max / LARGEST_CODE))}`);
  return conventions.scale === 'metric-metres' ? Math.max(MILLI, finest) : finest;
}

/**
 * PNG files of every view: depth in colours that all views share (near is warm, grey is not valid), depth in 16 bits, and
 * confidence where the labels have it.
 */
export async function depthImages(labels: GeometryLabelsV1): Promise<ExportedFile[]> {
  const depth = valueRange(labels.depth, labels.mask);
  const { depthConfidence } = labels;
  const confidence = depthConfidence && valueRange(depthConfidence, labels.mask);
  const files: ExportedFile[] = [];
  for (let view = 0; view < labels.views; view++) {
    files.push(...(await oneImage(labels, view, depth, depthStep(labels))));
    if (confidence) files.push(await confidenceImage(labels, view, confidence));
  }
  return files;
}

async function oneImage(
  labels: GeometryLabelsV1,
  view: number,
  range: ValueRange,
  step: number,
): Promise<ExportedFile[]> {
  const { height, width } = labels;
  const depth = part(labels, labels.depth, view);
  const mask = part(labels, labels.mask, view);
  const image = colorize(depth, height, width, { range, mask, reverse: true });
  return [
    { name: `depth/view-${view + 1}.png`, data: await rgbPng(image) },
    {
      name: `depth/view-${view + 1}-16bit.png`,
      data: await encodeDepthPng16(depth, height, width, mask, step),
    },
  ];
}

async function confidenceImage(
  labels: GeometryLabelsV1,
  view: number,
  range: ValueRange,
): Promise<ExportedFile> {
  const values = part(labels, labels.depthConfidence!, view);
  const mask = part(labels, labels.mask, view);
  const options = { map: 'viridis', range, mask } as const;
  const image = colorize(values, labels.height, labels.width, options);
  return { name: `depth/view-${view + 1}-confidence.png`, data: await rgbPng(image) };
}

function part<A extends Float32Array | Uint8Array>(
  { height, width }: GeometryLabelsV1,
  values: A,
  view: number,
): A {
  const pixels = height * width;
  return values.subarray(view * pixels, (view + 1) * pixels) as A;
}
