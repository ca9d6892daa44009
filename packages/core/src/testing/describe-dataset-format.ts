import assert from 'node:assert/strict';
import path from 'node:path';
import { SpatialError } from '../errors.js';
import type { DatasetFormatV1, DatasetReadOptionsV1, SampleV1 } from '../spec.js';
import { globalRunner, once, type TestRunner } from './test-runner.js';

export interface DatasetFormatConformance {
  readonly format: DatasetFormatV1;
  /** A file of the format with two or more samples, absolute path. */
  readonly file: string;
  /** A file with a row that cannot be read. */
  readonly broken: { readonly file: string /** 1-based. */; readonly line: number };
}

const readAll = async (
  format: DatasetFormatV1,
  file: string,
  options?: DatasetReadOptionsV1,
): Promise<readonly SampleV1[]> => {
  const samples: SampleV1[] = [];
  for await (const sample of format.read(file, options)) samples.push(sample);
  return samples;
};

const checkContribution = ({ format }: DatasetFormatConformance): void => {
  assert.equal(format.specificationVersion, 'v1');
  assert.equal(format.kind, 'dataset-format');
  assert.match(format.id, /^[a-z0-9][a-z0-9.-]*$/);
};

const checkSamples = async ({ format, file }: DatasetFormatConformance): Promise<void> => {
  const samples = await readAll(format, file);
  assert.ok(samples.length > 1, `expected two samples, found ${samples.length}`);
  for (const { id, images, options, answerLetter } of samples) {
    assert.ok(id.length > 0, 'a sample has no id');
    assert.ok(images.length > 0, `sample ${id} has no images`);
    for (const image of images) assert.ok(path.isAbsolute(image), `${image} is not absolute`);
    if (answerLetter !== undefined) assert.ok(options?.[answerLetter], `no option ${answerLetter}`);
  }
  assert.deepEqual(await readAll(format, file), samples, 'another reading gives other samples');
};

const checkImageRoot = async ({ format, file }: DatasetFormatConformance): Promise<void> => {
  const imageRoot = path.resolve('/an-image-root');
  const samples = await readAll(format, file, { imageRoot });
  for (const image of samples.flatMap(({ images }) => images))
    assert.ok(image.startsWith(imageRoot + path.sep), `${image} is not below the image root`);
};

const rejects = (work: Promise<unknown>, code: string, part: string): Promise<void> =>
  assert.rejects(
    work,
    (error) =>
      SpatialError.isInstance(error) && error.code === code && error.message.includes(part),
  );

/**
 * The conformance suite of a data set format: samples with absolute image paths, the same at every reading, and errors that
 * say where the fault is.
 * @param create writes the files; called once.
 */
export const describeDatasetFormat = (
  create: () => DatasetFormatConformance | Promise<DatasetFormatConformance>,
  options: { readonly timeoutMs?: number; readonly runner?: TestRunner } = {},
): void => {
  const { timeoutMs = 60_000, runner = globalRunner() } = options;
  const given = once(create);
  const cases: Readonly<Record<string, () => Promise<void>>> = {
    'says what it is': async () => checkContribution(await given()),
    'gives samples with absolute image paths': async () => checkSamples(await given()),
    'takes image paths from the image root': async () => checkImageRoot(await given()),
    'knows its own file, and throws at none': async () => {
      const { format, file, broken } = await given();
      if (format.detect === undefined) return;
      assert.equal(await format.detect(file), true);
      for (const other of [broken.file, `${file}.none`]) await format.detect(other);
    },
    'names file and line of a row that cannot be read': async () => {
      const { format, broken } = await given();
      await rejects(readAll(format, broken.file), 'DATA_INVALID', `${broken.file}:${broken.line}`);
    },
    'names a file that is not there': async () => {
      const { format, file } = await given();
      await rejects(readAll(format, `${file}.none`), 'FILE_MISSING', `${file}.none`);
    },
    'refuses prompts and settings that it does not know': async () => {
      const { format, file } = await given();
      const prompt = 'no-such-prompt';
      await rejects(readAll(format, file, { prompt }), 'CONFIG_INVALID', prompt);
      const settings = { 'no-such-setting': 1 };
      await rejects(readAll(format, file, { settings }), 'CONFIG_INVALID', 'no-such-setting');
    },
  };
  runner.describe('data set format', () => {
    for (const [name, check] of Object.entries(cases)) runner.it(name, check, timeoutMs);
  });
};
