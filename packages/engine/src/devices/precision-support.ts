import { EngineError } from '../errors.js';
import {
  cudaReport,
  DeviceValue,
  type ExecutionProvider,
  indexOf,
  kindOf,
  probeDevice,
  providerNamed,
  Session,
} from '../executor/index.js';
import { Graph } from '../graph/graph.js';
import { encodeModel } from '../onnx/encode.js';
import { PRECISIONS, type Precision } from '../specs.js';

/** The first NVIDIA GPUs with products in bfloat16 have compute capability 8.0. */
const CAPABILITY_WITH_BFLOAT16 = 8;

/**
 * The precision of a device where none is asked for: bfloat16 on GPUs of NVIDIA that compute in it, float32 elsewhere.
 * @param device a name, as of `openDevice`.
 */
export function defaultPrecision(device: string): Precision {
  const provider = providerNamed(device);
  if (provider === undefined || kindOf(provider) !== 'cuda') return 'float32';
  const gpu = cudaReport().runtime?.gpus[indexOf(provider)];
  return Number(gpu?.capability ?? 0) >= CAPABILITY_WITH_BFLOAT16 ? 'bfloat16' : 'float32';
}

/** @throws EngineError INPUT_INVALID for no precision, DEVICE_UNAVAILABLE for one in which a device does not compute. */
export async function assertPrecision(
  device: ExecutionProvider,
  precision: Precision,
): Promise<void> {
  assertKnownPrecision(precision);
  if (kindOf(device) !== 'webgpu' || precision === 'float32') return;
  if (precision === 'float16' && (await webgpuHasFloat16())) return;
  throw precision === 'float16'
    ? unavailable(
        device,
        precision,
        'its adapter does not offer "shader-f16"',
        'Take float32, or a GPU and driver that offer it.',
      )
    : unavailable(device, precision, 'WebGPU has no such type', 'Take float32 or float16.');
}

/** Eager devices compute in float32 alone. @throws as {@link assertPrecision}. */
export function assertFloat32(device: string, precision: Precision): void {
  assertKnownPrecision(precision);
  if (precision === 'float32') return;
  throw unavailable(
    device,
    precision,
    'it runs programs eagerly, in float32',
    'Take float32, or device "cuda".',
  );
}

function assertKnownPrecision(precision: Precision): void {
  if (PRECISIONS.includes(precision)) return;
  throw new EngineError({
    code: 'INPUT_INVALID',
    message: `Unknown precision "${precision}": expected one of ${PRECISIONS.join(', ')}.`,
    hint: 'float32 is the default.',
  });
}

const unavailable = (device: string, precision: string, reason: string, hint: string) =>
  new EngineError({
    code: 'DEVICE_UNAVAILABLE',
    message: `Device "${device}" cannot compute in ${precision}: ${reason}.`,
    hint,
  });

let float16: Promise<boolean> | undefined;

/** Whether the adapter runs shaders with float16: tried once, with a small product. */
function webgpuHasFloat16(): Promise<boolean> {
  float16 ??= probeDevice('webgpu').then(() => squareOfTwo().then((four) => four === 4, isRefused));
  return float16;
}

const isRefused = (): boolean => false;

async function squareOfTwo(): Promise<number> {
  const graph = new Graph({ withoutCpuOperators: true });
  const type = { shape: [1, 1], dtype: 'float16' } as const;
  const half = graph.cast(graph.input('x', { ...type, dtype: 'float32' }), 'float16');
  graph.output('y', graph.cast(graph.add('MatMul', [half, half], type), 'float32'));
  const session = await Session.create(encodeModel(graph), { provider: 'webgpu', name: 'float16' });
  const [x, y] = [Float32Array.of(2), new Float32Array(1)];
  const [source, target] = [x, y].map((array) => DeviceValue.fromHost(array, 'float32', [1, 1]));
  try {
    const binding = session.createBinding();
    binding.bindInput('x', source!);
    binding.bindOutput('y', target!);
    await binding.run();
    return y[0]!;
  } finally {
    source!.dispose();
    target!.dispose();
    session.dispose();
  }
}
