import { rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { withTemporaryFolder } from '../testing/temporary-folder.js';
import {
  type ChatMessage,
  openTextCodec,
  openTextProcessor,
  refusePlaceholders,
} from './text-processor.js';
import { makeTinyTokenizer, QWEN_TOKENS, tokenizerConfig } from './tiny-tokenizer.js';

const tokenizer = makeTinyTokenizer(['the red chair'], 50, QWEN_TOKENS);
const settings = tokenizerConfig(tokenizer, { tokenizer_class: 'Qwen2Tokenizer' });
const messages: readonly ChatMessage[] = [
  { role: 'system', content: 'Be brief.' },
  { role: 'user', content: [{ type: 'image' }, { type: 'text', text: 'Where?' }] },
];
const named = (name: string) =>
  `${name} {{ messages | length }}{% if add_generation_prompt %}!{% endif %}`;

/** A folder with a tokenizer and these files, JSON unless they are templates. */
const withFiles = (
  files: Readonly<Record<string, unknown>>,
  use: (folder: string) => Promise<void>,
) =>
  withTemporaryFolder(async (folder) => {
    const all = { 'tokenizer.json': tokenizer.json, 'tokenizer_config.json': settings, ...files };
    for (const [name, content] of Object.entries(all)) {
      const text = typeof content === 'string' ? content : JSON.stringify(content);
      await writeFile(path.join(folder, name), text);
    }
    await use(folder);
  });

describe('openTextProcessor', () => {
  it('finds the chat template in its three places, the oldest first', () =>
    withFiles(
      {
        'chat_template.json': { chat_template: named('legacy') },
        'chat_template.jinja': named('jinja'),
        'tokenizer_config.json': {
          ...settings,
          chat_template: [
            { name: 'tool_use', template: 'no' },
            { name: 'default', template: named('config') },
          ],
        },
      },
      async (folder) => {
        for (const [name, file] of [
          ['legacy', 'chat_template.json'],
          ['jinja', 'chat_template.jinja'],
          ['config', undefined],
        ] as const) {
          const text = await openTextProcessor(folder, {});
          expect(await text.render(messages)).toBe(`${name} 2!`);
          if (file) await rm(path.join(folder, file));
        }
      },
    ));

  it('opens the tokenizer alone where there is no template', () =>
    withFiles({}, async (folder) => {
      const text = await openTextCodec(folder, {});
      expect(text.decode(text.encode('the red chair'))).toBe('the red chair');
      await expect(openTextProcessor(folder, {})).rejects.toMatchObject({ code: 'FILE_MISSING' });
    }));

  it('encodes special tokens whole and leaves them out when it decodes', () =>
    withFiles({ 'chat_template.jinja': named('a') }, async (folder) => {
      const text = await openTextProcessor(folder, {});
      const ids = text.encode('<|im_start|>the red chair<|im_end|>');
      expect(ids[0]).toBe(tokenizer.ids.get('<|im_start|>'));
      expect(text.decode([...ids, 100_000])).toBe('the red chair');
      expect(text.decode([])).toBe('');
    }));

  it.each([
    ['no JSON', '{"model": {"vocab": {"a": 1}, "merges": ["a b"', 'cut off'],
    ['another kind of tokenizer', { ...tokenizer.json, model: { type: 'Odd' } }, 'Odd'],
  ])('says what is wrong with a tokenizer that is %s', (_, content, said) =>
    withFiles({ 'tokenizer.json': content }, (folder) =>
      expect(openTextCodec(folder, {})).rejects.toMatchObject({
        code: 'FILE_INVALID',
        message: expect.stringContaining(said),
      }),
    ),
  );

  it('gives added tokens their own ids where the vocabulary has others for them', () => {
    const { model, added_tokens: added } = tokenizer.json as {
      readonly model: { readonly vocab: object };
      readonly added_tokens: readonly { readonly content: string; readonly id: number }[];
    };
    const { content: token, id } = added[0]!;
    const json = { ...tokenizer.json, model: { ...model, vocab: { ...model.vocab, [token]: 3 } } };
    return withFiles({ 'tokenizer.json': json }, async (folder) => {
      const text = await openTextCodec(folder, { [token]: id });
      expect(text.encode(token)).toEqual([id]);
    });
  });

  it('compares ids with the configuration', () =>
    withFiles({ 'chat_template.jinja': named('a') }, async (folder) => {
      const id = tokenizer.ids.get('<|image_pad|>')!;
      await openTextProcessor(folder, { '<|image_pad|>': id });
      for (const wrong of [{ '<|image_pad|>': id + 1 }, { '<|other|>': 1 }]) {
        await expect(openTextProcessor(folder, wrong)).rejects.toMatchObject({
          code: 'CONFIG_INVALID',
        });
      }
    }));

  it('says what is wrong with a template', async () => {
    await withFiles({}, (folder) =>
      expect(openTextProcessor(folder, {})).rejects.toMatchObject({ code: 'FILE_MISSING' }),
    );
    await withFiles({ 'chat_template.jinja': '{% if %}' }, (folder) =>
      expect(openTextProcessor(folder, {})).rejects.toMatchObject({ code: 'FILE_INVALID' }),
    );
  });
});

describe('refusePlaceholders', () => {
  it.each(['<own>', '<image>', '<video>', '<|image_pad|>', '<image_2>', '<IMG_CONTEXT>'])(
    'refuses %s, of this family or another',
    (placeholder) => {
      const refuse = () => refusePlaceholders({ question: `${placeholder} Where?` }, ['<own>']);
      expect(refuse).toThrow(expect.objectContaining({ code: 'DATA_INVALID' }));
      expect(refuse).toThrow(`found the placeholder ${placeholder}`);
    },
  );

  it('lets other texts pass', () => {
    refusePlaceholders({ question: 'Is 1 < 2 and <b> a tag?' }, ['<own>']);
  });

  it.each(['system', 'answer'])('looks at the %s too', (what) => {
    expect(() => refusePlaceholders({ [what]: 'a <own>' }, ['<own>'])).toThrow(`${what}: `);
  });
});
