import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { loadSuite } from '@spatialsv/eval';
import { loadSweep, parseTrainConfig } from '@spatialsv/train';
import type { Command } from 'commander';
import { parse, stringify } from 'yaml';
import { silentProgress } from './progress.js';
import { createProgram } from './run.js';

const REPOSITORY = fileURLToPath(new URL('../../../', import.meta.url));

/** What users read. */
const pages = ['README.md', 'docs', 'examples', 'packages']
  .flatMap((name) => {
    if (name.endsWith('.md')) return [join(REPOSITORY, name)];
    const below = readdirSync(join(REPOSITORY, name), { recursive: true, encoding: 'utf8' });
    return below.map((file) => join(REPOSITORY, name, file));
  })
  .filter((file) => file.endsWith('.md') && !/node_modules|decisions|CHANGELOG/.test(file));

/** Fenced blocks of these languages, with the line where each begins. */
const blocksOf = (languages: RegExp) =>
  pages.flatMap((page) => {
    const text = readFileSync(page, 'utf8');
    return [...text.matchAll(/^```(\w*)\n([\s\S]*?)^```/gm)]
      .filter(([, language]) => languages.test(language!))
      .map(({ index, 2: block }) => {
        const line = text.slice(0, index).split('\n').length;
        return { where: `${relative(REPOSITORY, page)}:${line}`, block: block! };
      });
  });

const commandLines = blocksOf(/^(sh)?$/).flatMap(({ where, block }) =>
  block
    .replaceAll(/\\\n\s*/g, ' ')
    .split('\n')
    .flatMap((line) => {
      const [, args] = /^(?:[A-Z_]+=\S+ )?(?:npx )?spatialsv (.*?)(?: +[#&|].*)?$/.exec(line) ?? [];
      return args === undefined ? [] : [[where, args] as const];
    }),
);

/** The words of a command line, as a shell takes them apart. */
const wordsOf = (line: string) =>
  [...line.matchAll(/'([^']*)'|"([^"]*)"|\S+/g)].map(([word, a, b]) => a ?? b ?? word);

/** The real commands and options, which do nothing. */
function idleProgram(): Command {
  const ignored = () => {};
  const program = createProgram({
    ...{ out: ignored, err: ignored, progress: silentProgress, folder: '.' },
    signal: new AbortController().signal,
  });
  const silence = (command: Command) => {
    if (command.commands.length === 0 || command.registeredArguments.length > 0)
      command.action(ignored);
    command.commands.forEach(silence);
  };
  program.commands.forEach(silence);
  return program;
}

it('has command lines to look at', () => {
  expect(commandLines.length).toBeGreaterThan(40);
});

it.each(commandLines)('%s: spatialsv %s', async (_, line) => {
  await idleProgram().parseAsync(wordsOf(line), { from: 'user' });
});

describe('a configuration of the docs', () => {
  const root = mkdtempSync(join(tmpdir(), 'spatialsv-docs-'));
  const file = join(root, 'configuration.yaml');
  afterAll(() => rmSync(root, { recursive: true }));

  const least = { model: 'model', data: [{ path: 'data.jsonl' }], out: 'runs/first' };
  const checks = {
    /** A whole one, or keys to be added to one. */
    train: async (content: object) => {
      parseTrainConfig(stringify({ ...least, ...content }), file);
    },
    sweep: async (content: { readonly base: string }) => {
      writeFileSync(join(root, content.base), stringify(least));
      writeFileSync(file, stringify(content));
      await loadSweep(file);
    },
    suite: async (content: Readonly<Record<'models' | 'benchmarks', object>>) => {
      const named = [content.models, content.benchmarks].flatMap((each) => Object.values(each));
      for (const each of named)
        mkdirSync(join(root, each.model ?? each.data ?? each), { recursive: true });
      writeFileSync(file, stringify(content));
      await loadSuite(file);
    },
  };

  it.each(blocksOf(/^yaml$/))('$where', async ({ block }) => {
    const content = parse(block);
    const kind = 'arms' in content ? 'sweep' : 'benchmarks' in content ? 'suite' : 'train';
    await checks[kind](content);
  });
});
