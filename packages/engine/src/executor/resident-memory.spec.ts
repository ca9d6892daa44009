import { cleanMappings } from './resident-memory.js';

const entry = (range: string, path: string, anonymous: number): string =>
  `${range} rw-p 00000000 fe:00 131 ${' '.repeat(20)}${path}
Size:               1024 kB
Rss:                1024 kB
Anonymous:          ${anonymous} kB
VmFlags: rd wr mr mw me ac`;

describe('cleanMappings', () => {
  const text = [
    entry('7f0000000000-7f0000100000', '/weights/model.safetensors', 0),
    entry('7f0000100000-7f0000200000', '/weights/model.safetensors', 4),
    entry('7f0000200000-7f0000300000', '/weights/other file.safetensors', 0),
    '7f0000400000-7f0000500000 rw-p 00000000 00:00 0 \nAnonymous:      0 kB',
    entry('7f0000500000-7f0000600000', '/lib/libc.so.6', 0),
  ].join('\n');

  it('are those of the named files of which no page was written', () => {
    const files = new Set(['/weights/model.safetensors', '/weights/other file.safetensors']);
    expect(cleanMappings(text, files)).toMatchObject([
      { start: 0x7f0000000000n, end: 0x7f0000100000n },
      { start: 0x7f0000200000n, end: 0x7f0000300000n },
    ]);
    expect(cleanMappings(text, new Set())).toEqual([]);
  });
});
