import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openGraph } from './graph-file.js';
import { externalLocations } from './onnx/external-files.js';
import { serialiseModel } from './onnx/schema.js';

const FLOAT = 1;
const INT64 = 7;
const OPEN = -1;

const value = (name: string, shape: number[], elemType = FLOAT) => ({
  name,
  type: { tensorType: { elemType, shape: { dim: shape.map((dimValue) => ({ dimValue })) } } },
});
const entry = (key: string, text: string) => ({ key, value: text });

/** sum = rows + weights (in `location`), and the shape of the rows. */
const model = (location: string): Uint8Array =>
  serialiseModel({
    irVersion: 10,
    opsetImport: [{ domain: '', version: 21 }],
    graph: {
      name: 'test',
      node: [
        { opType: 'Add', input: ['rows', 'weights'], output: ['sum'] },
        { opType: 'Shape', input: ['rows'], output: ['size'] },
      ],
      input: [value('rows', [OPEN, 2])],
      output: [value('sum', [OPEN, 2]), value('size', [2], INT64)],
      initializer: [
        {
          name: 'weights',
          dims: [2],
          dataType: FLOAT,
          dataLocation: 1,
          externalData: [entry('location', location), entry('offset', '4'), entry('length', '8')],
        },
      ],
    },
  });
const WEIGHTS = Buffer.from(Float32Array.of(-1, 10, 20).buffer);

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'graph-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

const write = (name: string, bytes: Uint8Array): string => {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  writeFileSync(file, bytes);
  return file;
};
const link = (target: string, name: string): string => {
  const file = path.join(folder, name);
  mkdirSync(path.dirname(file), { recursive: true });
  symlinkSync(target, file);
  return file;
};
const rows = (...data: number[]) => ({
  rows: { data: Float32Array.from(data), shape: [data.length / 2, 2] },
});

const openTest = async () => {
  write('model.onnx_data', WEIGHTS);
  return openGraph(write('model.onnx', model('model.onnx_data')));
};

describe('a graph from a file', () => {
  it('says what it takes and gives, and which files it consists of', async () => {
    const graph = await openTest();
    expect(graph).toMatchObject({
      device: 'cpu',
      inputs: [{ name: 'rows', dtype: 'float32', shape: [-1, 2] }],
      outputs: [
        { name: 'sum', dtype: 'float32', shape: [-1, 2] },
        { name: 'size', dtype: 'int64', shape: [2] },
      ],
    });
    expect(graph.files).toEqual(
      ['model.onnx', 'model.onnx_data'].map((name) => ({
        name,
        path: realpathSync(path.join(folder, name)),
      })),
    );
    await graph.dispose();
  });

  it('runs with inputs of any size that it allows, also at once, and copies nothing that was not asked for', async () => {
    const graph = await openTest();
    const [one, two] = await Promise.all([
      graph.run(rows(1, 2)),
      graph.run(rows(1, 2, 3, 4), ['sum']),
    ]);
    expect(one).toEqual({
      sum: { dtype: 'float32', shape: [1, 2], data: Float32Array.of(11, 22) },
      size: { dtype: 'int64', shape: [2], data: BigInt64Array.of(1n, 2n) },
    });
    expect(two).toEqual({
      sum: { dtype: 'float32', shape: [2, 2], data: Float32Array.of(11, 22, 13, 24) },
    });
    expect(await graph.run(rows(0, 0))).toMatchObject({ sum: { data: Float32Array.of(10, 20) } });
    await graph.dispose();
  });

  it('opens through the links of a download cache', async () => {
    write('blobs/aaa', model('model.onnx_data'));
    write('blobs/bbb', WEIGHTS);
    const file = link('../../blobs/aaa', 'snapshots/1/model.onnx');
    link('../../blobs/bbb', 'snapshots/1/model.onnx_data');
    const graph = await openGraph(file);
    expect(graph.files.map((each) => path.basename(each.path))).toEqual(['aaa', 'bbb']);
    expect(await graph.run(rows(0, 0))).toMatchObject({ sum: { data: Float32Array.of(10, 20) } });
    await graph.dispose();
  });
});

describe('a graph that cannot be opened', () => {
  const refused = (file: string, device = 'cpu') =>
    expect(openGraph(file, { device })).rejects.toMatchObject;

  it('is missing, damaged, or a pointer', async () => {
    await refused(path.join(folder, 'none.onnx'))({ code: 'MODEL_INVALID' });
    await refused(folder)({ code: 'MODEL_INVALID', message: expect.stringContaining('a folder') });
    await refused(write('text.onnx', Buffer.from('version https://git-lfs')))({
      code: 'MODEL_INVALID',
      hint: expect.stringContaining('Git LFS'),
    });
    const whole = model('model.onnx_data');
    await refused(write('short.onnx', whole.subarray(0, whole.length - 9)))({
      code: 'MODEL_INVALID',
    });
  });

  it('lacks its weights, or has them behind a link to elsewhere', async () => {
    const file = write('a/model.onnx', model('model.onnx_data'));
    await refused(file)({
      code: 'MODEL_INVALID',
      message: expect.stringContaining('model.onnx_data'),
    });
    write('b/weights', WEIGHTS);
    link('../b/weights', 'a/model.onnx_data');
    await refused(file)({ code: 'MODEL_INVALID', hint: expect.stringContaining('Move the file') });
  });

  it('is meant for a device that runs programs only', async () => {
    const file = write('model.onnx', model('model.onnx_data'));
    await refused(file, 'tfjs-cpu')({ code: 'DEVICE_UNAVAILABLE' });
    await refused(file, 'abacus')({ code: 'DEVICE_UNAVAILABLE' });
  });
});

describe('a run that cannot be', () => {
  it.each([
    ['another type', { rows: { data: Int32Array.of(1, 2), shape: [1, 2] } }, 'INPUT_INVALID'],
    ['another shape', { rows: { data: new Float32Array(3), shape: [1, 3] } }, 'VALUE_INVALID'],
    ['too few values', { rows: { data: new Float32Array(3), shape: [2, 2] } }, 'VALUE_INVALID'],
    ['another name', { row: { data: new Float32Array(2), shape: [1, 2] } }, 'VALUE_INVALID'],
    ['nothing', {}, 'VALUE_INVALID'],
  ])('has inputs of %s', async (_, inputs, code) => {
    const graph = await openTest();
    await expect(graph.run(inputs)).rejects.toMatchObject({ code });
    await graph.dispose();
  });

  it('wants an output that there is not, or comes after the end', async () => {
    const graph = await openTest();
    await expect(graph.run(rows(1, 2), ['product'])).rejects.toMatchObject({
      code: 'VALUE_INVALID',
    });
    await graph.dispose();
    await expect(graph.run(rows(1, 2))).rejects.toMatchObject({ code: 'DISPOSED' });
  });
});

describe('external data', () => {
  it('is found in every tensor of a model, and each name once', () => {
    const tensor = (location: string) => ({
      dims: [1],
      dataType: FLOAT,
      dataLocation: 1,
      externalData: [entry('length', '4'), entry('location', location)],
    });
    const initializer = ['b', 'a', 'b'].map(tensor);
    const inline = { dims: [40_000], dataType: FLOAT, rawData: new Uint8Array(160_000).fill(255) };
    const graph = { name: 'test', initializer: [inline, ...initializer, inline] };
    const file = write('model.onnx', serialiseModel({ irVersion: 10, graph }));
    expect(externalLocations(file)).toEqual(['a', 'b']);
  });
});
