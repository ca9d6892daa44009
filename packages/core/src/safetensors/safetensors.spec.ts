import { mkdir, readdir, readFile, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import path from 'node:path';
import fc from 'fast-check';
import { SpatialError } from '../errors.js';
import { expectAllclose, readGolden, withTemporaryFolder } from '../testing/index.js';
import {
  float32Source,
  openSafetensors,
  openWeights,
  replaceWeights,
  type SafetensorsReader,
  saveWeights,
  type TensorSource,
  writeSafetensors,
} from './index.js';

const golden = path.join(__dirname, '__golden__/python-file');
const goldenFile = path.join(golden, 'vectors.safetensors');

const hasCode = (code: string) => expect.objectContaining({ code });

/** A file from a header object and data bytes, without any check. */
const makeFile = (header: unknown, data = new Uint8Array()): Uint8Array =>
  makeRawFile(new TextEncoder().encode(JSON.stringify(header)), data);

const makeRawFile = (header: Uint8Array, data = new Uint8Array()): Uint8Array => {
  const length = new Uint8Array(BigUint64Array.of(BigInt(header.length)).buffer);
  return Buffer.concat([length, header, data]);
};

const readEverything = async (reader: SafetensorsReader): Promise<void> => {
  for (const name of reader.names) {
    await reader.readRaw(name);
    await reader.readFloat32(name);
  }
};

describe('a file of the Python package', () => {
  it('is read exactly', async () => {
    const { float32, int32, float64, shape } = await readGolden(golden);
    const values = float32('f32');
    expect(shape('f32')).toEqual([8, 16]);
    expect([...values.slice(0, 6)]).toEqual([0, -0, 1, 1 / 0, -1 / 0, 65504]);
    expectAllclose(float64('f64').subarray(0, 3), [0, 0, 1 / 3], { rtol: 1e-15 });
    expect([...int32('i64')]).toEqual([-(2 ** 31), 2 ** 31 - 1, 0, -1]);
    expect([...int32('i32')]).toEqual([-3, -2, -1, 0, 1, 2]);
    expect([...int32('i16'), ...int32('i8'), ...int32('u8'), ...int32('bool')]).toEqual([
      -32768, 32767, -128, 127, 0, 255, 1, 0, 1,
    ]);
    expect([shape('scalar'), ...float32('scalar')]).toEqual([[], 2.5]);
    expect([shape('empty'), float32('empty').length]).toEqual([[0, 4], 0]);
    expect([...float32('naïve ☃')]).toEqual([1]);
  });

  it.each(['f32', 'f16', 'bf16'])('is read into memory that is there: %s', async (name) => {
    const reader = await openSafetensors(goldenFile);
    const expected = await reader.readFloat32(name);
    // What lies around it stays.
    const memory = new Float32Array(expected.length + 2).fill(7);
    await reader.readFloat32Into(name, memory.subarray(1, -1));
    expect([...memory]).toEqual([7, ...expected, 7]);
    await expect(reader.readFloat32Into(name, memory)).rejects.toThrow(hasCode('SHAPE_MISMATCH'));
  });

  it('is not read as float32 into memory where it holds integers', async () => {
    const reader = await openSafetensors(goldenFile);
    const target = new Float32Array(4);
    await expect(reader.readFloat32Into('i64', target)).rejects.toThrow(
      hasCode('DTYPE_UNSUPPORTED'),
    );
  });

  it.each([
    ['F16', 'f16'],
    ['BF16', 'bf16'],
  ] as const)('rounds to %s as torch does', async (dtype, name) => {
    const reader = await openSafetensors(goldenFile);
    const source = float32Source(await reader.readFloat32('f32'), [8, 16], dtype);
    expect(Buffer.from(source.bytes() as Uint8Array)).toEqual(
      Buffer.from(await reader.readRaw(name)),
    );
  });

  it('is written again with equal content', async () => {
    const reader = await openSafetensors(goldenFile);
    await withTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'copy.safetensors');
      await writeSafetensors(file, replaceWeights(reader, new Map()));
      const copy = await openSafetensors(file);
      expect(copy.names).toEqual(reader.names);
      expect(copy.metadata).toEqual({ format: 'pt' });
      for (const name of reader.names) {
        expect(Buffer.from(await copy.readRaw(name))).toEqual(
          Buffer.from(await reader.readRaw(name)),
        );
      }
    });
  });
});

describe('writeSafetensors', () => {
  it('aligns the data section and every tensor', async () => {
    await withTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'a.safetensors');
      const tensors = new Map<string, TensorSource>([
        ['byte', float32Source(Float32Array.of(1, 2, 3), [3], 'U8')],
        ['half', float32Source(Float32Array.of(1), [1], 'F16')],
        ['double', float32Source(Float32Array.of(1), [1], 'F64')],
        ['single', float32Source(Float32Array.of(1), [], 'F32')],
      ]);
      await writeSafetensors(file, tensors);
      const reader = await openSafetensors(file);
      const sizes = { byte: 1, half: 2, double: 8, single: 4 };
      for (const [name, size] of Object.entries(sizes))
        expect(reader.info(name).byteOffset % size).toBe(0);
      expect(reader.info('double').byteOffset % 8).toBe(0);
    });
  });

  it('keeps the old file and no temporary one when a source fails', async () => {
    await withTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'a.safetensors');
      await writeSafetensors(file, new Map([['x', float32Source(Float32Array.of(1), [1])]]));
      const before = await readFile(file);
      const failing: TensorSource = {
        dtype: 'F32',
        shape: [2],
        bytes: async function* () {
          yield new Uint8Array(4);
          throw new Error('power cut');
        },
      };
      await expect(writeSafetensors(file, new Map([['x', failing]]))).rejects.toThrow('power cut');
      expect(await readFile(file)).toEqual(before);
      expect(await readdir(folder)).toEqual(['a.safetensors']);
    });
  });

  it('refuses values that do not fill their shape', async () => {
    await withTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'a.safetensors');
      const tensors = new Map([['x', float32Source(Float32Array.of(1, 2), [3])]]);
      await expect(writeSafetensors(file, tensors)).rejects.toThrow(hasCode('SHAPE_MISMATCH'));
      expect(await readdir(folder)).toEqual([]);
    });
  });
});

describe('a sharded checkpoint', () => {
  const weightMap = new Map([
    ['a', 'model-00001-of-00002.safetensors'],
    ['b', 'model-00002-of-00002.safetensors'],
  ]);
  const tensors = new Map([
    ['a', float32Source(Float32Array.of(1, 2), [2], 'BF16')],
    ['b', float32Source(Float32Array.of(3), [1])],
  ]);

  it('is saved and opened with the same layout', async () => {
    await withTemporaryFolder(async (folder) => {
      await saveWeights(folder, tensors, weightMap);
      const reader = await openWeights(folder);
      expect(reader.weightMap).toEqual(weightMap);
      const index = JSON.parse(
        await readFile(path.join(folder, 'model.safetensors.index.json'), 'utf8'),
      );
      expect(index.metadata.total_size).toBe(8);
      const replaced = replaceWeights(reader, new Map([['a', Float32Array.of(5, 6)]]));
      await saveWeights(folder, replaced, reader.weightMap);
      const again = await openWeights(folder);
      expect([...(await again.readFloat32('a'))]).toEqual([5, 6]);
      expect(again.info('a').dtype).toBe('BF16');
      await expect(reader.readFloat32('a')).rejects.toThrow(hasCode('FILE_INVALID'));
    });
  });

  it('hands out tensors that stay in their file', async () => {
    await withTemporaryFolder(async (folder) => {
      await saveWeights(folder, tensors, weightMap);
      const mapped = (await openWeights(folder)).mappedAll();
      const shard = await realpath(path.join(folder, 'model-00001-of-00002.safetensors'));
      expect(mapped['a']).toMatchObject({ kind: 'mapped', storedAs: 'BF16', shape: [2] });
      expect(mapped['a']).toMatchObject({ file: shard, byteLength: 4 });
      const bytes = await readFile(shard);
      expect(bytes.subarray(mapped['a']!.byteOffset).length).toBe(4);
    });
  });

  it('is opened through the links of a cache folder', async () => {
    await withTemporaryFolder(async (root) => {
      const [blobs, snapshot] = [path.join(root, 'blobs'), path.join(root, 'snapshots/1')];
      await mkdir(blobs);
      await mkdir(snapshot, { recursive: true });
      await saveWeights(blobs, tensors, weightMap);
      for (const name of await readdir(blobs))
        await symlink(path.join('../../blobs', name), path.join(snapshot, name));
      const reader = await openWeights(snapshot);
      expect([...(await reader.readFloat32('b'))]).toEqual([3]);
      expect(reader.mapped('b').file).toContain('blobs');
    });
  });

  it.each([
    '../outside.safetensors',
    'link/outside.safetensors',
    '/etc/hostname',
    'a/../../outside.safetensors',
    '..\\outside.safetensors',
    './model.safetensors',
    '',
    'a\0b',
  ])('does not follow the shard name %p out of its folder', async (shard) => {
    await withTemporaryFolder(async (root) => {
      const folder = path.join(root, 'model');
      await mkdir(folder);
      await writeSafetensors(path.join(root, 'outside.safetensors'), tensors);
      await symlink(root, path.join(folder, 'link'));
      await writeFile(
        path.join(folder, 'model.safetensors.index.json'),
        JSON.stringify({ weight_map: { a: shard } }),
      );
      await expect(openWeights(folder)).rejects.toThrow(hasCode('FILE_INVALID'));
    });
  });

  it.each([
    ['FILE_INVALID', '{"weight_map": {"a": 3}}'],
    ['FILE_INVALID', '{"weight_map": []}'],
    ['FILE_INVALID', '{"weight_map": {}}'],
    ['FILE_INVALID', '{"weight_map": {"a": "x", "a": "y"}}'],
    ['FILE_INVALID', '[]'],
    ['FILE_INVALID', 'not json'],
    ['FILE_MISSING', '{"weight_map": {"a": "absent.safetensors"}}'],
    ['FILE_MISSING', '{"weight_map": {"a": "folder"}}'],
    ['WEIGHT_MISSING', '{"weight_map": {"other": "all.safetensors"}}'],
  ])('gives %s for the index %s', async (code, index) => {
    await withTemporaryFolder(async (folder) => {
      await mkdir(path.join(folder, 'folder'));
      await writeSafetensors(path.join(folder, 'all.safetensors'), tensors);
      await writeFile(path.join(folder, 'model.safetensors.index.json'), index);
      await expect(openWeights(folder)).rejects.toThrow(hasCode(code));
    });
  });

  it('is passed over where model.safetensors is there, as transformers does', async () => {
    await withTemporaryFolder(async (folder) => {
      await saveWeights(folder, tensors, weightMap);
      const newer = new Map([['a', float32Source(Float32Array.of(8, 9), [2])]]);
      await saveWeights(folder, newer);
      expect([...(await (await openWeights(folder)).readFloat32('a'))]).toEqual([8, 9]);
      await rm(path.join(folder, 'model-00001-of-00002.safetensors'));
      expect((await openWeights(folder)).names).toEqual(['a']);
    });
  });

  it('is not saved where it would be passed over', async () => {
    await withTemporaryFolder(async (folder) => {
      await saveWeights(folder, tensors);
      await expect(saveWeights(folder, tensors, weightMap)).rejects.toThrow(
        hasCode('FILE_INVALID'),
      );
      expect(await readdir(folder)).toEqual(['model.safetensors']);
    });
  });

  it('is not saved when tensors and layout differ', async () => {
    await withTemporaryFolder(async (folder) => {
      const extra = new Map([...tensors, ['c', tensors.get('a')!]]);
      await expect(saveWeights(folder, extra, weightMap)).rejects.toThrow(
        hasCode('WEIGHT_UNEXPECTED'),
      );
      const fewer = new Map([['a', tensors.get('a')!]]);
      await expect(saveWeights(folder, fewer, weightMap)).rejects.toThrow(
        hasCode('WEIGHT_MISSING'),
      );
    });
  });
});

describe('openSafetensors', () => {
  const one = { dtype: 'F32', shape: [1], data_offsets: [0, 4] };
  const four = new Uint8Array(4);
  const header = (text: string): Uint8Array => makeRawFile(new TextEncoder().encode(text), four);

  it.each<[string, string, Uint8Array]>([
    ['an empty file', 'FILE_INVALID', new Uint8Array()],
    ['seven bytes', 'FILE_INVALID', new Uint8Array(7)],
    ['a header longer than the file', 'FILE_INVALID', Buffer.from('ffff000000000000', 'hex')],
    ['a header of 2⁶⁴−1 bytes', 'FILE_INVALID', Buffer.from('ffffffffffffffff', 'hex')],
    ['an empty header', 'FILE_INVALID', new Uint8Array(8)],
    ['a header of 17 MB', 'FILE_INVALID', makeRawFile(Buffer.alloc(17_000_000, ' '))],
    ['a text file', 'FILE_INVALID', Buffer.from('this is not a safetensors file')],
    ['invalid UTF-8', 'FILE_INVALID', makeRawFile(Buffer.from('{"\xff":1}', 'latin1'))],
    ['a list', 'FILE_INVALID', makeFile([])],
    ['an entry that is no object', 'FILE_INVALID', makeFile({ x: 1 })],
    ['no dtype', 'FILE_INVALID', makeFile({ x: { ...one, dtype: undefined } }, four)],
    ['an unknown dtype', 'DTYPE_UNSUPPORTED', makeFile({ x: { ...one, dtype: 'F8_E5M2' } }, four)],
    ['a negative size', 'FILE_INVALID', makeFile({ x: { ...one, shape: [-1] } }, four)],
    ['a fractional size', 'FILE_INVALID', makeFile({ x: { ...one, shape: [1.5] } }, four)],
    [
      'a huge size',
      'FILE_INVALID',
      makeFile({ x: { ...one, shape: [2 ** 53 - 1, 2 ** 53 - 1] } }, four),
    ],
    [
      'sizes whose product is not a number',
      'FILE_INVALID',
      makeFile({ x: { ...one, shape: [...Array(40).fill(1e15), 0] } }, four),
    ],
    ['another size than its bytes', 'FILE_INVALID', makeFile({ x: { ...one, shape: [2] } }, four)],
    ['negative offsets', 'FILE_INVALID', makeFile({ x: { ...one, data_offsets: [-4, 0] } }, four)],
    ['swapped offsets', 'FILE_INVALID', makeFile({ x: { ...one, data_offsets: [4, 0] } }, four)],
    ['null offsets', 'FILE_INVALID', makeFile({ x: { ...one, data_offsets: [null, 4] } }, four)],
    [
      'huge offsets',
      'FILE_INVALID',
      makeFile({ x: { ...one, data_offsets: [2 ** 53, 2 ** 53 + 4] } }, four),
    ],
    ['three offsets', 'FILE_INVALID', makeFile({ x: { ...one, data_offsets: [0, 4, 4] } }, four)],
    ['bytes beyond the file', 'FILE_INVALID', makeFile({ x: one }, new Uint8Array(3))],
    ['bytes that no tensor owns', 'FILE_INVALID', makeFile({ x: one }, new Uint8Array(5))],
    ['a gap', 'FILE_INVALID', makeFile({ x: { ...one, data_offsets: [4, 8] } }, new Uint8Array(8))],
    ['overlapping tensors', 'FILE_INVALID', makeFile({ x: one, y: one }, four)],
    [
      'a duplicate tensor',
      'FILE_INVALID',
      header(`{"x":${JSON.stringify(one)},"\\u0078":${JSON.stringify(one)}}`),
    ],
    [
      'a duplicate field',
      'FILE_INVALID',
      header('{"x":{"dtype":"I32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}'),
    ],
    ['metadata that is no record', 'FILE_INVALID', makeFile({ __metadata__: 3 })],
    ['metadata with a number', 'FILE_INVALID', makeFile({ __metadata__: { a: 1 } })],
    ['deep nesting', 'FILE_INVALID', makeRawFile(Buffer.from('['.repeat(200_000)))],
  ])('refuses %s', async (_name, code, bytes) => {
    await withTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'x.safetensors');
      await writeFile(file, bytes);
      await expect(openSafetensors(file)).rejects.toThrow(hasCode(code));
    });
  });

  it.each([
    ['version https://git-lfs.github.com/spec/v1\noid sha256:ab\nsize 3\n', /Git LFS/, /lfs pull/],
    ['<!DOCTYPE html><html><body>404</body></html>', /web page/, /again/],
    ['PK\u0003\u0004............', /pickled/, /safetensors/],
    ['GGUF\u0003\0\0\0\0\0\0\0', /GGUF/, /safetensors/],
  ])('says what was taken for weights: %p', async (text, message, hint) => {
    await withTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'model.safetensors');
      await writeFile(file, text);
      await expect(openSafetensors(file)).rejects.toMatchObject({
        code: 'FILE_INVALID',
        message: expect.stringMatching(message),
        hint: expect.stringMatching(hint),
      });
    });
  });

  it('says what it found instead of a file', async () => {
    await withTemporaryFolder(async (folder) => {
      await expect(openSafetensors(folder)).rejects.toThrow(hasCode('FILE_MISSING'));
      await expect(openSafetensors(path.join(folder, 'x'))).rejects.toThrow(
        hasCode('FILE_MISSING'),
      );
      await expect(openWeights(folder)).rejects.toThrow(hasCode('FILE_MISSING'));
    });
  });

  it('names the nearest tensor for an unknown one', async () => {
    const reader = await openSafetensors(goldenFile);
    expect(() => reader.info('bf17')).toThrow(
      expect.objectContaining({ code: 'WEIGHT_MISSING', hint: expect.stringContaining('"bf16"') }),
    );
    expect(() => reader.mapped('i32')).toThrow(hasCode('DTYPE_UNSUPPORTED'));
  });

  it('takes a tensor called __proto__ for a tensor', async () => {
    await withTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'x.safetensors');
      await writeFile(file, header(`{"__proto__":${JSON.stringify(one)}}`));
      const reader = await openSafetensors(file);
      expect(Object.keys(reader.mappedAll())).toEqual(['__proto__']);
    });
  });
});

describe('damaged files', () => {
  /** A change to the bytes of a file: flip, cut, insert, or another header text. */
  const mutation = (bytes: Uint8Array<ArrayBuffer>): fc.Arbitrary<Uint8Array> => {
    const place = fc.nat(bytes.length - 1);
    const headerLength = Number(new DataView(bytes.buffer, bytes.byteOffset).getBigUint64(0, true));
    const text = Buffer.from(bytes.subarray(8, 8 + headerLength)).toString();
    const withHeader = (edited: string): Uint8Array =>
      makeRawFile(new TextEncoder().encode(edited), bytes.subarray(8 + headerLength));
    const numbers = [...text.matchAll(/\d+/g)];
    const edit = fc.record({
      match: fc.constantFrom(...numbers),
      by: fc.oneof(
        fc.maxSafeInteger().map(String),
        fc.double().map((value) => JSON.stringify(value)),
        fc.json(),
        fc.string(),
      ),
    });
    return fc.oneof(
      fc.array(fc.tuple(place, fc.nat(255)), { minLength: 1, maxLength: 4 }).map((flips) => {
        const copy = Uint8Array.from(bytes);
        for (const [at, value] of flips) copy[at] = value;
        return copy;
      }),
      fc.tuple(fc.nat(7), fc.nat(255)).map(([at, value]) => {
        const copy = Uint8Array.from(bytes);
        copy[at] = value;
        return copy;
      }),
      place.map((length) => bytes.slice(0, length)),
      fc
        .tuple(place, fc.uint8Array({ maxLength: 16 }))
        .map(([at, more]) => Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)])),
      edit.map(({ match, by }) =>
        withHeader(text.slice(0, match.index) + by + text.slice(match.index + match[0].length)),
      ),
      fc.json().map(withHeader),
    );
  };

  it('are read in full or refused with a SpatialError', async () => {
    const bytes = new Uint8Array(await readFile(goldenFile));
    let refused = 0;
    await withTemporaryFolder(async (folder) => {
      const file = path.join(folder, 'x.safetensors');
      await fc.assert(
        fc.asyncProperty(mutation(bytes), async (mutated) => {
          await writeFile(file, mutated);
          const error = await openSafetensors(file)
            .then(readEverything)
            .catch((e: unknown) => e);
          if (error !== undefined) refused++;
          expect(error === undefined || SpatialError.isInstance(error)).toBe(true);
        }),
        { numRuns: 1500 },
      );
    });
    expect(refused).toBeGreaterThan(500);
  });
});
