import type { MappedTensor, TensorSpec, Tree, WeightSpec } from './specs.js';
import { type Tensor, tf } from './tfjs.js';

export const isTensor = (node: unknown): node is Tensor => node instanceof tf.Tensor;

export const isSpec = (node: unknown): node is TensorSpec | MappedTensor | WeightSpec =>
  typeof node === 'object' && node !== null && Array.isArray((node as TensorSpec).shape);

export const isTensorSpec = (node: unknown): node is TensorSpec => isSpec(node) && 'dtype' in node;

/** Leaves of a nested record with their `group/name` paths, in insertion order. `isLeaf` tells where to stop. */
export function flatten<Leaf>(
  tree: Tree<Leaf>,
  isLeaf: (node: unknown) => node is Leaf,
  prefix = '',
): [path: string, leaf: Leaf][] {
  if (isLeaf(tree)) return [[prefix, tree]];
  if (typeof tree !== 'object' || tree === null) {
    throw new TypeError(
      `${prefix || 'value'}: expected a nested record of tensors, found ${String(tree)}`,
    );
  }
  return Object.entries(tree).flatMap(([name, child]) =>
    flatten(child as Tree<Leaf>, isLeaf, prefix === '' ? name : `${prefix}/${name}`),
  );
}

/** The same nesting with every leaf replaced. */
export function mapTree<Leaf, Result>(
  tree: Tree<Leaf>,
  isLeaf: (node: unknown) => node is Leaf,
  replace: (leaf: Leaf, path: string) => Result,
  prefix = '',
): Tree<Result> {
  if (isLeaf(tree)) return replace(tree, prefix);
  const entries = Object.entries(tree as { [name: string]: Tree<Leaf> }).map(([name, child]) => [
    name,
    mapTree(child, isLeaf, replace, prefix === '' ? name : `${prefix}/${name}`),
  ]);
  return Object.fromEntries(entries);
}

/** Nested record from `group/name` paths: the inverse of {@link flatten}. */
export function nest<Leaf>(leaves: readonly (readonly [path: string, leaf: Leaf])[]): Tree<Leaf> {
  const root: Record<string, unknown> = {};
  for (const [name, leaf] of leaves) {
    const steps = name.split('/');
    let at = root;
    for (const step of steps.slice(0, -1)) {
      at[step] ??= {};
      at = at[step] as Record<string, unknown>;
    }
    at[steps.at(-1)!] = leaf;
  }
  return root as Tree<Leaf>;
}
