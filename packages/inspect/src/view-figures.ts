import type { GeometryConventionsV1, RgbImage } from '@spatialsv/core';
import { pngWithColorBar } from './color-bar.js';
import { colorize, type ValueRange, valueRange } from './color-map.js';
import { encodeDepthPng16, placeSideBySide } from './images.js';
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

/** The same in words. */
export const lengthUnit = (conventions: GeometryConventionsV1): string =>
  conventions.scale === 'metric-metres' ? 'm' : 'mean distance of the scene = 1';

/**
 * Depth, label and confidence images of every view.
 * @param depthStep depth of one step of the 16-bit images.
 */
export async function viewFiles(input: LiftInput, depthStep: number): Promise<ViewFile[]> {
  const { views, depthConfidence } = input.predictions;
  const ranges: MapRanges = {
    depth: depthRange(input),
    depthStep,
    ...(depthConfidence && { confidence: valueRange(depthConfidence) }),
  };
  const results: ViewFile[] = [];
  for (let view = 0; view < views; view++) results.push(...(await oneView(input, view, ranges)));
  return results;
}

/** What all views of a set share. */
interface MapRanges {
  readonly depth: ValueRange;
  readonly confidence?: ValueRange;
  readonly depthStep: number;
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

async function oneView(input: LiftInput, view: number, ranges: MapRanges): Promise<ViewFile[]> {
  const { height, width, conventions } = input.predictions;
  const maps = mapsOf(input, view);
  const near = { map: 'turbo', range: ranges.depth, reverse: true } as const;
  const unit = lengthUnit(conventions);
  const bar = { ...near, title: `Depth (${unit})` };
  const name = `depth/view-${view + 1}`;
  const depth = colorize(maps.depth, height, width, near);
  const what = `depth in steps of ${ranges.depthStep} (${unit}), 0 = none`;
  const codes = await encodeDepthPng16(maps.depth, height, width, undefined, ranges.depthStep);
  const files: ViewFile[] = [
    { name: `${name}.png`, what: 'depth, near is warm', data: await pngWithColorBar(depth, bar) },
    { name: `${name}-16bit.png`, what, data: codes },
  ];
  if (maps.label) {
    const { depth: labelled, mask } = maps.label;
    const label = colorize(labelled, height, width, { ...near, mask });
    const data = await pngWithColorBar(placeSideBySide([label, depth]), bar);
    const what = 'label, then prediction; grey has no label';
    files.push({ name: `${name}-label-prediction.png`, what, data });
  }
  if (maps.confidence) {
    const options = { map: 'viridis', range: ranges.confidence! } as const;
    const image = colorize(maps.confidence, height, width, options);
    const data = await pngWithColorBar(image, { ...options, title: 'Confidence of depth' });
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
