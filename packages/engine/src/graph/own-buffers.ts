import { type Graph, type Node, sameShape, type Value } from './graph.js';
import { type Buffer, type MemoryPlan, memoryPlan, type Take } from './memory-plan.js';

/** Operators of which a leading axis of length 1 on one input is a leading axis on the result. */
const ELEMENTWISE = new Set([
  ...['Add', 'Sub', 'Mul', 'Div', 'Neg', 'Abs', 'Sqrt', 'Reciprocal', 'Exp', 'Log', 'Pow', 'Erf'],
  ...['Sigmoid', 'Tanh', 'Relu', 'Clip', 'Min', 'Max', 'Sin', 'Cos', 'Cast', 'Gelu'],
]);
const PRODUCTS = new Set(['MatMul', 'FusedMatMul']);

/** What a result of another shape has to free: its two Reshapes cost some memory and time of their own. */
const BYTES_PER_TAKE = 2 ** 16;
const ROUNDS = 8;

/**
 * Frees buffers that lie idle when the block grows to its full size. ONNX Runtime holds what a result has left until the next one of equal
 * shape takes it, be that at the other end of the run. Results before such a gap get a leading axis of length 1, so that no
 * other one takes what they leave; a Reshape, which moves nothing, gives them their shape again. The graph is changed in place; what it
 * computes is the same.
 * @returns the plan of what the graph is then.
 */
export function separateBuffers(graph: Graph): MemoryPlan {
  let plan = memoryPlan(graph);
  for (let round = 0; round < ROUNDS; round += 1) {
    const apart = new Set(takesBeforeGaps(plan).map(({ value }) => value));
    if (apart.size === 0) return plan;
    const nodes = graph.nodes.flatMap((node) =>
      apart.has(node.outputs[0]!) ? withLeadingAxis(graph, node) : [node],
    );
    const changed = memoryPlan({ nodes, outputs: graph.outputs });
    if (changed.bytes >= plan.bytes) return plan;
    graph.nodes.splice(0, graph.nodes.length, ...nodes);
    plan = changed;
  }
  return plan;
}

/** Of every large buffer that is idle when the block reaches its full size, the results before that. */
function takesBeforeGaps({ buffers, index, order }: MemoryPlan): Take[] {
  return buffers.flatMap((buffer) => {
    const before = takenBefore(buffer, index);
    const isWorthIt = buffer.bytes >= BYTES_PER_TAKE * before.length;
    return isWorthIt && before.every((take) => mayLead(order[take.index]!)) ? before : [];
  });
}

/** What has left a buffer before a moment at which it is idle; nothing where it is in use then. */
function takenBefore({ takes }: Buffer, index: number): Take[] {
  const after = takes.findIndex((take) => take.index > index);
  const isIdle = after > 0 && takes[after - 1]!.lastRead < index;
  return isIdle ? takes.slice(0, after) : [];
}

function mayLead(node: Node): boolean {
  if (node.outputs.length > 1) return false;
  if (ELEMENTWISE.has(node.operator)) return leading(node) >= 0;
  return PRODUCTS.has(node.operator) && node.outputs[0]!.shape.length >= 2;
}

/** The input that is to get the axis. */
const leading = ({ operator, inputs, outputs: [value] }: Node): number =>
  PRODUCTS.has(operator)
    ? 0
    : inputs.findIndex((input) => input !== undefined && sameShape(input.shape, value!.shape));

/** A node that computes its result with one more axis, between Reshapes there and back. */
function withLeadingAxis(graph: Graph, node: Node): Node[] {
  const value = node.outputs[0]!;
  const place = leading(node);
  const input = node.inputs[place]!;
  const rank = value.shape.length + 1;
  const ones = Array.from({ length: rank - input.shape.length }, () => 1);
  const wide = graph.value([...ones, ...input.shape], input.dtype, 'apart');
  const result = graph.value([1, ...value.shape], value.dtype, 'apart');
  return [
    reshape(graph, input, wide),
    { ...node, inputs: node.inputs.with(place, wide), outputs: [result] },
    reshape(graph, result, value),
  ];
}

const reshape = (graph: Graph, from: Value, to: Value): Node => ({
  operator: 'Reshape',
  domain: '',
  inputs: [from, graph.int64(to.shape)],
  outputs: [to],
  attributes: {},
});
