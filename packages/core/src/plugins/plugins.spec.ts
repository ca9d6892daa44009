import { execFile } from 'node:child_process';
import { mkdir, readFile, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { promisify } from 'node:util';
import { transform } from '@swc/core';
import type { SpatialError } from '../errors.js';
import { dptGeometryHead } from '../heads/index.js';
import { definePlugin, type LabelSourceV1 } from '../spec.js';
import { withTemporaryFolder } from '../testing/index.js';
import { createRegistry, GEOMETRY_HEAD, LABEL_SOURCE, loadPlugins } from './index.js';
import { tryPlugin } from './try-plugin.js';

const hasCode = (code: string) => expect.objectContaining({ code });

const makeSource = (id: string): LabelSourceV1 => ({
  specificationVersion: 'v1',
  kind: 'label-source',
  id,
  provides: ['depth'],
  open: () => Promise.reject(new Error('not asked for')),
});

const sourceText = (id: string): string => `{ specificationVersion: 'v1', kind: 'label-source',
  id: '${id}', provides: ['depth'], async open() { throw new Error('not asked for'); } }`;

/** CommonJS, the form that the test runner's loader takes; ES modules are tried in plain Node below. */
const pluginText = (...contributions: string[]): string =>
  `module.exports = { specificationVersion: 'v1', contributions: () => [${contributions.join(', ')}] };`;

const goodManifest = { apiVersion: 1, kinds: ['label-source'], entry: './plugin.cjs' };

interface FakePackage {
  readonly manifest?: unknown;
  readonly entry?: string;
}

/** An installed package below `project`, listed in its dependencies. */
const install = async (
  project: string,
  packages: Readonly<Record<string, FakePackage>>,
): Promise<void> => {
  for (const [name, { manifest, entry }] of Object.entries(packages)) {
    const folder = path.join(project, 'node_modules', name);
    await mkdir(folder, { recursive: true });
    const packageJson = { name, version: '1.2.3', type: 'module', spatialsv: manifest };
    await writeFile(path.join(folder, 'package.json'), JSON.stringify(packageJson));
    await writeFile(path.join(folder, 'plugin.cjs'), entry ?? pluginText(sourceText(name)));
  }
  const dependencies = Object.fromEntries(Object.keys(packages).map((name) => [name, '*']));
  await writeFile(path.join(project, 'package.json'), JSON.stringify({ dependencies }));
};

describe('loadPlugins', () => {
  it('loads the direct dependencies that carry a manifest', async () => {
    await withTemporaryFolder(async (project) => {
      await install(project, {
        'good-source': { manifest: goodManifest },
        '@scope/other-source': { manifest: goodManifest },
        'no-plugin': { entry: 'throw new Error("must not be imported");' },
      });
      const { loaded, rejected } = await loadPlugins({ projects: [project] });
      expect(rejected).toEqual([]);
      expect(loaded.map(({ name, version }) => [name, version])).toEqual([
        ['good-source', '1.2.3'],
        ['@scope/other-source', '1.2.3'],
      ]);
      expect(loaded[0]!.contributions[0]!.id).toBe('good-source');
    });
  });

  it('does not look at packages that are installed but no direct dependency', async () => {
    await withTemporaryFolder(async (project) => {
      await install(project, { hidden: { manifest: goodManifest } });
      await writeFile(path.join(project, 'package.json'), '{}');
      expect(await loadPlugins({ projects: [project] })).toEqual({ loaded: [], rejected: [] });
    });
  });

  it.each<[string, string, FakePackage]>([
    [
      'PLUGIN_API_MISMATCH',
      'a newer version',
      { manifest: { apiVersion: 2, parts: [] }, entry: 'throw 1' },
    ],
    ['PLUGIN_API_MISMATCH', 'an older version', { manifest: { ...goodManifest, apiVersion: 0 } }],
    [
      'PLUGIN_API_MISMATCH',
      'another specification',
      {
        manifest: goodManifest,
        entry: "module.exports = { specificationVersion: 'v9', contributions: () => [] };",
      },
    ],
    [
      'PLUGIN_API_MISMATCH',
      'a contribution of another specification',
      {
        manifest: goodManifest,
        entry: pluginText("{ id: 'x', kind: 'label-source', specificationVersion: 'v2' }"),
      },
    ],
    ['PLUGIN_INVALID', 'a manifest that is no object', { manifest: 'yes' }],
    ['PLUGIN_INVALID', 'an unknown kind', { manifest: { ...goodManifest, kinds: ['teapot'] } }],
    [
      'PLUGIN_INVALID',
      'an entry outside of the package',
      { manifest: { ...goodManifest, entry: './../other/plugin.js' } },
    ],
    [
      'PLUGIN_INVALID',
      'an entry that is not there',
      { manifest: { ...goodManifest, entry: './absent.js' } },
    ],
    [
      'PLUGIN_INVALID',
      'an entry that throws',
      { manifest: goodManifest, entry: 'throw new Error("broken");' },
    ],
    [
      'PLUGIN_INVALID',
      'an entry with a syntax error',
      { manifest: goodManifest, entry: 'module.exports = {' },
    ],
    ['PLUGIN_INVALID', 'no default export', { manifest: goodManifest, entry: 'exports.x = 1;' }],
    [
      'PLUGIN_INVALID',
      'contributions that throw',
      {
        manifest: goodManifest,
        entry:
          "module.exports = { specificationVersion: 'v1', contributions: () => { throw new Error('no'); } };",
      },
    ],
    [
      'PLUGIN_INVALID',
      'contributions that are no list',
      {
        manifest: goodManifest,
        entry: "module.exports = { specificationVersion: 'v1', contributions: () => 3 };",
      },
    ],
    [
      'PLUGIN_INVALID',
      'a contribution without id',
      {
        manifest: goodManifest,
        entry: pluginText("{ specificationVersion: 'v1', kind: 'label-source' }"),
      },
    ],
    [
      'PLUGIN_INVALID',
      'a kind that the manifest does not name',
      { manifest: { ...goodManifest, kinds: ['benchmark'] } },
    ],
    [
      'PLUGIN_INVALID',
      'a missing method',
      {
        manifest: goodManifest,
        entry: pluginText("{ specificationVersion: 'v1', kind: 'label-source', id: 'x' }"),
      },
    ],
    [
      'PLUGIN_INVALID',
      'the same id twice',
      { manifest: goodManifest, entry: pluginText(sourceText('x'), sourceText('x')) },
    ],
  ])('rejects (%s) %s, and keeps the others', async (code, _name, fake) => {
    await withTemporaryFolder(async (project) => {
      await install(project, { 'bad-source': fake, 'good-source': { manifest: goodManifest } });
      const { loaded, rejected } = await loadPlugins({ projects: [project] });
      expect(loaded.map(({ name }) => name)).toEqual(['good-source']);
      expect(rejected).toEqual([{ name: 'bad-source', error: hasCode(code) }]);
    });
  });

  it.each<[string, string, RegExp]>([
    ['never ends', 'await new Promise(() => {}); export default 1;', /waits for something/],
    [
      'keeps a timer and never ends',
      'setInterval(() => {}, 1000); await new Promise(() => {});',
      /does not end within \d+.* s while it is imported/,
    ],
    ['ends the process', 'process.exit(0);', /ends its process with code 0 while it is imported/],
    ['ends the process by an abort', 'process.abort();', /ends its process by SIG/],
    ['loops', 'for (;;);', /does not end within/],
    ['loops, deaf to signals', "process.on('SIGTERM', () => {}); for (;;);", /does not end within/],
    [
      'fills the memory',
      'const a = []; for (;;) a.push(new Array(1e6).fill(1));',
      /ends its process/,
    ],
    ['throws nothing', 'throw undefined;', /cannot be imported \(undefined\)/],
    [
      'loops in contributions()',
      "export default { specificationVersion: 'v1', contributions: () => { for (;;); } };",
      /does not end within .* in contributions\(\)/,
    ],
    [
      'ends the process in accepts()',
      `export default { specificationVersion: 'v1', contributions: () =>
        [{ id: 'x', kind: 'backbone-adapter', accepts: () => process.exit(3) }] };`,
      /code 3 in accepts/,
    ],
    [
      'fails by a rejection that nobody handles',
      "Promise.reject(new Error('unhandled'));",
      /ends its process with code 1.*unhandled/,
    ],
    [
      'fails later, by a rejection that nobody handles',
      "Promise.reject(new Error('later')); await new Promise((r) => setTimeout(r, 500));",
      /ends its process with code 1.*later/,
    ],
  ])('rejects one whose code %s', async (_name, entry, problem) => {
    await withTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'plugin.mjs');
      await writeFile(file, entry);
      expect(await rejectionOf(file, problem)).toEqual({
        code: 'PLUGIN_INVALID',
        message: expect.stringMatching(problem),
      });
    });
  });

  /** How an entry fails; with ever more time until it fails as expected, for a busy machine takes long to import it. */
  async function rejectionOf(
    file: string,
    expected: RegExp,
    limitMs = 400,
  ): Promise<{ code: string; message: string }> {
    const { code, message } = await tryPlugin('bad-source', file, limitMs).then(
      () => ({ code: 'none', message: 'it loads' }),
      (error: SpatialError) => error,
    );
    const isDone = expected.test(message) || limitMs > 60_000;
    return isDone ? { code, message } : rejectionOf(file, expected, 4 * limitMs);
  }

  it('loads the others beside one that ends the process', async () => {
    await withTemporaryFolder(async (project) => {
      const good = { manifest: goodManifest };
      const bad = { manifest: goodManifest, entry: 'process.exit(0);' };
      await install(project, { first: good, second: bad, third: good });
      const { loaded, rejected } = await loadPlugins({ projects: [project] });
      expect(loaded.map(({ name }) => name)).toEqual(['first', 'third']);
      expect(rejected).toEqual([{ name: 'second', error: hasCode('PLUGIN_INVALID') }]);
    });
  });

  it('rejects an id that another plugin has', async () => {
    await withTemporaryFolder(async (project) => {
      await install(project, {
        first: { manifest: goodManifest, entry: pluginText(sourceText('rooms')) },
        second: { manifest: goodManifest, entry: pluginText(sourceText('rooms'), sourceText('b')) },
        third: { manifest: goodManifest, entry: pluginText(sourceText('b')) },
      });
      const { loaded, rejected } = await loadPlugins({ projects: [project] });
      expect(loaded.map(({ name }) => name)).toEqual(['first', 'third']);
      expect(rejected).toEqual([{ name: 'second', error: hasCode('PLUGIN_INVALID') }]);
      expect(rejected[0]!.error.message).toContain('first');
    });
  });

  it('loads what is named, by package name or path, and nothing else', async () => {
    await withTemporaryFolder(async (project) => {
      await install(project, {
        wanted: { manifest: goodManifest },
        unwanted: { manifest: goodManifest },
        local: { manifest: goodManifest },
      });
      await symlink(path.join(project, 'node_modules/local'), path.join(project, 'plugin'));
      const { loaded, rejected } = await loadPlugins({
        plugins: ['wanted', './plugin', 'absent', '../absent', './nothing', 'UPPER/../x', 'local'],
        projects: [project],
        from: project,
      });
      expect(loaded.map(({ name }) => name)).toEqual(['wanted', 'local']);
      expect(rejected.map(({ name, error }) => [name, error.code])).toEqual(
        ['absent', '../absent', './nothing', 'UPPER/../x'].map((name) => [name, 'PLUGIN_INVALID']),
      );
    });
  });

  it('needs a readable package.json of the project', async () => {
    await withTemporaryFolder(async (project) => {
      await expect(loadPlugins({ projects: [project] })).rejects.toThrow(hasCode('FILE_MISSING'));
      await writeFile(path.join(project, 'package.json'), '[');
      await expect(loadPlugins({ projects: [project] })).rejects.toThrow(hasCode('FILE_INVALID'));
    });
  });
});

describe('importModule', () => {
  it('imports in plain Node as it does under a test runner', async () => {
    const source = await readFile(path.join(__dirname, 'import-module.ts'), 'utf8');
    const { code } = await transform(source, {
      jsc: { target: 'es2022', parser: { syntax: 'typescript' } },
    });
    await withTemporaryFolder(async (folder) => {
      const plugin = path.join(folder, 'a plugin#1.mjs');
      await writeFile(plugin, 'export default 42;');
      await writeFile(path.join(folder, 'import-module.mjs'), code);
      await writeFile(
        path.join(folder, 'main.mjs'),
        `import { importModule } from './import-module.mjs';
        console.log((await importModule(${JSON.stringify(plugin)})).default);`,
      );
      const run = promisify(execFile);
      const { stdout } = await run(process.execPath, [path.join(folder, 'main.mjs')]);
      expect(stdout.trim()).toBe('42');
    });
  });
});

describe('createRegistry', () => {
  const adapter = (id: string, modelType: string) => ({
    specificationVersion: 'v1' as const,
    kind: 'backbone-adapter' as const,
    id,
    accepts: (config: Readonly<Record<string, unknown>>) => config['model_type'] === modelType,
    open: () => Promise.reject(new Error('not asked for')),
    writeTiny: () => Promise.resolve(),
  });
  const builtIn = [
    {
      name: 'built-in',
      plugin: definePlugin({
        specificationVersion: 'v1',
        contributions: () => [
          makeSource('rooms'),
          adapter('a', 'llm_a'),
          adapter('b', 'llm_b'),
          dptGeometryHead,
        ],
      }),
    },
  ];

  it('resolves by id and by the config of a checkpoint', async () => {
    const registry = createRegistry(await loadPlugins({ builtIn }));
    expect(registry.ids('backbone-adapter')).toEqual(['a', 'b']);
    expect(registry.resolveLabelSource('rooms').provides).toEqual(['depth']);
    expect(registry.resolveBackboneAdapter('a').id).toBe('a');
    expect(registry.resolveBackboneAdapter({ model_type: 'llm_b' }).id).toBe('b');
    expect(registry.container.resolve(LABEL_SOURCE).id).toBe('rooms');
    expect(registry.resolveGeometryHead('dpt').predicts).toEqual(['depth', 'ray', 'point']);
    expect(registry.container.resolve(GEOMETRY_HEAD).id).toBe('dpt');
    expect(() => registry.resolveGeometryHead('dtp')).toThrow(hasCode('PLUGIN_UNKNOWN'));
  });

  it('lists what is known, the nearest, and what was rejected', async () => {
    await withTemporaryFolder(async (project) => {
      await install(project, { 'bad-source': { manifest: { apiVersion: 7 } } });
      const registry = createRegistry(await loadPlugins({ builtIn, projects: [project] }));
      const expected = {
        code: 'PLUGIN_UNKNOWN',
        message: expect.stringMatching(/rooms.*bad-source/),
        hint: expect.stringContaining('"rooms"'),
      };
      expect(() => registry.resolveLabelSource('room')).toThrow(expect.objectContaining(expected));
      expect(() => registry.resolveBenchmark('x')).toThrow(hasCode('PLUGIN_UNKNOWN'));
      expect(() => registry.resolveBackboneAdapter({ model_type: 'llm_c' })).toThrow(
        expect.objectContaining({
          code: 'PLUGIN_UNKNOWN',
          message: expect.stringContaining('llm_c'),
        }),
      );
    });
  });

  it('says what to install for what a known plugin would give', async () => {
    const known = [
      { name: '@x/c', gives: ['c', 'llm_c'] },
      { name: builtIn[0]!.name, gives: ['a'] },
    ];
    const registry = createRegistry(await loadPlugins({ builtIn }), known);
    expect(registry.notInstalled).toEqual([known[0]]);
    const saying = (hint: string) => expect.objectContaining({ code: 'PLUGIN_UNKNOWN', hint });
    const install = saying('npm install @x/c');
    expect(() => registry.resolveBackboneAdapter({ model_type: 'llm_c' })).toThrow(install);
    expect(() => registry.resolveBackboneAdapter('c')).toThrow(install);
    expect(() => registry.resolveBackboneAdapter('llm-c')).toThrow(
      saying('Did you mean "llm_c"? npm install @x/c'),
    );
  });

  it('rejects a plugin of the host that cannot be imported, and keeps the others', async () => {
    const broken = { name: 'broken', plugin: () => Promise.reject(new Error('no module zod')) };
    const { loaded, rejected } = await loadPlugins({ builtIn: [broken, ...builtIn] });
    expect(loaded.map(({ name }) => name)).toEqual(builtIn.map(({ name }) => name));
    expect(rejected[0]!.error).toMatchObject({
      code: 'PLUGIN_INVALID',
      message: expect.stringContaining('no module zod'),
    });
  });

  it('goes on where an adapter fails on a configuration', async () => {
    const failing = {
      ...adapter('f', ''),
      accepts: () => {
        throw new Error('no');
      },
    };
    const plugin = definePlugin({ specificationVersion: 'v1', contributions: () => [failing] });
    const plugins = await loadPlugins({ builtIn: [...builtIn, { name: 'failing', plugin }] });
    expect(createRegistry(plugins).resolveBackboneAdapter({ model_type: 'llm_a' }).id).toBe('a');
  });

  it('does not choose between two adapters', async () => {
    const twins = definePlugin({
      specificationVersion: 'v1',
      contributions: () => [adapter('x', 'llm'), adapter('y', 'llm')],
    });
    const plugins = await loadPlugins({ builtIn: [{ name: 'twins', plugin: twins }] });
    expect(() => createRegistry(plugins).resolveBackboneAdapter({ model_type: 'llm' })).toThrow(
      hasCode('PLUGIN_INVALID'),
    );
  });

  it('keeps runs apart', async () => {
    const first = createRegistry(await loadPlugins({ builtIn }));
    const second = createRegistry({ loaded: [], rejected: [] });
    expect(first.ids('label-source')).toEqual(['rooms']);
    expect(second.ids('label-source')).toEqual([]);
  });
});
