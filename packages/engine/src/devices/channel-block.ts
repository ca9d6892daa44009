import { DeviceValue, Session } from '../executor/index.js';
import { sizeOf, type Value } from '../graph/graph.js';
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
  const expected = await tryConvolution(undefined);
  for (const block of CANDIDATES) {
    // A build without the layout refuses the operators.
    const found = await tryConvolution(block).catch(() => undefined);
    const agrees = found?.every((value, i) => Math.abs(value - expected[i]!) < TOLERANCE);
    if (agrees === true) return block;
  }
  return undefined;
}

/** Twice as many channels as the largest block, so that their order matters. */
const IMAGE = [1, 3, 3, 32];
const FILTER = [3, 3, 32, 32];

const program = (({ x, filter }: { x: tf.Tensor4D; filter: tf.Tensor4D }) => ({
  y: tf.conv2d(x, filter, 1, 1) as Tensor,
})) as unknown as Program;

async function tryConvolution(block: number | undefined): Promise<Float32Array> {
  const specs = { x: float32(...IMAGE), filter: float32(...FILTER) };
  const { graph } = trace(program, specs, false, block);
  const session = await Session.create(encodeModel(graph), { device: 'cpu', name: 'layout probe' });
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
