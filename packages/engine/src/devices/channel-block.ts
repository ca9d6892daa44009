import { DeviceValue, Session } from '../executor/index.js';
import { type Graph, sizeOf, type Value } from '../graph/graph.js';
import { encodeModel } from '../onnx/encode.js';
import { float32, type Program } from '../specs.js';
import { type Tensor, tf } from '../tfjs.js';
import { trace } from '../trace/trace.js';

/** Block sizes of ONNX Runtime's builds: AVX-512 and Arm, AVX2, older. */
const CANDIDATES = [16, 8, 4];
const TOLERANCE = 1e-4;

let known: Promise<number | undefined> | undefined;

/**
 * Channels per block of the layout in which ONNX Runtime convolves fastest on this CPU; undefined where it has none.
 * Its operators are internal and their block depends on the machine, so a small convolution is tried for each candidate
 * and compared with the plain operator, once per process.
 */
export function channelBlock(): Promise<number | undefined> {
  known ??= findBlock();
  return known;
}

async function findBlock(): Promise<number | undefined> {
  for (const block of CANDIDATES) if (await isBlockOfThisMachine(block)) return block;
  return undefined;
}

/** Whether a convolution written for blocks of this size gives what the plain operator gives. */
export async function isBlockOfThisMachine(block: number): Promise<boolean> {
  const expected = await convolve(undefined);
  // A build without the layout refuses the operators.
  const found = await convolve(block).catch(() => undefined);
  return found?.every((value, i) => Math.abs(value - expected[i]!) < TOLERANCE) ?? false;
}

/** More pixels than 256, from which on the layout is used, and twice as many channels as the largest block, so that their order matters. */
const IMAGE = [1, 17, 17, 32];
const FILTER = [3, 3, 32, 32];

const program = (({ x, filter }: { x: tf.Tensor4D; filter: tf.Tensor4D }) => ({
  y: tf.conv2d(x, filter, 1, 1) as Tensor,
})) as unknown as Program;

/** The trial in the layout, or with the plain operator. */
export function trialGraph(block: number | undefined): Graph {
  const specs = { x: float32(...IMAGE), filter: float32(...FILTER) };
  return trace(program, specs, block === undefined, block).graph;
}

async function convolve(block: number | undefined): Promise<Float32Array> {
  const graph = trialGraph(block);
  const session = await Session.create(encodeModel(graph), { device: 'cpu', name: 'layout trial' });
  try {
    const binding = session.createBinding();
    for (const { name, shape } of graph.inputs) binding.bindInput(name, ramp(shape));
    const [output] = graph.outputs.map(({ value }) => value) as [Value];
    const result = new Float32Array(sizeOf(output.shape));
    binding.bindOutput(output.name, DeviceValue.fromHost(result, 'float32', output.shape));
    await binding.run();
    return result;
  } finally {
    session.dispose();
  }
}

/** Distinct numbers of both signs. */
function ramp(shape: readonly number[]): DeviceValue {
  const data = Float32Array.from({ length: sizeOf(shape) }, (_, i) => Math.sin(1 + 0.7 * i) / 16);
  return DeviceValue.fromHost(data, 'float32', shape);
}
