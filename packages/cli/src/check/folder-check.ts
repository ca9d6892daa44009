import { open, realpath, stat } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { listFolder } from '@spatialsv/core/host';
import { IMAGE_NAME } from '../labels/image-list.js';
import { configCheck } from './config-check.js';
import { dataCheck } from './data-check.js';
import { evaluationCheck } from './evaluation-check.js';
import { imagesCheck } from './images-check.js';
import { modelCheck } from './model-check.js';
import { pluginsCheck } from './plugins-check.js';
import type { Check, CheckReport, PassedOver } from './report.js';
import { suiteCheck, sweepCheck } from './run-lists-check.js';

/** Levels of folders that are entered. */
const MAX_DEPTH = 6;

/** Parts that are looked at. */
const MAX_PARTS = 500;

/** Folders that a check looks at as a whole. */
const WHOLE: readonly Check[] = [modelCheck, evaluationCheck, pluginsCheck];

/** Files that a check looks at; rows come last. */
const FILES: readonly Check[] = [pluginsCheck, suiteCheck, sweepCheck, configCheck];

/** Something in a folder that a check can look at. */
interface Part {
  readonly path: string;
  readonly check: Check;
}

/** What lies in a folder and below it. */
interface Content {
  readonly parts: Part[];
  readonly passedOver: PassedOver[];
}

/** Folders of several things: models, data files, images, configurations, projects, evaluations, in folders of their own or not. */
export const folderCheck: Check = {
  kind: 'folder',
  matches: async (path) => {
    if ((await stat(path).catch(() => undefined))?.isDirectory() !== true) return false;
    const { parts } = await contentOf(path);
    return parts.some((part) => part.path !== path);
  },
  run: async (path, context) => {
    const { parts, passedOver } = await contentOf(path);
    const reports: CheckReport[] = [];
    context.progress.start(`Looking at ${path}`, parts.length);
    for (const [done, part] of parts.entries()) {
      context.signal.throwIfAborted();
      context.progress.update(done);
      reports.push(withoutParts(await part.check.run(part.path, context), parts));
    }
    const counts = countKinds(reports);
    return {
      kind: 'folder',
      path,
      summary: 'folder',
      facts: counts,
      passedOver,
      findings: [],
      parts: reports,
    };
  },
};

function countKinds(reports: readonly CheckReport[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const { kind } of reports) counts[kind] = (counts[kind] ?? 0) + 1;
  return counts;
}

/** What is a part of its own is not passed over. */
function withoutParts(report: CheckReport, parts: readonly Part[]): CheckReport {
  const names = new Set(parts.map(({ path }) => basename(path)));
  return { ...report, passedOver: report.passedOver.filter(({ where }) => !names.has(where)) };
}

async function contentOf(folder: string): Promise<Content> {
  const content: Content = { parts: [], passedOver: [] };
  await collect(folder, 0, content, new Set());
  if (content.parts.length < MAX_PARTS) return content;
  const more = { where: folder, why: `more than ${MAX_PARTS} parts: name some of them` };
  return { parts: content.parts.slice(0, MAX_PARTS), passedOver: [...content.passedOver, more] };
}

/** Adds a folder's parts, those of its folders last. Links are followed, each folder is entered once. */
async function collect(
  folder: string,
  depth: number,
  content: Content,
  entered: Set<string>,
): Promise<void> {
  const { parts, passedOver } = content;
  const real = await realpath(folder);
  if (entered.has(real) || parts.length >= MAX_PARTS) return;
  entered.add(real);
  if (depth > MAX_DEPTH) {
    passedOver.push({ where: folder, why: `more than ${MAX_DEPTH} levels deep` });
    return;
  }
  const names = (await listFolder(folder)).filter((name) => !/^\.|^node_modules$/.test(name));
  const paths = names.map((name) => join(folder, name));
  if (names.some((name) => IMAGE_NAME.test(name))) parts.push({ path: folder, check: imagesCheck });
  const folders: string[] = [];
  for (const path of paths) {
    const found = await stat(path).catch(() => undefined);
    if (found?.isDirectory()) folders.push(path);
    if (found?.isFile() !== true) continue;
    const check = await fileCheck(path);
    if (check !== undefined) parts.push({ path, check });
  }
  for (const path of folders) {
    const whole = await wholeCheck(path);
    if (whole !== undefined) parts.push({ path, check: whole });
    else await collect(path, depth + 1, content, entered);
  }
}

async function wholeCheck(folder: string): Promise<Check | undefined> {
  for (const check of WHOLE) if (await check.matches(folder)) return check;
  return undefined;
}

async function fileCheck(path: string): Promise<Check | undefined> {
  for (const check of FILES) if (await check.matches(path)) return check;
  return (await isDataFile(path)) ? rowsCheck : undefined;
}

/** A data file of the folder: options that describe one data file do not count for it. */
const rowsCheck: Check = {
  ...dataCheck,
  run: (path, { format: _, imageRoot: __, ...context }) => dataCheck.run(path, context),
};

/** Rows have a name of their own, or are a list: other JSON in a folder belongs to somebody else. */
async function isDataFile(path: string): Promise<boolean> {
  if (/\.jsonl$/i.test(path)) return true;
  return /\.json$/i.test(path) && (await beginsWithList(path));
}

/** Whether the first character is a bracket, in UTF-8 or UTF-16, after a byte order mark and white space. */
async function beginsWithList(path: string): Promise<boolean> {
  const handle = await open(path, 'r').catch(() => undefined);
  if (handle === undefined) return false;
  try {
    const { buffer, bytesRead } = await handle.read(new Uint8Array(256), 0, 256, 0);
    const text = new TextDecoder('latin1').decode(buffer.subarray(0, bytesRead));
    return /^(\xef\xbb\xbf|\xff\xfe|\xfe\xff)?[\s\0]*\[/.test(text.replaceAll('\0', ''));
  } finally {
    await handle.close();
  }
}
