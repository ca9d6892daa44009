import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadSuite } from './suite-file.js';

const root = mkdtempSync(join(tmpdir(), 'suite-'));
afterAll(() => rmSync(root, { recursive: true }));

describe('a wrong suite', () => {
  it.each([
    [
      'models: { a: tiny }\nbenchmarks:\n  mindcube: { data: x, varient: p }\nout: o\n',
      /suite\.yaml:3: unknown key 'benchmarks\.mindcube\.varient', did you mean 'variant'\?/,
    ],
    [
      'models:\n  a: { model: tiny, minPixel: 4 }\nbenchmarks: { mindcube: { data: x } }\nout: o\n',
      /suite\.yaml:2: unknown key 'models\.a\.minPixel', did you mean 'minPixels'\?/,
    ],
    [
      'models: { a: 3 }\nbenchmarks: { mindcube: { data: x } }\n',
      /:1: 'models\.a': expected a folder, or `model` with its settings, found 3\n.*'out' is missing/,
    ],
  ])('%j is explained by line, key and what was found', async (text, message) => {
    const file = join(root, 'suite.yaml');
    writeFileSync(file, text);
    await expect(loadSuite(file)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message),
    });
  });
});
