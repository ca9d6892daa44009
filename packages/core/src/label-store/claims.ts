import { z } from 'zod';
import { livenessOf, type ProcessOwner, processOwnerSchema } from '../process-owner.js';

/** How long a claim holds unless it is renewed, ms. Longer than one view set takes on a slow machine. */
export const DEFAULT_LEASE_MS = 10 * 60_000;

const claimSchema = z.object({
  owner: processOwnerSchema,
  expiresAt: z.number(),
  leaseMs: z.number(),
});

/** A view set that somebody works on. */
export interface Claim {
  readonly owner: ProcessOwner;
  /** ms since 1970. */
  readonly expiresAt: number;
  readonly leaseMs: number;
}

/**
 * Whether a claim keeps others away: not run out, and its owner has not died. One that ends later than its lease is long
 * was made by a clock that has been set back since.
 */
export const isHeld = (claim: Claim, now: number): boolean =>
  isLeaseLeft(claim, now) && livenessOf(claim.owner) !== 'dead';

const isLeaseLeft = ({ expiresAt, leaseMs }: Claim, now: number): boolean => {
  const left = expiresAt - now;
  return left > 0 && left <= leaseMs;
};

export const encodeClaim = (claim: Claim): string => JSON.stringify(claim);

/** @returns undefined for text that is not a claim: nobody holds anything by it. */
export const parseClaim = (text: string | undefined): Claim | undefined => {
  try {
    return text === undefined ? undefined : claimSchema.parse(JSON.parse(text));
  } catch {
    return undefined;
  }
};
