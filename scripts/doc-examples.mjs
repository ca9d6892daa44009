/**
 * The examples of the READMEs and docs, as a user's compiler sees them, and the plugin that docs/concepts/plugins.md writes.
 *
 * An example that goes on from something says so in a comment before it, which readers do not see:
 *
 *     <!-- given
 *     declare const paths: readonly string[];
 *     -->
 *
 * One that begins with a comment like `// my-depth.ts` is a file of that name; others of the page may import it.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Paths of the pages for users. */
const pages = () =>
  ['README.md', 'docs', 'packages'].flatMap((name) => {
    const path = join(root, name);
    if (name.endsWith('.md')) return [path];
    const files = readdirSync(path, { recursive: true, encoding: 'utf8' });
    const own = files.filter((file) => file.endsWith('.md') && !file.includes('node_modules'));
    return own.map((file) => join(path, file));
  });

/** The fence of an example, and what is given to it. */
const EXAMPLE = /(?:^<!-- given\n([\s\S]*?)^-->\n)?^```(?:ts|js)\n([\s\S]*?)^```/gm;

/** Name of the folder of the examples of a page. */
const folderOf = (page) => relative(root, page).replaceAll(/[^\w-]+/g, '-');

/** @returns the examples of a page as `{ name, code }`; names are those of files below one folder. */
function examplesOf(page) {
  const text = readFileSync(page, 'utf8');
  const folder = folderOf(page);
  return [...text.matchAll(EXAMPLE)].map(({ index, 1: given = '', 2: code }) => {
    const line = text.slice(0, index).split('\n').length;
    const [, name = `line-${line}.ts`] = /^\/\/ (\S+\.ts)\n/.exec(code) ?? [];
    return { name: join(folder, name), code: `${given}${code}export {};\n` };
  });
}

/** What docs/concepts/plugins.md says that a user needs, and the strictness that most users have. */
const OPTIONS = {
  target: 'es2023',
  module: 'nodenext',
  types: ['node'],
  strict: true,
  skipLibCheck: true,
};

/**
 * Compiles all examples, below `examples/`.
 * @param folder where the packages are installed. @throws Error with what the compiler says.
 */
export function checkExamples(folder) {
  const home = join(folder, 'examples');
  const examples = pages().flatMap(examplesOf);
  if (examples.length < 20) throw new Error(`expected examples, found ${examples.length}`);
  for (const { name, code } of examples) {
    mkdirSync(dirname(join(home, name)), { recursive: true });
    writeFileSync(join(home, name), code);
  }
  writeFileSync(join(home, 'package.json'), '{ "type": "module" }');
  const config = {
    compilerOptions: { ...OPTIONS, outDir: 'dist' },
    files: examples.map(({ name }) => name),
  };
  writeFileSync(join(home, 'tsconfig.json'), JSON.stringify(config));
  const tsc = join(root, 'node_modules', 'typescript', 'bin', 'tsc');
  const { status, stdout, stderr } = spawnSync(process.execPath, [tsc, '-p', home], {
    cwd: home,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`${stdout}${stderr}`);
}

const PLUGIN_PAGE = join(root, 'docs', 'concepts', 'plugins.md');

/**
 * Installs the plugin of the docs as npm would; the examples have to be compiled before.
 * @param folder where the packages are installed. @returns its folder.
 */
export function installWrittenPlugin(folder) {
  const [, manifest] = /^```json\n([\s\S]*?)^```/m.exec(readFileSync(PLUGIN_PAGE, 'utf8'));
  const plugin = join(folder, 'node_modules', JSON.parse(manifest).name);
  cpSync(join(folder, 'examples', 'dist', folderOf(PLUGIN_PAGE)), join(plugin, 'dist'), {
    recursive: true,
  });
  writeFileSync(join(plugin, 'package.json'), manifest);
  for (const name of ['1.png', '2.png'])
    cpSync(join(root, 'docs', 'images', 'report.png'), join(plugin, 'fixtures', name));
  return plugin;
}
