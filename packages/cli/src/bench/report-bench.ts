import { existsSync, statSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createRandom, type GeometryLabelsV1, labelMaps, withCleanup } from '@spatialsv/core';
import { liftPhotos, type Report, type ReportScene, writeReport } from '@spatialsv/inspect';
import { createScene, renderLabels, renderView } from '@spatialsv/vfm-synthetic';
import type { Browser, Page } from 'playwright-core';
import { emit, median } from './measure.js';

const QUESTIONS = 200;
const VIEWS = 4;
/** Rooms that are rendered; questions take them in turn, each with noise of its own. */
const ROOMS = 8;
const PHOTO = { width: 448, height: 336 };
const MAPS = { width: 168, height: 126 };
/** 4 × 224 × 224 = 200,704 points. */
const ORBITED = { width: 224, height: 224 };
const OPENINGS = 5;
/** Frames of a turn, one key a frame. */
const FRAMES = 90;

/** Size of a report and how long it takes to open; how it turns. Without a GPU. */
export const REPORT_CASES: Readonly<Record<string, () => Promise<void>>> = {
  report: () => inBrowser(measureOpening),
  'report-orbit': () => inBrowser(measureOrbit),
};

async function inBrowser(
  measure: (browser: Browser, folder: string) => Promise<void>,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'spatialsv-bench-'));
  const browser = await openBrowser();
  await withCleanup(
    () => measure(browser, folder),
    () => browser.close(),
    () => rm(folder, { recursive: true, force: true }),
  );
}

async function measureOpening(browser: Browser, folder: string): Promise<void> {
  const rooms: RenderedRoom[] = [];
  for (let i = 0; i < ROOMS; i++) rooms.push(await renderRoom(i + 1, MAPS));
  const file = join(folder, 'report.html');
  const started = performance.now();
  await writeReport(
    reportOf(QUESTIONS, (i) => noisy(rooms[i % ROOMS]!, i)),
    file,
  );
  const writeSeconds = (performance.now() - started) / 1000;
  const opened: number[] = [];
  for (let i = 0; i < OPENINGS; i++) opened.push(await openMs(browser, file));
  emit('inspect', 'report', {
    questions: QUESTIONS,
    views: VIEWS,
    file_mb: statSync(file).size / 1e6,
    write_s: writeSeconds,
    open_ms: median(opened),
    open_max_ms: Math.max(...opened),
  });
}

async function measureOrbit(browser: Browser, folder: string): Promise<void> {
  const file = join(folder, 'orbit.html');
  const { photos, prediction } = await renderRoom(1, ORBITED);
  await writeReport(
    reportOf(1, () => ({ photos, predictions: [prediction] })),
    file,
  );
  emit('inspect', 'report-orbit', await orbitFigures(browser, file));
}

interface RenderedRoom {
  readonly photos: ReportScene['photos'];
  readonly labels: GeometryLabelsV1;
  readonly prediction: NonNullable<ReportScene['predictions'][number]>;
}

async function renderRoom(
  seed: number,
  size: { readonly width: number; readonly height: number },
): Promise<RenderedRoom> {
  const scene = createScene(seed, { motion: 'among', views: VIEWS });
  const images = scene.cameras.map((camera) => renderView(scene, camera, PHOTO).image);
  const labels = renderLabels(scene, { cameras: scene.cameras, ...size, imageSize: PHOTO });
  const { rays } = labelMaps(labels);
  const { views, height, width, depth, conventions } = labels;
  const depthConfidence = depth.map((value) => 1 + 1 / value);
  const maps = { conventions, views, height, width, depth, depthConfidence, rays };
  return { photos: await liftPhotos(images), labels, prediction: { maps } };
}

/** A prediction of its own: noise that neighbours share, and some that they do not. */
function noisy({ photos, labels, prediction }: RenderedRoom, seed: number): ReportScene {
  const random = createRandom(seed);
  const [across, down] = [random.uniform(0.02, 0.06), random.uniform(0.02, 0.06)];
  const { maps } = prediction;
  const depth = maps.depth.map((value, i) => {
    const column = i % maps.width;
    const row = Math.floor(i / maps.width);
    const shared = 0.1 * Math.sin(across * column + seed) * Math.cos(down * row);
    return value * (1 + shared + random.uniform(-0.01, 0.01));
  });
  return { photos, labels, predictions: [{ maps: { ...maps, depth } }] };
}

function reportOf(count: number, scene: (index: number) => ReportScene): Report {
  const keys = Array.from({ length: count }, (_, i) => `scene-${i}`);
  return {
    title: 'Bench',
    runs: [{ name: 'model', facts: [] }],
    questions: keys.map((key, i) => ({
      ...{ id: `q${i}`, category: `category ${i % 5}`, scene: key, expected: 'A' },
      text: 'Which of the objects is nearest to the window as it is seen from the second view?',
      options: ['A', 'B', 'C', 'D'].map((letter) => ({ letter, text: `the ${letter} object` })),
      answers: [{ text: '<answer>A</answer>', read: 'A', score: i % 2, depthRmse: i / count }],
    })),
    files: [],
    sceneKeys: keys,
    scene: async (key) => scene(Number(key.slice('scene-'.length))),
  };
}

async function openBrowser(): Promise<Browser> {
  const { chromium } = await import('playwright-core');
  const executablePath = ['/usr/bin/chromium', '/usr/bin/google-chrome'].find((path) =>
    existsSync(path),
  );
  if (executablePath === undefined) throw new Error('bench: expected /usr/bin/chromium');
  const args = ['--no-sandbox', '--use-angle=swiftshader', '--enable-unsafe-swiftshader'];
  return chromium.launch({ executablePath, args });
}

/** From the address to the first frame with depth and points, in a page of its own. */
async function openMs(browser: Browser, file: string): Promise<number> {
  const page = await browser.newPage();
  const started = performance.now();
  await page.goto(pathToFileURL(file).href);
  await drawn(page);
  const passed = performance.now() - started;
  await page.close();
  return passed;
}

const drawn = async (page: Page): Promise<void> => {
  await page.waitForSelector('.stage canvas[data-points]', { state: 'attached' });
};

/** Turns the view by keys, one a frame; the frame in which everything is drawn again at rest counts too. */
async function orbitFigures(browser: Browser, file: string) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(pathToFileURL(file).href);
  await drawn(page);
  const { intervals, drawnPoints } = (await page.evaluate(
    `(${String(orbitInPage)})(${FRAMES})`,
  )) as ReturnType<typeof orbitInPage> extends Promise<infer Found> ? Found : never;
  await page.close();
  return {
    points: Math.max(...drawnPoints),
    points_while_moving: median(drawnPoints.slice(FRAMES / 2, FRAMES)),
    frame_median_ms: median(intervals),
    frame_max_ms: Math.max(...intervals),
  };
}

/** Runs in the page. */
async function orbitInPage(frames: number) {
  // biome-ignore lint/suspicious/noExplicitAny: the globals of a browser, in a file of Node.
  const { document, requestAnimationFrame, KeyboardEvent } = globalThis as any;
  const canvas = document.querySelector('.stage canvas');
  const intervals: number[] = [];
  const drawnPoints: number[] = [];
  let before = await new Promise<number>((resolve) => requestAnimationFrame(resolve));
  for (let i = 0; i < frames + 40; i++) {
    if (i < frames)
      canvas.dispatchEvent(new KeyboardEvent('keydown', { key: 'ArrowLeft', bubbles: true }));
    const now = await new Promise<number>((resolve) => requestAnimationFrame(resolve));
    intervals.push(now - before);
    drawnPoints.push(Number(canvas.dataset.points));
    before = now;
  }
  return { intervals, drawnPoints };
}
