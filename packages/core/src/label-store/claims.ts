import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';

/** How long a claim holds unless it is renewed, ms. Longer than one view set takes on a slow machine. */
export const DEFAULT_LEASE_MS = 10 * 60_000;

const ownerSchema = z.object({
  /** Of this owner alone; one process may have several. */
  id: z.string(),
  /** Where a process id means the same: host name and, on Linux, the process namespace. */
  host: z.string(),
  /** Since when that host runs, where the system says so. */
  boot: z.string(),
  pid: z.int(),
  /** When the process began, where the system says so: process ids are used again. */
  started: z.string(),
});

const claimSchema = z.object({ owner: ownerSchema, expiresAt: z.number(), leaseMs: z.number() });

/** Who works on view sets. Make one with {@link createClaimOwner}. */
export type ClaimOwner = Readonly<z.infer<typeof ownerSchema>>;

/** A view set that somebody works on. */
export interface Claim {
  readonly owner: ClaimOwner;
  /** ms since 1970. */
  readonly expiresAt: number;
  readonly leaseMs: number;
}

/** This process as owner of claims; another owner with every call. */
export const createClaimOwner = (): ClaimOwner => ({
  id: randomUUID(),
  ...thisHost(),
  pid: process.pid,
  started: processStart(process.pid) ?? '',
});

const readSystem = (read: () => string): string => {
  try {
    return read().trim();
  } catch {
    return '';
  }
};

const thisHost = (): Pick<ClaimOwner, 'host' | 'boot'> => ({
  host: `${hostname()} ${readSystem(() => readlinkSync('/proc/self/ns/pid'))}`.trim(),
  boot: readSystem(() => readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
});

/** Ticks from boot to the start of a process (Linux); undefined where there is no such process, or only its zombie. */
const processStart = (pid: number): string | undefined => {
  const stat = readSystem(() => readFileSync(`/proc/${pid}/stat`, 'utf8'));
  // The second field is the name in parentheses, which may hold anything.
  const [state, ...fields] = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return stat === '' || state === 'Z' || state === 'X' ? undefined : fields[18];
};

const exists = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
};

/** Whether the process of an owner may still run. Of another host nothing is known: `true`. */
const mayLive = (owner: ClaimOwner): boolean => {
  const here = thisHost();
  if (owner.host !== here.host) return true;
  if (owner.boot !== here.boot) return false;
  return owner.started === '' ? exists(owner.pid) : processStart(owner.pid) === owner.started;
};

/**
 * Whether a claim keeps others away: not run out, and its owner has not died. One that ends later than its lease is long
 * was made by a clock that has been set back since.
 */
export const isHeld = (claim: Claim, now: number): boolean => {
  const left = claim.expiresAt - now;
  return left > 0 && left <= claim.leaseMs && mayLive(claim.owner);
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
