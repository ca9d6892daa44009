/** Learning byte-pair encoding, for small tokenizers. */

/** Two neighbouring pieces that become one. */
export type Merge = readonly [string, string];

interface Word {
  readonly pieces: readonly string[];
  readonly count: number;
}

/** Number of occurrences of every word. */
export function countWords(words: Iterable<string>): ReadonlyMap<string, number> {
  const counts = new Map<string, number>();
  for (const word of words) counts.set(word, (counts.get(word) ?? 0) + 1);
  return counts;
}

/**
 * Repeatedly joins the most frequent neighbouring pair (ties by spelling), until every word is one piece.
 * @param counts occurrences by word, whose characters are the first pieces. @param maxMerges upper bound on joined pairs.
 */
export function learnMerges(
  counts: ReadonlyMap<string, number>,
  maxMerges: number,
): readonly Merge[] {
  let words: readonly Word[] = [...counts].map(([word, count]) => ({
    pieces: Array.from(word),
    count,
  }));
  const merges: Merge[] = [];
  while (merges.length < maxMerges) {
    const best = mostFrequentPair(words);
    if (best === undefined) break;
    merges.push(best);
    words = words.map(({ pieces, count }) => ({ pieces: joinPair(pieces, best), count }));
  }
  return merges;
}

function mostFrequentPair(words: readonly Word[]): Merge | undefined {
  const pairs = new Map<string, { pair: Merge; count: number }>();
  for (const { pieces, count } of words) {
    for (let i = 0; i + 1 < pieces.length; i++) {
      const pair: Merge = [pieces[i]!, pieces[i + 1]!];
      const key = pair.join(' ');
      pairs.set(key, { pair, count: (pairs.get(key)?.count ?? 0) + count });
    }
  }
  let best: { key: string; pair: Merge; count: number } | undefined;
  for (const [key, { pair, count }] of pairs) {
    const isBetter =
      best === undefined || count > best.count || (count === best.count && key < best.key);
    if (isBetter) best = { key, pair, count };
  }
  return best?.pair;
}

function joinPair(pieces: readonly string[], [left, right]: Merge): readonly string[] {
  const joined: string[] = [];
  for (let i = 0; i < pieces.length; i++) {
    const isPair = pieces[i] === left && pieces[i + 1] === right;
    joined.push(isPair ? left + right : pieces[i]!);
    if (isPair) i++;
  }
  return joined;
}
