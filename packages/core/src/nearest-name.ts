/** Edits (insert, delete, replace) that turn `a` into `b`. */
const editDistance = (a: string, b: string): number => {
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column);
  for (let row = 1; row <= a.length; row++) {
    const current = [row];
    for (let column = 1; column <= b.length; column++) {
      const replace = previous[column - 1]! + (a[row - 1] === b[column - 1] ? 0 : 1);
      current.push(Math.min(replace, previous[column]! + 1, current[column - 1]! + 1));
    }
    previous = current;
  }
  return previous[b.length]!;
};

/**
 * Candidate that looks most like `name`, letter case ignored, for "did you mean …" hints.
 * @returns undefined when nothing is close: more than half of the longer name would have to change.
 */
export const nearestName = (candidates: Iterable<string>, name: string): string | undefined => {
  let best: string | undefined;
  let bestDistance = Number.POSITIVE_INFINITY;
  for (const candidate of candidates) {
    const longest = Math.max(candidate.length, name.length);
    // The length difference bounds the distance from below, which spares most of a large checkpoint's names.
    if (Math.abs(candidate.length - name.length) >= bestDistance) continue;
    const distance = editDistance(candidate.toLowerCase(), name.toLowerCase());
    if (distance < bestDistance && distance <= longest / 2) {
      best = candidate;
      bestDistance = distance;
    }
  }
  return best;
};
