import { readFileSync } from 'node:fs';
import { freemem } from 'node:os';
import path from 'node:path';

/** The text of a file of the system; undefined where there is none. */
export type ReadText = (file: string) => string | undefined;

/**
 * Bytes that this process can still take without swapping: what the system says is available, and what the groups of
 * processes (containers) that it belongs to may still use. Pages of files that can be dropped count as available.
 */
export function availableMemory(read: ReadText = readText): number {
  const system = kilobytes(read('/proc/meminfo'), 'MemAvailable') ?? freemem();
  return Math.max(0, Math.min(system, ...groupsOf(read).map((group) => roomOf(read, group))));
}

function readText(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8');
  } catch {
    return undefined;
  }
}

function kilobytes(text: string | undefined, name: string): number | undefined {
  const found = text === undefined ? null : new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(text);
  return found === null ? undefined : 1024 * Number(found[1]);
}

interface Group {
  readonly folder: string;
  readonly limit: string;
  readonly usage: string;
  /** Entries of memory.stat: pages of files. */
  readonly cached: readonly string[];
}

const VERSION_2 = {
  limit: 'memory.max',
  usage: 'memory.current',
  cached: ['inactive_file', 'active_file'],
} as const;
const VERSION_1 = {
  limit: 'memory.limit_in_bytes',
  usage: 'memory.usage_in_bytes',
  cached: ['total_inactive_file', 'total_active_file'],
} as const;
const GROUP_ROOT = '/sys/fs/cgroup';

/** The control groups of this process with those above them: each may set a limit. */
function groupsOf(read: ReadText): Group[] {
  const lines = read('/proc/self/cgroup')?.trim().split('\n') ?? [];
  return lines.flatMap((line): Group[] => {
    const [, controllers, own] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
    if (own === undefined) return [];
    if (controllers === '')
      return ancestors(GROUP_ROOT, own).map((folder) => ({ folder, ...VERSION_2 }));
    if (!controllers!.split(',').includes('memory')) return [];
    return ancestors(`${GROUP_ROOT}/memory`, own).map((folder) => ({ folder, ...VERSION_1 }));
  });
}

/** A folder below `root`, and those above it up to `root`, which is where a container sees its own group. */
function ancestors(root: string, below: string): string[] {
  const steps = below.split('/').filter(Boolean);
  return Array.from({ length: steps.length + 1 }, (_, n) =>
    path.posix.join(root, ...steps.slice(0, n)),
  );
}

function roomOf(read: ReadText, { folder, limit, usage, cached }: Group): number {
  const [most, used] = [limit, usage].map((name) => Number(read(`${folder}/${name}`)));
  if (!Number.isFinite(most) || !Number.isFinite(used)) return Number.POSITIVE_INFINITY;
  const stat = read(`${folder}/memory.stat`) ?? '';
  const pages = cached.map((name) =>
    Number(new RegExp(`^${name} (\\d+)`, 'm').exec(stat)?.[1] ?? 0),
  );
  return most! - used! + pages.reduce((sum, n) => sum + n, 0);
}
