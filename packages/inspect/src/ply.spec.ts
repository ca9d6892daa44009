import { encodePly } from './ply.js';

/** Reads back what PLY 1.0 says, by its header alone. */
function parse(bytes: Buffer) {
  const end = bytes.indexOf('end_header\n') + 'end_header\n'.length;
  const lines = bytes.subarray(0, end).toString('ascii').split('\n');
  const count = Number(lines.find((line) => line.startsWith('element vertex'))?.split(' ')[2]);
  const properties = lines.filter((line) => line.startsWith('property')).map((l) => l.split(' '));
  const rows: Record<string, number>[] = [];
  let at = end;
  for (let i = 0; i < count; i++) {
    const row: Record<string, number> = {};
    for (const [, type, name] of properties) {
      row[name!] = type === 'float' ? bytes.readFloatLE(at) : bytes[at]!;
      at += type === 'float' ? 4 : 1;
    }
    rows.push(row);
  }
  return { lines, rows, rest: bytes.length - at };
}

describe('encodePly', () => {
  const cloud = {
    positions: Float32Array.of(1.5, -2, 3.25, 0, 7, -1),
    colors: Uint8Array.of(255, 0, 128, 1, 2, 3),
    views: Uint32Array.of(0, 1),
  };

  it('is read back exactly from its own header', () => {
    const { lines, rows, rest } = parse(encodePly(cloud, ['unit metres']));
    expect(lines.slice(0, 3)).toEqual([
      'ply',
      'format binary_little_endian 1.0',
      'comment unit metres',
    ]);
    expect(rows).toEqual([
      { x: 1.5, y: -2, z: 3.25, red: 255, green: 0, blue: 128 },
      { x: 0, y: 7, z: -1, red: 1, green: 2, blue: 3 },
    ]);
    expect(rest).toBe(0);
  });

  it('keeps a comment on its line', () => {
    const { lines } = parse(encodePly(cloud, ['a\nend_header']));
    expect(lines).toContain('comment a?end_header');
  });

  it('writes an empty cloud', () => {
    const none = { positions: new Float32Array(0), colors: new Uint8Array(0) };
    expect(parse(encodePly({ ...none, views: new Uint32Array(0) })).rows).toEqual([]);
  });
});
