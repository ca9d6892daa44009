import type { GeometryConventionsV1, RgbImage } from '@spatialsv/core';
import { type ColorBar, type MapPainter, mapPainter } from './color-bar.js';
import { colorize, type ValueRange, valueRange } from './color-map.js';
import { encodeDepthPng16, placeSideBySide } from './images.js';
import type { LiftInput } from './lift-input.js';
import type { CoveredRectangle } from './point-cloud.js';

/** A file of the folder. */
export interface ViewFile {
  readonly name: string;
  readonly what: string;
  readonly data: Uint8Array;
}

/** One whose image is being encoded, beside others. */
interface PendingFile extends Omit<ViewFile, 'data'> {
  readonly data: Promise<Uint8Array>;
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
  const { views } = input.predictions;
  const shared = sharedByViews(input, depthStep);
  const files = Array.from({ length: views }, (_, view) => oneView(input, view, shared));
  return (await Promise.all(files)).flat();
}

/** What all views of a set share. */
interface Shared {
  readonly depthColors: Colors;
  readonly confidenceColors: Colors;
  readonly depthStep: number;
  readonly paintDepth: MapPainter;
  readonly paintConfidence: MapPainter;
}

type Colors = Omit<ColorBar, 'title'>;

function sharedByViews(input: LiftInput, depthStep: number): Shared {
  const { conventions, depthConfidence } = input.predictions;
  const depthColors: Colors = { map: 'turbo', range: depthRange(input), reverse: true };
  const range = valueRange(depthConfidence ?? new Float32Array());
  const confidenceColors: Colors = { map: 'viridis', range };
  const title = `Depth (${lengthUnit(conventions)})`;
  return {
    ...{ depthColors, confidenceColors, depthStep },
    paintDepth: mapPainter({ ...depthColors, title }),
    paintConfidence: mapPainter({ ...confidenceColors, title: 'Confidence of depth' }),
  };
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

async function oneView(input: LiftInput, view: number, shared: Shared): Promise<ViewFile[]> {
  const { height, width, conventions } = input.predictions;
  const maps = mapsOf(input, view);
  const { depthColors, confidenceColors, depthStep, paintDepth, paintConfidence } = shared;
  const name = `depth/view-${view + 1}`;
  const depth = colorize(maps.depth, height, width, depthColors);
  const what = `depth in steps of ${depthStep} (${lengthUnit(conventions)}), 0 = none`;
  const codes = encodeDepthPng16(maps.depth, height, width, undefined, depthStep);
  const files: PendingFile[] = [
    { name: `${name}.png`, what: 'depth, near is warm', data: paintDepth(depth) },
    { name: `${name}-16bit.png`, what, data: codes },
  ];
  if (maps.label) {
    const { depth: labelled, mask } = maps.label;
    const label = colorize(labelled, height, width, { ...depthColors, mask });
    const data = paintDepth(placeSideBySide([label, depth]));
    const what = 'label, then prediction; grey has no label';
    files.push({ name: `${name}-label-prediction.png`, what, data });
  }
  if (maps.confidence) {
    const image = colorize(maps.confidence, height, width, confidenceColors);
    const data = paintConfidence(image);
    files.push({ name: `${name}-confidence.png`, what: 'confidence of the depth', data });
  }
  return Promise.all(files.map(async ({ data, ...file }) => ({ ...file, data: await data })));
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
