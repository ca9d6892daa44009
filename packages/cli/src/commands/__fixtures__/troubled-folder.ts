import { mkdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { encodePng } from '@spatialsv/core';

/** A folder as people bring it: everything that a check shall find, and what it shall read without a word. */
export interface TroubledFolder {
  readonly photos: string;
  readonly rows: string;
  readonly chats: string;
  readonly mmbench: string;
  readonly config: string;
}

/** One pixel that is not seen. */
const TRANSPARENT_GIF = Buffer.from(
  'R0lGODlhAQABAIAAAP8AAAAAACH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==',
  'base64',
);

const box = (brand: string) => `\0\0\0\x14ftyp${brand}\0\0\0\0${brand}`;

/** @param model folder of a checkpoint of Qwen2.5-VL. */
export async function writeTroubledFolder(root: string, model: string): Promise<TroubledFolder> {
  const photos = join(root, 'my photos, 2');
  await mkdir(join(photos, 'older'), { recursive: true });
  const png = (width: number, height: number) =>
    encodePng(new Uint8Array(3 * width * height).fill(90), { width, height, channels: 3 });
  const images: Readonly<Record<string, Uint8Array | string>> = {
    'IMG_1.PNG': await png(8, 6),
    'IMG_2.jfif.png': await png(6, 8),
    'IMG_3.HEIC': box('heic'),
    'IMG_4.bmp': 'BM\x46\0\0\0\0',
    'IMG_5.jpg': '<!doctype html><title>Not found</title>',
    'IMG_6.jpg': 'version https://git-lfs.github.com/spec/v1',
    'IMG_7.mov': box('qt  '),
    'strip.png': await png(1, 400),
    'depth.png': await encodePng(Uint16Array.of(300, 4001), { width: 2, height: 1, channels: 1 }),
    'cut.png': (await png(64, 64)).subarray(0, 90),
    '._IMG_1.PNG': 'resource fork',
    'Thumbs.db': 'cache',
    'notes.txt': 'notes',
    'seen through.gif': TRANSPARENT_GIF,
    'huge.tif': 'II*\0',
  };
  for (const [name, content] of Object.entries(images))
    await writeFile(join(photos, name), content, 'latin1');
  await truncate(join(photos, 'huge.tif'), 1.5 * 2 ** 30);
  await symlink(join(root, 'nowhere'), join(photos, 'lost.jpg'));
  const write = async (name: string, content: string | Uint8Array) => {
    await writeFile(join(root, name), content);
    return join(root, name);
  };
  const image = 'my photos, 2\\IMG_1.PNG';
  const row = (id: string, change: object = {}) =>
    JSON.stringify({ id, images: [image], question: 'Where?\u2028Here?', answer: 'x', ...change });
  const rows = await write('rows.jsonl', `\ufeff${[
    row('same'),
    row('same', { question: 'What?' }),
    row('placeholder', { question: '<image>\nWhere?' }),
    row('outside', { images: ['../../etc/passwd'] }),
    row('missing', { images: ['gone.png'] }),
    row('strip', { images: ['my photos, 2/strip.png'] }),
    row('phone', { images: ['my photos, 2/IMG_3.HEIC'] }),
    '{"id": "broken", "images": [secret]}',
    row('wrong', { question: 7 }),
    `{"a":${'['.repeat(200)}${']'.repeat(200)}}`,
  ].join('\r\n')}`);
  const turns = (value: string) => [{ from: 'human', value }, { from: 'gpt', value: 'Left.' }];
  const chats = await write('chats.json', Buffer.from(JSON.stringify([
    { id: 1, image, conversations: turns('<image>\nLeft?') },
    { id: 2, image, conversations: [...turns('<image>\nLeft?'), ...turns('Sure?')] },
    { id: 3, image, conversations: turns('<video>\nLeft?') },
  ], null, 1), 'utf16le'));
  const mmbench = await write('mmbench.jsonl', [
    `{"index":"7","image":"my photos, 2/IMG_1.PNG","question":"?","options":{"A":1,"B":"b","C":NaN,"D":null},"hint":"","answer":"A"}`,
    `{"index":8,"image":"my photos, 2/IMG_1.PNG","question":"?","options":{"A":"a","B":["b"]},"answer":"A"}`,
  ].join('\n'));
  const config = await write('run.yaml', [
    `model: ${JSON.stringify(model)}`,
    'out: ~/no such run',
    'data: [{ path: rows.jsonl }, { path: chats.json }, { path: lost.jsonl }]',
    'source: { name: sintetic }',
  ].join('\n'));
  return { photos, rows, chats, mmbench, config };
}
