import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { withTemporaryFolder } from '../testing/temporary-folder.js';
import { tinyText } from './tiny-text.js';
import { makeTinyTokenizer, QWEN_TOKENS, tokenizerConfig } from './tiny-tokenizer.js';
import { addedTokens } from './tokenizer-json.js';

const spec = { special: [...QWEN_TOKENS, '<img>', '</img>'], config: { eos_token: '<|im_end|>' } };

it('makes a small tokenizer of a corpus', async () => {
  const { ids, size, files } = await tinyText({ corpus: ['the red chair'] }, spec);
  expect(size).toBe(ids.size);
  expect(ids.get('</img>')).toBe(size - 1);
  expect(files['tokenizer_config.json']).toMatchObject({ eos_token: '<|im_end|>' });
});

it('takes the files of a folder, with the tokens that they lack behind their own', () =>
  withTemporaryFolder(async (folder) => {
    const real = makeTinyTokenizer(['a lamp'], 10, QWEN_TOKENS);
    const settings = { ...tokenizerConfig(real, {}), chat_template: 'of a text model', extra: 1 };
    await writeFile(path.join(folder, 'tokenizer.json'), JSON.stringify(real.json));
    await writeFile(path.join(folder, 'tokenizer_config.json'), JSON.stringify(settings));
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
