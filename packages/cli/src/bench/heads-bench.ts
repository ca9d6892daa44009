import {
  type GeometryPredictionV1,
  initialiseHeads,
  parseHeadsConfig,
  predictGeometry,
} from '@spatialsv/core';
import { compile, createTensor, float32, type Tensor, tf } from '@spatialsv/engine';
import { gflops, type Product } from './bare-product.js';
import { type Figures, median, times } from './measure.js';

/** Four views of 8 × 8 tokens with 256 channels at each of the four taps, maps of 64 × 64. */
const VIEWS = 4;
const GRID = 8;
const CHANNELS = 256;
const OUTPUT = { height: 64, width: 64 };

/** Forward and backward pass of all three DPT heads beside a bare product. */
export async function measureHeads(preset: 'tiny' | 'small', product: Product): Promise<Figures> {
  const { program, run } = await openHeads(preset);
  await times(run, { warm: 3, repeats: 0 });
  const heads: number[] = [];
  const products: number[] = [];
  for (let round = 0; round < 9; round += 1) {
    products.push(...(await times(product.run, { warm: 0, repeats: 1 })));
    heads.push(...(await times(run, { warm: 0, repeats: 1 })));
  }
  const speed = gflops(program.stats.flops, median(heads));
  const matmul = gflops(product.program.stats.flops, median(products));
  await program.dispose();
  return {
    heads_ms: median(heads),
    heads_gflops: speed,
    matmul_gflops: matmul,
    ratio: speed / matmul,
    nodes: program.stats.nodes,
  };
}

async function openHeads(preset: 'tiny' | 'small') {
  const config = parseHeadsConfig({ preset });
  const widths = Array<number>(4).fill(CHANNELS);
  const values = initialiseHeads(config, widths, 1);
  const specs = {
    parameters: mapValues(values, ({ shape }) => float32(...shape)),
    taps: Object.fromEntries(
      widths.map((width, i) => [`t${i}`, float32(VIEWS, GRID, GRID, width)]),
    ),
  };
  const loss = ({ parameters, taps }: Record<'parameters' | 'taps', Record<string, Tensor>>) => ({
    loss: sumOf(predictGeometry(config, parameters, Object.values(taps), OUTPUT)),
  });
  const options = { gradients: ['parameters', 'taps'], name: `heads ${preset}` };
  const program = await compile(loss, specs, options);
  const inputs = {
    parameters: mapValues(values, ({ data, shape }) => createTensor(float32(...shape), data)),
    taps: mapValues(specs.taps, (spec) => createTensor(spec, ramp(spec.shape))),
  };
  return { program, run: () => program.run(inputs) };
}

function mapValues<Value, Result>(
  record: Readonly<Record<string, Value>>,
  map: (value: Value) => Result,
): Record<string, Result> {
  return Object.fromEntries(Object.entries(record).map(([name, value]) => [name, map(value)]));
}

const sumOf = (prediction: GeometryPredictionV1): Tensor =>
  tf.addN(Object.values(prediction).map((map) => tf.mean(map as Tensor)));

const ramp = (shape: readonly number[]): Float32Array =>
  Float32Array.from({ length: shape.reduce((a, b) => a * b, 1) }, (_, i) => Math.sin(0.37 * i));
