import { writeFile } from 'node:fs/promises';
import path from 'node:path';

/** Enough of ONNX to write small graphs by hand, field by field of onnx.proto3. */

export interface Port {
  readonly name: string;
  /** −1 leaves a dimension open. */
  readonly shape: readonly number[];
  readonly dtype?: 'float32' | 'float16';
}
export interface GraphNode {
  readonly op: string;
  readonly inputs: readonly string[];
  readonly output: string;
  readonly attributes?: Readonly<Record<string, number | readonly number[]>>;
}
export interface Constant {
  readonly shape: readonly number[];
  /** Integers are stored as int64, as the shape operators want them. */
  readonly integers?: readonly number[];
  readonly floats?: readonly number[];
}
export interface OnnxGraph {
  readonly inputs: readonly Port[];
  readonly outputs: readonly Port[];
  readonly nodes: readonly GraphNode[];
  readonly constants: Readonly<Record<string, Constant>>;
}

const ELEMENT_TYPE = { float32: 1, int64: 7, float16: 10 } as const;
const IR_VERSION = 10;
const OPSET = 21;
const EXTERNAL = 1;
const INT_ATTRIBUTE = 2;
const INTS_ATTRIBUTE = 7;

type Part = Uint8Array;
const join = (parts: readonly Part[]): Part => new Uint8Array(Buffer.concat(parts));

function varint(value: number): Part {
  const bytes: number[] = [];
  for (let rest = BigInt.asUintN(64, BigInt(value)); ; rest >>= 7n) {
    if (rest < 128n) return Uint8Array.from([...bytes, Number(rest)]);
    bytes.push(Number(rest & 127n) | 128);
  }
}
const integer = (field: number, value: number): Part => join([varint(field * 8), varint(value)]);
const bytes = (field: number, content: Part): Part =>
  join([varint(field * 8 + 2), varint(content.length), content]);
const text = (field: number, value: string): Part => bytes(field, Buffer.from(value));
const message = (field: number, ...parts: readonly Part[]): Part => bytes(field, join(parts));

const valueInfo = (field: number, { name, shape, dtype = 'float32' }: Port): Part => {
  const dimensions = shape.map((size) =>
    size < 0 ? message(1, text(2, 'open')) : message(1, integer(1, size)),
  );
  const tensor = message(1, integer(1, ELEMENT_TYPE[dtype]), message(2, ...dimensions));
  return message(field, text(1, name), message(2, tensor));
};

const node = ({ op, inputs, output, attributes = {} }: GraphNode): Part =>
  message(
    1,
    ...inputs.map((name) => text(1, name)),
    text(2, output),
    text(4, op),
    ...Object.entries(attributes).map(([name, value]) =>
      message(5, text(1, name), ...attributeValue(value)),
    ),
  );

const attributeValue = (value: number | readonly number[]): Part[] =>
  typeof value === 'number'
    ? [integer(3, value), integer(20, INT_ATTRIBUTE)]
    : [...value.map((each) => integer(8, each)), integer(20, INTS_ATTRIBUTE)];

const contentOf = ({ integers, floats = [] }: Constant): Part => {
  const array = integers
    ? BigInt64Array.from(integers, (value) => BigInt(value))
    : Float32Array.from(floats);
  return new Uint8Array(array.buffer);
};

const entry = (key: string, value: string | number): Part =>
  message(13, text(1, key), text(2, `${value}`));

/** Writes a graph; `weights` names a file beside it that takes the constants. */
export async function writeOnnx(file: string, graph: OnnxGraph, weights?: string): Promise<string> {
  const external: Part[] = [];
  const tensors = Object.entries(graph.constants).map(([name, constant]) => {
    const content = contentOf(constant);
    const header = [
      ...constant.shape.map((size) => integer(1, size)),
      integer(2, constant.integers ? ELEMENT_TYPE.int64 : ELEMENT_TYPE.float32),
      text(8, name),
    ];
    // Shapes must be at hand when the graph is opened.
    if (weights === undefined || constant.integers) return message(5, ...header, bytes(9, content));
    const offset = external.reduce((sum, part) => sum + part.length, 0);
    external.push(content);
    const where = [
      entry('location', weights),
      entry('offset', offset),
      entry('length', content.length),
    ];
    return message(5, ...header, ...where, integer(14, EXTERNAL));
  });
  const model = join([
    integer(1, IR_VERSION),
    message(
      7,
      ...graph.nodes.map(node),
      text(2, 'test'),
      ...tensors,
      ...graph.inputs.map((port) => valueInfo(11, port)),
      ...graph.outputs.map((port) => valueInfo(12, port)),
    ),
    message(8, text(1, ''), integer(2, OPSET)),
  ]);
  await writeFile(file, model);
  if (weights !== undefined)
    await writeFile(path.join(path.dirname(file), weights), join(external));
  return file;
}
