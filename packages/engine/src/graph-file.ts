import { realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { openDevice } from './devices/index.js';
import { EngineError } from './errors.js';
import {
  allocateHost,
  type Binding,
  DeviceValue,
  type ElementType,
  type ExecutionProvider,
  type HostMemory,
  PROVIDER_KINDS,
  providerNamed,
  readToHost,
  Session,
  type ValueInfo,
} from './executor/index.js';
import { externalLocations } from './onnx/external-files.js';

/** Values on the host, row-major. */
export interface GraphArray {
  readonly data: HostMemory;
  readonly shape: readonly number[];
}

/** What a run gives: values, and their type in the graph. */
export interface GraphResult extends GraphArray {
  readonly dtype: ElementType;
}

/** An input or output that a graph declares; dimensions that it leaves open are −1, an undeclared rank is []. */
export type GraphValueInfo = ValueInfo;

/** An ONNX file that somebody else made, ready to run. */
export interface GraphFile {
  /** As it was given. */
  readonly path: string;
  readonly device: string;
  readonly inputs: readonly GraphValueInfo[];
  readonly outputs: readonly GraphValueInfo[];
  /** The graph first, then the files beside it that hold its weights: name, and real path. */
  readonly files: readonly { readonly name: string; readonly path: string }[];
  /**
   * Runs off the event loop. Calls may overlap. Output shapes are those of the run.
   * @param inputs every input by name. 16-bit floats are bit patterns in a Uint16Array.
   * @param outputs names of the wanted outputs; all of them where absent.
   * @throws EngineError INPUT_INVALID for an array of another type; VALUE_INVALID for a name or a shape that
   *   the graph does not have, RUN_FAILED with ONNX Runtime's message, DISPOSED.
   */
  run(
    inputs: Readonly<Record<string, GraphArray>>,
    outputs?: readonly string[],
  ): Promise<Readonly<Record<string, GraphResult>>>;
  dispose(): Promise<void>;
}

/**
 * Opens an ONNX file with its external data, also where they are symbolic links into a cache.
 * @param file path of the .onnx file.
 * @throws EngineError DEVICE_UNAVAILABLE for a device that does not run ONNX graphs; MODEL_INVALID for a
 *   file that is missing, damaged or uses what ONNX Runtime does not know, DEVICE_UNAVAILABLE.
 */
export async function openGraph(
  file: string,
  options: { readonly device?: string } = {},
): Promise<GraphFile> {
  const provider = providerOf(options.device ?? 'cpu');
  const files = await filesOf(file);
  // By the path that was given: the names of external data count from its folder, not from that of a link's target.
  const session = await Session.create(file, {
    ...{ provider, name: path.basename(file) },
    // What a graph that somebody made needs is not known.
    workingBytes: Number.POSITIVE_INFINITY,
  });
  return {
    path: file,
    device: provider,
    inputs: session.inputs,
    outputs: session.outputs,
    files,
    run: (inputs, outputs) => run(session, inputs, outputs),
    dispose: async () => session.dispose(),
  };
}

function providerOf(name: string): ExecutionProvider {
  const found = providerNamed(name);
  if (found !== undefined) return found;
  openDevice(name);
  throw new EngineError({
    code: 'DEVICE_UNAVAILABLE',
    message: `Device "${name}" runs programs, not ONNX files: expected one of ${PROVIDER_KINDS.join(', ')}.`,
    hint: 'Choose one of these devices for a graph that comes as a file.',
  });
}

async function filesOf(file: string): Promise<{ name: string; path: string }[]> {
  const graph = { name: path.basename(file), path: await realFile(file, 'the graph') };
  const locations = readLocations(graph.path, file);
  const external = locations.map(async (name) => {
    const real = await realFile(path.resolve(path.dirname(file), name), `weights of ${file}`);
    assertReachable(file, graph.path, name, real);
    return { name, path: real };
  });
  return [graph, ...(await Promise.all(external))];
}

async function realFile(file: string, what: string): Promise<string> {
  const found = await stat(file).catch(() => undefined);
  if (found?.isFile()) return realpath(file);
  throw new EngineError({
    code: 'MODEL_INVALID',
    message: `${file} (${what}): expected a file, found ${found ? 'a folder' : 'nothing'}`,
    hint: 'Give the path of an .onnx file; files of external data keep their name and lie in the folder of the graph.',
  });
}

function readLocations(real: string, file: string): string[] {
  try {
    return externalLocations(real);
  } catch (cause) {
    throw new EngineError({
      code: 'MODEL_INVALID',
      message: `${file}: expected an ONNX model, found something else, or a part of one`,
      hint: 'Download the file again; a text file of some hundred bytes is a pointer of Git LFS, not the model.',
      cause,
    });
  }
}

/** ONNX Runtime reads external data only below the folder of the graph, or of the file that the graph's path links to. */
function assertReachable(file: string, real: string, name: string, external: string): void {
  const folders = [path.dirname(path.resolve(file)), path.dirname(real)];
  if (folders.some((folder) => !path.relative(folder, external).startsWith('..'))) return;
  throw new EngineError({
    code: 'MODEL_INVALID',
    message: `${file}: its weights ${name} are a link to ${external}, expected a file below ${folders[0]}`,
    hint: 'Move the file beside the graph, or put both behind links into one folder as the Hugging Face cache does.',
  });
}

async function run(
  session: Session,
  inputs: Readonly<Record<string, GraphArray>>,
  outputs: readonly string[] = session.outputs.map(({ name }) => name),
): Promise<Readonly<Record<string, GraphResult>>> {
  // One binding a run: overlapping runs share nothing.
  const binding = session.createBinding();
  const values: DeviceValue[] = [];
  try {
    for (const [name, array] of Object.entries(inputs)) {
      const value = wrap(session, name, array);
      values.push(value);
      binding.bindInput(name, value);
    }
    for (const name of outputs) binding.bindOutputToDevice(name);
    await binding.run();
    return await collect(binding, outputs);
  } finally {
    binding.dispose();
    for (const value of values) value.dispose();
  }
}

/** An unknown name is the binding's error. */
function wrap(session: Session, name: string, { data, shape }: GraphArray): DeviceValue {
  const dtype = session.find('input', name)?.dtype ?? 'float32';
  const expected = allocateHost(dtype, 0).constructor.name;
  if (data.constructor.name === expected) return DeviceValue.fromHost(data, dtype, shape);
  throw new EngineError({
    code: 'INPUT_INVALID',
    message: `${session.name}: input "${name}" is ${dtype}, expected a ${expected}, found a ${data.constructor.name}.`,
    hint: 'Convert the values to the type that the graph declares.',
  });
}

async function collect(
  binding: Binding,
  names: readonly string[],
): Promise<Readonly<Record<string, GraphResult>>> {
  const values = binding.outputs();
  try {
    const results: Record<string, GraphResult> = {};
    for (const [index, name] of names.entries()) {
      const value = values[index]!;
      const { dtype, shape } = value;
      results[name] = { dtype, shape, data: await readToHost(value) };
    }
    return results;
  } finally {
    for (const value of values) value.dispose();
  }
}
