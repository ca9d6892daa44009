import type { GeometryConventionsV1, RgbImage } from '@spatialsv/core';
import { colorize, type ValueRange, valueRange } from './color-map.js';
import { encodeDepthPng16, placeSideBySide, rgbPng } from './images.js';
import type { LiftInput } from './lift-geometry.js';
import type { CoveredRectangle } from './point-cloud.js';

/** A file of the folder. */
export interface ViewFile {
  readonly name: string;
  readonly what: string;
  readonly data: Uint8Array;
}

/** Range of depths that every depth image of a view set shares. */
export function depthRange(input: LiftInput): ValueRange {
  const { labels, predictions } = input;
  const own = valueRange(predictions.depth);
  if (labels === undefined) return own;
  const label = valueRange(labels.depth, labels.mask);
  return { min: Math.min(own.min, label.min), max: Math.max(own.max, label.max) };
}

/** Symbol after a depth; relative depths have none. */
export const unitOf = (conventions: GeometryConventionsV1): string =>
  conventions.scale === 'metric-metres' ? 'm' : '';

/** Depth, label and confidence images of every view. */
export async function viewFiles(input: LiftInput): Promise<ViewFile[]> {
  const range = depthRange(input);
  const { views, depthConfidence } = input.predictions;
  const confidence = depthConfidence === undefined ? undefined : valueRange(depthConfidence);
  const results: ViewFile[] = [];
  for (let view = 0; view < views; view++) {
    results.push(...(await oneView(input, view, range, confidence)));
  }
  return results;
}

interface ViewMaps {
  readonly depth: Float32Array;
  readonly confidence?: Float32Array;
  readonly label?: { readonly depth: Float32Array; readonly mask: Uint8Array };
}

function mapsOf({ predictions, labels }: LiftInput, view: number): ViewMaps {
  const pixels = predictions.height * predictions.width;
  const part = <A extends Float32Array | Uint8Array>(values: A): A =>
    values.subarray(view * pixels, (view + 1) * pixels) as A;
  const confidence = predictions.depthConfidence;
  return {
    depth: part(predictions.depth),
    ...(confidence && { confidence: part(confidence) }),
    ...(labels && { label: { depth: part(labels.depth), mask: part(labels.mask) } }),
  };
}

async function oneView(
  input: LiftInput,
  view: number,
  range: ValueRange,
  confidenceRange: ValueRange | undefined,
): Promise<ViewFile[]> {
  const { height, width } = input.predictions;
  const maps = mapsOf(input, view);
  const near = { map: 'turbo', range, reverse: true } as const;
  const depth = colorize(maps.depth, height, width, near);
  const label =
    maps.label && colorize(maps.label.depth, height, width, { ...near, mask: maps.label.mask });
  const confidence =
    maps.confidence &&
    colorize(maps.confidence, height, width, { map: 'viridis', range: confidenceRange! });
  return depthFiles(view, maps, height, width, { depth, label, confidence });
}

interface ViewImages {
  readonly depth: RgbImage;
  readonly label?: RgbImage | undefined;
  readonly confidence?: RgbImage | undefined;
}

async function depthFiles(
  view: number,
  maps: ViewMaps,
  height: number,
  width: number,
  { depth, label, confidence }: ViewImages,
): Promise<ViewFile[]> {
  const name = `depth/view-${view + 1}`;
  const files = [
    { name: `${name}.png`, what: 'depth, near is warm', data: await rgbPng(depth) },
    {
      name: `${name}-16bit.png`,
      what: 'depth in thousandths of its unit, 0 = none',
      data: await encodeDepthPng16(maps.depth, height, width),
    },
  ];
  if (label) {
    const both = await rgbPng(placeSideBySide([label, depth]));
    files.push({
      name: `${name}-label-prediction.png`,
      what: 'label, then prediction',
      data: both,
    });
  }
  if (confidence) {
    const data = await rgbPng(confidence);
    files.push({ name: `${name}-confidence.png`, what: 'confidence of the depth', data });
  }
  return files;
}

/** The part of an image that its maps cover. */
export function croppedImage(image: RgbImage, area: CoveredRectangle | undefined): RgbImage {
  if (area === undefined) return image;
  const [x0, y0] = [Math.round(area.x0), Math.round(area.y0)];
  const width = Math.min(image.width, Math.round(area.x1)) - x0;
  const height = Math.min(image.height, Math.round(area.y1)) - y0;
  const data = new Uint8Array(width * height * 3);
  for (let row = 0; row < height; row++) {
    const start = ((y0 + row) * image.width + x0) * 3;
    data.set(image.data.subarray(start, start + width * 3), row * width * 3);
  }
  return { data, height, width };
}
