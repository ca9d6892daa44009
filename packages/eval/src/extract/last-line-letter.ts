/**
 * First letter A–D that stands alone in the last line, whatever its case: an article `a` is an A, as in the official
 * evaluation of ViewSpatial-Bench (ZJU-REAL/ViewSpatial-Bench, evaluate.py@2e85a5e).
 */
export function extractLastLineLetter(text: string): string | undefined {
  const line = text.trim().split('\n').at(-1)!;
  return /\b([A-D])\b/i.exec(line)?.[1]?.toUpperCase();
}
