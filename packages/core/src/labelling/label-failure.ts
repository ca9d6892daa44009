import { type ErrorCode, SpatialError } from '../errors.js';
import type { ViewSet } from './view-sets.js';

/** What failed: reading an image, the source, or the check of its labels. */
export type LabelStage = 'image' | 'source' | 'labels';

/** A view set that was not labelled. JSON. */
export interface LabelFailure {
  readonly stage: LabelStage;
  readonly images: readonly string[];
  /** Absent when an image could not be read. */
  readonly key?: string;
  readonly code: ErrorCode;
  readonly message: string;
  readonly hint: string;
}

/** Errors that concern one view set; every other one would end the next set too. */
const CODES_OF_SETS: ReadonlySet<string> = new Set<ErrorCode>([
  'FILE_MISSING',
  'FILE_INVALID',
  'IMAGE_INVALID',
  'DATA_INVALID',
  'SHAPE_MISMATCH',
  'CONVENTION_MISMATCH',
  'NON_FINITE',
]);

export const isFailureOfSet = (error: unknown): error is SpatialError =>
  SpatialError.isInstance(error) && CODES_OF_SETS.has(error.code);

export const labelFailure = (
  stage: LabelStage,
  { images, key }: ViewSet & { readonly key?: string },
  { code, message, hint }: SpatialError,
): LabelFailure => ({ stage, images, ...(key !== undefined && { key }), code, message, hint });
