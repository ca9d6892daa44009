import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MessageChannel, type MessagePort } from 'node:worker_threads';
import { SpatialError, writePng } from '@spatialsv/core';
import type { ConversationV1, PromptPartV1 } from '@spatialsv/core/spec';
import { layOut } from '../testing/test-backbone.js';
import { servePreparation } from './serve-preparation.js';

const folder = mkdtempSync(join(tmpdir(), 'spatialsv-preparation-'));
afterAll(() => rmSync(folder, { recursive: true }));

const text = (words: string): PromptPartV1 => ({ type: 'text', text: words });

describe('servePreparation', () => {
  const inputs = layOut([1], [[2, 2]], [3]);
  const seen: ConversationV1[] = [];
  let ask: (request: object) => Promise<object>;
  let ports: readonly MessagePort[];

  beforeAll(async () => {
    const { port1, port2 } = new MessageChannel();
    ports = [port1, port2];
    const prepare = async (conversation: ConversationV1) => {
      seen.push(conversation);
      if (conversation.question !== 'bad') return inputs;
      throw new SpatialError({ code: 'IMAGE_INVALID', message: 'too small', hint: 'Larger.' });
    };
    const ready = new Promise((resolve) => port2.once('message', resolve));
    servePreparation(Promise.resolve({ prepare }), port1);
    expect(await ready).toEqual({ ready: true });
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
    const parts = [image(file), image(bytes), text('good')];
    const reply = await ask({ id: 4, request: { parts, system: 's' } });
    expect(reply).toEqual({ id: 4, reply: expected });
    expect(seen[0]).toMatchObject({ question: 'good', system: 's', images: [pixels, pixels] });
  });

  it('says what went wrong with code and hint', async () => {
    const reply = await ask({ id: 5, request: { parts: [text('bad')], system: undefined } });
    const coded = { code: 'IMAGE_INVALID', hint: 'Larger.' };
    expect(reply).toEqual({ id: 5, failure: { message: 'too small', coded } });
  });
});
