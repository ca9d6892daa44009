import { cpSync } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runForTest } from '../../testing/test-run.js';

/** A project of a user: plugins that cannot be loaded, configurations that mean harm, an evaluation that was touched. */
export async function writeTroubledProject(root: string, model: string): Promise<void> {
  await install(join(root, 'project'), {
    'ends-the-process': 'process.exit(0);',
    'throws-later': "Promise.reject(new Error('later'));",
  });
  await writeFile(join(root, 'aliases.yaml'), explodingAliases());
  await writeFile(join(root, 'keys.yml'), 'model: x\nheads: { __proto__: { a: 1 } }\n');
  await writeEvaluation(root, model);
}

async function install(project: string, entries: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, entry] of Object.entries(entries)) {
    const folder = join(project, 'node_modules', name);
    await mkdir(folder, { recursive: true });
    const manifest = { apiVersion: 1, kinds: ['benchmark'], entry: './plugin.mjs' };
    const content = { name, version: '1.0.0', spatialsv: manifest };
    await writeFile(join(folder, 'package.json'), JSON.stringify(content));
    await writeFile(join(folder, 'plugin.mjs'), entry);
  }
  const dependencies = Object.fromEntries(Object.keys(entries).map((name) => [name, '*']));
  await writeFile(join(project, 'package.json'), JSON.stringify({ dependencies }));
}

/** Each line names the one before nine times. */
function explodingAliases(): string {
  const lines = Array.from({ length: 9 }, (_, level) => {
    const inner = level === 0 ? 'x' : `*a${level - 1}`;
    return `a${level}: &a${level} [${Array(9).fill(inner).join(', ')}]`;
  });
  return `${lines.join('\n')}\n`;
}

/** An evaluation of one question, whose output was changed afterwards. */
async function writeEvaluation(root: string, model: string): Promise<void> {
  const image = join('my photos, 2', 'IMG_1.PNG');
  const row = { id: 'a', images: [image], question: 'Left?', options: { A: 'yes', B: 'no' } };
  await writeFile(join(root, 'asked.jsonl'), JSON.stringify({ ...row, answer: 'A' }));
  const out = join(root, 'evaluation');
  const data = ['--benchmark', 'jsonl', '--data', join(root, 'asked.jsonl')];
  const limit = ['--max-new-tokens', '1'];
  const { exitCode, err } = await runForTest([
    ...['eval', '--model', model, '--out', out],
    ...[...data, ...limit],
  ]);
  if (exitCode !== 0) throw new Error(err);
  cpSync(out, join(root, 'touched'), { recursive: true });
  const file = join(root, 'touched', 'predictions.jsonl');
  const answer = JSON.parse(await readFile(file, 'utf8'));
  await writeFile(file, `${JSON.stringify({ ...answer, raw: 'A', score: 1, extracted: 'B' })}\n`);
}
