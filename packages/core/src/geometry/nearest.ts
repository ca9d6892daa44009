/** Points below one node of the tree that are looked through one by one. */
const LEAF = 16;

/** A balanced k-d tree over (N, 3): ids ordered so that the middle one of a range parts it along its axis. */
interface Tree {
  readonly points: ArrayLike<number>;
  readonly ids: Int32Array;
}

/**
 * Distance of every point to the nearest one of another set.
 * @param from (N, 3). @param to (M, 3).
 * @returns (N), Infinity where `to` is empty.
 */
export function nearestDistances(from: ArrayLike<number>, to: ArrayLike<number>): Float64Array {
  const tree = buildTree(to);
  return Float64Array.from({ length: from.length / 3 }, (_, i) =>
    Math.sqrt(nearestSquare(tree, [from[3 * i]!, from[3 * i + 1]!, from[3 * i + 2]!])),
  );
}

function buildTree(points: ArrayLike<number>): Tree {
  const tree = { points, ids: Int32Array.from({ length: points.length / 3 }, (_, i) => i) };
  part(tree, 0, tree.ids.length - 1, 0);
  return tree;
}

function part(tree: Tree, left: number, right: number, axis: number): void {
  if (right - left < LEAF) return;
  const middle = (left + right) >> 1;
  select(tree, { left, right, place: middle, axis });
  part(tree, left, middle - 1, (axis + 1) % 3);
  part(tree, middle + 1, right, (axis + 1) % 3);
}

/** Hoare's quickselect: what stands before `place` is not larger along the axis than what stands behind it. */
function select(
  { points, ids }: Tree,
  range: { left: number; right: number; place: number; axis: number },
): void {
  let { left, right } = range;
  const { place, axis } = range;
  const value = (at: number) => points[3 * ids[at]! + axis]!;
  while (left < right) {
    const pivot = value((left + right) >> 1);
    let [i, j] = [left, right];
    while (i <= j) {
      while (value(i) < pivot) i++;
      while (value(j) > pivot) j--;
      if (i > j) break;
      [ids[i], ids[j]] = [ids[j]!, ids[i]!];
      i++;
      j--;
    }
    if (place <= j) right = j;
    else if (place >= i) left = i;
    else return;
  }
}

type Point = readonly [number, number, number];

function nearestSquare(tree: Tree, point: Point): number {
  let least = Infinity;
  const look = (at: number) => {
    const i = 3 * tree.ids[at]!;
    const dx = tree.points[i]! - point[0];
    const dy = tree.points[i + 1]! - point[1];
    const dz = tree.points[i + 2]! - point[2];
    least = Math.min(least, dx * dx + dy * dy + dz * dz);
  };
  const visit = (left: number, right: number, axis: number): void => {
    if (right - left < LEAF) {
      for (let at = left; at <= right; at++) look(at);
      return;
    }
    const middle = (left + right) >> 1;
    look(middle);
    const offset = point[axis]! - tree.points[3 * tree.ids[middle]! + axis]!;
    const next = (axis + 1) % 3;
    const before = () => visit(left, middle - 1, next);
    const behind = () => visit(middle + 1, right, next);
    const [near, far] = offset < 0 ? [before, behind] : [behind, before];
    near();
    if (offset * offset < least) far();
  };
  visit(0, tree.ids.length - 1, 0);
  return least;
}
