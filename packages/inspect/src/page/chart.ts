import type { PageTraining } from '../report/format.js';
import { h, svg, VIEW_COLORS } from './dom.js';

const [WIDTH, HEIGHT, LEFT, BOTTOM, TOP, RIGHT] = [640, 220, 44, 24, 10, 10];
/** Points of a curve that are drawn at most. */
const MOST = 500;

/** Curves of a training run over its steps, on a logarithmic scale; `at` marks the step whose scene is shown. */
export function chart(training: PageTraining, at: number | undefined): HTMLElement {
  const curves = training.curves
    .map(({ name, points }) => ({ name, points: thinned(points.filter(([, y]) => y > 0)) }))
    .filter(({ points }) => points.length > 0);
  if (curves.length === 0) return h('p', { class: 'muted' }, 'No step has been taken yet.');
  const scales = scalesOf(curves, training);
  const lines = curves.map(({ points }, i) => {
    const d = points.map(([x, y], n) => `${n === 0 ? 'M' : 'L'}${scales.x(x)} ${scales.y(y)}`);
    return svg('path', { d: d.join(''), fill: 'none', stroke: color(i), 'stroke-width': 1.8 });
  });
  const mark =
    at === undefined
      ? []
      : [
          svg('line', {
            class: 'mark',
            x1: scales.x(at),
            x2: scales.x(at),
            y1: TOP,
            y2: HEIGHT - BOTTOM,
          }),
        ];
  const last = curves.map(({ name, points }) => `${name} ${points.at(-1)![1].toPrecision(3)}`);
  const drawing = svg(
    'svg',
    {
      viewBox: `0 0 ${WIDTH} ${HEIGHT}`,
      role: 'img',
      'aria-label': `Losses by step, on a logarithmic scale. Last: ${last.join(', ')}.`,
    },
    ...axes(scales),
    ...lines,
    ...mark,
  );
  const keys = curves.map(({ name, points }, i) => {
    const key = h(
      'span',
      {},
      h('i', { class: 'dot' }),
      `${name} ${points.at(-1)![1].toPrecision(3)}`,
    );
    (key.firstChild as HTMLElement).style.background = color(i);
    return key;
  });
  return h('div', { class: 'chart' }, h('div', { class: 'legend' }, ...keys), drawing as never);
}

const color = (i: number): string => VIEW_COLORS[i % VIEW_COLORS.length]!;

type Point = readonly [number, number];

function thinned(points: readonly Point[]): readonly Point[] {
  const every = Math.ceil(points.length / MOST);
  return points.filter((_, i) => i % every === 0 || i === points.length - 1);
}

interface Scales {
  readonly x: (step: number) => string;
  readonly y: (value: number) => string;
  readonly steps: readonly number[];
  readonly values: readonly number[];
}

function scalesOf(
  curves: readonly { readonly points: readonly Point[] }[],
  { steps }: PageTraining,
): Scales {
  const all = curves.flatMap(({ points }) => points);
  const last = Math.max(steps ?? 0, ...all.map(([x]) => x), 1);
  const logs = all.map(([, y]) => Math.log10(y));
  const low = Math.min(...logs);
  const high = Math.max(...logs, low + 0.1);
  const x = (step: number) => (LEFT + (step / last) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const y = (value: number) =>
    (TOP + ((high - Math.log10(value)) / (high - low)) * (HEIGHT - TOP - BOTTOM)).toFixed(1);
  return {
    x,
    y,
    steps: [0, 0.25, 0.5, 0.75, 1].map((share) => Math.round(share * last)),
    values: [0, 1 / 3, 2 / 3, 1].map((share) => 10 ** (low + share * (high - low))),
  };
}

const axes = ({ x, y, steps, values }: Scales): Node[] => [
  ...values.flatMap((value) => [
    svg('line', { class: 'grid', x1: LEFT, x2: WIDTH - RIGHT, y1: y(value), y2: y(value) }),
    svg(
      'text',
      { x: LEFT - 6, y: Number(y(value)) + 4, 'text-anchor': 'end' },
      new Text(value.toPrecision(2)),
    ),
  ]),
  ...steps.map((step) =>
    svg('text', { x: x(step), y: HEIGHT - 6, 'text-anchor': 'middle' }, new Text(String(step))),
  ),
];
