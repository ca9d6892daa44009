/**
 * First key that occurs twice in one object of a valid JSON text. `JSON.parse` keeps the last of them without a word,
 * so two readers of one file could disagree about it.
 */
export const findDuplicateKey = (text: string): string | undefined => {
  const scopes: (Set<string> | undefined)[] = [];
  let lastString = '';
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '"') {
      const end = endOfString(text, i);
      lastString = text.slice(i, end + 1);
      i = end;
    } else if (character === '{') scopes.push(new Set());
    else if (character === '[') scopes.push(undefined);
    else if (character === '}' || character === ']') scopes.pop();
    else if (character === ':') {
      const key = JSON.parse(lastString) as string;
      const keys = scopes.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
};

const endOfString = (text: string, start: number): number => {
  let i = start + 1;
  while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
  return i;
};

export type JsonObject = Readonly<Record<string, unknown>>;

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
