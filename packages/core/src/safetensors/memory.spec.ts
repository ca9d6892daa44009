import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { withTemporaryFolder } from '../testing/temporary-folder.js';
import { encodeFloat32 } from './dtypes.js';
import { decodeSafetensors, encodeSafetensors, type TensorBytes } from './memory.js';
import { writeSafetensors } from './writer.js';

const tensors = new Map<string, TensorBytes>([
  ['odd', { dtype: 'U8', shape: [3], bytes: Uint8Array.of(1, 2, 3) }],
  ['half', { dtype: 'F16', shape: [2], bytes: encodeFloat32('F16', Float32Array.of(1, -2)) }],
  ['single', { dtype: 'F32', shape: [1, 1], bytes: encodeFloat32('F32', Float32Array.of(0.1)) }],
]);
const metadata = { format: 'test', text: 'ü' };

describe('safetensors in memory', () => {
  it('are the bytes of the file', async () => {
    await withTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'x.safetensors');
      const sources = [...tensors].map(
        ([name, tensor]) => [name, { ...tensor, bytes: () => tensor.bytes }] as const,
      );
      await writeSafetensors(file, new Map(sources), { metadata });
      expect(Buffer.from(encodeSafetensors(tensors, metadata))).toEqual(await readFile(file));
    });
  });

  it('come back, also from bytes that begin anywhere', () => {
    const bytes = encodeSafetensors(tensors, metadata);
    const shifted = new Uint8Array(bytes.length + 3);
    shifted.set(bytes, 3);
    for (const whole of [bytes, shifted.subarray(3)]) {
      const decoded = decodeSafetensors(whole, 'here');
      expect(decoded.metadata).toEqual(metadata);
      expect(new Map([...decoded.tensors].sort())).toEqual(new Map([...tensors].sort()));
    }
  });

  it('need as many bytes as the shape says', () => {
    const wrong = new Map([['x', { ...tensors.get('odd')!, shape: [4] }]]);
    expect(() => encodeSafetensors(wrong, {})).toThrow(
      expect.objectContaining({ code: 'SHAPE_MISMATCH' }),
    );
  });

  it('are refused when they are cut off', () => {
    const bytes = encodeSafetensors(tensors, metadata);
    for (const length of [0, 7, 8, 20, bytes.length - 1])
      expect(() => decodeSafetensors(bytes.subarray(0, length), 'here')).toThrow(
        expect.objectContaining({ code: 'FILE_INVALID' }),
      );
  });
});
