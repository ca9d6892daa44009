/** The contract of data set formats, a part of `spec.ts`: types alone. */
import type { ContributionBaseV1 } from './contribution-spec.js';
import type { SpatialError } from './errors.js';
import type { SampleV1 } from './sample-spec.js';

export interface DatasetReadOptionsV1 {
  /** Folder that image paths are relative to; found by the format where absent. */
  readonly imageRoot?: string | undefined;
  /** Wording of the questions, where a format knows several; its usual one where absent. */
  readonly prompt?: string | undefined;
  /** The format's own settings; every default where absent. */
  readonly settings?: Readonly<Record<string, unknown>> | undefined;
  /** Told of each row that cannot be read, which is then passed over; the first one is thrown where absent. */
  readonly onProblem?: ((problem: SpatialError) => void) | undefined;
}

/** How the files of a data set are read. */
export interface DatasetFormatV1 extends ContributionBaseV1<'dataset-format'> {
  /** Whether a file looks like this format. Asked where the user names none; never throws. */
  detect?(file: string): Promise<boolean>;
  /**
   * Reads a data set sample by sample, with absolute image paths. Whether the images are there is checked by the caller.
   * @throws SpatialError FILE_MISSING, DATA_INVALID naming file and line (or row), CONFIG_INVALID for a prompt or settings
   *   that the format does not know.
   */
  read(file: string, options?: DatasetReadOptionsV1): AsyncIterable<SampleV1>;
}
