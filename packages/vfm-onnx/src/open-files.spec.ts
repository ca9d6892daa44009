import { mkdir, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { withTemporaryFolder } from '@spatialsv/core/testing';
import { MANIFEST_FILE } from './manifest.js';
import { locate } from './open-files.js';

/** A folder with files; `path/` makes a folder. */
const withFiles = (
  files: Readonly<Record<string, string>>,
  body: (folder: string) => Promise<void>,
) =>
  withTemporaryFolder(async (folder) => {
    for (const [name, content] of Object.entries(files)) {
      const file = path.join(folder, name);
      await mkdir(path.dirname(file), { recursive: true });
      await writeFile(file, content);
    }
    await body(folder);
  });

describe('a graph is found', () => {
  it.each(['model.onnx', 'onnx/model.onnx'])('in a folder that has one: %s', (name) =>
    withFiles({ [name]: '' }, async (folder) => {
      expect(await locate(folder)).toEqual({ graph: path.join(folder, name), manifest: {} });
    }),
  );

  it('by its path, with the description beside it', () =>
    withFiles(
      { 'a.onnx': '', 'b.onnx': '', [MANIFEST_FILE]: '{ "graph": "a.onnx", "views": 2 }' },
      async (folder) => {
        const graph = path.join(folder, 'a.onnx');
        const expected = { graph, manifest: { graph: 'a.onnx', views: 2 } };
        expect(await locate(graph)).toEqual(expected);
        expect(await locate(folder)).toEqual(expected);
        expect(await locate(path.join(folder, MANIFEST_FILE))).toEqual(expected);
        await symlink('a.onnx', path.join(folder, 'link.onnx'));
        expect((await locate(path.join(folder, 'link.onnx'))).manifest.views).toBe(2);
        await expect(locate(path.join(folder, 'b.onnx'))).rejects.toMatchObject({
          code: 'CONFIG_INVALID',
        });
      },
    ));

  it('by a description anywhere, relative to it', () =>
    withFiles(
      { 'models/a.onnx': '', 'my.json': '{ "graph": "models/a.onnx" }' },
      async (folder) => {
        expect(await locate(path.join(folder, 'my.json'))).toMatchObject({
          graph: path.join(folder, 'models/a.onnx'),
        });
      },
    ));
});

describe('a graph is not found', () => {
  it('without a path', async () => {
    await expect(locate(undefined)).rejects.toMatchObject({ code: 'USAGE' });
  });

  it.each<[string, Readonly<Record<string, string>>, string, string]>([
    ['where nothing is', {}, 'none.onnx', 'FILE_MISSING'],
    ['in a folder without one', { 'readme.txt': '' }, '', 'FILE_MISSING'],
    ['in a folder with two', { 'a.onnx': '', 'onnx/b.onnx': '' }, '', 'CONFIG_INVALID'],
    ['by a wrong name', { [MANIFEST_FILE]: '{ "graph": "a.onnx" }' }, '', 'FILE_MISSING'],
    ['by a damaged description', { 'a.onnx': '', [MANIFEST_FILE]: '{' }, '', 'FILE_INVALID'],
    ['by an unknown key', { 'a.onnx': '', [MANIFEST_FILE]: '{ "x": 1 }' }, '', 'CONFIG_INVALID'],
  ])('%s', (_, files, name, code) =>
    withFiles(files, async (folder) => {
      await expect(locate(path.join(folder, name))).rejects.toMatchObject({ code });
    }),
  );
});
