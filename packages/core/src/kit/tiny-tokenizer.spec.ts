import { Tokenizer } from '@huggingface/tokenizers';
import { makeTinyTokenizer, QWEN_TOKENS, tokenizerConfig } from './tiny-tokenizer.js';

const corpus = ['Which object is nearest to the red chair?', 'A. the lamp', "it's the blue sofa\n"];

const open = (texts: readonly string[], maxMerges = 1000) => {
  const made = makeTinyTokenizer(texts, maxMerges, QWEN_TOKENS);
  const family = { tokenizer_class: 'Qwen2Tokenizer' };
  return { ids: made.ids, tokenizer: new Tokenizer(made.json, tokenizerConfig(made, family)) };
};

describe('makeTinyTokenizer', () => {
  const { tokenizer, ids } = open(corpus);
  const encode = (text: string) => tokenizer.encode(text, { add_special_tokens: false }).ids;

  it('makes every word of the corpus one token', () => {
    expect(encode('Which object is nearest to the red chair?')).toHaveLength(9);
    expect(encode("it's the blue lamp")).toHaveLength(5);
  });

  it.each(['chair', 'Ünïcode 漢字 🙂\r\n\t x', 'e\u0301', '  12.5 m'])(
    'returns any text, in NFC: %j',
    (text) => {
      expect(tokenizer.decode(encode(text))).toBe(text.normalize('NFC'));
    },
  );

  it('keeps special tokens whole, after the ordinary vocabulary', () => {
    expect(encode('<|im_start|>user')[0]).toBe(ids.get('<|im_start|>'));
    expect(ids.size).toBe(Math.max(...ids.values()) + 1);
    expect(ids.get(QWEN_TOKENS[0])).toBe(ids.size - QWEN_TOKENS.length);
  });

  it('stops at the limit and works without a corpus', () => {
    expect(open(corpus, 7).ids.size).toBe(256 + 7 + QWEN_TOKENS.length);
    expect(open([]).tokenizer.encode('ab', { add_special_tokens: false }).ids).toHaveLength(2);
  });
});
