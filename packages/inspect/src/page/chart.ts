import type { PageTraining } from '../report/format.js';
import { h, svg, VIEW_COLORS } from './dom.js';

const [HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [240, 44, 24, 10, 14];
/** Points of a curve that are drawn at most. */
const MOST = 500;
/** Share of the smoothed curve that a new value makes. */
const SMOOTHING = 0.1;
/** Share of the values below the drawing: losses with confidences pass through 0, where a logarithm has no end. */
const CUT = 0.02;

type Point = readonly [step: number, value: number];

interface Curve {
  readonly name: string;
  readonly color: string;
  readonly points: readonly Point[];
  readonly smooth: readonly Point[];
}

/**
 * Curves of a training run over its steps, on a logarithmic scale: faint as they are, and smoothed.
 * @param at step whose scene is shown, which is marked. @param width of the drawing in pixels.
 */
export function chart(training: PageTraining, at: number | undefined, width: number): HTMLElement {
  const curves = curvesOf(training);
  if (curves.length === 0) return h('p', { class: 'muted' }, 'No step has been taken yet.');
  const scales = scalesOf(curves, training, width);
  const last = curves.map((curve) => `${curve.name} ${lastOf(curve)}`);
  const drawing = svg(
    'svg',
    {
      viewBox: `0 0 ${width} ${HEIGHT}`,
      role: 'img',
      'aria-label': `Losses by step, on a logarithmic scale. Last: ${last.join(', ')}.`,
    },
    ...axes(scales, width),
    ...curves.map(({ color, points }) => line(points, scales, { stroke: color, class: 'raw' })),
    ...curves.map(({ color, smooth }) => line(smooth, scales, { stroke: color })),
    ...markOf(at, scales),
  );
  const title = h(
    'p',
    { class: 'muted' },
    'Losses by step, logarithmic; the bold lines are smoothed',
  );
  return h('div', { class: 'chart' }, legend(curves), title, drawing as never);
}

function curvesOf(training: PageTraining): readonly Curve[] {
  return training.curves.flatMap(({ name, points }, i) => {
    const above = points.filter(([, value]) => value > 0);
    if (above.length === 0) return [];
    const color = VIEW_COLORS[i % VIEW_COLORS.length]!;
    return [{ name, color, points: thinned(above), smooth: thinned(smoothed(above)) }];
  });
}

/** A running mean of the logarithms, which begins at the first value. */
function smoothed(points: readonly Point[]): readonly Point[] {
  let mean = Math.log(points[0]![1]);
  return points.map(([step, value]) => {
    mean += SMOOTHING * (Math.log(value) - mean);
    return [step, Math.exp(mean)];
  });
}

function thinned(points: readonly Point[]): readonly Point[] {
  const every = Math.ceil(points.length / MOST);
  return points.filter((_, i) => i % every === 0 || i === points.length - 1);
}

const lastOf = ({ points }: Curve): string => points.at(-1)![1].toPrecision(3);

function legend(curves: readonly Curve[]): HTMLElement {
  const keys = curves.map((curve) => {
    const dot = h('i', { class: 'dot' });
    dot.style.background = curve.color;
    return h('span', {}, dot, `${curve.name} ${lastOf(curve)}`);
  });
  return h('div', { class: 'legend' }, ...keys);
}

interface Scales {
  readonly x: (step: number) => string;
  readonly y: (value: number) => string;
  readonly steps: readonly number[];
  readonly values: readonly number[];
}

function scalesOf(curves: readonly Curve[], { steps }: PageTraining, width: number): Scales {
  const all = curves.flatMap(({ points }) => points);
  const last = Math.max(steps ?? 0, ...all.map(([step]) => step), 1);
  const logs = all.map(([, value]) => Math.log10(value)).sort((a, b) => a - b);
  const low = logs[Math.floor(CUT * logs.length)]!;
  const high = Math.max(logs.at(-1)!, low + 0.1);
  const share = (value: number) => Math.min(1, (high - Math.log10(value)) / (high - low));
  return {
    x: (step) => (LEFT + (step / last) * (width - LEFT - RIGHT)).toFixed(1),
    y: (value) => (TOP + share(value) * (HEIGHT - TOP - BOTTOM)).toFixed(1),
    steps: [0, 0.25, 0.5, 0.75, 1].map((part) => Math.round(part * last)),
    values: ticks(low, high),
  };
}

/** Powers of ten, or 1, 2 and 5 of each, whichever are few but more than one. */
function ticks(low: number, high: number): readonly number[] {
  const decades = Array.from({ length: Math.ceil(high) - Math.floor(low) + 1 }, (_, i) => i);
  const within = (factors: readonly number[]) =>
    decades
      .flatMap((i) => factors.map((factor) => factor * 10 ** (Math.floor(low) + i)))
      .filter((value) => Math.log10(value) >= low && Math.log10(value) <= high);
  const tens = within([1]);
  return tens.length > 1 ? tens : within([1, 2, 5]);
}

function line(points: readonly Point[], { x, y }: Scales, attributes: Record<string, string>) {
  const d = points.map(([step, value], n) => `${n === 0 ? 'M' : 'L'}${x(step)} ${y(value)}`);
  return svg('path', { d: d.join(''), fill: 'none', ...attributes });
}

function markOf(at: number | undefined, { x }: Scales): readonly Node[] {
  if (at === undefined) return [];
  const place = { x1: x(at), x2: x(at), y1: TOP, y2: HEIGHT - BOTTOM };
  return [svg('line', { class: 'mark', ...place })];
}

const axes = ({ x, y, steps, values }: Scales, width: number): Node[] => [
  ...values.flatMap((value) => [
    svg('line', { class: 'grid', x1: LEFT, x2: width - RIGHT, y1: y(value), y2: y(value) }),
    svg(
      'text',
      { x: LEFT - 6, y: Number(y(value)) + 4, 'text-anchor': 'end' },
      new Text(String(Number(value.toPrecision(2)))),
    ),
  ]),
  ...steps.map((step) =>
    svg('text', { x: x(step), y: HEIGHT - 6, 'text-anchor': 'middle' }, new Text(String(step))),
  ),
];
