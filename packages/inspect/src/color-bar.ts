import type { RgbImage } from '@spatialsv/core';
import { tickStep, ticks } from 'd3-array';
import sharp from 'sharp';
import { type ColorMapName, colorTable, type ValueRange } from './color-map.js';
import { escapeXml } from './escape-xml.js';

/** What the colours of a map mean. */
export interface ColorBar {
  readonly map: ColorMapName;
  readonly range: ValueRange;
  /** As in `colorize`: low values take the high end of the map. */
  readonly reverse?: boolean;
  /** What is shown, with its unit. */
  readonly title: string;
}

/** Maps are enlarged by a whole number to at least this, so that the figures beside them can be read. */
const LEAST_HEIGHT_PX = 288;
const MARGIN_PX = 14;
const BAR_WIDTH_PX = 16;
/** Of the figures and the title beside the bar. */
const TEXT_WIDTH_PX = 78;

/** Makes the PNG of a painted map. */
export type MapPainter = (image: RgbImage) => Promise<Buffer>;

/**
 * Paints maps with one colour bar beside each: figures, and a title with the unit. The bar is drawn once for maps of equal
 * height.
 */
export function mapPainter(bar: ColorBar): MapPainter {
  const strips = new Map<number, Promise<Buffer>>();
  return async (image) => {
    const zoom = Math.max(1, Math.ceil(LEAST_HEIGHT_PX / image.height));
    const [width, height] = [image.width * zoom, image.height * zoom];
    const strip = strips.get(height) ?? barStrip(bar, height);
    strips.set(height, strip);
    const raw = { width: image.width, height: image.height, channels: 3 as const };
    const place = { raw: stripShape(height), left: width + MARGIN_PX, top: 0 };
    return sharp(image.data, { raw })
      .resize({ width, height, kernel: 'nearest' })
      .extend({ ...MARGINS, right: MARGIN_PX + STRIP_WIDTH_PX, background: 'white' })
      .composite([{ input: await strip, ...place }])
      .png()
      .toBuffer();
  };
}

const MARGINS = { top: MARGIN_PX, bottom: MARGIN_PX };
const STRIP_WIDTH_PX = BAR_WIDTH_PX + TEXT_WIDTH_PX;

const stripShape = (height: number) => ({
  width: STRIP_WIDTH_PX,
  height: height + 2 * MARGIN_PX,
  channels: 3 as const,
});

/** Pixels of the bar and of what stands beside it. @param height of the map. */
function barStrip(bar: ColorBar, height: number): Promise<Buffer> {
  const shape = stripShape(height);
  return sharp({ create: { ...shape, background: 'white' } })
    .composite([
      { input: barPixels(bar, height), raw: barShape(height), left: 0, top: MARGIN_PX },
      { input: Buffer.from(barText(bar, shape)), left: 0, top: 0 },
    ])
    .removeAlpha()
    .raw()
    .toBuffer();
}

const barShape = (height: number) => ({ width: BAR_WIDTH_PX, height, channels: 3 as const });

/** Large values stand above. */
function barPixels({ map, reverse }: ColorBar, height: number): Buffer {
  const table = colorTable(map);
  const levels = table.length / 3;
  const pixels = Buffer.alloc(BAR_WIDTH_PX * height * 3);
  for (let i = 0; i < BAR_WIDTH_PX * height; i++) {
    const share = 1 - Math.floor(i / BAR_WIDTH_PX) / Math.max(1, height - 1);
    const level = Math.round((reverse ? 1 - share : share) * (levels - 1));
    pixels.set(table.subarray(3 * level, 3 * level + 3), 3 * i);
  }
  return pixels;
}

function barText(
  { range, title }: ColorBar,
  { width, height }: { readonly width: number; readonly height: number },
): string {
  const { min, max } = range;
  const inner = height - 2 * MARGIN_PX;
  const step = tickStep(min, max, 6);
  const digits = Math.max(0, Math.min(20, -Math.floor(Math.log10(step) + 1e-9)));
  const marks = ticks(min, max, 6).map((value) => {
    const y = MARGIN_PX + (1 - (value - min) / (max - min)) * inner;
    return `<path d="M${BAR_WIDTH_PX} ${y.toFixed(1)}h4" stroke="#333"/><text x="${BAR_WIDTH_PX + 7}" y="${(y + 4).toFixed(1)}">${figure(value, digits)}</text>`;
  });
  const x = width - 8;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" font-family="sans-serif" font-size="12" fill="#222">`,
    ...marks,
    `<text transform="translate(${x} ${height / 2}) rotate(-90)" text-anchor="middle">${escapeXml(title)}</text>`,
    '</svg>',
  ].join('');
}

/** Very large and very small numbers take less room with an exponent. */
const figure = (value: number, digits: number): string =>
  Math.abs(value) >= 1e5 || digits > 4 ? value.toExponential(1) : value.toFixed(digits);
