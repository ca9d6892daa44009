import path from 'node:path';
import { weightsFirst } from '../graph/execution-order.js';
import { type Attribute, type Graph, type Node, rowsOf, type Value } from '../graph/graph.js';
import type { MappedTensor } from '../specs.js';
import { onnxCode } from './element-type.js';
import { serialiseModel } from './schema.js';

/** ONNX' own operator set: later ones lack kernels of CUDA for operators that this one has. */
const OPSET = 21;
/** A convolution in bfloat16 is of a later set. */
const OPSET_OF_BFLOAT16_CONVOLUTIONS = 22;
const IR_VERSION = 10;

const ATTRIBUTE_TYPE = { float: 1, int: 2, string: 3, ints: 7 } as const;
const EXTERNAL = 1;

/**
 * Serialises a graph as an ONNX model.
 * @param externalFolder makes tensors in files initialisers, which refer to their files relative to this folder; without it
 *   they are inputs.
 * @param takes inputs to declare; all of them where absent.
 */
export function encodeModel(
  graph: Pick<Graph, 'nodes' | 'inputs' | 'outputs'>,
  externalFolder?: string,
  takes: (input: Value) => boolean = () => true,
): Uint8Array {
  const isInitializer = (value: Value) =>
    value.constant !== undefined || (externalFolder !== undefined && isMapped(value));
  const contributed = new Set(graph.nodes.map((node) => node.domain).filter(Boolean));
  const opsetImport: object[] = [
    { domain: '', version: opsetOf(graph) },
    ...[...contributed].map((domain) => ({ domain, version: 1 })),
  ];
  return serialiseModel({
    irVersion: IR_VERSION,
    producerName: 'spatialsv',
    opsetImport,
    graph: {
      name: 'program',
      node: weightsFirst(graph.nodes).map(encodeNode),
      initializer: valuesOf(graph.nodes)
        .filter(isInitializer)
        .map((value) => encodeInitializer(value, externalFolder)),
      input: graph.inputs
        .filter((value) => !isInitializer(value) && takes(value))
        .map((value) => encodeValueInfo(value.name, value)),
      output: graph.outputs.map((output) => encodeValueInfo(output.name, output.value)),
    },
  });
}

function opsetOf({ nodes }: Pick<Graph, 'nodes'>): number {
  const isLater = ({ operator, domain, inputs }: Node) =>
    operator === 'Conv' && domain === '' && inputs[0]!.dtype === 'bfloat16';
  return nodes.some(isLater) ? OPSET_OF_BFLOAT16_CONVOLUTIONS : OPSET;
}

const isMapped = (value: Value): boolean => value.weight?.spec.kind === 'mapped';

/** What nodes read, each value once. */
const valuesOf = (nodes: readonly Node[]): readonly Value[] => [
  ...new Set(nodes.flatMap(({ inputs }) => inputs.filter((value) => value !== undefined))),
];

function encodeNode(node: Node): object {
  return {
    name: node.outputs[0]!.name,
    opType: node.operator,
    domain: node.domain,
    input: node.inputs.map((value) => value?.name ?? ''),
    output: node.outputs.map((value) => value.name),
    attribute: Object.entries(node.attributes).map(([name, value]) => encodeAttribute(name, value)),
  };
}

function encodeAttribute(name: string, value: Attribute): object {
  if (typeof value === 'number' || typeof value === 'bigint') {
    return { name, type: ATTRIBUTE_TYPE.int, i: Number(value) };
  }
  if (typeof value === 'string') {
    return { name, type: ATTRIBUTE_TYPE.string, s: new TextEncoder().encode(value) };
  }
  if ('float' in value) return { name, type: ATTRIBUTE_TYPE.float, f: value.float };
  return { name, type: ATTRIBUTE_TYPE.ints, ints: [...value] };
}

function encodeInitializer(value: Value, externalFolder: string | undefined): object {
  const header = {
    name: value.name,
    dims: [...value.shape],
    dataType: onnxCode(value.dtype),
  };
  if (externalFolder !== undefined && isMapped(value)) {
    const { spec, rows } = value.weight!;
    const { file, byteOffset, byteLength } = rowsOf(spec as MappedTensor, rows);
    const externalData = [
      { key: 'location', value: path.relative(externalFolder, file) },
      { key: 'offset', value: String(byteOffset) },
      { key: 'length', value: String(byteLength) },
    ];
    return { ...header, dataLocation: EXTERNAL, externalData };
  }
  const data = value.constant!;
  return { ...header, rawData: new Uint8Array(data.buffer, data.byteOffset, data.byteLength) };
}

function encodeValueInfo(name: string, value: Value): object {
  return {
    name,
    type: {
      tensorType: {
        elemType: onnxCode(value.dtype),
        shape: { dim: value.shape.map((dimValue) => ({ dimValue })) },
      },
    },
  };
}
