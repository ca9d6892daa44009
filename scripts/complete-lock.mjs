/**
 * npm drops optional platform packages from package-lock.json when the registry in use cannot serve them, and `npm ci`
 * then refuses the lock file, here and on every platform that was dropped. This adds the entries back, and removes what
 * names a registry host. `node scripts/complete-lock.mjs` writes; `findLockFaults()` only looks.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { readArguments } from './arguments.mjs';

const path = fileURLToPath(new URL('../package-lock.json', import.meta.url));
const readLock = () => JSON.parse(readFileSync(path, 'utf8'));

/** @returns optional dependencies that no entry of the lock file satisfies, as `{ key, version, parent }`. */
function findDropped({ packages }) {
  return Object.entries(packages).flatMap(([location, parent]) =>
    Object.entries(parent.optionalDependencies ?? {})
      .filter(
        ([name]) =>
          !packages[`node_modules/${name}`] && !packages[`${location}/node_modules/${name}`],
      )
      .map(([name, version]) => ({ key: `node_modules/${name}`, version, parent })),
  );
}

const isRemote = ({ resolved, link }) => resolved !== undefined && link !== true;

/** @returns one line for each fault of the lock file. */
export function findLockFaults() {
  const lock = readLock();
  const hosts = Object.entries(lock.packages).filter(([, entry]) => isRemote(entry));
  return [
    ...findDropped(lock).map(({ key }) => `${key} is missing`),
    ...hosts.map(([key, { resolved }]) => `${key} names a host: ${resolved}`),
  ];
}

const OS = /(android|darwin|freebsd|linux|openharmony|win32)-(.+)$/;
const CPU = /^(arm64|arm|ia32|loong64|ppc64|riscv64|s390x|x64)/;

/** Platform packages carry their platform in their name: `@nx/nx-linux-arm64-musl`. */
function platformOf(key) {
  const [, os, rest] = OS.exec(key) ?? [];
  const [, cpu] = CPU.exec(rest ?? '') ?? [];
  if (cpu === undefined)
    throw new Error(`${key}: the platform cannot be read from the name; add the entry by hand`);
  if (os !== 'linux') return { cpu: [cpu], os: [os] };
  return { cpu: [cpu], libc: [rest.includes('musl') ? 'musl' : 'glibc'], os: [os] };
}

function complete(lock) {
  for (const { key, version, parent } of findDropped(lock)) {
    const { cpu, libc, os } = platformOf(key);
    const dev = parent.dev === true ? { dev: true } : {};
    const onLibc = libc === undefined ? {} : { libc };
    lock.packages[key] = { version, cpu, ...dev, ...onLibc, optional: true, os };
  }
  for (const entry of Object.values(lock.packages)) if (isRemote(entry)) delete entry.resolved;
  const sorted = Object.entries(lock.packages).sort(([a], [b]) => a.localeCompare(b, 'en'));
  return { ...lock, packages: Object.fromEntries(sorted) };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  readArguments(import.meta.url);
  writeFileSync(path, `${JSON.stringify(complete(readLock()), null, 2)}\n`);
}
