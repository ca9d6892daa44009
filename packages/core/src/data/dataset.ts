import type { SampleV1 } from '../spec.js';
import { stringField, stringListField } from './fields.js';
import { findImageRoot, requireImages } from './image-root.js';
import { readJsonLines } from './json-lines.js';
import { type MindCubePrompt, readMindCube } from './mindcube.js';
import { readMmbench } from './mmbench.js';
import { readPlain } from './plain.js';

export const DATASET_FORMATS = ['jsonl', 'mindcube', 'mmbench'] as const;
export type DatasetFormat = (typeof DATASET_FORMATS)[number];

export interface DatasetRequest {
  readonly format: DatasetFormat;
  readonly path: string;
  /** Folder that image paths are relative to; found beside or above the file where absent. */
  readonly imageRoot?: string | undefined;
  /** How MindCube's questions are put; its official prompt where absent. */
  readonly prompt?: MindCubePrompt | undefined;
  /** Keep only the first so many samples. */
  readonly limit?: number | undefined;
  /** Whether every image has to be there. Default true. */
  readonly checkImages?: boolean | undefined;
}

/**
 * Reads a dataset file and checks that every image is there, unless it is told not to.
 * @throws SpatialError FILE_MISSING (file or image), DATA_INVALID (file and line).
 */
export async function readDataset(request: DatasetRequest): Promise<readonly SampleV1[]> {
  const imageRoot = request.imageRoot ?? (await guessImageRoot(request));
  const samples: SampleV1[] = [];
  for await (const sample of openDataset(request, imageRoot)) {
    if (samples.length >= (request.limit ?? Number.POSITIVE_INFINITY)) break;
    samples.push(sample);
  }
  if (request.checkImages !== false) await requireImages(samples, request.path);
  return samples;
}

function openDataset(request: DatasetRequest, imageRoot: string): AsyncGenerator<SampleV1> {
  switch (request.format) {
    case 'jsonl':
      return readPlain(request.path, imageRoot);
    case 'mindcube':
      return readMindCube(request.path, { imageRoot, prompt: request.prompt });
    case 'mmbench':
      return readMmbench(request.path, imageRoot);
  }
}

async function guessImageRoot({ format, path }: DatasetRequest): Promise<string> {
  for await (const row of readJsonLines(path)) {
    const image =
      format === 'mmbench' ? stringField(row, 'image') : stringListField(row, 'images')[0]!;
    return findImageRoot(path, image);
  }
  return findImageRoot(path, '');
}
