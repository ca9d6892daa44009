import { visit } from 'jsonc-parser';

/**
 * First key that occurs twice in one object of a valid JSON text. `JSON.parse` keeps the last of them without a word,
 * so two readers of one file could disagree about it.
 */
export const findDuplicateKey = (text: string): string | undefined => {
  const objects: Set<string>[] = [];
  let duplicate: string | undefined;
  visit(text, {
    onObjectBegin: () => {
      objects.push(new Set());
    },
    onObjectProperty: (key) => {
      const keys = objects.at(-1)!;
      if (keys.has(key)) duplicate ??= key;
      keys.add(key);
    },
    onObjectEnd: () => {
      objects.pop();
    },
  });
  return duplicate;
};

export type JsonObject = Readonly<Record<string, unknown>>;

export const isJsonObject = (value: unknown): value is JsonObject =>
  typeof value === 'object' && value !== null && !Array.isArray(value);
