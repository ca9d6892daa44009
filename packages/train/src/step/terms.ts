/** Terms of equation 6, in the order in which a step gives them. */
export const TERMS = ['text', 'distillation', 'depth', 'ray', 'point'] as const;
/** A term by itself. */
export type Term = (typeof TERMS)[number];

/** The order of a step program's `losses` output; the last entry is the weighted sum of the terms. */
export const LOSS_TERMS = [...TERMS, 'total'] as const;
export type LossTerm = (typeof LOSS_TERMS)[number];
