import { type ColorMapName, colorTable } from '../color-map.js';
import { viewColor } from '../glb.js';
import { clientSource } from './client.js';
import type { SceneData } from './scene-data.js';
import { STYLE } from './style.js';

/** One image of a view's row. */
export interface ReportFigure {
  readonly caption: string;
  /** JPEG or PNG as a data URI. */
  readonly image: string;
  readonly alt: string;
  /** Name of the map in the view's probe whose value is shown beside the caption. */
  readonly probe?: string;
}

/** 16-bit codes of one map: value = min + (code − 1) · step, 0 = nothing. */
export interface ReportMap {
  readonly min: number;
  readonly step: number;
  /** Base64 of (height, width) uint16, little endian. */
  readonly codes: string;
  readonly unit: string;
}

/** The maps of one view whose values the page shows under the pointer. */
export interface ReportProbe {
  readonly width: number;
  readonly height: number;
  readonly maps: Readonly<Record<string, ReportMap>>;
}

export interface ReportView {
  readonly title: string;
  /** Width / height of every image of the row. */
  readonly aspect: number;
  readonly figures: readonly ReportFigure[];
  readonly probe?: ReportProbe;
}

export interface ReportMetric {
  readonly name: string;
  readonly value: string;
}

export interface ReportLegend {
  readonly map: ColorMapName;
  readonly from: string;
  readonly to: string;
  readonly reverse?: boolean;
}

/** What a person asked and what the model said. */
export interface ReportDialogue {
  readonly question: string;
  readonly options?: Readonly<Record<string, string>> | undefined;
  readonly answer?: string | undefined;
  readonly expected?: string | undefined;
  /** Whether the answer is right, where that is known. */
  readonly correct?: boolean | undefined;
}

export interface ReportInput {
  readonly title: string;
  readonly subtitle?: string | undefined;
  /** Something the reader must know before trusting the page. */
  readonly notice?: string | undefined;
  readonly dialogue?: ReportDialogue | undefined;
  readonly scene?: SceneData | undefined;
  readonly views: readonly ReportView[];
  readonly legends?: readonly ReportLegend[] | undefined;
  readonly metrics?: readonly ReportMetric[] | undefined;
  readonly provenance?: readonly ReportMetric[] | undefined;
  readonly files?: readonly { readonly name: string; readonly what: string }[] | undefined;
}

/**
 * A page in one file: style, script and images inline, nothing fetched (its content policy forbids it), so that it
 * opens from a disk, an archive or a mail.
 */
export function renderReport(input: ReportInput): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'">
<title>${escapeHtml(input.title)}</title>
<style>${STYLE}</style>
</head>
<body>
<main>
${header(input)}
${top(input)}
${viewSection(input)}
${endSection(input)}
</main>
${jsonScript('scene', input.scene ?? null)}
${jsonScript(
  'probes',
  input.views.map((view) => view.probe ?? null),
)}
<script>${clientSource().replaceAll('</', '<\\/')}</script>
</body>
</html>
`;
}

function header(input: ReportInput): string {
  const subtitle = input.subtitle ? `<p class="subtitle">${escapeHtml(input.subtitle)}</p>` : '';
  const notice = input.notice ? `<p class="notice">${escapeHtml(input.notice)}</p>` : '';
  return `<header><div><h1>${escapeHtml(input.title)}</h1>${subtitle}</div>
<button id="theme" type="button" aria-label="Switch between light and dark">Theme</button></header>${notice}`;
}

function top(input: ReportInput): string {
  const side = [dialogue(input.dialogue), metricTable(input.metrics)].filter(Boolean).join('\n');
  const viewer = input.scene === undefined ? '' : stage(input.scene);
  if (viewer === '' && side === '') return '';
  return `<div class="top">${viewer}<div class="side">${side}</div></div>`;
}

function stage(scene: SceneData): string {
  const clouds = scene.clouds.map(
    ({ name }, i) =>
      `<button type="button" data-cloud="${i}" aria-pressed="${i === 0}">${escapeHtml(name)}</button>`,
  );
  const cameras = scene.cameras.map(
    ({ view }, i) => `<button type="button" data-camera="${i}">${dot(view)}${view + 1}</button>`,
  );
  const from =
    cameras.length === 0
      ? ''
      : `<span class="muted">from view</span><span class="group">${cameras.join('')}</span>
<label><input type="checkbox" data-frusta checked> cameras</label>`;
  return `<div id="stage">
<canvas tabindex="0" role="img" aria-label="Point cloud. Drag or use the arrow keys to turn, the wheel or + and − to zoom, shift and drag to shift."></canvas>
<div class="bar">${clouds.length > 1 ? `<span class="group">${clouds.join('')}</span>` : ''}${from}
<label>size <input type="range" data-size min="0.4" max="4" step="0.1" value="1"></label>
<button type="button" class="push" data-action="reset">Reset</button></div></div>`;
}

const dot = (view: number): string =>
  `<i class="dot" style="background: rgb(${viewColor(view).join(' ')})"></i>`;

function dialogue(content: ReportDialogue | undefined): string {
  if (content === undefined) return '';
  const options = Object.entries(content.options ?? {}).map(
    ([letter, text]) => `<li><b>${escapeHtml(letter)}</b>${escapeHtml(text)}</li>`,
  );
  const list = options.length === 0 ? '' : `<ul class="options">${options.join('')}</ul>`;
  return `<section><h2>Question</h2><p class="question">${escapeHtml(content.question)}</p>${list}</section>
${answer(content)}`;
}

function answer(content: ReportDialogue): string {
  const { answer: said, expected, correct } = content;
  const state = correct === undefined ? '' : correct ? ' right' : ' wrong';
  const verdict = correct === undefined ? '' : correct ? 'Right' : 'Wrong';
  const blocks: string[] = [];
  if (said !== undefined) {
    const text = said === '' ? '<span class="muted">(nothing)</span>' : escapeHtml(said);
    blocks.push(
      `<section><h2>The model’s answer</h2><p class="answer${state}">${text}</p>${verdict === '' ? '' : `<p class="verdict">${verdict}</p>`}</section>`,
    );
  }
  if (expected !== undefined) {
    blocks.push(
      `<section><h2>Expected</h2><p class="answer">${escapeHtml(expected)}</p></section>`,
    );
  }
  return blocks.join('\n');
}

function metricTable(metrics: readonly ReportMetric[] | undefined): string {
  if (metrics === undefined || metrics.length === 0) return '';
  const rows = metrics.map(
    ({ name, value }) =>
      `<tr><th scope="row">${escapeHtml(name)}</th><td class="number">${escapeHtml(value)}</td></tr>`,
  );
  return `<section><h2>Measured</h2><div class="scroll"><table>${rows.join('')}</table></div></section>`;
}

function viewSection(input: ReportInput): string {
  if (input.views.length === 0) return '';
  const legends = (input.legends ?? []).map(
    (legend) =>
      `<span>${escapeHtml(legend.from)}<i class="ramp" style="background: ${gradient(legend)}"></i>${escapeHtml(legend.to)}</span>`,
  );
  return `<h2>Views</h2><div class="legend">${legends.join('')}</div>
${input.views.map(viewRow).join('\n')}`;
}

function viewRow(view: ReportView, index: number): string {
  const figures = view.figures.map(
    (
      figure,
    ) => `<figure><div class="frame" data-frame style="aspect-ratio: ${view.aspect.toFixed(4)}">
<img src="${figure.image}" alt="${escapeHtml(figure.alt)}" draggable="false"></div>
<figcaption><span>${escapeHtml(figure.caption)}</span>${figure.probe === undefined ? '' : `<output data-read="${escapeHtml(figure.probe)}"></output>`}</figcaption></figure>`,
  );
  return `<section class="view" data-view="${index}" style="--columns: ${Math.max(2, view.figures.length)}">
<h3>${dot(index)}${escapeHtml(view.title)}</h3><div class="row">${figures.join('\n')}</div></section>`;
}

function gradient({ map, reverse }: ReportLegend): string {
  const table = colorTable(map);
  const stops = Array.from({ length: 9 }, (_, i) => {
    const level = Math.round(((reverse ? 8 - i : i) / 8) * 255);
    return `rgb(${table.subarray(level * 3, level * 3 + 3).join(' ')})`;
  });
  return `linear-gradient(90deg, ${stops.join(', ')})`;
}

function endSection(input: ReportInput): string {
  const provenance = (input.provenance ?? []).map(
    ({ name, value }) =>
      `<tr><th scope="row">${escapeHtml(name)}</th><td class="text">${escapeHtml(value)}</td></tr>`,
  );
  const files = (input.files ?? []).map(
    ({ name, what }) =>
      `<tr><td class="text"><a href="${escapeHtml(encodeURI(name))}">${escapeHtml(name)}</a></td><td class="text muted">${escapeHtml(what)}</td></tr>`,
  );
  const block = (title: string, rows: readonly string[]) =>
    rows.length === 0
      ? ''
      : `<section><h2>${title}</h2><div class="scroll"><table>${rows.join('')}</table></div></section>`;
  return `<div class="two">${block('Files beside this page', files)}${block('Where this comes from', provenance)}</div>`;
}

function jsonScript(id: string, value: unknown): string {
  const text = JSON.stringify(value).replaceAll('<', '\\u003c');
  return `<script type="application/json" id="${id}">${text}</script>`;
}

/** Text made safe for an element or a quoted attribute. */
export function escapeHtml(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
