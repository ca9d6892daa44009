import { createRandom } from './random.js';

const draw = (seed: number): number[] => {
  const random = createRandom(seed);
  return Array.from({ length: 5 }, () => random.uniform());
};

describe('createRandom', () => {
  it('repeats the sequence of a seed', () => {
    expect(draw(3)).toEqual(draw(3));
    expect(draw(3)).not.toEqual(draw(4));
    expect(draw(3)).not.toEqual(draw(3 + 2 ** 32));
  });

  it('keeps its sequence across versions', () => {
    expect(createRandom(1).integer(2 ** 32)).toMatchInlineSnapshot(`393288144`);
  });

  it('has the moments of its distributions', () => {
    const random = createRandom(5);
    const values = random.normals(20_000, 2);
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    const variance = values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length;
    expect(Math.abs(mean)).toBeLessThan(0.05);
    expect(Math.abs(variance - 4)).toBeLessThan(0.1);
    const uniform = Array.from({ length: 20_000 }, () => random.uniform(-1, 3));
    expect(Math.min(...uniform)).toBeGreaterThanOrEqual(-1);
    expect(Math.max(...uniform)).toBeLessThan(3);
    expect(uniform.reduce((sum, value) => sum + value, 0) / uniform.length).toBeCloseTo(1, 1);
  });

  it('shuffles a copy and reaches every order', () => {
    const random = createRandom(9);
    const items = ['a', 'b', 'c'];
    const seen = new Set(Array.from({ length: 200 }, () => random.shuffle(items).join('')));
    expect(seen.size).toBe(6);
    expect(items).toEqual(['a', 'b', 'c']);
    expect(items).toContain(random.pick(items));
  });
});
