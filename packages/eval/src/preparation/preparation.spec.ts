import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { SpatialError, writePng } from '@spatialsv/core';
import type { ConversationV1, PromptPartV1 } from '@spatialsv/core/spec';
import { layOut } from '../runner/test-backbone.js';
import type { PrepareReply } from './messages.js';
import { PreparationPool } from './preparation-pool.js';
import { servePreparation } from './serve-preparation.js';

const folder = mkdtempSync(join(tmpdir(), 'spatialsv-preparation-'));
afterAll(() => rmSync(folder, { recursive: true }));

const text = (words: string): PromptPartV1 => ({ type: 'text', text: words });

describe('servePreparation', () => {
  const inputs = layOut([1], [[2, 2]], [3]);
  const seen: ConversationV1[] = [];
  let ask: (request: object) => Promise<PrepareReply>;
  let ports: readonly MessagePort[];

  beforeAll(() => {
    const { port1, port2 } = new MessageChannel();
    ports = [port1, port2];
    const prepare = async (conversation: ConversationV1) => {
      seen.push(conversation);
      if (conversation.question !== 'bad') return inputs;
      throw new SpatialError({ code: 'IMAGE_INVALID', message: 'too small', hint: 'Larger.' });
    };
    servePreparation(Promise.resolve({ prepare }), port1);
    ask = (request) =>
      new Promise((resolve) => {
        port2.once('message', resolve);
        port2.postMessage(request);
      });
  });
  afterAll(() => {
    for (const port of ports) port.close();
  });

  it('gives what the backbone prepares, from images in files and in memory', async () => {
    const pixels = { data: Uint8Array.of(9, 8, 7), height: 1, width: 1 };
    const file = join(folder, 'a.png');
    await writePng(file, pixels.data, { ...pixels, channels: 3 });
    const image = (source: string | Uint8Array) => ({
      type: 'image',
      image: { name: 'i', source },
    });
    const bytes = new Uint8Array(readFileSync(file));
    const expected = structuredClone(inputs);
    const reply = await ask({
      id: 4,
      parts: [image(file), image(bytes), text('good')],
      system: 's',
    });
    expect(reply).toEqual({ id: 4, inputs: expected });
    expect(seen[0]).toMatchObject({ question: 'good', system: 's', images: [pixels, pixels] });
  });

  it('says what went wrong with code and hint', async () => {
    const reply = await ask({ id: 5, parts: [text('bad')], system: undefined });
    const coded = { code: 'IMAGE_INVALID', hint: 'Larger.' };
    expect(reply).toEqual({ id: 5, failure: { message: 'too small', coded } });
  });
});

describe('PreparationPool', () => {
  const poolOf = (program: string, workers = 2) => {
    const file = join(folder, `${program.length}.mjs`);
    writeFileSync(
      file,
      `import { parentPort, workerData } from 'node:worker_threads';\n${program}`,
    );
    return new PreparationPool({ entry: pathToFileURL(file), data: { add: 1 }, workers });
  };
  const question = (words: string) => ({ parts: [text(words)] });

  it('spreads questions over its threads, each with its own answer', async () => {
    const pool = poolOf(`parentPort.on('message', ({ id, parts }) =>
      parentPort.postMessage({ id, inputs: Number(parts[0].text) + workerData.add }));`);
    const asked = Array.from({ length: 9 }, (_, i) => pool.prepare(question(String(i))));
    expect(await Promise.all(asked)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await pool.dispose();
  });

  it('throws what a thread says went wrong', async () => {
    const pool = poolOf(`parentPort.on('message', ({ id }) => parentPort.postMessage({ id,
      failure: { message: 'too small', coded: { code: 'IMAGE_INVALID', hint: 'Larger.' } } }));`);
    await expect(pool.prepare(question('1'))).rejects.toMatchObject({
      ...{ code: 'IMAGE_INVALID', hint: 'Larger.', message: 'too small' },
    });
    await pool.dispose();
  });

  it('does not wait for a thread that has ended', async () => {
    const pool = poolOf(`parentPort.on('message', () => process.exit(3));`, 1);
    await expect(pool.prepare(question('1'))).rejects.toThrow('ended with 3');
    await expect(pool.prepare(question('2'))).rejects.toThrow('ended with 3');
    await pool.dispose();
  });
});
