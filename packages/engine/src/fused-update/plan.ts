import { EngineError } from '../errors.js';
import { type Graph, type Node, sizeOf, type Value } from '../graph/graph.js';
import { float32, type TensorSpec, type Tree } from '../specs.js';
import type { Tensor } from '../tfjs.js';
import { outputName, trace } from '../trace/trace.js';

/** An elementwise program: parts of arrays and scalars in, those of the changed arrays out. All are float32 to it. */
export type ElementwiseProgram = (
  arrays: Readonly<Record<string, Tensor>>,
  scalars: Readonly<Record<string, Tensor>>,
) => Record<string, Tensor>;

export interface FusedUpdateOptions {
  /** Names of the arrays that the program reads. */
  readonly arrays: readonly string[];
  /** Names of the arrays that it returns; they are written in place. */
  readonly changed: readonly string[];
  readonly scalars: readonly string[];
  /** Names of arrays of bytes: whole numbers that are read as they are, and written as the whole parts of what is returned. */
  readonly bytes?: readonly string[];
  /** Names of arrays with one number for each {@link UPDATE_BLOCK} elements of the others. */
  readonly perBlock?: readonly string[];
}

/** Elements that may have a number in common. */
export const UPDATE_BLOCK = 256;

/** How often a quantity has another value: once in a run, for each block, for each element. */
export type Extent = 'run' | 'block' | 'element';

export type Operator = 'add' | 'sub' | 'mul' | 'div' | 'min' | 'max' | Unary;
type Unary = 'sqrt' | 'abs' | 'neg' | 'ceil' | 'floor';

/** Something that an update computes or reads. Equal objects are equal quantities. */
export interface Quantity {
  readonly extent: Extent;
  /** Sweeps over its block that have to be over before it is known. */
  readonly sweep: number;
  readonly source: Source;
}

type Source =
  | { readonly kind: 'array' | 'scalar'; readonly name: string }
  | { readonly kind: 'constant'; readonly value: number }
  | { readonly kind: 'operator'; readonly operator: Operator; readonly of: readonly Quantity[] }
  /** The largest element of the block. */
  | { readonly kind: 'largest'; readonly of: readonly [Quantity] };

/** What becomes of each changed array. */
export type UpdatePlan = ReadonlyMap<string, Quantity>;

const OPERATORS: Readonly<Record<string, Operator>> = {
  Add: 'add',
  Sub: 'sub',
  Mul: 'mul',
  Div: 'div',
  Min: 'min',
  Max: 'max',
  Sqrt: 'sqrt',
  Abs: 'abs',
  Neg: 'neg',
  Ceil: 'ceil',
  Floor: 'floor',
};
const OTHERS = ['Clip', 'Reshape', 'Identity', 'ReduceMax'];

/** Elements that the program is traced for: more than one block, so that extents differ by their sizes. */
const TRACED = 2 * UPDATE_BLOCK;
const EXTENTS: ReadonlyMap<number, Extent> = new Map([
  [1, 'run'],
  [TRACED / UPDATE_BLOCK, 'block'],
  [TRACED, 'element'],
]);

/**
 * Reads a program.
 * @throws EngineError PROGRAM_INVALID for one that is not elementwise within blocks, and for options that name what is not there.
 */
export function planUpdate(program: ElementwiseProgram, options: FusedUpdateOptions): UpdatePlan {
  checkOptions(options);
  const graph = traced(program, options);
  const known = new Map<Value, Quantity>();
  for (const value of graph.inputs) known.set(value, inputOf(value));
  for (const node of graph.nodes) known.set(node.outputs[0]!, read(node, known));
  return new Map(
    options.changed.map((name) => {
      const output = graph.outputs.find((each) => each.name === outputName(name));
      const expected = options.perBlock?.includes(name) ? 'block' : 'element';
      const quantity = output && quantityOf(output.value, known);
      if (quantity === undefined || quantity.extent !== expected) {
        const found = quantity === undefined ? 'nothing' : `one per ${quantity.extent}`;
        throw invalid(`"${name}": expected a value per ${expected}, found ${found}`);
      }
      return [name, quantity];
    }),
  );
}

function checkOptions({ arrays, changed, bytes = [], perBlock = [] }: FusedUpdateOptions): void {
  for (const [option, names] of Object.entries({ changed, bytes, perBlock })) {
    const unknown = names.find((name) => !arrays.includes(name));
    if (unknown !== undefined)
      throw invalid(`${option}: expected names of arrays, found "${unknown}"`);
  }
  const both = bytes.find((name) => perBlock.includes(name));
  if (both !== undefined) throw invalid(`"${both}": bytes have a value for each element`);
}

function traced(program: ElementwiseProgram, options: FusedUpdateOptions): Graph {
  const sizeOfArray = (name: string) =>
    options.perBlock?.includes(name) ? TRACED / UPDATE_BLOCK : TRACED;
  const specs: Record<string, Tree<TensorSpec>> = {
    arrays: Object.fromEntries(options.arrays.map((name) => [name, float32(sizeOfArray(name))])),
    scalars: Object.fromEntries(options.scalars.map((name) => [name, float32()])),
  };
  type Inputs = Record<'arrays' | 'scalars', Record<string, Tensor>>;
  const whole = ({ arrays, scalars }: Inputs) => program(arrays, scalars);
  return trace(whole, specs).graph;
}

function inputOf({ name, shape }: Value): Quantity {
  const [group, ...path] = name.split('/');
  const kind = group === 'scalars' ? 'scalar' : 'array';
  const extent = kind === 'scalar' ? 'run' : extentOf(shape);
  return { extent, sweep: 0, source: { kind, name: path.join('/') } };
}

function extentOf(shape: readonly number[]): Extent {
  const extent = EXTENTS.get(sizeOf(shape));
  if (extent !== undefined) return extent;
  throw invalid(
    `a tensor of ${sizeOf(shape)} elements; expected one per element, per block of ${UPDATE_BLOCK}, or a single one`,
  );
}

/** The elements stay in their order, so that blocks are rows: of other shapes a block would be what it is not. */
function requireBlocks(shape: readonly number[]): void {
  const found = shape.filter((length) => length !== 1).join('×');
  const rows = `${TRACED / UPDATE_BLOCK}×${UPDATE_BLOCK}`;
  if (found !== `${TRACED}` && found !== rows)
    throw invalid(`elements in the shape ${found}; expected ${TRACED} or ${rows}`);
}

/** The quantity that a node makes. */
function read(node: Node, known: ReadonlyMap<Value, Quantity>): Quantity {
  const [first, ...others] = node.inputs;
  const { shape } = node.outputs[0]!;
  const extent = extentOf(shape);
  if (extent === 'element') requireBlocks(shape);
  if (node.operator === 'Reshape' || node.operator === 'Identity') return quantityOf(first!, known);
  const of = [first!, ...others.filter((value) => value !== undefined)].map((value) =>
    quantityOf(value, known),
  );
  if (node.operator === 'ReduceMax') return largestOf(of[0]!, extent);
  if (node.operator === 'Clip') {
    const [value, low, high] = of as [Quantity, Quantity, Quantity];
    return apply('min', [apply('max', [value, low]), high]);
  }
  const operator = OPERATORS[node.operator];
  if (operator === undefined || node.domain !== '') throw unknownOperator(node);
  return apply(operator, of);
}

function quantityOf(value: Value, known: ReadonlyMap<Value, Quantity>): Quantity {
  const found = known.get(value);
  if (found !== undefined) return found;
  const { constant } = value;
  if (constant?.length === 1)
    return {
      extent: 'run',
      sweep: 0,
      source: { kind: 'constant', value: Number(constant[0]) },
    };
  throw invalid(
    `a constant of ${constant?.length ?? 0} elements; constants of an update are single numbers`,
  );
}

function apply(operator: Operator, of: readonly Quantity[]): Quantity {
  const order: readonly Extent[] = ['run', 'block', 'element'];
  const extent = order[Math.max(...of.map((each) => order.indexOf(each.extent)))]!;
  const sweep = Math.max(...of.map((each) => each.sweep));
  return { extent, sweep, source: { kind: 'operator', operator, of } };
}

function largestOf(of: Quantity, extent: Extent): Quantity {
  if (of.extent !== 'element' || extent !== 'block')
    throw invalid(`a maximum over something else than the blocks of ${UPDATE_BLOCK} elements`);
  return { extent: 'block', sweep: of.sweep + 1, source: { kind: 'largest', of: [of] } };
}

const unknownOperator = ({ operator, operation }: Node): EngineError =>
  invalid(
    `the operator ${operator}${operation === undefined ? '' : ` of ${operation}`}; those of an update are ${[...Object.keys(OPERATORS), ...OTHERS].join(', ')}`,
  );

const invalid = (found: string): EngineError =>
  new EngineError({
    code: 'PROGRAM_INVALID',
    message: `Fused update: ${found}.`,
    hint: 'Write the update in operations on elements, blocks and scalars, or compile it as a program.',
  });
