import type { DeviceTensor } from '@spatialsv/core';

const isTensor = (node: object): node is DeviceTensor => 'dispose' in node;

/** Leaves of nested records. */
const leavesOf = (node: object): DeviceTensor[] =>
  isTensor(node) ? [node] : Object.values(node).flatMap((child) => leavesOf(child));

/** Device tensors of one run: what was not freed on the way is freed at its end, also when it fails. */
export class TensorScope {
  readonly #tensors = new Set<DeviceTensor>();

  /** Takes charge of every tensor of a nested record. @returns the record. */
  own<Tree extends object>(tree: Tree): Tree {
    for (const tensor of leavesOf(tree)) this.#tensors.add(tensor);
    return tree;
  }

  free(...trees: readonly object[]): void {
    for (const tensor of trees.flatMap(leavesOf))
      if (this.#tensors.delete(tensor)) tensor.dispose();
  }

  dispose(): void {
    this.free(...this.#tensors);
  }
}

/** Values of all views, copied out of device tensors. */
export class Collected {
  readonly #views: number;
  #values = new Float32Array();

  constructor(views: number) {
    this.#views = views;
  }

  async take(view: number, tensor: DeviceTensor): Promise<void> {
    this.put(view, (await tensor.read()) as Float32Array);
  }

  put(view: number, values: Float32Array): void {
    if (this.#values.length === 0) this.#values = new Float32Array(this.#views * values.length);
    this.#values.set(values, view * values.length);
  }

  values(): Float32Array {
    return this.#values;
  }
}
