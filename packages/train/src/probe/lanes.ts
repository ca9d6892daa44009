/**
 * Does the work on the next item. @returns false where none is left, or where something has failed.
 * @param work gets a signal that also says when another lane has failed.
 */
export type Take<Item, Result> = (
  work: (item: Item, signal: AbortSignal) => Promise<Result>,
) => Promise<boolean>;

/**
 * Works on items in several lanes at once, each of which takes the next item when it has done one.
 * @param lane what one lane does; it is over when `take` gives false.
 * @returns the results in the order of the items, when every lane is over.
 * @throws what the first lane threw that failed; the others stop at their next look at the signal.
 */
export async function inLanes<Item, Result>(
  items: readonly Item[],
  lanes: number,
  signal: AbortSignal | undefined,
  lane: (take: Take<Item, Result>) => Promise<void>,
): Promise<readonly Result[]> {
  const results: Result[] = [];
  const failure = new AbortController();
  const either = signal ? AbortSignal.any([signal, failure.signal]) : failure.signal;
  let next = 0;
  const take: Take<Item, Result> = async (work) => {
    either.throwIfAborted();
    if (next >= items.length) return false;
    const place = next++;
    results[place] = await work(items[place]!, either);
    return true;
  };
  const run = async () => {
    try {
      await lane(take);
    } catch (error) {
      failure.abort(error);
      throw error;
    }
  };
  await Promise.allSettled(Array.from({ length: lanes }, run));
  // The reason is what the first of them threw, or what whoever stopped them gave.
  either.throwIfAborted();
  return results;
}
