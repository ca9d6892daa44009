import { randomUUID } from 'node:crypto';
import { readFileSync, readlinkSync } from 'node:fs';
import { hostname } from 'node:os';
import { z } from 'zod';

export const processOwnerSchema = z.object({
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

/** A process that holds something others must leave alone. Make one with {@link createProcessOwner}. */
export type ProcessOwner = Readonly<z.infer<typeof processOwnerSchema>>;

/** This process as an owner; another owner with every call. */
export const createProcessOwner = (): ProcessOwner => ({
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

const thisHost = (): Pick<ProcessOwner, 'host' | 'boot'> => ({
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

/** Whether the process of an owner runs. Of another host, or of another container of this one, nothing is known. */
export const livenessOf = (owner: ProcessOwner): 'alive' | 'dead' | 'unknown' => {
  const here = thisHost();
  if (owner.host !== here.host) return 'unknown';
  if (owner.boot !== here.boot) return 'dead';
  const runs = owner.started === '' ? exists(owner.pid) : processStart(owner.pid) === owner.started;
  return runs ? 'alive' : 'dead';
};
