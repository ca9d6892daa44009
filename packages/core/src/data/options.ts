/** A question whose options stood inside its text. */
export interface SplitQuestion {
  readonly stem: string;
  /** Option letter → text, empty when none were found. */
  readonly options: Readonly<Record<string, string>>;
}

/**
 * Splits `… behind me? A. TV B. Sofa` into stem and options. A marker `X.` counts only when X is the next letter of
 * A, B, C… and stands at the start or after white space, so that `B. Mr. X` or `U.S.A.` are not cut. Among several
 * possible A's the last one that is followed by a B is taken: questions may mention letters before their options.
 */
export function splitInlineOptions(question: string): SplitQuestion {
  const markers = optionMarkers(question);
  const first = markers[0];
  if (first === undefined) return { stem: question.trim(), options: {} };
  const entries = markers.map((marker, index): [string, string] => {
    const end = markers[index + 1]?.start ?? question.length;
    return [marker.letter, question.slice(marker.start + 2, end).trim()];
  });
  return { stem: question.slice(0, first.start).trim(), options: Object.fromEntries(entries) };
}

interface Marker {
  readonly letter: string;
  readonly start: number;
}

function optionMarkers(question: string): readonly Marker[] {
  const candidates = [...question.matchAll(/(?<=^|\s)([A-Z])\.(?=\s|$)/g)].map((match) => ({
    letter: match[1]!,
    start: match.index,
  }));
  const runs = candidates
    .map((marker, index) => (marker.letter === 'A' ? consecutive(candidates.slice(index)) : []))
    .filter((run) => run.length > 1);
  return runs.at(-1) ?? [];
}

function consecutive(candidates: readonly Marker[]): readonly Marker[] {
  const run: Marker[] = [];
  for (const marker of candidates) {
    if (marker.letter === String.fromCharCode(65 + run.length)) run.push(marker);
  }
  return run;
}
