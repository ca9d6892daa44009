/** What every contribution of a plugin says of itself; a part of `spec.ts`. */
export const SPECIFICATION_VERSION = 'v1';

export interface ContributionBaseV1<Kind extends string> {
  readonly specificationVersion: 'v1';
  readonly kind: Kind;
  /** Stable identifier, for example `qwen2.5-vl` or `synthetic`. */
  readonly id: string;
}
