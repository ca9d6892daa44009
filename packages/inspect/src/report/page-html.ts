import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { PageData, PageScene } from './format.js';
import type { Report } from './report.js';

type Place = PageData['scenes'];

/** Script and style of the page, as `npm run build` bundles them out of `src/page`; this file lies two folders below the package. */
const bundled = (name: string): string =>
  readFileSync(new URL(`../../dist/page/${name}`, import.meta.url), 'utf8');

let assets: { readonly script: string; readonly style: string } | undefined;

const pageAssets = () => {
  assets ??= {
    script: bundled('main.js').replaceAll('</', '<\\/').trim(),
    style: bundled('page.css').trim(),
  };
  return assets;
};

const hash = (text: string): string =>
  `'sha256-${createHash('sha256').update(text).digest('base64')}'`;

/** Nothing runs but the page's own script: text that came through as markup would stay without effect. */
export function contentPolicy(place: Place): string {
  const { script, style } = pageAssets();
  const scenes = { inline: '', beside: ' file:', server: '' }[place];
  return [
    "default-src 'none'",
    'img-src data: blob:',
    `style-src ${hash(style)}`,
    `script-src ${hash(script)}${scenes}`,
    ...(place === 'server' ? ["connect-src 'self'"] : []),
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
}

function pageHead(place: Place): string {
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="${contentPolicy(place)}">
<meta name="color-scheme" content="light dark">
<title>SpatialSV report</title>
<link rel="icon" href="data:,">
<style>${pageAssets().style}</style>
</head>
<body>
<noscript>This report is drawn by a script inside of the page: allow scripts to read it.</noscript>
<div id="app"></div>
`;
}

/** A scene inside of the page. @param key safe in an attribute. */
export const pageScene = (key: string, scene: PageScene): string =>
  jsonElement(`scene-${key}`, scene);

/** A scene as a script beside the page. */
export const sceneScript = (key: string, scene: PageScene): string =>
  `spatialsvScene(${JSON.stringify(key)}, ${JSON.stringify(scene)});\n`;

/** What the page reads first. */
export function pageData({ sceneKeys: _, scene: __, ...data }: Report, scenes: Place): PageData {
  return { ...data, scenes };
}

/** Everything before the scenes: the script shows the first one while the others are still being read. */
export const pageStart = (report: Report, place: Place): string =>
  `${pageHead(place)}${jsonElement('report', pageData(report, place))}<script>${pageAssets().script}</script>\n`;

/** Everything behind the scenes. */
export const PAGE_END = '</body>\n</html>\n';

/** `<` never stands in the text of a script element: no text can end it. */
const jsonElement = (id: string, value: unknown): string =>
  `<script type="application/json" id="${id}">${JSON.stringify(value).replaceAll('<', '\\u003c')}</script>\n`;
