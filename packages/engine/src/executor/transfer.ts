import { allocateHost, type ElementType, type HostMemory, onnxCode } from '../onnx/element-type.js';
import { serialiseModel } from '../onnx/schema.js';
import { sizeOf } from '../specs.js';
import { api, type Pointer } from './api.js';
import type { Binding } from './binding.js';
import { environment } from './environment.js';
import { Lane } from './lane.js';
import { type ExecutionProvider, kindOf, laneOf, memoryOf, unavailable } from './provider.js';
import { Session } from './session.js';
import { call, create } from './status.js';
import { DeviceValue } from './value.js';

const IR_VERSION = 10;
const OPSET = 21;
const INT_ATTRIBUTE = 2;

/**
 * Moves tensors between host and device, or between types, through sessions of one node: the C API's own CopyTensors crashes on
 * WebGPU in 1.30. The sessions stay alive, because device memory must not outlive the last session of its device.
 */
interface Transfer {
  readonly session: Session;
  readonly binding: Binding;
  /** One copy at a time uses the binding. */
  readonly lane: Lane;
}
const transfers = new Map<string, Promise<Transfer>>();
const allocators = new Map<ExecutionProvider, Promise<Pointer>>();

/**
 * Copies a value into an array of the host.
 * @param target array to fill; a new one where absent.
 */
export async function readToHost(value: DeviceValue, target?: HostMemory): Promise<HostMemory> {
  const array = target ?? allocateHost(value.dtype, sizeOf(value.shape));
  const result = DeviceValue.fromHost(array, value.dtype, value.shape);
  try {
    await copy(value, result);
  } finally {
    result.dispose();
  }
  return array;
}

/** Copies an array of the host into new memory of `device`; the caller owns the value. */
export async function uploadFromHost(
  array: HostMemory,
  dtype: ElementType,
  shape: readonly number[],
  device: ExecutionProvider,
): Promise<DeviceValue> {
  const value = await allocateOnDevice(device, dtype, shape);
  try {
    await writeFromHost(value, array);
    return value;
  } catch (error) {
    value.dispose();
    throw error;
  }
}

/** Copies a value of the host, or of `device`, into new memory of `device`; the caller owns the copy. */
export async function uploadValue(
  value: DeviceValue,
  device: ExecutionProvider,
): Promise<DeviceValue> {
  const copied = await allocateOnDevice(device, value.dtype, value.shape);
  await copy(value, copied);
  return copied;
}

/** Overwrites a value with another one of its shape and type, on one device or between one and the host. */
export const copyValue = (source: DeviceValue, target: DeviceValue): Promise<void> =>
  copy(source, target);

/** Writes values on the host in another type, on a worker thread; to float32 exact, to the nearest in others. */
export async function convert(source: DeviceValue, target: DeviceValue): Promise<void> {
  if (sizeOf(source.shape) === 0) return;
  await through(await transferOf('cpu', source.dtype, target.dtype), source, target, false);
}

/** Overwrites a value of any device with an array of the host. */
export async function writeFromHost(value: DeviceValue, array: HostMemory): Promise<void> {
  const source = DeviceValue.fromHost(array, value.dtype, value.shape);
  try {
    await copy(source, value);
  } finally {
    source.dispose();
  }
}

/** Uninitialised memory of a device, for outputs and state that stay there; the caller owns the value. */
export async function allocateOnDevice(
  device: ExecutionProvider,
  dtype: ElementType,
  shape: readonly number[],
): Promise<DeviceValue> {
  const allocator = await allocatorOf(device);
  return laneOf(device).run(async () => DeviceValue.allocateWith(allocator, device, dtype, shape));
}

/** Opens a device with the smallest session there is. @throws EngineError DEVICE_UNAVAILABLE with the reason. */
export async function probeDevice(device: ExecutionProvider): Promise<void> {
  await transferOf(device, 'float32');
}

/** What the programs and tensors of this process have of the memory of a GPU. */
export interface ArenaMemory {
  /** Bytes of tensors and of working memory now, and the most that they were at once. */
  readonly inUseBytes: number;
  readonly peakBytes: number;
  /** Bytes that the arena has taken from the GPU. */
  readonly heldBytes: number;
}

/**
 * Counted by the arena of an NVIDIA GPU itself; constants of programs, and what CUDA's libraries take, are beside it.
 * @throws EngineError DEVICE_UNAVAILABLE.
 */
export async function arenaMemory(index = 0): Promise<ArenaMemory> {
  const device: ExecutionProvider = index === 0 ? 'cuda' : `cuda:${index}`;
  const allocator = await allocatorOf(device);
  const failure = unavailable(device);
  const stats = create(failure, (out) => call('AllocatorGetStats', failure, allocator, out));
  try {
    const bytes = (name: string) => Number(api().GetKeyValue(stats, name));
    return {
      inUseBytes: bytes('InUse'),
      peakBytes: bytes('MaxInUse'),
      heldBytes: bytes('TotalAllocated'),
    };
  } finally {
    api().ReleaseKeyValuePairs(stats);
  }
}

/** What a copy that trims moves, by its device. */
const trimmers = new Map<ExecutionProvider, Promise<readonly [DeviceValue, DeviceValue]>>();

/**
 * Gives the working memory of a device that no run and no value holds back to the system: sessions share one arena, which
 * keeps what the largest of them needed, also after they were disposed. The first range of the arena on the CPU stays.
 */
export async function trimMemory(device: ExecutionProvider = 'cpu'): Promise<void> {
  // Memory that this run itself took from the arena would keep a whole region of it.
  const known = trimmers.get(device) ?? Promise.all([oneNumber(device), oneNumber(device)]);
  trimmers.set(device, known);
  known.catch(() => trimmers.delete(device));
  const [source, target] = await known;
  await through(await transferOf(device, 'float32'), source, target, true);
}

/**
 * Gives free working memory of an NVIDIA GPU back, so that what comes next takes memory of its own: a value that stays in a piece of a
 * larger region would hold on to all of it.
 */
export async function makeRoomToStay(device: ExecutionProvider): Promise<void> {
  if (kindOf(device) === 'cuda') await trimMemory(device);
}

const oneNumber = async (device: ExecutionProvider): Promise<DeviceValue> =>
  device === 'cpu'
    ? DeviceValue.fromHost(new Float32Array(1), 'float32', [1])
    : allocateOnDevice(device, 'float32', [1]);

async function copy(source: DeviceValue, target: DeviceValue): Promise<void> {
  if (sizeOf(source.shape) === 0) return;
  const provider = source.device === 'cpu' ? target.device : source.device;
  await through(await transferOf(provider, source.dtype), source, target, false);
}

async function through(
  { binding, lane }: Transfer,
  source: DeviceValue,
  target: DeviceValue,
  trim: boolean,
): Promise<void> {
  await lane.run(async () => {
    try {
      binding.bindInput('input', source);
      binding.bindOutput('output', target);
      await binding.run({ trimMemory: trim });
    } finally {
      binding.clearInputs();
      binding.clearOutputs();
    }
  });
}

function transferOf(
  provider: ExecutionProvider,
  dtype: ElementType,
  to: ElementType = dtype,
): Promise<Transfer> {
  const key = `${provider}/${dtype}/${to}`;
  const known = transfers.get(key) ?? openTransfer(provider, dtype, to);
  transfers.set(key, known);
  known.catch(() => transfers.delete(key));
  return known;
}

async function openTransfer(
  provider: ExecutionProvider,
  dtype: ElementType,
  to: ElementType,
): Promise<Transfer> {
  const session = await Session.create(transferModel(dtype, to), {
    provider,
    name: `transfer ${dtype}`,
    optimization: 'disabled',
  });
  return { session, binding: session.createBinding(), lane: new Lane() };
}

function allocatorOf(provider: ExecutionProvider): Promise<Pointer> {
  const known = allocators.get(provider) ?? openAllocator(provider);
  allocators.set(provider, known);
  known.catch(() => allocators.delete(provider));
  return known;
}

async function openAllocator(provider: ExecutionProvider): Promise<Pointer> {
  if (provider === 'cpu') return environment().allocator;
  const { session } = await transferOf(provider, 'float32');
  const failure = unavailable(provider);
  return create(failure, (out) =>
    call('CreateAllocator', failure, session.pointer, memoryOf(provider), out),
  );
}

/** One Identity or Cast node over tensors of any shape. */
function transferModel(from: ElementType, to: ElementType): Uint8Array {
  const tensor = (name: string, type: ElementType) => ({
    name,
    type: { tensorType: { elemType: onnxCode(type) } },
  });
  const ends = { input: ['input'], output: ['output'] };
  const cast = { name: 'to', type: INT_ATTRIBUTE, i: onnxCode(to) };
  return serialiseModel({
    irVersion: IR_VERSION,
    opsetImport: [{ domain: '', version: OPSET }],
    graph: {
      name: 'transfer',
      node: [
        from === to
          ? { opType: 'Identity', ...ends }
          : { opType: 'Cast', ...ends, attribute: [cast] },
      ],
      input: [tensor('input', from)],
      output: [tensor('output', to)],
    },
  });
}
