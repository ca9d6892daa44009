import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import {
  cameraNormals,
  type GeometryLabelsV1,
  normalAngles,
  summariseAngles,
} from '@spatialsv/core';
import { expectAllclose, type Golden, readGolden } from '@spatialsv/core/testing';
import { compile, differentiate, float32, int32, type Tensor } from '@spatialsv/engine';
import { countMatches, noMatches, trueMatches } from './correspondence.js';
import type { DenseTask } from './dense-targets.js';
import {
  denseShapes,
  matchLoss,
  matchShapes,
  type ProbeKind,
  predictMaps,
  similarities,
  squaredError,
} from './probe-network.js';

const FOLDER = join(__dirname, '__golden__');
const casesOf = (pattern: RegExp) => readdirSync(FOLDER).filter((name) => pattern.test(name));

type Named = Readonly<Record<string, Tensor>>;

/** Parameters or gradients of a case, by name. */
const named = (golden: Golden<unknown>, prefix: string) =>
  Object.fromEntries(
    golden.names
      .filter((name) => name.startsWith(`${prefix}.`))
      .map((name) => [name.slice(prefix.length + 1), golden.float32(name)]),
  );

const specOf = (golden: Golden<unknown>, name: string) => float32(...golden.shape(name));

/** Runs a program that differentiates a loss, and reads what it gives. */
async function run(program: unknown, specs: object, inputs: object) {
  const compiled = await compile(program as never, specs as never, { name: 'golden' });
  const outputs = await compiled.run(inputs as never);
  const read = async (value: unknown): Promise<unknown> =>
    typeof (value as { read?: unknown }).read === 'function'
      ? (value as { read(): Promise<Float32Array> }).read()
      : Object.fromEntries(
          await Promise.all(
            Object.entries(value as object).map(async ([key, each]) => [key, await read(each)]),
          ),
        );
  const values = await read(outputs);
  await compiled.dispose();
  return values as {
    readonly value: Float32Array;
    readonly loss: Float32Array;
    readonly gradients: Readonly<Record<string, Float32Array>>;
  };
}

function expectGradients(
  golden: Golden<unknown>,
  found: Readonly<Record<string, Float32Array>>,
): void {
  const expected = named(golden, 'gradient');
  expect(Object.keys(found).sort()).toEqual(Object.keys(expected).sort());
  for (const [name, values] of Object.entries(expected)) {
    const largest = values.reduce((most, value) => Math.max(most, Math.abs(value)), 0);
    expectAllclose(found[name]!, values, { rtol: 1e-4, atol: 1e-5 * largest });
  }
}

describe.each(casesOf(/^(linear|dpt)-/))('a probe for maps equals PyTorch: %s', (name) => {
  it('in its maps, its loss and the gradients of every parameter', async () => {
    const golden = await readGolden(join(FOLDER, name));
    const { kind, task, shape, loss } = golden.info as {
      kind: ProbeKind;
      task: DenseTask;
      shape: number[];
      loss: number;
    };
    const shapes = denseShapes(kind, task, shape[3]!);
    const parameters = named(golden, 'parameter');
    expect(Object.keys(parameters).sort()).toEqual(Object.keys(shapes).sort());
    const inputs = ['x', 'mean', 'inverse', 'target', 'mask'] as const;
    const program = (given: Record<(typeof inputs)[number], Tensor> & { parameters: Named }) => {
      const { outputs, gradients } = differentiate((trained) => {
        const value = predictMaps(kind, task, trained, given.x, given);
        return { value, loss: squaredError(value, given.target, given.mask) };
      }, given.parameters);
      return { ...outputs, gradients };
    };
    const found = await run(
      program,
      {
        parameters: Object.fromEntries(
          Object.entries(shapes).map(([key, each]) => [key, float32(...each)]),
        ),
        ...Object.fromEntries(inputs.map((key) => [key, specOf(golden, key)])),
      },
      { parameters, ...Object.fromEntries(inputs.map((key) => [key, golden.float32(key)])) },
    );
    expectAllclose(found.value, golden.float32('maps'), { rtol: 1e-5, atol: 1e-5 });
    expectAllclose(found.loss, [loss], { rtol: 1e-5 });
    expectGradients(golden, found.gradients);
  });
});

describe.each(casesOf(/^match-/))('a probe for correspondence equals PyTorch: %s', (name) => {
  it('in its similarities, its loss and the gradient', async () => {
    const golden = await readGolden(join(FOLDER, name));
    const { shape, loss } = golden.info as { shape: number[]; loss: number };
    const [pairs, cells] = shape as [number, number];
    const inputs = ['first', 'second', 'mean', 'inverse', 'weights'] as const;
    type Inputs = Record<(typeof inputs)[number] | 'targets', Tensor> & { parameters: Named };
    const program = ({ first, second, targets, weights, parameters, ...scale }: Inputs) => {
      const { outputs, gradients } = differentiate((trained) => {
        const value = similarities(trained, first, second, scale);
        return { value, loss: matchLoss(value, targets, weights) };
      }, parameters);
      return { ...outputs, gradients };
    };
    const weight = matchShapes(shape[3]!)['match.weight']!;
    const found = await run(
      program,
      {
        parameters: { 'match.weight': float32(...weight) },
        targets: int32(pairs, cells),
        ...Object.fromEntries(inputs.map((key) => [key, specOf(golden, key)])),
      },
      {
        parameters: named(golden, 'parameter'),
        targets: golden.int32('targets'),
        ...Object.fromEntries(inputs.map((key) => [key, golden.float32(key)])),
      },
    );
    expectAllclose(found.value, golden.float32('similarity'), { rtol: 1e-5, atol: 1e-5 });
    expectAllclose(found.loss, [loss], { rtol: 1e-5 });
    expectGradients(golden, found.gradients);
  });
});

interface GeometryCase {
  readonly views: number;
  readonly height: number;
  readonly width: number;
  readonly pixelCentre: 'half' | 'integer';
  readonly layout: {
    readonly grid: readonly [number, number];
    readonly window: readonly [number, number, number, number];
  };
  readonly statistics: Readonly<Record<string, number>>;
  readonly pairs: readonly {
    readonly from: number;
    readonly to: number;
    readonly counts: Readonly<Record<string, number>>;
  }[];
}

describe.each(casesOf(/^room-/))('targets and metrics equal NumPy: %s', (name) => {
  let golden: Golden<GeometryCase>;
  let info: GeometryCase;
  let labels: GeometryLabelsV1;
  beforeAll(async () => {
    golden = await readGolden(join(FOLDER, name));
    info = golden.info;
    const { views, height, width, pixelCentre } = info;
    labels = {
      conventions: {
        axes: 'opencv',
        extrinsics: 'world-to-camera',
        pixelCentre,
        depth: 'z-depth',
        scale: 'metric-metres',
        world: 'first-camera',
      },
      views,
      height,
      width,
      depth: golden.float32('depth'),
      mask: Uint8Array.from(golden.int32('mask')),
      intrinsics: golden.float32('intrinsics'),
      extrinsicsWorldToCamera: golden.float32('extrinsics'),
    };
  });

  it('normals of depth', () => {
    const { normals, mask } = cameraNormals(labels);
    expect([...mask]).toEqual([...golden.int32('normalMask')]);
    // Differences of neighbouring float32 points.
    expectAllclose(normals, golden.float32('normals'), { rtol: 0, atol: 1e-4 });
  });

  it('angles between normals', () => {
    const angles = normalAngles(
      golden.float32('prediction'),
      golden.float32('normals'),
      golden.int32('normalMask'),
    );
    const found = summariseAngles(angles);
    for (const [key, value] of Object.entries(info.statistics))
      expect(found[key as keyof typeof found]).toBeCloseTo(value, 5);
  });

  it('true matches, and how many of them a similarity finds', () => {
    const { grid, window } = info.layout;
    const [h, w] = grid;
    const [x0, y0, x1, y1] = window;
    const { height, width } = labels;
    const layout = { h, w, covered: { x0, y0, x1, y1 }, image: { height, width } };
    const layouts = Array.from({ length: labels.views }, () => layout);
    for (const { from, to, counts } of info.pairs) {
      const found = trueMatches(labels, layouts, from, to);
      const expected = golden.float64(`matches.${from}.${to}`);
      const column = (index: number) =>
        Array.from({ length: expected.length / 4 }, (_, i) => expected[4 * i + index]!);
      expect([...found.cells]).toEqual(column(0));
      expect([...found.targets]).toEqual(column(1));
      // Pixels of float32 projections.
      expectAllclose(
        found.places.filter((_, i) => i % 2 === 0),
        column(2),
        { rtol: 1e-5, atol: 1e-5 },
      );
      expectAllclose(
        found.places.filter((_, i) => i % 2 === 1),
        column(3),
        { rtol: 1e-5, atol: 1e-5 },
      );
      const counted = noMatches();
      countMatches(counted, golden.float32(`similarity.${from}.${to}`), found, layout);
      expect(counted).toEqual(counts);
    }
  });
});
