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

/** PNG of a painted map with a colour bar beside it: figures, and a title with the unit. */
export async function pngWithColorBar(image: RgbImage, bar: ColorBar): Promise<Buffer> {
  const zoom = Math.max(1, Math.ceil(LEAST_HEIGHT_PX / image.height));
  const [width, height] = [image.width * zoom, image.height * zoom];
  const raw = { width: image.width, height: image.height, channels: 3 as const };
  const enlarged = await sharp(image.data, { raw })
    .resize({ width, height, kernel: 'nearest' })
    .png()
    .toBuffer();
  const left = width + MARGIN_PX;
  const all = {
    width: left + BAR_WIDTH_PX + TEXT_WIDTH_PX,
    height: height + 2 * MARGIN_PX,
  };
  return sharp({ create: { ...all, channels: 3, background: 'white' } })
    .composite([
      { input: enlarged, left: 0, top: MARGIN_PX },
      { input: barPixels(bar, height), raw: barShape(height), left, top: MARGIN_PX },
      { input: Buffer.from(barText(bar, { left, ...all })), left: 0, top: 0 },
    ])
    .png()
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

interface Place {
  /** Left edge of the bar. */
  readonly left: number;
  readonly width: number;
  readonly height: number;
}

function barText({ range, title }: ColorBar, { left, width, height }: Place): string {
  const { min, max } = range;
  const inner = height - 2 * MARGIN_PX;
  const right = left + BAR_WIDTH_PX;
  const step = tickStep(min, max, 6);
  const digits = Math.max(0, Math.min(20, -Math.floor(Math.log10(step) + 1e-9)));
  const marks = ticks(min, max, 6).map((value) => {
    const y = MARGIN_PX + (1 - (value - min) / (max - min)) * inner;
    return `<path d="M${right} ${y.toFixed(1)}h4" stroke="#333"/><text x="${right + 7}" y="${(y + 4).toFixed(1)}">${figure(value, digits)}</text>`;
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
