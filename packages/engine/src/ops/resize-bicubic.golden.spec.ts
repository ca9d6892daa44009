import { readFileSync } from 'node:fs';
import path from 'node:path';
import type { BicubicOptions } from '../bicubic.js';
import { compile, type DeviceTensor, float32, type Tensor, tf } from '../index.js';
import { resizeBicubic } from './resize-bicubic.js';

const golden = JSON.parse(
  readFileSync(path.join(__dirname, '../__golden__/bicubic/case.json'), 'utf8'),
) as { tolerance: number; cases: Record<string, { shape: number[]; values: number[] }> };

const OPTIONS: Record<string, BicubicOptions> = {
  plain: {},
  scaled: { scaleFactors: [2.1, 1.52] },
  aligned: { alignCorners: true },
  antialias: { antialias: true },
  antialias_up: { antialias: true },
};

const input = Float32Array.from({ length: 30 }, (_, i) => Math.sin(i));

describe('resizeBicubic', () => {
  it.each(Object.keys(OPTIONS))('equals PyTorch: %s', async (name) => {
    const { shape, values } = golden.cases[name]!;
    const resize = ({ x }: { x: Tensor }) => {
      const last = tf.transpose(x, [0, 2, 3, 1]);
      const resized = resizeBicubic(last, [shape[2]!, shape[3]!], OPTIONS[name]!);
      return { y: tf.transpose(resized, [0, 3, 1, 2]) };
    };
    const program = await compile(resize, { x: float32(1, 2, 3, 5) });
    const { y } = (await program.run({ x: input })) as { y: DeviceTensor };
    expect(y.shape).toEqual(shape);
    const worst = Array.from(await y.read()).reduce(
      (most, value, i) => Math.max(most, Math.abs(value - values[i]!)),
      0,
    );
    expect(worst).toBeLessThan(golden.tolerance);
    await program.dispose();
  });
});
