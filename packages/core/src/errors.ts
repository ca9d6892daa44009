const marker = Symbol.for('spatialsv.error');

export type ErrorCode =
  | 'PLUGIN_API_MISMATCH'
  | 'PLUGIN_INVALID'
  | 'PLUGIN_UNKNOWN'
  | 'SHAPE_MISMATCH'
  | 'CONVENTION_MISMATCH'
  | 'WEIGHT_MISSING'
  | 'WEIGHT_UNEXPECTED'
  | 'WEIGHT_INVALID'
  | 'DTYPE_UNSUPPORTED'
  | 'GRADIENT_MISSING'
  | 'TAP_UNKNOWN'
  | 'NON_FINITE'
  | 'CONFIG_INVALID'
  | 'FILE_MISSING'
  | 'FILE_INVALID'
  | 'IMAGE_INVALID'
  | 'DATA_INVALID'
  | 'USAGE';

/**
 * Every error that a user can cause. `message` says what, where, expected and found; `hint` says what to do next.
 * Recognise it with {@link SpatialError.isInstance}, which also works across duplicate installs.
 */
export class SpatialError extends Error {
  readonly [marker] = true;
  readonly code: ErrorCode;
  readonly hint: string;

  constructor(options: { code: ErrorCode; message: string; hint: string; cause?: unknown }) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'SpatialError';
    this.code = options.code;
    this.hint = options.hint;
  }

  static isInstance(error: unknown): error is SpatialError {
    return typeof error === 'object' && error !== null && marker in error;
  }
}
