import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { JsonObject } from '../json.js';
import { withTemporaryFolder } from '../testing/temporary-folder.js';
import { openTextCodec } from './text-processor.js';
import { tinyText } from './tiny-text.js';
import { makeTinyTokenizer, QWEN_TOKENS, tokenizerConfig } from './tiny-tokenizer.js';
import { addedTokens } from './tokenizer-json.js';

const spec = { special: [...QWEN_TOKENS, '<img>', '</img>'], config: { eos_token: '<|im_end|>' } };

const writeTokenizer = async (folder: string, files: Readonly<Record<string, JsonObject>>) => {
  for (const [name, content] of Object.entries(files))
    await writeFile(path.join(folder, name), JSON.stringify(content));
};

it('makes a small tokenizer of a corpus', async () => {
  const { ids, size, files } = await tinyText({ corpus: ['the red chair'] }, spec);
  expect(size).toBe(ids.size);
  expect(ids.get('</img>')).toBe(size - 1);
  expect(files['tokenizer_config.json']).toMatchObject({ eos_token: '<|im_end|>' });
});

it('makes a small tokenizer of the kind of Llama', () =>
  withTemporaryFolder(async (folder) => {
    const corpus = ['What is left of the red chair? A. the lamp'];
    const llama = { kind: 'llama', special: ['<video>', '<image>'], config: {} } as const;
    const { ids, size, files } = await tinyText({ corpus }, llama);
    expect(['<unk>', '<s>', '</s>', '<0x00>'].map((token) => ids.get(token))).toEqual([0, 1, 2, 3]);
    expect([ids.get('<video>'), ids.get('<image>')]).toEqual([size - 2, size - 1]);
    await writeTokenizer(folder, files);
    const { encode, decode } = await openTextCodec(folder, { '<image>': size - 1 });
    const text = '<s>What is the lamp?\nÜ 家';
    expect(encode(text)[0]).toBe(1);
    expect(encode('the lamp')).toEqual([ids.get('▁the'), ids.get('▁lamp')]);
    expect(decode(encode(text))).toBe('What is the lamp?\nÜ 家');
  }));

it('takes the files of a folder, with the tokens that they lack behind their own', () =>
  withTemporaryFolder(async (folder) => {
    const real = makeTinyTokenizer(['a lamp'], 10, QWEN_TOKENS);
    const settings = { ...tokenizerConfig(real, {}), chat_template: 'of a text model', extra: 1 };
    await writeTokenizer(folder, {
      'tokenizer.json': real.json,
      'tokenizer_config.json': settings,
    });
    const { ids, size, files } = await tinyText({ tokenizer: folder }, spec);
    expect(ids.get('<|im_end|>')).toBe(real.ids.get('<|im_end|>'));
    expect([ids.get('<img>'), ids.get('</img>')]).toEqual([real.ids.size, real.ids.size + 1]);
    expect(size).toBe(real.ids.size + 2);
    expect(addedTokens(files['tokenizer.json']!).at(-1)).toMatchObject({ content: '</img>' });
    const config = files['tokenizer_config.json']!;
    expect(config).toMatchObject({ extra: 1, eos_token: '<|im_end|>' });
    expect(config).not.toHaveProperty('chat_template');
    expect(Object.keys(config['added_tokens_decoder'] as object)).toContain(`${size - 1}`);
  }));
