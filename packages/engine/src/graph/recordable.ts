import { type Graph, type Node, sameShape, type Value } from './graph.js';

/**
 * Operators whose kernels of CUDA take all that they need from the GPU. Others bring tables of places from the host at every run; a recorded
 * run would read them where they were. Seen on pretend GPUs, where copies are counted.
 */
const RESIDENT = new Set([
  ...['Add', 'Sub', 'Mul', 'Div', 'Pow', 'Sqrt', 'Neg', 'Abs', 'Exp', 'Log', 'Sum', 'Max', 'Min'],
  ...['Sigmoid', 'Tanh', 'Erf', 'Relu', 'Sin', 'Cos', 'Reciprocal', 'Clip', 'Gelu', 'FastGelu'],
  ...['QuickGelu', 'Where', 'Equal', 'Greater', 'Less', 'GreaterOrEqual', 'LessOrEqual', 'Not'],
  ...['And', 'Or', 'Cast', 'Identity', 'Reshape', 'Transpose', 'Squeeze', 'Unsqueeze', 'Slice'],
  ...['Expand', 'Gather', 'GatherElements', 'Gemm', 'ReduceSum', 'ReduceMean'],
  ...[
    'ReduceMax',
    'ReduceSumSquare',
    'Sign',
    'RotaryEmbedding',
    'Softmax',
    'LogSoftmax',
    'LayerNormalization',
    'SimplifiedLayerNormalization',
  ],
  ...['ScatterElements', 'ScatterND', 'MultiHeadAttention', 'Pad', 'Tile'],
]);

/** Of one kernel that takes its inputs or outputs by value. */
const MOST_PARTS = 32;

/**
 * What keeps the runs of a graph from being recorded as a CUDA graph: an operator that reads from the host at each run.
 * @returns undefined where nothing does.
 */
export function unrecordable(graph: Graph): string | undefined {
  const found = graph.nodes.find((node) => !isResident(node));
  return found?.operator;
}

function isResident(node: Node): boolean {
  if (RESIDENT.has(node.operator)) return true;
  if (node.operator === 'Concat') return areAlike(node.inputs as readonly Value[]);
  if (node.operator === 'Split') return areAlike(node.outputs);
  return /^(Fused)?MatMul$/.test(node.operator) && isOneProduct(node.inputs as readonly Value[]);
}

const areAlike = (values: readonly Value[]): boolean =>
  values.length <= MOST_PARTS && values.every(({ shape }) => sameShape(shape, values[0]!.shape));

/** One product, or products of equally many matrices; others are told apart by addresses that the host writes. */
function isOneProduct([left, right]: readonly Value[]): boolean {
  const [a, b] = [left!.shape.slice(0, -2), right!.shape.slice(0, -2)];
  return b.length === 0 || sameShape(a, b);
}
