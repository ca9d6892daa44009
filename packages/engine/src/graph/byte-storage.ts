import { onnxCode } from '../onnx/element-type.js';
import type { Graph, Node, Value } from './graph.js';

const castNode = (from: Value, to: Value): Node => ({
  operator: 'Cast',
  domain: '',
  inputs: [from],
  outputs: [to],
  attributes: { to: onnxCode(to.dtype) },
});

/** Makes a float32 input one of bytes, whole numbers of 0 to 255, which the graph widens itself. */
export function readBytes(graph: Graph, name: string): void {
  const index = graph.inputs.findIndex((value) => value.name === name);
  const wide = graph.inputs[index]!;
  const bytes: Value = { name, shape: wide.shape, dtype: 'uint8' };
  wide.name = `${name}:wide`;
  graph.inputs[index] = bytes;
  graph.nodes.unshift(castNode(bytes, wide));
}

/** Makes a float32 output, which holds numbers of 0 to below 256, one of bytes: their whole parts. */
export function writeBytes(graph: Graph, name: string): void {
  const index = graph.outputs.findIndex((output) => output.name === name);
  const wide = graph.outputs[index]!.value;
  const bytes: Value = { name, shape: wide.shape, dtype: 'uint8' };
  wide.name = `${name}:wide`;
  graph.outputs[index] = { name, value: bytes };
  graph.nodes.push(castNode(wide, bytes));
}
