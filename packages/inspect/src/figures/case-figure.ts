import { escapeXml } from '../escape-xml.js';

/** A row of images, one for each view. */
export interface CaseRow {
  readonly title: string;
  /** PNG or JPEG bytes. */
  readonly images: readonly CaseImage[];
}

export interface CaseImage {
  readonly kind: 'png' | 'jpeg';
  readonly bytes: Uint8Array;
  /** Width divided by height. */
  readonly aspect: number;
}

export interface CaseFigureInput {
  readonly title: string;
  /** Below the title: question, options, answers. Broken into lines where they are long. */
  readonly texts: readonly string[];
  readonly rows: readonly CaseRow[];
}

const IMAGE_WIDTH_PX = 200;
const GAP_PX = 8;
const MARGIN_PX = 16;
const LINE_PX = 18;
const ROW_TITLE_PX = 24;
/** Letters of the text that fit into 100 pixels. */
const LETTERS_IN_100_PX = 13;
const LEAST_WIDTH_PX = 520;

/** A question with its images as SVG: what was asked, and row by row what the views, labels and models show. */
export function caseSvg({ title, texts, rows }: CaseFigureInput): string {
  const columns = Math.max(1, ...rows.map(({ images }) => images.length));
  const inner = Math.max(LEAST_WIDTH_PX, columns * (IMAGE_WIDTH_PX + GAP_PX) - GAP_PX);
  const letters = (inner / 100) * LETTERS_IN_100_PX;
  const lines = texts.flatMap((text) => wrap(text, letters));
  const head = [
    `<text x="${MARGIN_PX}" y="${MARGIN_PX + 14}" font-size="15" font-weight="bold">${escapeXml(title)}</text>`,
    ...lines.map(
      (line, i) =>
        `<text x="${MARGIN_PX}" y="${MARGIN_PX + 14 + (i + 1) * LINE_PX}">${escapeXml(line)}</text>`,
    ),
  ];
  let top = MARGIN_PX + 22 + lines.length * LINE_PX;
  const body = rows.map((row) => {
    const drawn = rowSvg(row, top, letters);
    top = drawn.bottom;
    return drawn.svg;
  });
  const [width, height] = [inner + 2 * MARGIN_PX, Math.ceil(top + MARGIN_PX)];
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="13" fill="#222">`,
    `<rect width="${width}" height="${height}" fill="white"/>`,
    ...head,
    ...body,
    '</svg>',
  ].join('\n');
}

/** @param letters of a line of its title. */
function rowSvg({ title, images }: CaseRow, top: number, letters: number) {
  const lines = wrap(title, letters);
  const y = top + ROW_TITLE_PX + (lines.length - 1) * LINE_PX;
  const height = Math.max(0, ...images.map(({ aspect }) => IMAGE_WIDTH_PX / aspect));
  const drawn = images.map(({ kind, bytes, aspect }, i) => {
    const x = MARGIN_PX + i * (IMAGE_WIDTH_PX + GAP_PX);
    const data = Buffer.from(bytes).toString('base64');
    return `<image x="${x}" y="${y}" width="${IMAGE_WIDTH_PX}" height="${(IMAGE_WIDTH_PX / aspect).toFixed(1)}" style="image-rendering:pixelated" href="data:image/${kind};base64,${data}"/>`;
  });
  const captions = lines.map(
    (line, i) =>
      `<text x="${MARGIN_PX}" y="${top + 17 + i * LINE_PX}" fill="#555">${escapeXml(line)}</text>`,
  );
  return { svg: [...captions, ...drawn].join('\n'), bottom: y + height };
}

/** Lines of at most so many letters, broken at spaces; longer words stand alone. */
function wrap(text: string, letters: number): readonly string[] {
  const lines: string[] = [];
  for (const word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= letters)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}
