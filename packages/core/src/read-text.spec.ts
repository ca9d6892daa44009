import { execFile } from 'node:child_process';
import { truncate, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import path from 'node:path';
import { promisify } from 'node:util';
import { readCheckpointConfig, readCheckpointJson } from './checkpoint-folder.js';
import { readText, readTextIfThere } from './files.js';
import { parseJsonText } from './json.js';
import { openTextProcessor } from './kit/text-processor.js';
import { openSafetensors, openWeights } from './safetensors/index.js';
import { readSpatialCheckpoint } from './spatial-checkpoint.js';
import { withTemporaryFolder } from './testing/temporary-folder.js';

const invalid = (message: RegExp) => ({
  code: 'FILE_INVALID',
  message: expect.stringMatching(message),
});

describe('readText', () => {
  it('reads UTF-8 with and without a byte order mark', () =>
    withTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'a');
      await writeFile(file, 'naïve ☃');
      expect(await readText(file)).toBe('naïve ☃');
      await writeFile(file, '\uFEFF{}');
      expect(await readText(file)).toBe('{}');
    }));

  it('refuses other text, and more than was asked for', () =>
    withTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'a');
      await writeFile(file, Buffer.from('\uFEFF{}', 'utf16le'));
      await expect(readText(file)).rejects.toMatchObject(invalid(/UTF-16/));
      await writeFile(file, Buffer.from([0x80, 0x81]));
      await expect(readText(file)).rejects.toMatchObject(invalid(/no UTF-8/));
      await writeFile(file, 'abcd');
      expect(await readText(file, 4)).toBe('abcd');
      await expect(readText(file, 3)).rejects.toMatchObject(invalid(/at most 3 bytes, found 4/));
    }));

  it('reads a file without end by its length, which is known before', () =>
    withTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'config.json');
      await writeFile(file, '');
      await truncate(file, 2 ** 40);
      await expect(readCheckpointConfig(folder)).rejects.toMatchObject(
        invalid(/at most 256.0 MiB/),
      );
    }));

  it('knows a file that is not there from one that is no file', () =>
    withTemporaryFolder(async (folder) => {
      expect(await readTextIfThere(path.join(folder, 'absent'))).toBeUndefined();
      await expect(readTextIfThere(folder)).rejects.toMatchObject(invalid(/a folder/));
      await expect(readTextIfThere('/dev/zero')).rejects.toMatchObject({
        message: expect.stringContaining('a device'),
      });
    }));
});

describe('parseJsonText', () => {
  it('says where, and not what', () => {
    for (const [text, problem] of [
      ['', /empty file/],
      ['{"a": 1', /cut off/],
      ['{\n "secret": @}', /line 2, column 12/],
      ['['.repeat(200_000), /more than 100 deep at line 1, column 101/],
      [`{"a": ${'['.repeat(101)}${']'.repeat(101)}}`, /100 deep/],
    ] as const) {
      expect(() => parseJsonText(text)).toThrow(problem);
      expect(() => parseJsonText(text)).not.toThrow(/secret/);
    }
    expect(parseJsonText(`{"a": "${'['.repeat(200)}\\\\"}`)).toEqual({ a: `${'['.repeat(200)}\\` });
  });
});

describe('a file of a checkpoint folder that is none', () => {
  const readers: Readonly<Record<string, (folder: string) => Promise<unknown>>> = {
    'config.json': readCheckpointConfig,
    'preprocessor_config.json': (folder) => readCheckpointJson(folder, 'preprocessor_config.json'),
    'tokenizer_config.json': (folder) => openTextProcessor(folder, {}),
    'model.safetensors': openWeights,
    'x.safetensors': (folder) => openSafetensors(path.join(folder, 'x.safetensors')),
    'model.safetensors.index.json': openWeights,
    'spatialsv/settings.json': readSpatialCheckpoint,
  };
  const code = expect.stringMatching(/FILE_(MISSING|INVALID)/);

  it.each(Object.entries(readers))('%s is refused as a pipe, a socket and a device', (name, read) =>
    withTemporaryFolder(async (folder) => {
      const file = path.join(folder, name);
      const run = promisify(execFile);
      await run('mkdir', ['-p', path.dirname(file)]);
      await run('mkfifo', [file]);
      await expect(read(folder)).rejects.toMatchObject({ code });
      await run('rm', [file]);
      await run('ln', ['-s', '/dev/zero', file]);
      await expect(read(folder)).rejects.toMatchObject({ code });
      await run('rm', [file]);
      const server = createServer().listen(file);
      await new Promise((resolve) => server.once('listening', resolve));
      await expect(read(folder)).rejects.toMatchObject({ code });
      await new Promise((resolve) => server.close(resolve));
    }),
  );
});
