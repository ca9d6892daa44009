/** The mark by which every package of the project recognises its typed errors, also across duplicate installs. */
const marker = Symbol.for('spatialsv.error');

export type ExecutorErrorCode =
  | 'LIBRARY_MISSING'
  | 'DEVICE_UNAVAILABLE'
  | 'MODEL_INVALID'
  | 'RUN_FAILED'
  | 'VALUE_INVALID'
  | 'DISPOSED'
  | 'BUSY';

/** A failure of the executor: `message` says what, where, expected and found; `hint` says what to do next. */
export class ExecutorError extends Error {
  readonly [marker] = true;
  readonly code: ExecutorErrorCode;
  readonly hint: string;

  constructor(options: {
    code: ExecutorErrorCode;
    message: string;
    hint: string;
    cause?: unknown;
  }) {
    super(options.message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'ExecutorError';
    this.code = options.code;
    this.hint = options.hint;
  }

  static isInstance(error: unknown): error is ExecutorError {
    return error instanceof Error && marker in error && error.name === 'ExecutorError';
  }
}
