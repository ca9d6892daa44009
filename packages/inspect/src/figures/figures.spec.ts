import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { csvParse } from 'd3-dsv';
import sharp from 'sharp';
import { drawsText, renderSvg, writeFigure } from './figure.js';
import { scatterPlot, seriesPlot } from './plots.js';

const rows = [
  { model: '<script>alert(1)</script>', rmse: 0.4, right: 0.6, low: 0.5, high: 0.7 },
  { model: 'a, "b"\nc', rmse: 0.8, right: 0.2, low: 0.1, high: 0.3 },
  { model: 'plain', rmse: 0.6, right: 0.4, low: null, high: null },
];
const scatter = scatterPlot({
  name: 'models',
  title: 'Accuracy & error',
  rows,
  x: { field: 'rmse', title: 'RMSE (m)' },
  y: { field: 'right', title: 'Accuracy', format: '.0%', interval: ['low', 'high'] },
  label: 'model',
  trendLine: true,
});

describe('figures', () => {
  const folder = mkdtempSync(join(tmpdir(), 'spatialsv-figures-'));
  afterAll(() => rmSync(folder, { recursive: true }));

  it('are an SVG, a PNG of twice its size, and the rows as CSV', async () => {
    const files = await writeFigure(folder, scatter);
    expect(files).toEqual({ svg: 'models.svg', png: 'models.png', csv: 'models.csv' });
    const svg = readFileSync(join(folder, files.svg), 'utf8');
    const [, width, height] = /viewBox="0 0 (\d+) (\d+)"/.exec(svg)!.map(Number);
    const png = await sharp(join(folder, files.png)).metadata();
    expect([png.width, png.height]).toEqual([2 * width!, 2 * height!]);
    const read = csvParse(readFileSync(join(folder, files.csv), 'utf8'));
    expect(read.map(({ model }) => model)).toEqual(rows.map(({ model }) => model));
    expect(read.map(({ rmse }) => Number(rmse))).toEqual([0.4, 0.8, 0.6]);
    expect(read[2]!['low']).toBe('');
  });

  it('keep texts out of their markup', async () => {
    const svg = await renderSvg(scatter);
    expect(svg).not.toContain('<script');
    expect(svg).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
    expect(svg).toContain('Accuracy &amp; error');
  });

  it('have a point for each row, intervals where there are any, and a line through them', async () => {
    const svg = await renderSvg(scatter);
    const marks = (kind: string) => new RegExp(`aria-roledescription="${kind}"`, 'g');
    expect(svg.match(marks('point'))).toHaveLength(3);
    expect(svg.match(marks('rule mark'))!.length).toBeGreaterThanOrEqual(2);
    expect(svg.match(marks('line mark'))).toHaveLength(1);
  });

  it('of series have panels in the order of the rows', async () => {
    const bins = ['z', 'a', 'm'].flatMap((model) =>
      [1, 2].map((bin) => ({ model, bin, right: bin / 4, low: 0, high: 1 })),
    );
    const svg = await renderSvg(
      seriesPlot({
        name: 'bins',
        title: 'Bins',
        rows: bins,
        x: { field: 'bin', title: 'Bin' },
        y: { field: 'right', title: 'Accuracy', interval: ['low', 'high'] },
        panel: 'model',
      }),
    );
    const places = ['z', 'a', 'm'].map((name) => svg.indexOf(`>${name}</text>`));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
    expect(places[0]).toBeGreaterThan(0);
  });

  it('of series join the rows that belong to the line alone, all in the order of the rows', async () => {
    const rows = [
      { name: 'noise', value: 3, model: 'm', site: false },
      { name: 'layer 1', value: 2, model: 'm', site: true },
      { name: 'constant', value: 3, model: 'm', site: false },
      { name: 'layer 2', value: 1, model: 'm', site: true },
    ];
    const svg = await renderSvg(
      seriesPlot({
        ...{ name: 'sites', title: 'Sites', rows, joined: 'site', color: 'model' },
        x: { field: 'name', title: 'Probed' },
        y: { field: 'value', title: 'RMSE' },
      }),
    );
    const [, path] = /aria-roledescription="line mark"[^>]* d="([^"]*)"/.exec(svg)!;
    expect(path!.match(/[ML]/g)).toEqual(['M', 'L']);
    const places = rows.map(({ name }) => svg.indexOf(`>${name}</text>`));
    expect(places).toEqual(places.toSorted((a, b) => a - b));
  });

  it('say whether this machine has letters for a PNG', async () => {
    expect(typeof (await drawsText())).toBe('boolean');
  });
});
