import type { Quantity, UpdatePlan } from './plan.js';

/** One pass over the elements of a block. */
export interface Sweep {
  /** What it writes, by the names of the arrays. */
  readonly results: readonly (readonly [string, Quantity])[];
  /** Largest elements that are known after it. */
  readonly largest: readonly Quantity[];
  /** What it computes and a later one reads. */
  readonly keeps: readonly Quantity[];
}

/** The sweeps over a block, each with what cannot be known before and is needed then. */
export function planSweeps(plan: UpdatePlan): Sweep[] {
  const all = everything([...plan.values()]);
  const count = 1 + Math.max(0, ...all.map(({ sweep }) => sweep));
  const parts = Array.from({ length: count }, (_, number) => ({
    results: [...plan].filter(([, { extent, sweep }]) => extent === 'element' && sweep === number),
    largest: all.filter(({ source, sweep }) => source.kind === 'largest' && sweep === number + 1),
  }));
  const kept = keptElements(parts);
  return parts.map((part, number) => ({ ...part, keeps: kept[number]! }));
}

/** Quantities and whatever they follow from. */
function everything(quantities: readonly Quantity[]): Quantity[] {
  const found = new Set<Quantity>();
  const visit = (quantity: Quantity) => {
    if (found.has(quantity)) return;
    found.add(quantity);
    operandsOf(quantity).forEach(visit);
  };
  quantities.forEach(visit);
  return [...found];
}

const operandsOf = ({ source }: Quantity): readonly Quantity[] =>
  source.kind === 'operator' || source.kind === 'largest' ? source.of : [];

/** For each sweep the elements that it computes and that later ones read. */
function keptElements(parts: readonly Omit<Sweep, 'keeps'>[]): Quantity[][] {
  const computedIn = new Map<Quantity, number>();
  const kept = parts.map(() => new Set<Quantity>());
  for (const [number, { results, largest }] of parts.entries()) {
    const visit = (quantity: Quantity) => {
      if (quantity.extent !== 'element' || quantity.source.kind !== 'operator') return;
      const earlier = computedIn.get(quantity);
      if (earlier === undefined) {
        computedIn.set(quantity, number);
        operandsOf(quantity).forEach(visit);
      } else if (earlier < number) kept[earlier]!.add(quantity);
    };
    for (const [, quantity] of results) visit(quantity);
    for (const quantity of largest) operandsOf(quantity).forEach(visit);
  }
  return kept.map((quantities) => [...quantities]);
}
