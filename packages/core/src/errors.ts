import { CodedError, isMarked } from '@spatialsv/engine';

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
