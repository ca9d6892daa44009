export type EngineErrorCode =
  | 'KERNEL_MISSING'
  | 'PROGRAM_INVALID'
  | 'INPUT_INVALID'
  | 'DEVICE_UNAVAILABLE'
  | 'FILE_INVALID'
  | 'DISPOSED'
  | 'EXECUTOR_FAILED';

const marker = Symbol.for('spatialsv.error');

/** An error of the engine. It carries the same marker, `code` and `hint` as every error of SpatialSV. */
export class EngineError extends Error {
  readonly [marker] = true;
  readonly code: EngineErrorCode;
  readonly hint: string;

  constructor(options: { code: EngineErrorCode; message: string; hint: string; cause?: unknown }) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'EngineError';
    this.code = options.code;
    this.hint = options.hint;
  }
}
