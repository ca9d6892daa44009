import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { SpatialError } from '@spatialsv/core';
import { Command } from 'commander';
import { checkHint } from './check-hint.js';
import { explainFailure } from './exit.js';
import { createProgram } from './run.js';
import { runForTest } from './testing/test-run.js';

// Spaces, commas and letters of all kinds belong to the names of folders.
const root = mkdtempSync(join(tmpdir(), 'my räume, 部屋 '));
afterAll(() => rmSync(root, { recursive: true }));

describe('~ in a path', () => {
  it('is the home folder in options and arguments', async () => {
    const lost = join(homedir(), 'no such folder');
    const ask = ['--images', 'a.png', '--question', '?'];
    const model = await runForTest(['ask', '--model=~/no such folder', ...ask]);
    expect(model.err).toContain(`${lost}: expected a checkpoint folder`);
    const config = await runForTest(['train', '~/no such folder']);
    expect(config.err).toContain(lost);
    const labels = await runForTest(['labels', 'show', '~/no such folder']);
    expect(labels.err).toContain(lost);
    expect(existsSync('~')).toBe(false);
  });

  it('is the home folder in a configuration', async () => {
    const config = join(root, 'config.yaml');
    writeFileSync(
      config,
      'model: ~/no such model\nout: ~/no such run\ndata: [{ path: ~/x.jsonl }]\n',
    );
    const { err } = await runForTest(['train', config]);
    expect(err).toContain(join(homedir(), 'no such model'));
    expect(existsSync(join(root, '~'))).toBe(false);
  });

  it('is expanded in every option that takes a path', () => {
    const program = createProgram({} as never);
    const commands = program.commands.flatMap((command) => [command, ...command.commands]);
    const flags = commands.flatMap(({ options }) => options.map((option) => option.flags));
    const paths = flags.filter((each) =>
      /^--(out|model|data|images|image-root|weights|settings) </.test(each),
    );
    expect(paths.length).toBeGreaterThan(15);
    for (const each of paths) expect(each).toMatch(/<(folder|file|path|store)s?(\.\.\.)?>/);
  });
});

describe('refused input', () => {
  it('names the command that lists every problem', async () => {
    const data = join(root, 'data.jsonl');
    writeFileSync(data, '{');
    const label = ['label', '--source', 'synthetic', '--out', join(root, 'out')];
    const { err } = await runForTest([...label, '--data', data]);
    expect(err).toContain(`hint: `);
    expect(err).toContain(`\`spatialsv check ${JSON.stringify(data)}\` lists every problem of it.`);
    mkdirSync(join(root, 'empty'));
    const ask = ['ask', '--model', join(root, 'empty'), '--images', 'a.png', '--question', '?'];
    expect((await runForTest(ask)).err).toContain(
      `spatialsv check ${JSON.stringify(join(root, 'empty'))}`,
    );
    const config = join(root, 'wrong.yaml');
    writeFileSync(config, 'modl: x\n');
    expect((await runForTest(['train', config])).err).toContain('spatialsv check');
    expect((await runForTest(['check', data])).err).not.toContain('spatialsv check');
  });

  it('names it once, where the error itself names it', () => {
    const command = new Command('eval').argument('<data>');
    command.parse(['rows.jsonl'], { from: 'user' });
    const refusal = (hint: string) =>
      new SpatialError({ code: 'DATA_INVALID', message: 'rows.jsonl: no questions', hint });
    expect(checkHint(refusal('Name another file.'), command)).toContain('check rows.jsonl');
    expect(checkHint(refusal('`spatialsv check DATA --benchmark ID` lists them.'), command)).toBe(
      '',
    );
  });

  it('is told without characters that a terminal would obey', () => {
    const error = new SpatialError({
      code: 'DATA_INVALID',
      message: 'a\x1b[2Jb\x07',
      hint: '\x9b',
    });
    expect(explainFailure(error, false).text).toBe(
      'error[DATA_INVALID]: a\ufffd[2Jb\ufffd\nhint: \ufffd\n',
    );
  });
});
