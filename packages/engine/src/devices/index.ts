import { createRequire } from 'node:module';
import { EngineError } from '../errors.js';
import { tf } from '../tfjs.js';
import { registerDevice } from './device.js';
import { EagerDevice } from './eager-device.js';
import { ExecutorBackedDevice } from './executor-device.js';

registerDevice('cpu', () => new ExecutorBackedDevice('cpu'));
registerDevice('webgpu', () => new ExecutorBackedDevice('webgpu'));
registerDevice('cuda', (index) => new ExecutorBackedDevice(index === 0 ? 'cuda' : `cuda:${index}`));
registerDevice('tfjs-cpu', () => new EagerDevice('tfjs-cpu', 'cpu'));
registerDevice('tensorflow', openTensorFlow);

const TENSORFLOW_PACKAGES = ['@tensorflow/tfjs-node-gpu', '@tensorflow/tfjs-node'];

/** tfjs-node registers the backend `tensorflow` with the tfjs that it finds, which must be ours. */
function openTensorFlow(): EagerDevice {
  const load = createRequire(import.meta.url);
  // Without what it tells of its build.
  process.env['TF_CPP_MIN_LOG_LEVEL'] ??= '1';
  const selected = tf.getBackend();
  const reasons = TENSORFLOW_PACKAGES.map((name) => tryLoad(load, name));
  // Loading one selects it for everything that this process computes.
  if (selected) void tf.setBackend(selected);
  if (tf.findBackendFactory('tensorflow') !== null)
    return new EagerDevice('tensorflow', 'tensorflow');
  throw new EngineError({
    code: 'DEVICE_UNAVAILABLE',
    message: `Device "tensorflow" cannot start: ${reasons.join('; ')}.`,
    hint: `npm install @tensorflow/tfjs-node-gpu@${tf.version.tfjs} (CUDA) or @tensorflow/tfjs-node@${tf.version.tfjs}, beside SpatialSV; their install scripts load TensorFlow and have to be allowed to run.`,
  });
}

function tryLoad(load: NodeJS.Require, name: string): string {
  try {
    load(name);
    return `${name} was loaded but registered no backend`;
  } catch (error) {
    return `${name}: ${(error as Error).message.split('\n')[0]}`;
  }
}

export {
  type CompiledProgram,
  type CompileOptions,
  type CompileStats,
  type Device,
  type DeviceTensor,
  deviceNames,
  openDevice,
  type ProgramTarget,
  type ReplayCounts,
  type ResultsOf,
  type RunOptions,
  type RunValue,
  registerDevice,
} from './device.js';
