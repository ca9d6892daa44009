import { type ColorMapName, colorTable } from '../color-map.js';
import { h, viewColor } from './dom.js';
import { confidenceOf, type DecodedMaps, type DecodedScene, depthAt } from './scene-source.js';
import type { Pane } from './scene-view.js';

/** How much of a pixel that is left out stays. */
const FAINT = 40;

/** What is shown of a source in the row of a view. */
interface Column {
  readonly title: string;
  readonly kind: 'depth' | 'confidence';
  readonly maps: DecodedMaps;
}

/** Photographs, depth and confidence of every view, with one cross-hair and the values under it. */
export class MapsView {
  readonly element = h('section', { class: 'views', 'aria-label': 'Views' });
  #repaint: readonly (() => void)[] = [];
  #threshold = 0;

  show(scene: DecodedScene, panes: readonly Pane[]): void {
    const columns = panes.flatMap(columnsOf);
    const repaint: (() => void)[] = [];
    const rows = scene.views.map((_, view) => this.#row(scene, view, columns, repaint));
    this.#repaint = repaint;
    this.element.replaceChildren(
      h('h3', {}, 'Views'),
      legend(
        scene,
        columns.some(({ kind }) => kind === 'confidence'),
      ),
      ...rows,
    );
    this.#paint();
  }

  /** @param threshold share, of 255, of the least confident pixels that fade. */
  set threshold(threshold: number) {
    this.#threshold = threshold;
    this.#paint();
  }

  #paint(): void {
    for (const paint of this.#repaint) paint();
  }

  #row(
    scene: DecodedScene,
    view: number,
    columns: readonly Column[],
    repaint: (() => void)[],
  ): HTMLElement {
    const { name, aspect, photo } = scene.views[view]!;
    const drawn = h('canvas', { role: 'img', 'aria-label': `Photo of view ${view + 1}` });
    drawn.width = photo.width;
    drawn.height = photo.height;
    drawn.getContext('2d')!.drawImage(photo, 0, 0);
    const figures = [figure(drawn, 'Photo', aspect)];
    const reads: ((u: number, v: number) => void)[] = [];
    for (const column of columns) {
      const { canvas, paint } = mapCanvas(column, view, scene.scene.depthRange);
      canvas.setAttribute('aria-label', `${column.title} of view ${view + 1}`);
      repaint.push(() => paint(this.#threshold));
      const output = h('output');
      reads.push((u, v) => {
        output.textContent = reading(column, view, u, v, scene.scene.unit);
      });
      figures.push(figure(canvas, column.title, aspect, output));
    }
    const head = h(
      'h4',
      {},
      h('i', { class: 'dot' }),
      `View ${view + 1}`,
      h('small', {}, ` ${base(name)}`),
    );
    (head.firstChild as HTMLElement).style.background = viewColor(view);
    const row = h('div', { class: 'row' }, ...figures);
    row.style.setProperty('--columns', String(figures.length));
    bindCross(row, reads);
    return h('div', { class: 'view' }, head, row);
  }
}

function columnsOf({ name, maps }: Pane): Column[] {
  if (maps === null) return [];
  const depth: Column = { title: `${name}: depth`, kind: 'depth', maps };
  if (!maps.maps.hasConfidence) return [depth];
  return [depth, { title: `${name}: confidence`, kind: 'confidence', maps }];
}

const base = (path: string): string => path.split(/[\\/]/).at(-1)!;

function figure(
  canvas: HTMLCanvasElement,
  title: string,
  aspect: number,
  output?: HTMLElement,
): HTMLElement {
  const frame = h('div', { class: 'frame' }, canvas);
  frame.style.aspectRatio = String(aspect);
  return h('figure', {}, frame, h('figcaption', {}, h('span', {}, title), output));
}

/** The cross-hair follows the pointer over any of the row's images. */
function bindCross(row: HTMLElement, reads: readonly ((u: number, v: number) => void)[]): void {
  row.addEventListener('pointermove', (event) => {
    const frame = (event.target as Element).closest('.frame');
    if (frame === null) return;
    const box = frame.getBoundingClientRect();
    const inside = (value: number) => Math.min(0.9999, Math.max(0, value));
    const u = inside((event.clientX - box.left) / box.width);
    const v = inside((event.clientY - box.top) / box.height);
    row.classList.add('probing');
    row.style.setProperty('--u', `${u * 100}%`);
    row.style.setProperty('--v', `${v * 100}%`);
    for (const read of reads) read(u, v);
  });
  row.addEventListener('pointerleave', () => row.classList.remove('probing'));
}

function reading({ kind, maps }: Column, view: number, u: number, v: number, unit: string): string {
  const { width, height } = maps.maps;
  const pixel = (view * height + Math.floor(v * height)) * width + Math.floor(u * width);
  if (kind === 'confidence') return confidenceOf(maps.maps, maps.rank[pixel]!).toPrecision(3);
  const depth = depthAt(maps, pixel);
  return depth === undefined ? 'none' : `${depth.toPrecision(4)} ${unit}`.trim();
}

function mapCanvas({ kind, maps }: Column, view: number, range: readonly [number, number]) {
  const { width, height } = maps.maps;
  const canvas = h('canvas', { role: 'img', width, height });
  const context = canvas.getContext('2d')!;
  const image = context.createImageData(width, height);
  const table = colorTable(kind === 'depth' ? 'turbo' : 'viridis');
  const first = view * width * height;
  const level = (pixel: number): number | undefined => {
    if (kind === 'confidence') return maps.rank[pixel]!;
    const depth = depthAt(maps, pixel);
    if (depth === undefined) return undefined;
    const share = (depth - range[0]) / (range[1] - range[0] || 1);
    return Math.round(255 * (1 - Math.min(1, Math.max(0, share))));
  };
  const paint = (threshold: number): void => {
    for (let i = 0; i < width * height; i++) {
      const at = level(first + i);
      for (let c = 0; c < 3; c++)
        image.data[i * 4 + c] = at === undefined ? 127 : table[at * 3 + c]!;
      image.data[i * 4 + 3] = at === undefined || maps.rank[first + i]! < threshold ? FAINT : 255;
    }
    context.putImageData(image, 0, 0);
  };
  return { canvas, paint };
}

function legend({ scene }: DecodedScene, hasConfidence: boolean): HTMLElement {
  const [near, far] = scene.depthRange;
  const value = (depth: number) => `${depth.toPrecision(3)} ${scene.unit}`.trim();
  const name = scene.unit === '' ? 'Relative depth' : 'Depth';
  return h(
    'div',
    { class: 'legend' },
    ramp(`${name} ${value(near)}`, 'turbo', value(far), true),
    hasConfidence && ramp('Confidence low', 'viridis', 'high', false),
  );
}

function ramp(from: string, map: ColorMapName, to: string, isReversed: boolean): HTMLElement {
  const table = colorTable(map);
  const stops = Array.from({ length: 9 }, (_, i) => {
    const level = Math.round(((isReversed ? 8 - i : i) / 8) * 255) * 3;
    return `rgb(${table.subarray(level, level + 3).join(' ')})`;
  });
  const bar = h('i', { class: 'ramp' });
  bar.style.background = `linear-gradient(90deg, ${stops.join(', ')})`;
  return h('span', {}, from, bar, to);
}
