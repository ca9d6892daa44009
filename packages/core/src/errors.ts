// A part of the engine that loads nothing else: the contract of plugins has its errors and no tensors.
import { CodedError, EngineError, isMarked } from '@spatialsv/engine/errors';

const spatial = Symbol.for('spatialsv.error.spatial');

export type ErrorCode =
  | 'PLUGIN_API_MISMATCH'
  | 'PLUGIN_INVALID'
  | 'PLUGIN_UNKNOWN'
  | 'SHAPE_MISMATCH'
  | 'CONVENTION_MISMATCH'
  | 'WEIGHT_MISSING'
  | 'WEIGHT_UNEXPECTED'
  | 'DTYPE_UNSUPPORTED'
  | 'TAP_UNKNOWN'
  | 'NON_FINITE'
  | 'CONFIG_INVALID'
  | 'FILE_MISSING'
  | 'FILE_INVALID'
  | 'IMAGE_INVALID'
  | 'DATA_INVALID'
  | 'OUT_OF_MEMORY'
  | 'USAGE';

/**
 * An error that a user of a model, its data or its plugins can cause. Recognise it with {@link SpatialError.isInstance}, which
 * also works across duplicate installs; errors of every class, those of the engine too, with `CodedError.isInstance`.
 */
export class SpatialError extends CodedError<ErrorCode> {
  readonly [spatial] = true;
  override readonly name = 'SpatialError';

  static override isInstance(error: unknown): error is SpatialError {
    return isMarked(error, spatial);
  }
}

/** What an error says, also one that is no Error of this realm. */
export const errorMessage = (error: unknown): string => {
  const message = (error as Error | null | undefined)?.message;
  return typeof message === 'string' ? message : String(error);
};

/** An error that says more: its code and hint stay, and it is the cause. */
export function extendError(error: unknown, message: string, cause: unknown = error): Error {
  if (SpatialError.isInstance(error))
    return new SpatialError({ code: error.code, hint: error.hint, message, cause });
  if (EngineError.isInstance(error))
    return new EngineError({ code: error.code, hint: error.hint, message, cause });
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  return Object.assign(new Error(message, { cause }), code !== undefined && { code });
}

/**
 * Two failures as one: the first with its code and hint, the second named behind it, both whole in `cause`.
 * @param second what failed while the first was dealt with.
 */
export function joinErrors(first: unknown, second: unknown): Error {
  const message = `${errorMessage(first)}; after that: ${errorMessage(second)}`;
  return extendError(first, message, new AggregateError([first, second]));
}

/**
 * Does `work`, then every cleanup in turn, whether or not something failed before.
 * @returns what `work` returns.
 * @throws what failed first, with the later failures behind it: no error hides another.
 */
export async function withCleanup<Result>(
  work: () => Promise<Result>,
  ...cleanups: readonly (() => unknown)[]
): Promise<Result> {
  const failures: unknown[] = [];
  const attempt = async <Value>(action: () => Value) => {
    try {
      return await action();
    } catch (error) {
      // A cleanup may meet what has been reported already.
      if (!failures.includes(error)) failures.push(error);
      return undefined;
    }
  };
  const result = await attempt(work);
  for (const cleanup of cleanups) await attempt(cleanup);
  if (failures.length > 0) throw failures.reduce((first, next) => joinErrors(first, next));
  return result as Result;
}
