import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { writeFileAtomic } from '@spatialsv/core';
import { csvFormat } from 'd3-dsv';
import sharp from 'sharp';
import type { TopLevelSpec } from 'vega-lite';

/** A cell of the table behind a figure; null where nothing is known. */
export type Cell = string | number | boolean | null;

/** A figure: a table, and how Vega-Lite draws it. */
export interface Figure {
  /** Name of its files, without ending. */
  readonly name: string;
  /** Every row has the same columns; they become the CSV file as they are. */
  readonly rows: readonly Readonly<Record<string, Cell>>[];
  /** Vega-Lite without data: the rows are given to it. */
  readonly spec: Omit<TopLevelSpec, 'data'>;
}

/** Files of a figure, relative to their folder. */
export interface FigureFiles {
  readonly svg: string;
  readonly png: string;
  readonly csv: string;
}

/** Pixels of a PNG for each pixel of the SVG. */
const PNG_SCALE = 2;
/** Dots an inch at which librsvg draws one pixel for each pixel of the SVG. */
const UNSCALED_DENSITY = 72;

/** Sizes and colours of all figures: those of Okabe and Ito (2008), told apart by colour-blind readers too. */
const CONFIG: TopLevelSpec['config'] = {
  font: 'sans-serif',
  background: 'white',
  axis: { labelFontSize: 12, titleFontSize: 13, gridColor: '#e6e6e6', titleFontWeight: 'normal' },
  legend: { labelFontSize: 12, titleFontSize: 13, labelLimit: 260, titleFontWeight: 'normal' },
  title: { fontSize: 15, subtitleFontSize: 12, subtitleColor: '#555', anchor: 'start', offset: 12 },
  header: { labelFontSize: 13 },
  range: {
    category: [
      '#0072b2',
      '#d55e00',
      '#009e73',
      '#cc79a7',
      '#e69f00',
      '#56b4e9',
      '#000000',
      '#999999',
    ],
  },
};

/**
 * A figure as SVG.
 * @throws Error of Vega for a specification that it cannot draw.
 */
export async function renderSvg({ rows, spec }: Figure): Promise<string> {
  // Loaded here: most commands draw no figure.
  const [vega, vegaLite] = await Promise.all([import('vega'), import('vega-lite')]);
  const whole = { ...spec, config: CONFIG, data: { values: [...rows] } } as TopLevelSpec;
  const view = new vega.View(vega.parse(vegaLite.compile(whole).spec), { renderer: 'none' });
  try {
    return await view.toSVG();
  } finally {
    view.finalize();
  }
}

/** PNG of an SVG, twice its size. */
export async function svgToPng(svg: string): Promise<Buffer> {
  return sharp(Buffer.from(svg), { density: UNSCALED_DENSITY * PNG_SCALE })
    .flatten({ background: 'white' })
    .png()
    .toBuffer();
}

/** Writes `NAME.svg`, `NAME.png` and, with the rows behind them, `NAME.csv` into a folder. */
export async function writeFigure(folder: string, figure: Figure): Promise<FigureFiles> {
  const svg = await renderSvg(figure);
  const files = {
    svg: `${figure.name}.svg`,
    png: `${figure.name}.png`,
    csv: `${figure.name}.csv`,
  };
  await mkdir(folder, { recursive: true });
  await writeFileAtomic(join(folder, files.svg), svg);
  await writeFileAtomic(join(folder, files.png), await svgToPng(svg));
  await writeFileAtomic(join(folder, files.csv), toCsv(figure.rows));
  return files;
}

/** Rows as CSV (RFC 4180) with a line of names; null is an empty cell. */
export const toCsv = (rows: readonly Readonly<Record<string, Cell>>[]): string =>
  `${csvFormat(rows.map((row) => ({ ...row })))}\n`;

let drawn: Promise<boolean> | undefined;

/**
 * Whether letters appear in PNG files: they need a font on this machine, which containers often lack. SVG files take the
 * fonts of whoever looks at them.
 */
export function drawsText(): Promise<boolean> {
  drawn ??= blackPixels(
    '<svg xmlns="http://www.w3.org/2000/svg" width="20" height="20"><text x="2" y="16" font-family="sans-serif">M</text></svg>',
  ).then((count) => count > 0);
  return drawn;
}

async function blackPixels(svg: string): Promise<number> {
  const grey = await sharp(await svgToPng(svg))
    .greyscale()
    .raw()
    .toBuffer();
  return grey.filter((value) => value < 128).length;
}
