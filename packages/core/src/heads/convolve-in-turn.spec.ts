import { compile, float32, type Tensor, tf } from '@spatialsv/engine';
import { type ParameterScope, parameterScope } from '../nn/index.js';
import type { Parameters } from '../spec.js';
import { expectAllclose } from '../testing/index.js';
import { convolveInTurn } from './convolve-in-turn.js';
import { convolve3x3 } from './dense-layers.js';

/** Layers of these numbers of channels, from the image's on. */
function layersOf(widths: readonly number[]): Parameters {
  const layers = widths.slice(1).flatMap((out, i): [string, Tensor][] => {
    const spread = 1 / Math.sqrt(9 * widths[i]!);
    return [
      [`${i}.weight`, tf.randomNormal([out, widths[i]!, 3, 3], 0, spread, 'float32', i)],
      [`${i}.bias`, tf.randomNormal([out], 0, 1, 'float32', 100 + i)],
    ];
  });
  return Object.fromEntries(layers);
}

const scopesOf = (parameters: Parameters) => {
  const root = parameterScope(parameters);
  return Array.from({ length: Object.keys(parameters).length / 2 }, (_, i) => root.scope(`${i}`));
};

const oneByOne: Convolve = (layers, x) =>
  layers.reduce((image, layer) => convolve3x3(layer, image), x);

const image = (h: number, w: number, channels: number) =>
  tf.randomNormal([2, h, w, channels], 0, 1, 'float32', 7) as Tensor;

type Convolve = (layers: readonly ParameterScope[], x: Tensor) => Tensor;

/** A program of layers of these widths over images of a size; dispose it. */
function compiled(convolve: Convolve, parameters: Parameters, x: Tensor) {
  const specOf = ({ shape }: Tensor) => float32(...shape);
  const specs = {
    parameters: Object.fromEntries(
      Object.entries(parameters).map(([name, value]) => [name, specOf(value)]),
    ),
    x: specOf(x),
  };
  return compile((inputs) => ({ y: convolve(scopesOf(inputs.parameters), inputs.x) }), specs);
}

/** Arithmetic beside that of the layers one by one. */
async function workBeside(widths: readonly number[], size: number): Promise<number> {
  const parameters = layersOf(widths);
  const x = image(size, size, widths[0]!);
  const ways: readonly Convolve[] = [convolveInTurn, oneByOne];
  const work = await Promise.all(
    ways.map(async (way) => {
      const program = await compiled(way, parameters, x);
      await program.dispose();
      return program.stats.flops;
    }),
  );
  return work[0]! / work[1]!;
}

beforeAll(async () => {
  await tf.setBackend('cpu');
});

describe('convolutions with nothing between them', () => {
  it.each([
    ['two layers', [2, 8, 2], [24, 30]],
    ['four layers', [1, 8, 1, 8, 1], [60, 80]],
    ['layers of which some are joined', [8, 2, 8, 2, 8, 1], [70, 50]],
    ['an image that is too small for it', [2, 8, 2], [5, 4]],
  ])('give what they give one by one: %s', async (_, widths, [h, w]) => {
    const parameters = layersOf(widths);
    const x = image(h!, w!, widths[0]!);
    const expected = await oneByOne(scopesOf(parameters), x).data();
    const found = await convolveInTurn(scopesOf(parameters), x).data();
    expectAllclose([...found], [...expected], { rtol: 1e-5, atol: 1e-5 });
  });

  it('take less work where wide layers lie between narrow ones, and never more', async () => {
    expect(await workBeside([4, 16, 4, 16, 2], 120)).toBeLessThan(0.7);
    expect(await workBeside([4, 16, 4, 16, 2], 12)).toBe(1);
    expect(await workBeside([16, 4, 16], 64)).toBe(1);
  });

  it('give the same in a compiled program', async () => {
    const parameters = layersOf([4, 16, 4]);
    const x = image(40, 36, 4);
    const expected = await oneByOne(scopesOf(parameters), x).data();
    const program = await compiled(convolveInTurn, parameters, x);
    const host = (value: Tensor) => value.dataSync() as Float32Array;
    const values = Object.fromEntries(
      Object.entries(parameters).map(([name, value]) => [name, host(value)]),
    );
    const { y } = await program.run({ parameters: values, x: host(x) });
    expectAllclose([...(await y.read())], [...expected], { rtol: 1e-5, atol: 1e-5 });
    await program.dispose();
  });
});
