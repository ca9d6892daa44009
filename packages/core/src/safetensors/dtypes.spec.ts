import fc from 'fast-check';
import {
  decodeBFloat16,
  decodeFloat16,
  decodeFloat32,
  decodeInt32,
  encodeBFloat16,
  encodeFloat16,
  encodeFloat32,
} from './dtypes.js';

const everyPattern = Uint16Array.from({ length: 65536 }, (_, bits) => bits);
const isNaN16 = (bits: number, infinity: number): boolean => (bits & 0x7fff) > infinity;

describe.each([
  ['binary16', decodeFloat16, encodeFloat16, 0x7c00],
  ['bfloat16', decodeBFloat16, encodeBFloat16, 0x7f80],
] as const)('%s', (_name, decode, encode, infinity) => {
  it('round-trips every bit pattern; NaN stays NaN', () => {
    const values = decode(everyPattern);
    const back = encode(values);
    const wrong = everyPattern.filter((bits, i) =>
      isNaN16(bits, infinity) ? !isNaN16(back[i]!, infinity) : back[i] !== bits,
    );
    expect(wrong).toHaveLength(0);
  });

  it('rounds to the nearest neighbour, ties to even', () => {
    const finite = everyPattern.filter((bits) => bits < infinity - 1);
    const low = decode(finite);
    const high = decode(finite.map((bits) => bits + 1));
    const middle = low.map((value, i) => value / 2 + high[i]! / 2);
    const below = middle.map((value, i) => value - (high[i]! - low[i]!) / 8);
    const above = middle.map((value, i) => value + (high[i]! - low[i]!) / 8);
    // The smallest bfloat16 values are float32 denormals, whose midpoints float32 holds exactly all the same.
    expect(encode(middle)).toEqual(finite.map((bits) => bits + (bits & 1)));
    expect(encode(below)).toEqual(finite);
    expect(encode(above)).toEqual(finite.map((bits) => bits + 1));
  });

  it('overflows to infinity', () => {
    expect([...encode(Float32Array.of(1e38 * 3.4028, -1e38 * 3.4028))]).toEqual([
      infinity,
      infinity | 0x8000,
    ]);
  });
});

describe('encodeFloat32', () => {
  it.each(['F64', 'F32'] as const)('%s keeps every value', (dtype) => {
    fc.assert(
      fc.property(fc.float32Array(), (values) => {
        expect(decodeFloat32(dtype, encodeFloat32(dtype, values))).toEqual(values);
      }),
    );
  });

  it.each(['I64', 'I32', 'I16', 'I8', 'U8', 'BOOL'] as const)('%s keeps 0 and 1', (dtype) => {
    const values = Float32Array.of(0, 1, 1);
    const bytes = encodeFloat32(dtype, values);
    expect(decodeFloat32(dtype, bytes)).toEqual(values);
    expect([...decodeInt32(dtype, bytes, 't')]).toEqual([0, 1, 1]);
  });

  it.each([
    ['U8', 256],
    ['I8', -129],
    ['I32', 0.5],
    ['BOOL', 2],
    ['I64', Number.NaN],
  ] as const)('%s refuses %p', (dtype, value) => {
    expect(() => encodeFloat32(dtype, Float32Array.of(value))).toThrow(
      expect.objectContaining({ code: 'DTYPE_UNSUPPORTED' }),
    );
  });
});

describe('decodeInt32', () => {
  it('refuses floating point and integers beyond int32', () => {
    const large = new Uint8Array(BigInt64Array.of(2n ** 31n).buffer);
    const unsupported = expect.objectContaining({ code: 'DTYPE_UNSUPPORTED' });
    expect(() => decodeInt32('I64', large, 't')).toThrow(unsupported);
    expect(() => decodeInt32('F32', large, 't')).toThrow(unsupported);
  });

  it('reads unaligned bytes', () => {
    const bytes = new Uint8Array(9);
    bytes.set(new Uint8Array(Int32Array.of(-5, 7).buffer), 1);
    expect([...decodeInt32('I32', bytes.subarray(1), 't')]).toEqual([-5, 7]);
  });
});
