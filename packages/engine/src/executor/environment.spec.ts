import { parseThreads } from './environment.js';

describe('SPATIALSV_THREADS', () => {
  it.each([
    [undefined, undefined],
    ['', undefined],
    ['1', 1],
    ['16', 16],
  ])('%j gives %j threads', (text, threads) => {
    expect(parseThreads(text)).toBe(threads);
  });

  it.each(['0', '-1', '2.5', 'all', '01'])('%j is refused', (text) => {
    expect(() => parseThreads(text)).toThrow(expect.objectContaining({ code: 'INPUT_INVALID' }));
  });
});
