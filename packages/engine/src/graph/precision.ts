import { type Graph, type Node, sizeOf, type Value } from './graph.js';
import { movedInputs, type NarrowType, narrowInputs } from './precision-table.js';

/**
 * Brings the products of a graph into its precision. On a GPU they are computed in 16 bits: factors are cast, results cast
 * back where float32 is read. On the CPU, which has no such products, factors and results are rounded to 16 bits: the same numbers but
 * for the order of sums. What stays float32 is in one table.
 * @see PRODUCTS
 */
export function applyPrecision(graph: Graph): void {
  const { precision } = graph;
  if (precision === 'float32') return;
  const pass = graph.withoutCpuOperators
    ? new Narrowing(graph, precision)
    : new Rounding(graph, precision);
  // Decided before anything changes: of exceptions some depend on the whole graph.
  const counts = new Map(graph.nodes.map((node) => [node, narrowInputs(node, precision, graph)]));
  for (const node of graph.nodes.splice(0)) {
    const count = counts.get(node)!;
    if (count > 0) pass.product(node, count);
    else pass.other(node);
  }
}

/** Adds nodes to a graph whose nodes were taken out, in their order. */
abstract class Pass {
  protected readonly graph: Graph;
  protected readonly type: NarrowType;

  constructor(graph: Graph, type: NarrowType) {
    this.graph = graph;
    this.type = type;
  }

  /** @param count leading inputs that are factors, or are added to the product. */
  abstract product(node: Node, count: number): void;
  abstract other(node: Node): void;
}

/** Products stay float32 between values that were rounded to 16 bits. */
class Rounding extends Pass {
  /** Values that 16 bits hold exactly. */
  readonly #exact = new Set<Value>();

  product(node: Node, count: number): void {
    const inputs = node.inputs.map((value, i) =>
      value === undefined || i >= count ? value : this.#rounded(value),
    );
    const [result] = node.outputs as [Value];
    const whole = this.graph.value(result.shape, 'float32', node.operator);
    this.graph.addNode({ ...node, inputs, outputs: [whole] });
    this.graph.castAs(result, this.graph.cast(whole, this.type));
    this.#exact.add(result);
  }

  other(node: Node): void {
    this.graph.addNode(node);
    const widens = node.operator === 'Cast' && node.inputs[0]!.dtype === this.type;
    const moves = movedInputs(node)?.every((value) => this.#exact.has(value)) === true;
    if (widens || moves) for (const value of node.outputs) this.#exact.add(value);
  }

  #rounded(value: Value): Value {
    if (this.#exact.has(value)) return value;
    const rounded = this.graph.cast(this.graph.cast(value, this.type), 'float32');
    this.#exact.add(rounded);
    return rounded;
  }
}

/** Products take and give 16 bits; so does what lies between two of them and only moves elements. */
class Narrowing extends Pass {
  /** Forms in 16 bits of values that have exactly these values. */
  readonly #exact = new Map<Value, Value>();
  /** Forms in 16 bits of other values, made where a product reads them. */
  readonly #rounded = new Map<Value, Value>();

  product(node: Node, count: number): void {
    const inputs = node.inputs.map((value, i) =>
      value === undefined || i >= count ? value : this.#narrow(value),
    );
    this.#addNarrow(node, inputs);
  }

  other(node: Node): void {
    const moved = movedInputs(node);
    if (moved?.every((value) => this.#exact.has(value))) {
      this.#addNarrow(node, this.#movedNarrow(node, moved));
      return;
    }
    this.graph.addNode(node);
    const [source] = node.inputs;
    if (node.operator === 'Cast' && source?.dtype === this.type) {
      this.#exact.set(node.outputs[0]!, source);
    }
  }

  /** The node in 16 bits, and casts for those who read its results as float32. */
  #addNarrow(node: Node, inputs: readonly (Value | undefined)[]): void {
    const narrow = this.#addWith(node, inputs);
    for (const [i, result] of node.outputs.entries()) {
      this.graph.castAs(result, narrow[i]!);
      this.#exact.set(result, narrow[i]!);
    }
  }

  /**
   * A value in 16 bits. What was moved after it was computed is cast before it was moved: several products may read parts of it.
   */
  #narrow(value: Value): Value {
    const known = this.#exact.get(value) ?? this.#rounded.get(value);
    if (known !== undefined) return known;
    const producer = this.graph.producerOf(value);
    const moved = producer === undefined ? undefined : movedInputs(producer);
    if (moved === undefined || moved.some((source) => this.#isLarger(source, value))) {
      const cast = this.graph.cast(this.graph.storedWeight(value) ?? value, this.type);
      this.#rounded.set(value, cast);
      return cast;
    }
    const outputs = this.#addWith(producer!, this.#movedNarrow(producer!, moved));
    for (const [i, result] of producer!.outputs.entries()) this.#rounded.set(result, outputs[i]!);
    return this.#rounded.get(value)!;
  }

  #addWith(node: Node, inputs: readonly (Value | undefined)[]): readonly Value[] {
    const outputs = node.outputs.map(({ shape }) =>
      this.graph.value(shape, this.type, node.operator),
    );
    this.graph.addNode({ ...node, inputs, outputs });
    return outputs;
  }

  /** Of a table or a cache that is given at each run, only what is read is cast. */
  #isLarger(source: Value, part: Value): boolean {
    const isGiven = source.constant === undefined && this.graph.producerOf(source) === undefined;
    return isGiven && sizeOf(source.shape) > sizeOf(part.shape);
  }

  #movedNarrow(node: Node, moved: readonly Value[]): readonly (Value | undefined)[] {
    return [...moved.map((value) => this.#narrow(value)), ...node.inputs.slice(moved.length)];
  }
}
