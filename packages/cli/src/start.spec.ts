import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

// What is loaded is asserted, not how long it takes: libraries of tensors, images and stores are most of a start.
const entry = fileURLToPath(new URL('../dist/main.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'spatialsv-start-'));
afterAll(() => rmSync(folder, { recursive: true }));

beforeAll(() => {
  if (!existsSync(entry)) throw new Error(`${entry} is missing: run \`npm run build\` first`);
  // Module hooks run in a thread of their own; the file is what both sides can see.
  const hooks = `import { appendFileSync } from 'node:fs';
    export const load = (url, context, next) => {
      appendFileSync(process.env.LOADED_MODULES, url + '\\n');
      return next(url, context);
    };`;
  writeFileSync(join(folder, 'hooks.mjs'), hooks);
  // What is required passes by the hooks.
  const register = `import { appendFileSync } from 'node:fs';
    import { createRequire, register } from 'node:module';
    import { pathToFileURL } from 'node:url';
    register('./hooks.mjs', import.meta.url);
    const { cache } = createRequire(import.meta.url);
    process.on('exit', () => {
      for (const file of Object.keys(cache))
        appendFileSync(process.env.LOADED_MODULES, pathToFileURL(file).href + '\\n');
    });`;
  writeFileSync(join(folder, 'register.mjs'), register);
});

/** Packages of which a command line loads modules. */
async function loadedBy(...args: string[]): Promise<string[]> {
  const log = join(folder, 'loaded.txt');
  writeFileSync(log, '');
  // What a developer has every Node load is no part of the program.
  const env = { ...process.env, NODE_OPTIONS: '', LOADED_MODULES: log };
  const options = { cwd: folder, env };
  const hooks = [...process.execArgv, '--import', join(folder, 'register.mjs')];
  await promisify(execFile)(process.execPath, [...hooks, entry, ...args], options);
  const urls = readFileSync(log, 'utf8').trim().split('\n');
  const names = urls.filter((url) => url.startsWith('file:')).map(packageOf);
  return [...new Set(names)].sort();
}

/** Name of an installed package, or folder of one of this repository; of the engine, which is heavy, the module. */
function packageOf(url: string): string {
  const installed = /.*\/node_modules\/((?:@[^/]+\/)?[^/]+)/.exec(url);
  if (installed !== null) return installed[1]!;
  const [, name, file] = /\/packages\/([^/]+)\/dist\/(.*)/.exec(url)!;
  return name === 'engine' ? `${name}/${file}` : name!;
}

describe('the start of the program', () => {
  it.each([
    ['--version'],
    ['--help'],
    ['train', '--help'],
    ['label', '--help'],
    ['labels', 'export', '--help'],
    ['eval', '--help'],
  ])('loads the command line alone: %s %s %s', async (...args) => {
    const words = args.filter((arg) => arg !== undefined);
    expect(await loadedBy(...words)).toEqual([
      ...['ansi-regex', 'cli', 'cli-progress', 'commander', 'core', 'emoji-regex'],
      ...['engine/errors.js', 'is-fullwidth-code-point', 'string-width', 'strip-ansi'],
    ]);
  });

  it('lists plugins without loading what they run on', async () => {
    const loaded = await loadedBy('plugins', '--json');
    expect(loaded).toEqual(expect.arrayContaining(['adapter-qwen25vl', 'eval', 'vfm-vggt']));
    const heavy = ['@tensorflow/tfjs', 'koffi', 'onnxruntime-node', 'sharp', 'lmdb'];
    expect(loaded.filter((name) => heavy.includes(name))).toEqual([]);
    expect(loaded.filter((name) => name.startsWith('engine'))).toEqual(['engine/errors.js']);
  });

  it('is seen to load them when a command needs them', async () => {
    expect(
      await loadedBy('tiny', '--family', 'qwen2.5-vl', '--out', join(folder, 'model')),
    ).toEqual(expect.arrayContaining(['@tensorflow/tfjs', 'engine/index.js', 'sharp']));
  });
});
