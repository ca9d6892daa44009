import { EngineError } from '../../errors.js';

/** The environment variable that chooses instead of a measurement. */
export const KERNELS_VARIABLE = 'SPATIALSV_KERNELS';

/** Ways of writing by kind; `undefined` as a kind stands for all that are not named. */
export type Override = ReadonlyMap<string | undefined, string>;

/**
 * @param text `plain` or `blocked` for every kind, or a list such as `product=plain,convolution3x3=blocked`.
 * @param known candidates of each kind.
 * @returns undefined where nothing is set.
 * @throws EngineError INPUT_INVALID for a kind or a way that does not exist.
 */
export function parseOverride(
  text: string | undefined,
  known: ReadonlyMap<string, readonly string[]>,
): Override | undefined {
  const parts = (text ?? '').split(',').flatMap((part) => part.trim() || []);
  if (parts.length === 0) return undefined;
  return new Map(
    parts.map((part): [string | undefined, string] => {
      const [way, kind] = part.split('=', 2).toReversed() as [string, string | undefined];
      const ways = kind === undefined ? [...known.values()].flat() : (known.get(kind) ?? []);
      if (!ways.includes(way)) throw unknown(part, known);
      return [kind, way];
    }),
  );
}

function unknown(part: string, known: ReadonlyMap<string, readonly string[]>): EngineError {
  const kinds = [...known].map(([kind, ways]) => `${kind}=${ways.join('|')}`);
  return new EngineError({
    code: 'INPUT_INVALID',
    message: `${KERNELS_VARIABLE}: "${part}" is no way of writing an operation.`,
    hint: `Set it to plain or blocked, or to a list of ${kinds.join(', ')}; without it this machine is measured.`,
  });
}
