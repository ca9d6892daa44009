import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadTrainConfig } from './load-config.js';
import { loadSweep } from './sweep.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'sweep-'));
  writeFileSync(join(folder, 'base.yaml'), 'model: m\nout: o\ndata: [{ path: d.jsonl }]\n');
});
afterEach(() => rmSync(folder, { recursive: true }));

const ARMS = 'arms: { a: { arm: text } }\n';

describe('loadSweep', () => {
  it.each([
    [
      'an unknown key',
      `base: base.yaml\nout: o\nseed: 3\n${ARMS}`,
      /sweep\.yaml:3: unknown key 'seed', did you mean 'seeds'\?/,
    ],
    [
      'a missing key',
      `base: base.yaml\n${ARMS}`,
      /sweep\.yaml: 'out' is missing \(expected string\)/,
    ],
    [
      'a seed twice',
      `base: base.yaml\nout: o\nseeds: [0, 0]\n${ARMS}`,
      /sweep\.yaml:3: 'seeds': expected different numbers, found \[0,0\]/,
    ],
    [
      'a name that is no folder',
      'base: base.yaml\nout: o\narms:\n  a/b: { arm: text }\n',
      /sweep\.yaml:4: 'arms\.a\/b': expected a name of letters, digits/,
    ],
    [
      'a wrong arm',
      'base: base.yaml\nout: o\narms: { a: { arm: txt } }\n',
      /sweep\.yaml: arm 'a': 'arm': .*"text"\|"distill"\|"spatialsv".*, found "txt"/,
    ],
    ['a list', '[1, 2]', /sweep\.yaml: expected keys with values, found \[1,2\]/],
  ])('says file, line, what was expected and found for %s', async (_what, text, message) => {
    const file = join(folder, 'sweep.yaml');
    writeFileSync(file, text);
    await expect(loadSweep(file)).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(message),
    });
  });
});

describe('loadTrainConfig', () => {
  it('of a folder says which file to name', async () => {
    await expect(loadTrainConfig(folder)).rejects.toMatchObject({
      code: 'FILE_MISSING',
      message: expect.stringContaining('expected a configuration, found a folder'),
      hint: expect.stringContaining(join(folder, 'config.yaml')),
    });
  });
});
