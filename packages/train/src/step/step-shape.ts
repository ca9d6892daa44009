import { roundUp, TOKEN_BUCKET, type ViewLayoutV1 } from '@spatialsv/core';

/** One view as a step program sees it. */
export interface ViewShape {
  readonly layout: ViewLayoutV1;
  /** Feature grid. */
  readonly h: number;
  readonly w: number;
  /** (P, Cv) vision features. */
  readonly features: readonly [number, number];
}

/** Everything that a compiled step is specific to. Equal shapes share a program. */
export interface StepShape {
  /** Padded sequence length. */
  readonly tokens: number;
  readonly positionRows: 1 | 3;
  /** Padded number of target tokens; 0 when the sample has no text. */
  readonly targets: number;
  readonly views: readonly ViewShape[];
  /** Whether the sample has depth, rays and points. */
  readonly geometry: boolean;
  /** Whether their pixels have weights. */
  readonly weighted?: boolean;
  /** Channels of the distilled features; 0 when the sample has none. */
  readonly featureChannels: number;
}

/** Samples that one program computes, one behind the other in one sequence. A sample by itself is a pack of one. */
export interface PackShape {
  /** Padded length of the sequence. */
  readonly tokens: number;
  readonly positionRows: 1 | 3;
  readonly samples: readonly StepShape[];
}

/** Of all samples, in the order of the sequence. */
export const viewsOf = ({ samples }: Pick<PackShape, 'samples'>): readonly ViewShape[] =>
  samples.flatMap(({ views }) => views);

/** Views with equal feature grids, which the heads take together. */
export interface GridGroup {
  /** Name of the group among the inputs. */
  readonly name: string;
  readonly h: number;
  readonly w: number;
  /** Indices of the views, in prompt order. */
  readonly views: readonly number[];
}

export function gridGroups(views: readonly { h: number; w: number }[]): readonly GridGroup[] {
  const groups = new Map<string, GridGroup & { views: number[] }>();
  views.forEach(({ h, w }, index) => {
    const name = `${h}x${w}`;
    const group = groups.get(name) ?? { name, h, w, views: [] };
    group.views.push(index);
    groups.set(name, group);
  });
  return [...groups.values()];
}

/** Key of the programs of a pack in a cache. Where its samples lie in the sequence is data. */
export const packKey = ({ tokens, positionRows, samples }: PackShape): string =>
  samples.length === 1
    ? stepKey(samples[0]!)
    : JSON.stringify([
        tokens,
        positionRows,
        samples.map((shape) => stepKey({ ...shape, tokens: 0 })),
      ]);

/** Key of a program in the cache. */
export const stepKey = ({ views, ...shape }: StepShape): string =>
  JSON.stringify({ ...shape, views: views.map(({ layout, ...view }) => [layout.key, view]) });

/** Numbers of tokens and targets are rounded up, so that few programs serve all samples. */
const TARGET_BUCKET = 16;

export const tokenBucket = (tokens: number): number => roundUp(tokens, TOKEN_BUCKET);
export const targetBucket = (targets: number): number => roundUp(targets, TARGET_BUCKET);
