import type { ViewLabels } from './label-maps.js';

/** What pixels of a view count in each task, (H, W) in (0, 1]. */
export interface ViewWeights {
  readonly depth: Float32Array;
  readonly rays: Float32Array;
  readonly points: Float32Array;
}

/** How far two teachers agree on the views of a sample. */
export interface Agreement {
  /** By view: root mean square difference of depth over the pixels that both label, in the unit of the first teacher's labels. */
  readonly depthErrors: readonly number[];
  /** Mean weight of the valid pixels in the depth loss. */
  readonly consensus: number;
}

export interface Consensus {
  readonly weights: readonly ViewWeights[];
  readonly agreement: Agreement;
}

/**
 * What the pixels of the first teacher's labels count, by how far a second teacher agrees:
 *
 * w = 1 / (1 + (e/τ)²), with the errors
 * e_depth = |D₁ − s·D₂| / D₁, e_rays = ‖[o₁ − s·o₂, d₁ − d₂]‖, e_points = ‖P₁ − s·P₂‖ / D₁,
 * after alignment of the scale by s = exp(median of log D₁ − log D₂) over the pixels of all views that both label.
 *
 * A pixel that the second teacher leaves out counts as one on which they differ by τ: w = ½.
 * @param first labels by view, and of the same views and size `second`; both with the world in the first camera.
 * @param tolerance τ: an error at which a pixel counts half.
 */
export function consensus(
  first: readonly ViewLabels[],
  second: readonly ViewLabels[],
  tolerance: number,
): Consensus {
  const scale = scaleBetween(first, second);
  const weightOf = (error: number) => 1 / (1 + (error / tolerance) ** 2);
  const weights = first.map((view, index) =>
    viewWeights(view, second[index]!, { scale, weightOf, alone: weightOf(tolerance) }),
  );
  const depthErrors = first.map((view, index) => depthError(view, second[index]!, scale));
  return {
    weights,
    agreement: { depthErrors, consensus: meanWeight(first, weights) },
  };
}

/** s of {@link consensus}; 1 where no pixel is labelled by both. */
export function scaleBetween(first: readonly ViewLabels[], second: readonly ViewLabels[]): number {
  const ratios = first.flatMap((view, index) => {
    const other = second[index]!;
    return bothValid(view, other).map((p) => Math.log(view.depth[p]!) - Math.log(other.depth[p]!));
  });
  if (ratios.length === 0) return 1;
  const sorted = Float64Array.from(ratios).sort();
  const middle = (sorted.length - 1) / 2;
  return Math.exp((sorted[Math.floor(middle)]! + sorted[Math.ceil(middle)]!) / 2);
}

/** Pixels that both teachers label. */
const bothValid = (first: ViewLabels, second: ViewLabels): number[] =>
  [...first.mask.keys()].filter((p) => first.mask[p] === 1 && second.mask[p] === 1);

function viewWeights(
  first: ViewLabels,
  second: ViewLabels,
  {
    scale,
    weightOf,
    alone,
  }: {
    readonly scale: number;
    readonly weightOf: (error: number) => number;
    readonly alone: number;
  },
): ViewWeights {
  const both = new Set(bothValid(first, second));
  const whereBoth = (error: (pixel: number) => number) =>
    first.mask.map((_, pixel) => (both.has(pixel) ? weightOf(error(pixel)) : alone));
  const { depth, rays, points } = first;
  return {
    depth: whereBoth((p) => Math.abs(depth[p]! - scale * second.depth[p]!) / depth[p]!),
    rays: first.mask.map((_, p) => weightOf(rayDistance(rays, second.rays, p, scale))),
    points: whereBoth((p) => {
      const axes = [0, 1, 2].map(
        (axis) => points[3 * p + axis]! - scale * second.points[3 * p + axis]!,
      );
      return Math.hypot(...axes) / depth[p]!;
    }),
  };
}

/** Of a pixel's rays: origin, which has the unit of the labels, and direction. */
function rayDistance(first: Float32Array, second: Float32Array, pixel: number, scale: number) {
  const parts = [0, 1, 2, 3, 4, 5].map((channel) => {
    const at = 6 * pixel + channel;
    return first[at]! - (channel < 3 ? scale : 1) * second[at]!;
  });
  return Math.hypot(...parts);
}

function depthError(first: ViewLabels, second: ViewLabels, scale: number): number {
  const pixels = bothValid(first, second);
  const squares = pixels.map((p) => (first.depth[p]! - scale * second.depth[p]!) ** 2);
  return Math.sqrt(squares.reduce((sum, value) => sum + value, 0) / Math.max(1, pixels.length));
}

function meanWeight(views: readonly ViewLabels[], weights: readonly ViewWeights[]): number {
  let sum = 0;
  let count = 0;
  for (const [index, { mask }] of views.entries())
    for (const [pixel, valid] of mask.entries()) {
      sum += valid * weights[index]!.depth[pixel]!;
      count += valid;
    }
  return count === 0 ? 0 : sum / count;
}
