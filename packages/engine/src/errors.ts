/** The mark of the family, and of the engine's own class: they hold across duplicate installs, where classes differ. */
const family = Symbol.for('spatialsv.error');
const engine = Symbol.for('spatialsv.error.engine');

/**
 * Every error that a user of SpatialSV can cause, whichever package it comes from. `message` says what, where, expected and
 * found; `hint` says what to do next.
 */
export abstract class CodedError<Code extends string = string> extends Error {
  readonly [family] = true;
  readonly code: Code;
  readonly hint: string;

  constructor(options: { code: Code; message: string; hint: string; cause?: unknown }) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = options.code;
    this.hint = options.hint;
  }

  /** Whether it is an error of any class of the family. */
  static isInstance(error: unknown): error is CodedError {
    return isMarked(error, family);
  }
}

/** Whether a class put this mark on an error. */
export const isMarked = (error: unknown, mark: symbol): boolean =>
  typeof error === 'object' && error !== null && mark in error;

export type EngineErrorCode =
  /** No graph can be written for a tfjs kernel, or it has no gradient. */
  | 'KERNEL_MISSING'
  | 'PROGRAM_INVALID'
  | 'INPUT_INVALID'
  | 'DEVICE_UNAVAILABLE'
  /** A file of weights is not what its description says. */
  | 'FILE_INVALID'
  /** Something is used after it was disposed. */
  | 'DISPOSED'
  /** The library of ONNX Runtime is missing, or does not fit this machine. */
  | 'LIBRARY_MISSING'
  | 'MODEL_INVALID'
  | 'RUN_FAILED'
  /** A value does not fit what it is bound to. */
  | 'VALUE_INVALID'
  /** Something cannot be changed while it is at work. */
  | 'BUSY'
  /** A second copy of a package that must be there once. */
  | 'DUPLICATE_PACKAGE';

/** An error of the engine. */
export class EngineError extends CodedError<EngineErrorCode> {
  readonly [engine] = true;
  override readonly name = 'EngineError';

  static override isInstance(error: unknown): error is EngineError {
    return isMarked(error, engine);
  }
}
