import assert from 'node:assert/strict';
import { compile, type DeviceTensor, float32, sizeOf, type Tensor, tf } from '@spatialsv/engine';
import { SpatialError } from '../errors.js';
import { createRandom } from '../random.js';
import type {
  GeometryHeadModelV1,
  GeometryHeadV1,
  GeometryTaskV1,
  MapSizeV1,
  ParameterValues,
} from '../spec.js';
import { expectAllclose } from './allclose.js';
import { globalRunner, once, type TestRunner } from './test-runner.js';

export interface GeometryHeadConformance {
  readonly head: GeometryHeadV1;
  /** Options of a small head with every task that it predicts. */
  readonly options?: unknown;
}

const VIEWS = 2;
/** Not square: what mixes up height and width fails. */
const GRID = { h: 2, w: 3 };
const CHANNELS = 6;
const SEED = 5;

/** Trailing dimensions of the maps of each task: the value, then its confidence. */
const MAPS: Readonly<Record<GeometryTaskV1, Readonly<Record<string, readonly number[]>>>> = {
  depth: { depth: [], depthConfidence: [] },
  ray: { rays: [6], rayConfidence: [] },
  point: { points: [3], pointConfidence: [] },
};

interface Configured {
  readonly head: GeometryHeadV1;
  readonly model: GeometryHeadModelV1;
  readonly parameters: ParameterValues;
}

interface Evaluated {
  readonly maps: Readonly<Record<string, Float32Array>>;
  readonly shapes: Readonly<Record<string, readonly number[]>>;
  readonly gradients: Readonly<Record<string, Float32Array>>;
}

const widths = ({ tapCount }: GeometryHeadModelV1): readonly number[] =>
  Array<number>(tapCount).fill(CHANNELS);

const makeTaps = (model: GeometryHeadModelV1): Float32Array[] => {
  const random = createRandom(SEED);
  return widths(model).map((channels) => random.normals(VIEWS * GRID.h * GRID.w * channels));
};

const readAll = async (
  tensors: Readonly<Record<string, DeviceTensor>>,
): Promise<Record<string, Float32Array>> => {
  const arrays: Record<string, Float32Array> = {};
  for (const [name, tensor] of Object.entries(tensors))
    arrays[name] = (await tensor.read()) as Float32Array;
  return arrays;
};

const numbered = <Value>(values: readonly Value[]): Record<string, Value> =>
  Object.fromEntries(values.map((value, i) => [String(i), value]));

interface Inputs {
  readonly parameters: Readonly<Record<string, Tensor>>;
  readonly taps: Readonly<Record<string, Tensor>>;
}

/** The maps as the engine computes them, and the gradients of the sum of their means by every parameter. */
const evaluate = async (
  { model, parameters }: Configured,
  size: MapSizeV1,
  tasks?: readonly GeometryTaskV1[],
): Promise<Evaluated> => {
  const shapes: Record<string, readonly number[]> = {};
  const program = (inputs: Inputs) => {
    const taps = widths(model).map((_, i) => inputs.taps[i]!);
    const maps = model.doPredict(inputs.parameters, taps, size, tasks) as Record<string, Tensor>;
    for (const [name, map] of Object.entries(maps)) shapes[name] = map.shape;
    const loss = tf.addN(Object.values(maps).map((map) => tf.mean(map)));
    return { loss, maps };
  };
  const entries = Object.entries(parameters);
  const specs = {
    parameters: Object.fromEntries(entries.map(([name, { shape }]) => [name, float32(...shape)])),
    taps: numbered(widths(model).map((channels) => float32(VIEWS, GRID.h, GRID.w, channels))),
  };
  const compiled = await compile(program, specs, { gradients: ['parameters'] });
  const outputs = (await compiled.run({
    parameters: Object.fromEntries(entries.map(([name, { data }]) => [name, data])),
    taps: numbered(makeTaps(model)),
  })) as {
    readonly maps: Readonly<Record<string, DeviceTensor>>;
    readonly gradients: { readonly parameters: Readonly<Record<string, DeviceTensor>> };
  };
  const maps = await readAll(outputs.maps);
  const gradients = await readAll(outputs.gradients.parameters);
  await compiled.dispose();
  return { maps, shapes, gradients };
};

const checkContribution = (head: GeometryHeadV1): void => {
  assert.equal(head.specificationVersion, 'v1');
  assert.equal(head.kind, 'geometry-head');
  assert.match(head.id, /^[a-z0-9][a-z0-9.-]*$/);
  assert.ok(head.predicts.length > 0, 'predicts lists no task');
  for (const task of head.predicts) assert.ok(Object.hasOwn(MAPS, task), `unknown task ${task}`);
};

const checkOptions = async ({ head, model }: Configured): Promise<void> => {
  assert.equal(model.headId, head.id);
  assert.deepEqual([...model.tasks].sort(), [...head.predicts].sort());
  const stored: unknown = JSON.parse(JSON.stringify(model.options));
  assert.deepEqual(stored, model.options, 'the options are not JSON');
  const again = await head.configure(stored);
  assert.deepEqual(again.options, model.options, 'the options are not taken back as they are');
  assert.deepEqual(again.tasks, model.tasks);
  assert.ok(Number.isInteger(model.tapCount) && model.tapCount > 0, `${model.tapCount} taps`);
  assert.equal(again.tapCount, model.tapCount);
  assert.ok((await head.configure({})).tasks.length > 0, 'no task without options');
};

const checkRefusal = async (head: GeometryHeadV1): Promise<void> => {
  await assert.rejects(
    async () => head.configure({ 'no-such-option': 1 }),
    (error) => SpatialError.isInstance(error) && error.code === 'CONFIG_INVALID',
  );
};

const checkParameters = ({ model, parameters }: Configured): void => {
  for (const [name, { data, shape }] of Object.entries(parameters)) {
    assert.match(name, /^spatial\.(?!distill\.)./);
    assert.equal(data.length, sizeOf(shape), `${name} does not have the size of its shape`);
    assert.ok(data.every(Number.isFinite), `${name} is not finite`);
  }
  assert.deepEqual(model.initialise(widths(model), SEED), parameters);
  assert.notDeepEqual(model.initialise(widths(model), SEED + 1), parameters);
};

const checkMaps = ({ model }: Configured, { maps, shapes }: Evaluated, size: MapSizeV1): void => {
  const expected = Object.assign({}, ...model.tasks.map((task) => MAPS[task]));
  assert.deepEqual(Object.keys(maps).sort(), Object.keys(expected).sort());
  for (const [name, trailing] of Object.entries(expected) as [string, number[]][]) {
    assert.deepEqual(shapes[name], [VIEWS, size.height, size.width, ...trailing], name);
    assert.ok(maps[name]!.every(Number.isFinite), `${name} is not finite`);
    if (name.endsWith('Confidence'))
      assert.ok(
        maps[name]!.every((value) => value >= 1),
        `${name} is below 1`,
      );
  }
  assert.ok(maps['depth']?.every((value) => value > 0) ?? true, 'a depth is not positive');
};

const checkGradients = ({ parameters }: Configured, { gradients }: Evaluated): void => {
  assert.deepEqual(Object.keys(gradients).sort(), Object.keys(parameters).sort());
  const all = Object.entries(gradients);
  for (const [name, values] of all)
    assert.ok(values.every(Number.isFinite), `the gradient of ${name} is not finite`);
  assert.ok(
    all.some(([, values]) => values.some((value) => value !== 0)),
    'no parameter matters',
  );
};

const checkTasks = async (configured: Configured, all: Evaluated, size: MapSizeV1) => {
  for (const task of configured.model.tasks) {
    const { maps } = await evaluate(configured, size, [task]);
    assert.deepEqual(Object.keys(maps).sort(), Object.keys(MAPS[task]).sort());
    for (const [name, values] of Object.entries(maps)) expectAllclose(values, all.maps[name]!);
  }
};

/**
 * The conformance suite of a 3D head: options come back as they are stored, parameters are named and reproducible, and
 * prediction is a program with gradients that gives the asked maps at the asked size.
 * @param create prepares the head; called once.
 */
export const describeGeometryHead = (
  create: () => GeometryHeadConformance | Promise<GeometryHeadConformance>,
  options: { readonly timeoutMs?: number; readonly runner?: TestRunner } = {},
): void => {
  const { timeoutMs = 60_000, runner = globalRunner() } = options;
  const configured = once(async (): Promise<Configured> => {
    const { head, options: given = {} } = await create();
    const model = await head.configure(given);
    return { head, model, parameters: model.initialise(widths(model), SEED) };
  });
  const nativeSize = async () => (await configured()).model.outputSize(GRID);
  const predicted = once(async () => evaluate(await configured(), await nativeSize()));
  const cases: Readonly<Record<string, () => Promise<void>>> = {
    'says what it is': async () => checkContribution((await configured()).head),
    'takes its options back as they are stored': async () => checkOptions(await configured()),
    'refuses options that it does not know': async () => checkRefusal((await configured()).head),
    'names its parameters and draws them from the seed': async () =>
      checkParameters(await configured()),
    'gives the maps of its tasks at its own size': async () =>
      checkMaps(await configured(), await predicted(), await nativeSize()),
    'gives maps of another size': async () => {
      const size = { height: 7, width: 5 };
      checkMaps(await configured(), await evaluate(await configured(), size), size);
    },
    'predicts the tasks that are asked for alone': async () =>
      checkTasks(await configured(), await predicted(), await nativeSize()),
    'has a gradient for every parameter': async () =>
      checkGradients(await configured(), await predicted()),
  };
  runner.describe('geometry head', () => {
    for (const [name, check] of Object.entries(cases)) runner.it(name, check, timeoutMs);
  });
};
