/**
 * Letter that an answer text means under MindCube's official evaluation (letters A to E).
 *
 * The order of the official rules is kept, including their known false positives (`The U.S.A. flag` means A). Two of
 * its patterns need a letter with a period and can never be reached after the first rule; they are left out.
 * Source: mll-lab-nu/MindCube, src/evaluation/core/extractors.py@6d8fd9a.
 */
export function extractMindCubeLetter(text: string): string | undefined {
  return (
    lastMatch(text, /([A-E])\./g) ??
    fromAnswerSection(text) ??
    firstPattern(text, WHOLE_TEXT) ??
    lowestStandalone(text)
  );
}

const SECTION = [/[Mm]y answer is ([A-E])/g, /[Tt]he answer is ([A-E])/g, /\b([A-E])\b/g];

const WHOLE_TEXT = [
  /([A-E])(?=\s|$)/g,
  /[*"]([A-E])[*"]/g,
  /\bAnswer:?\s*([A-E])\b/g,
  /[Mm]y answer is ([A-E])/g,
  /answer is ([A-E])/g,
];

function fromAnswerSection(text: string): string | undefined {
  const section = /<Answer>([^<]*)/.exec(text)?.[1];
  return section === undefined ? undefined : firstPattern(section, SECTION);
}

function firstPattern(text: string, patterns: readonly RegExp[]): string | undefined {
  for (const pattern of patterns) {
    const letter = lastMatch(text, pattern);
    if (letter !== undefined) return letter;
  }
  return undefined;
}

function lastMatch(text: string, pattern: RegExp): string | undefined {
  return [...text.matchAll(pattern)].at(-1)?.[1];
}

function lowestStandalone(text: string): string | undefined {
  for (const line of text.split('\n').reverse()) {
    const letter = /\b([A-E])\b/.exec(line)?.[1];
    if (letter !== undefined) return letter;
  }
  return undefined;
}
