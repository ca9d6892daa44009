interface Disposable {
  dispose(): void;
}

/** Things that end together. Disposing twice is harmless. */
export class Disposables {
  readonly #things = new Set<Disposable>();

  add<Thing extends Disposable>(thing: Thing): Thing {
    this.#things.add(thing);
    return thing;
  }

  dispose(): void {
    for (const thing of this.#things) thing.dispose();
    this.#things.clear();
  }
}

/** Makes several things at once; what was made is disposed when one of them fails. */
export async function allOrNone<Thing extends Disposable>(
  making: readonly Promise<Thing>[],
): Promise<Thing[]> {
  const ended = await Promise.allSettled(making);
  const failed = ended.find((each) => each.status === 'rejected');
  const made = ended.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []));
  if (failed === undefined) return made;
  for (const thing of made) thing.dispose();
  throw failed.reason;
}
