import { memberRange, parsePieces, textWithout } from './json-pieces.js';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A file whose braces, quotes and commas also stand inside of texts. */
const content = {
  'a "key", {': [1, { model: 'not this one' }],
  other: { vocab: { no: 0 } },
  model: {
    type: 'BPE',
    vocab: Object.fromEntries(Array.from({ length: 9000 }, (_, id) => [`"ġ}${id},\\`, id])),
    empty: [],
    merges: Array.from({ length: 9000 }, (_, i) => (i % 2 ? `a] ${i}` : ['"', `,${i}`])),
  },
  last: null,
};

describe.each([
  ['in one line', JSON.stringify(content)],
  ['indented', JSON.stringify(content, null, 2)],
])('JSON %s', (_, text) => {
  const bytes = bytesOf(text);
  const model = memberRange(bytes, 0, 'model')!;
  const range = (name: string) => memberRange(bytes, model.start, name)!;

  it('gives the items of an object in pieces that make up the whole', () => {
    const pieces = [...parsePieces(bytes, range('vocab'))] as Record<string, number>[];
    expect(pieces.length).toBeGreaterThan(1);
    expect(Object.assign({}, ...pieces)).toEqual(content.model.vocab);
  });

  it('gives the items of a list in their order', () => {
    const pieces = [...parsePieces(bytes, range('merges'))] as unknown[][];
    expect(pieces.length).toBeGreaterThan(1);
    expect(pieces.flat()).toEqual(content.model.merges);
    expect([...parsePieces(bytes, range('empty'))].flat()).toEqual([]);
  });

  it('leaves the rest as it is', () => {
    const rest = JSON.parse(textWithout(bytes, [range('merges'), range('vocab')]));
    expect(rest).toEqual({ ...content, model: { ...content.model, vocab: null, merges: null } });
  });

  it('knows what is no object or list, and what is not there', () => {
    expect(memberRange(bytes, model.start, 'type')).toBeUndefined();
    expect(memberRange(bytes, 0, 'vocab')).toBeUndefined();
  });
});

it.each(['{"model": {"vocab": {"a": 1}', '{"model', '{"model": {"a": "b\\"}}', '[1', ''])(
  'refuses what is cut off: %s',
  (text) => {
    expect(() => memberRange(bytesOf(text), 0, 'vocab')).toThrow(SyntaxError);
  },
);
