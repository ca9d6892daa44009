import type { BackboneV1, LabellerV1 } from '@spatialsv/core';

/** The models of a run, opened: the one that learns, and those that teach it. */
export interface RunModels {
  /** The checkpoint of `model` in the configuration. */
  readonly backbone: BackboneV1;
  /** Where geometric labels come from; not used in a run with arm `text`. */
  readonly source?: LabellerV1 | undefined;
  /** The second teacher of the configuration, which says what pixels of the labels count. */
  readonly secondTeacher?: LabellerV1 | undefined;
}
