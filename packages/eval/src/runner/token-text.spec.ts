import { TokenText } from './token-text.js';

describe('TokenText', () => {
  it('holds back the bytes of an unfinished character', () => {
    const bytes = [...new TextEncoder().encode('aé€!')];
    const text = new TokenText((ids) => new TextDecoder().decode(Uint8Array.from(ids)));
    expect(bytes.map((byte) => text.push(byte))).toEqual(['a', '', 'é', '', '', '€', '!']);
    expect(text.flush()).toBe('');
  });

  it('gives out what never became a character', () => {
    const text = new TokenText((ids) => new TextDecoder().decode(Uint8Array.from(ids)));
    expect([text.push(97), text.push(0xe2), text.flush()]).toEqual(['a', '', '\uFFFD']);
  });
});
