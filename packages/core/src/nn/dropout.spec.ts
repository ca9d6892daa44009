import { compile, type DeviceTensor, float32, int32, type Tensor } from '@spatialsv/engine';
import { dropout, placedUniform } from './dropout.js';

const ROWS = 40;
const COLUMNS = 501;

/** As compiled, where integers have to wrap as well. */
async function uniform(seed: number): Promise<Float32Array> {
  const program = await compile(
    ({ seed: at }: { seed: Tensor }) => ({ u: placedUniform(at, ROWS, COLUMNS) }),
    { seed: int32() },
  );
  const { u } = (await program.run({ seed: Int32Array.of(seed) })) as { u: DeviceTensor };
  const values = Float32Array.from(await u.read());
  await program.dispose();
  return values;
}

/** The same in integers of 64 bits. */
function expected(seed: number): Float32Array {
  return Float32Array.from({ length: ROWS * COLUMNS }, (_, place) => {
    let h = Math.imul(place + seed, 0x9e3779b1);
    for (let round = 0; round < 3; round++)
      h = (Math.imul(h, Math.imul(h, 2) + 1) + 0x6b43a9b5) | 0;
    return Math.fround(Math.fround(h) * 2 ** -32) + 0.5;
  });
}

describe('placedUniform', () => {
  it.each([1, -77_777, 2 ** 31 - 5])(
    'follows from place and seed %d alone, with wrapping',
    async (seed) => {
      expect(await uniform(seed)).toEqual(expected(seed));
    },
  );

  it('fills every tenth of 0 to 1 alike, and neighbours do not hang together', async () => {
    const values = await uniform(12345);
    const counts = new Array(10).fill(0);
    for (const value of values) counts[Math.floor(value * 10)]++;
    const mean = values.length / 10;
    // Five standard deviations of a count.
    for (const count of counts) expect(Math.abs(count - mean)).toBeLessThan(5 * Math.sqrt(mean));
    for (const distance of [1, 2, COLUMNS, 7 * COLUMNS]) {
      const pairs = values.length - distance;
      let product = 0;
      for (let i = 0; i < pairs; i++) product += (values[i]! - 0.5) * (values[i + distance]! - 0.5);
      expect(Math.abs((product / pairs) * 12)).toBeLessThan(5 / Math.sqrt(pairs));
    }
  });
});

describe('dropout', () => {
  it('keeps the mean: zeros, and the others larger', async () => {
    const program = await compile(
      ({ x, seed, keep }: Record<'x' | 'seed' | 'keep', Tensor>) => ({ y: dropout(x, seed, keep) }),
      { x: float32(2, 100, 50), seed: int32(), keep: float32() },
    );
    const inputs = { x: new Float32Array(10_000).fill(3), keep: Float32Array.of(0.75) };
    const { y } = (await program.run({ ...inputs, seed: Int32Array.of(9) })) as { y: DeviceTensor };
    const values = [...(await y.read())];
    expect(new Set(values)).toEqual(new Set([0, 4]));
    expect(values.reduce((sum, value) => sum + value, 0) / values.length).toBeCloseTo(3, 1);
    await program.dispose();
  });
});
