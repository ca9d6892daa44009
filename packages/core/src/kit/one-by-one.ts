import { setImmediate } from 'node:timers/promises';

/** Makes something of each item, and lets other work run after each: the pixels of one view take many milliseconds. */
export async function oneByOne<Item, Made>(
  items: readonly Item[],
  make: (item: Item, index: number) => Made,
): Promise<readonly Made[]> {
  const made: Made[] = [];
  for (const [index, item] of items.entries()) {
    made.push(make(item, index));
    await setImmediate();
  }
  return made;
}
