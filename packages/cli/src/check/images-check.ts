import { stat } from 'node:fs/promises';
import { type ImageHeader, readImageHeader } from '@spatialsv/core';
import { type Finding, readFileKind } from '@spatialsv/core/host';
import { filesOf, IMAGE_NAME, type RefusedImage, sortFiles } from '../labels/image-list.js';
import { imageFindings } from './image-findings.js';
import { imageStatistics } from './image-statistics.js';
import { modelOf } from './model-of.js';
import type { Check } from './report.js';

/** Folders and patterns of images, and single ones. */
export const imagesCheck: Check = {
  kind: 'images',
  matches: async (path) => {
    const found = await stat(path).catch(() => undefined);
    if (found?.isFile()) return IMAGE_NAME.test(path) || (await isImage(path));
    return found?.isDirectory() === true || (found === undefined && /[*?]/.test(path));
  },
  run: async (path, context) => {
    const files = await filesOf(path);
    const { images, passedOver, refused } = await sortFiles(files ?? [path]);
    const headers: ImageHeader[] = [];
    for (const image of images) headers.push(await readImageHeader(image));
    const findings: Finding[] = refused.map(toFinding);
    const model = await modelOf(context, findings);
    findings.push(...(await imageFindings(headers, { ...context, ...model })));
    if (images.length + refused.length === 0) findings.push(noImages(path));
    const summary = files === undefined ? 'image' : 'images';
    return { kind: 'images', path, summary, facts: imageStatistics(headers), passedOver, findings };
  },
};

const isImage = async (path: string): Promise<boolean> =>
  'image' in (await readFileKind(path).catch(() => ({ name: '' })));

const toFinding = ({ path, found, hint }: RefusedImage): Finding => ({
  severity: 'error',
  code: 'IMAGE_INVALID',
  where: path,
  what: 'cannot be read as an image',
  ...(found !== undefined && { found }),
  hint,
});

const noImages = (path: string): Finding => ({
  severity: 'error',
  code: 'FILE_MISSING',
  where: path,
  what: 'no images',
  expected: 'images in the folder itself, or a model folder with config.json',
  hint: 'Name the folder that holds the images, a pattern in quotes such as "scene/**/*.jpg", or a data file.',
});
