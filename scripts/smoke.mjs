/**
 * Checks the packages as a user gets them: each is packed, its content checked, unpacked beside the others, and every
 * entry imported by plain Node (which resolves more strictly than Jest). Then the examples of the docs are compiled, the plugin
 * that they write is used, and the command line is tried without the plugins that it does not need. The lock file is checked
 * too. Needs a build.
 */
import { execFile, execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, normalize } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readArguments } from './arguments.mjs';
import { findLockFaults } from './complete-lock.mjs';
import { checkExamples, installWrittenPlugin } from './doc-examples.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
// Inside node_modules, so that the dependencies of other people resolve from the unpacked packages.
const home = join(root, 'node_modules', '.cache', 'spatialsv-smoke');

const readManifest = (folder) => JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'));

/** @returns the publishable packages as `{ folder, manifest }`. */
function findPackages() {
  const folders = readdirSync(join(root, 'packages')).map((name) => join(root, 'packages', name));
  return folders
    .filter((folder) => existsSync(join(folder, 'package.json')))
    .map((folder) => ({ folder, manifest: readManifest(folder) }))
    .filter(({ manifest }) => manifest.private !== true);
}

/** Packs all packages and unpacks them where Node finds them; @returns the paths inside each tarball, by name of the package. */
function installAll(packages) {
  const folders = packages.map(({ folder }) => folder);
  const args = ['pack', ...folders, '--json', '--pack-destination', home];
  const packed = JSON.parse(
    execFileSync('npm', args, { cwd: root, encoding: 'utf8', stdio: 'pipe' }),
  );
  // npm 12 prints an object by package name where earlier ones print a list.
  const paths = Object.values(packed).map(({ name, filename, files }) => {
    const target = join(home, 'node_modules', name);
    mkdirSync(target, { recursive: true });
    execFileSync('tar', ['-xzf', join(home, filename), '-C', target, '--strip-components=1']);
    return [name, files.map(({ path }) => path)];
  });
  return new Map(paths);
}

/** @returns every file that the manifest promises: targets of `exports`, `bin` and the plugin entry. */
function promisedFiles(manifest) {
  const targets = Object.values(manifest.exports).flatMap((target) =>
    typeof target === 'string' ? [target] : [target.types, target.default],
  );
  targets.push(...Object.values(manifest.bin ?? {}), manifest.spatialsv?.entry);
  return targets.filter((path) => path !== undefined).map((path) => normalize(path));
}

const UNWANTED = /\.spec\.|(^|\/)__(golden|fixtures)__\/|^src\/|tsbuildinfo$/;

function checkContent(manifest, files) {
  const required = ['package.json', 'README.md', 'LICENSE', ...promisedFiles(manifest)];
  const missing = required.filter((path) => !files.includes(path));
  const unwanted = files.filter((path) => UNWANTED.test(path));
  if (missing.length > 0) throw new Error(`missing in the package: ${missing.join(', ')}`);
  if (unwanted.length > 0)
    throw new Error(`does not belong into the package: ${unwanted.join(', ')}`);
}

/** Runs Node in the folder of the unpacked packages; @throws with its output when it does not end with 0. */
async function node(...args) {
  const { status, stdout, stderr } = await runNode(home, args);
  if (status !== 0) throw new Error(`exit code ${status}\n${stdout}${stderr}`);
  return stdout;
}

/** @returns how Node ended, and what it wrote; `status` is what ended it where that was not its own exit. */
const runNode = (cwd, args) =>
  new Promise((resolve) => {
    const options = { cwd, encoding: 'utf8', timeout: 300_000, maxBuffer: 2 ** 26 };
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : (error.code ?? error.signal), stdout, stderr });
    });
  });

function importEntry(name) {
  const program = `const entry = await import(${JSON.stringify(name)});
    if (Object.keys(entry).length === 0) throw new Error('exports nothing');`;
  return node('--input-type=module', '--eval', program);
}

async function checkCommand(manifest, path) {
  const main = join(home, 'node_modules', manifest.name, path);
  if (!/usage/i.test(await node(main, '--help'))) throw new Error('--help prints no usage');
  const version = (await node(main, '--version')).trim();
  if (version !== manifest.version) {
    throw new Error(`--version prints ${version}, package.json says ${manifest.version}`);
  }
}

function checkLock() {
  const faults = findLockFaults();
  if (faults.length > 0)
    throw new Error(`${faults.join('\n')}\nRun node scripts/complete-lock.mjs.`);
}

const isPlugin = (name) => /^@spatialsv\/(adapter|vfm)-/.test(name);

/** A folder in which the command line is installed with one adapter, beside the dependencies of other people. */
function installSparsely(adapter) {
  const project = mkdtempSync(join(tmpdir(), 'spatialsv-sparse-'));
  const modules = join(project, 'node_modules');
  mkdirSync(join(modules, '@spatialsv'), { recursive: true });
  for (const name of readdirSync(join(root, 'node_modules')))
    if (!name.startsWith('.') && !/^@?spatialsv$/.test(name))
      symlinkSync(join(root, 'node_modules', name), join(modules, name), 'junction');
  const unpacked = join(home, 'node_modules');
  const own = readdirSync(join(unpacked, '@spatialsv')).map((name) => `@spatialsv/${name}`);
  for (const name of ['spatialsv', ...own.filter((name) => !isPlugin(name) || name === adapter)])
    cpSync(join(unpacked, name), join(modules, name), { recursive: true });
  return project;
}

/** With one adapter the others are named with the command that brings them, and nothing else fails. */
async function checkSparse() {
  const project = installSparsely('@spatialsv/adapter-qwen25vl');
  try {
    const main = join(project, 'node_modules', 'spatialsv', 'bin', 'spatialsv.js');
    const { stdout } = await runNode(project, [main, 'plugins', '--json']);
    const { contributions, notInstalled } = JSON.parse(stdout);
    const families = contributions.filter(({ kind }) => kind === 'backbone-adapter');
    if (families.map(({ id }) => id).join() !== 'qwen2.5-vl' || notInstalled.length !== 6)
      throw new Error(`expected Qwen2.5-VL alone, found\n${stdout}`);
    for (const [args, hint] of [
      [['tiny', '--family', 'internvl3', '--out', 'tiny'], '@spatialsv/adapter-internvl3'],
      [['demo', '--out', 'demo'], '@spatialsv/vfm-synthetic'],
    ]) {
      const { status, stderr } = await runNode(project, [main, ...args]);
      if (status === 0 || !stderr.includes(`hint: npm install ${hint}\n`))
        throw new Error(`expected a hint to install ${hint}, found\n${stderr}`);
    }
  } finally {
    rmSync(project, { recursive: true, force: true });
  }
}

/** Names in change notes that no package has stop a release. */
function checkChangesets(names) {
  const folder = join(root, '.changeset');
  const unknown = readdirSync(folder)
    .filter((file) => file.endsWith('.md') && file !== 'README.md')
    .flatMap((file) => {
      const [, head = ''] = readFileSync(join(folder, file), 'utf8').split(/^---$/m);
      const named = [...head.matchAll(/^['"]?([^'":\n]+)['"]?:/gm)].map(([, name]) => name);
      return named.filter((name) => !names.includes(name)).map((name) => `${file}: ${name}`);
    });
  if (unknown.length > 0) throw new Error(`no such package:\n${unknown.join('\n')}`);
}

/** The plugin of the docs conforms, and the command line finds it and labels with it. */
async function checkWrittenPlugin() {
  const plugin = installWrittenPlugin(home);
  await node('--test', join(plugin, 'dist', 'my-depth.test.js'));
  const manifest = { dependencies: { 'my-depth-source': '*' } };
  writeFileSync(join(home, 'package.json'), JSON.stringify(manifest));
  const main = join(home, 'node_modules', 'spatialsv', 'bin', 'spatialsv.js');
  const what = ['--source', 'my-depth', '--images', join(plugin, 'fixtures'), '--out', 'labels'];
  const { written, views } = JSON.parse(await node(main, 'label', ...what, '--json'));
  if (written !== 1 || views !== 2) throw new Error(`expected 2 views in a set, found ${views}`);
}

/** @returns the checks of one package as `[title, function]`; all packages are unpacked before the first one runs. */
function checksOf({ manifest }, files) {
  const { name } = manifest;
  const entries = Object.keys(manifest.exports).filter((path) => path !== './package.json');
  return [
    [`${name}: content of the package`, () => checkContent(manifest, files)],
    ...entries.map((path) => {
      const entry = name + path.slice(1);
      return [`${entry}: imports`, () => importEntry(entry)];
    }),
    ...Object.entries(manifest.bin ?? {}).map(([bin, path]) => [
      `${bin}: --help and --version`,
      () => checkCommand(manifest, path),
    ]),
  ];
}

async function passes([title, check]) {
  try {
    await check();
    console.log(`  ok      ${title}`);
    return true;
  } catch (error) {
    console.log(`  FAILED  ${title}\n${error.message}`);
    return false;
  }
}

/** Runs checks as many at once as there are cores, as each waits for a process; @returns whether each passed. */
async function runAll(checks) {
  const waiting = [...checks];
  const results = [];
  const worker = async () => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      results.push(await passes(next));
  };
  await Promise.all(Array.from({ length: availableParallelism() }, worker));
  return results;
}

/** @returns how many checks passed and failed. */
export async function runSmoke() {
  rmSync(home, { recursive: true, force: true });
  mkdirSync(home, { recursive: true });
  const packages = findPackages();
  const files = installAll(packages);
  const names = packages.map(({ manifest }) => manifest.name);
  const results = await runAll([
    ['spatialsv: runs with one adapter, and names those that are missing', checkSparse],
    ['package-lock.json: complete on every platform', checkLock],
    ['.changeset: names packages that there are', () => checkChangesets(names)],
    ...packages.flatMap((item) => checksOf(item, files.get(item.manifest.name))),
    ['examples of READMEs and docs: compile', () => checkExamples(home)],
  ]);
  // Built of the examples.
  const plugin = 'the plugin of docs/concepts/plugins.md: conforms and labels';
  results.push(await passes([plugin, checkWrittenPlugin]));
  rmSync(home, { recursive: true, force: true });
  const passed = results.filter(Boolean).length;
  return { passed, failed: results.length - passed };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  readArguments(import.meta.url);
  const { passed, failed } = await runSmoke();
  console.log(`\n${passed} passed, ${failed} failed`);
  process.exitCode = failed > 0 ? 1 : 0;
}
