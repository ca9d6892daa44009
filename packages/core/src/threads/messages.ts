import { type ErrorCode, errorMessage, SpatialError } from '../errors.js';

export interface ThreadRequest<Request> {
  readonly id: number;
  readonly request: Request;
}

export type ThreadReply<Reply> =
  /** What a thread serves is open. */
  | { readonly ready: true }
  | { readonly id: number; readonly reply: Reply }
  | { readonly id: number; readonly failure: Failure };

/** An error as it crosses threads; `coded` where it is one of ours. */
export interface Failure {
  readonly message: string;
  readonly coded?: { readonly code: ErrorCode; readonly hint: string };
}

export const failureOf = (error: unknown): Failure => ({
  message: errorMessage(error),
  ...(SpatialError.isInstance(error) && { coded: { code: error.code, hint: error.hint } }),
});

export const errorOf = ({ message, coded }: Failure): Error =>
  coded === undefined ? new Error(message) : new SpatialError({ message, ...coded });
