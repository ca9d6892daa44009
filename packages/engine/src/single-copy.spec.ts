import { execFile } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { promisify } from 'node:util';

const own = resolve(__dirname, '..');
const tfjs = dirname(dirname(createRequire(__filename).resolve('@tensorflow/tfjs')));
const folder = mkdtempSync(join(tmpdir(), 'single-copy-'));
afterAll(() => rmSync(folder, { recursive: true }));

const otherEngine = join(folder, 'plugin/node_modules/@spatialsv/engine');
const otherTfjs = join(folder, 'plugin/node_modules/@tensorflow/tfjs');

/** What npm does when two versions are asked for: packages of their own below the plugin, everything else shared. */
beforeAll(() => {
  if (!existsSync(join(own, 'dist/index.js'))) {
    throw new Error(`${own}/dist is missing: run \`npm run build\` first`);
  }
  for (const part of ['dist', 'package.json'])
    cpSync(join(own, part), join(otherEngine, part), { recursive: true });
  for (const part of ['dist/tf.node.js', 'package.json']) {
    mkdirSync(dirname(join(otherTfjs, part)), { recursive: true });
    cpSync(join(tfjs, part), join(otherTfjs, part));
  }
  symlinkSync(resolve(tfjs, '../..'), join(folder, 'node_modules'));
});

interface Ended {
  readonly code?: string;
  readonly message?: string;
  readonly hint?: string;
}

/** Imports modules one after another in a process of its own, then compiles a program with the engine. */
async function load(...modules: readonly string[]): Promise<Ended> {
  const urls = modules.map((file) => pathToFileURL(file).href);
  const main = join(folder, 'main.mjs');
  const engine = pathToFileURL(join(own, 'dist/index.js')).href;
  writeFileSync(
    main,
    `try {
      for (const url of ${JSON.stringify(urls)}) await import(url);
      const { compile, float32, tf } = await import(${JSON.stringify(engine)});
      await compile(({ x }) => ({ y: tf.tanh(x) }), { x: float32([2]) }, { device: 'tfjs-cpu' });
      console.log('{}');
    } catch ({ code, message, hint }) {
      console.log(JSON.stringify({ code, message, hint }));
    }
    process.exit(0);`,
  );
  const { stdout } = await promisify(execFile)(process.execPath, [main]);
  return JSON.parse(stdout.trim().split('\n').at(-1)!) as Ended;
}

const ENGINE = join(own, 'dist/index.js');
const TFJS = join(tfjs, 'dist/tf.node.js');
const OTHER_TFJS = join(otherTfjs, 'dist/tf.node.js');

describe('a process with two copies of a package', () => {
  it.each([
    ['the engine', [ENGINE, join(otherEngine, 'dist/index.js')], [own, otherEngine]],
    ['tfjs, before the engine', [OTHER_TFJS, ENGINE], [tfjs, otherTfjs]],
    ['tfjs, after the engine', [ENGINE, OTHER_TFJS], [tfjs, otherTfjs]],
  ])('of %s hears which and what to do', async (_, modules, copies) => {
    const { code, message, hint } = await load(...modules);
    expect(code).toBe('DUPLICATE_PACKAGE');
    for (const copy of copies) expect(message).toContain(copy);
    expect(message!.match(/\d+\.\d+\.\d+ in /g)).toHaveLength(2);
    expect(hint).toContain('npm dedupe');
  });

  it('is none when the same copy is imported twice', async () => {
    expect(await load(TFJS, ENGINE, TFJS, ENGINE)).toEqual({});
  });
});
