/** What may have changed between two parts of one run. */
export const CHANGE_KINDS = [
  'settings',
  'weights',
  'data',
  'labels',
  'versions',
  'machine',
] as const;
export type ChangeKind = (typeof CHANGE_KINDS)[number];

/** Something that is not as it was when the run was begun. */
export interface Change {
  readonly kind: ChangeKind;
  /** For example the name of a setting or of a file. */
  readonly name: string;
  readonly was: unknown;
  readonly is: unknown;
}
