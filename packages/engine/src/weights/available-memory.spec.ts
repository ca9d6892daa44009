import { availableMemory } from './available-memory.js';

const MEMINFO = 'MemTotal:  16384 kB\nMemFree:  1024 kB\nMemAvailable:  8192 kB\n';
const MIB = 2 ** 20;

/** A system that has these files alone. */
const available = (files: Record<string, string>): number =>
  availableMemory((file) => files[file]) / MIB;

describe('available memory', () => {
  it('is what the system says, which counts pages that can be dropped', () => {
    expect(available({ '/proc/meminfo': MEMINFO })).toBe(8);
  });

  it('is what a container may still use, without the pages of files that it holds', () => {
    const group = {
      '/proc/meminfo': MEMINFO,
      '/proc/self/cgroup': '0::/\n',
      '/sys/fs/cgroup/memory.max': `${6 * MIB}\n`,
      '/sys/fs/cgroup/memory.current': `${5 * MIB}\n`,
      '/sys/fs/cgroup/memory.stat': `anon 1\ninactive_file ${MIB}\nactive_file ${2 * MIB}\n`,
    };
    expect(available(group)).toBe(4);
    expect(available({ ...group, '/sys/fs/cgroup/memory.max': 'max\n' })).toBe(8);
  });

  it('is bound by the narrowest of the groups above a process', () => {
    const files = {
      '/proc/meminfo': MEMINFO,
      '/proc/self/cgroup': '0::/slice/job\n',
      '/sys/fs/cgroup/slice/memory.max': String(3 * MIB),
      '/sys/fs/cgroup/slice/memory.current': String(MIB),
      '/sys/fs/cgroup/slice/job/memory.max': 'max',
      '/sys/fs/cgroup/slice/job/memory.current': String(MIB),
    };
    expect(available(files)).toBe(2);
  });

  it('knows the first version of control groups, and is never negative', () => {
    const files = (usage: number) => ({
      '/proc/meminfo': MEMINFO,
      '/proc/self/cgroup': '5:cpu,cpuacct:/a\n4:memory:/a\n0::/\n',
      '/sys/fs/cgroup/memory/a/memory.limit_in_bytes': String(4 * MIB),
      '/sys/fs/cgroup/memory/a/memory.usage_in_bytes': String(usage * MIB),
      '/sys/fs/cgroup/memory/a/memory.stat': `cache 9\ntotal_inactive_file ${MIB}\n`,
    });
    expect(available(files(3))).toBe(2);
    expect(available(files(7))).toBe(0);
  });

  it('of this machine is a number', () => {
    expect(availableMemory()).toBeGreaterThan(0);
  });
});
