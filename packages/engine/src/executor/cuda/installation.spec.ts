import { mkdirSync, mkdtempSync, readlinkSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { locateLibrary } from '../library.js';
import { findCuda, installHint, PROVIDER_FILE, SHARED_FILE } from './installation.js';
import { linkProvider } from './link-folder.js';
import { neededLibraries } from './needed-libraries.js';
import { hasMachineCode } from './runtime.js';

const root = mkdtempSync(join(tmpdir(), 'cuda-'));
afterAll(() => rmSync(root, { recursive: true }));

const HEADER = 64;
const SECTION = 64;

/** The smallest ELF file with a dynamic section that names these libraries. */
function libraryNeeding(...names: string[]): Buffer {
  const text = Buffer.from(`\0${names.join('\0')}\0`);
  const dynamic = Buffer.alloc(16 * (names.length + 1));
  names.forEach((name, i) => {
    dynamic.writeBigUInt64LE(1n, 16 * i);
    dynamic.writeBigUInt64LE(BigInt(text.indexOf(`\0${name}\0`) + 1), 16 * i + 8);
  });
  const header = Buffer.alloc(HEADER);
  header.writeUInt32LE(0x464c457f, 0);
  header.writeBigUInt64LE(BigInt(HEADER + dynamic.length + text.length), 0x28);
  header.writeUInt16LE(SECTION, 0x3a);
  header.writeUInt16LE(2, 0x3c);
  const section = (type: number, offset: number, size: number, link: number): Buffer => {
    const entry = Buffer.alloc(SECTION);
    entry.writeUInt32LE(type, 4);
    entry.writeBigUInt64LE(BigInt(offset), 24);
    entry.writeBigUInt64LE(BigInt(size), 32);
    entry.writeUInt32LE(link, 40);
    return entry;
  };
  const sections = [
    section(6, HEADER, dynamic.length, 1),
    section(3, HEADER + dynamic.length, text.length, 0),
  ];
  return Buffer.concat([header, dynamic, text, ...sections]);
}

const NEEDED = [
  'libcublasLt.so.13',
  'libcublas.so.13',
  'libcudart.so.13',
  'libcuda.so.1',
  'libc.so.6',
];

/** A Python environment with the wheel of a version, and folders of libraries. */
function pythonEnvironment(name: string, version: string, libraries: readonly string[]): string {
  const prefix = join(root, name);
  const packages = join(prefix, 'lib/python3.12/site-packages');
  const capi = join(packages, 'onnxruntime/capi');
  const wheel = join(packages, 'nvidia/cu13/lib');
  for (const folder of [capi, wheel, join(packages, `onnxruntime_gpu-${version}.dist-info`)])
    mkdirSync(folder, { recursive: true });
  writeFileSync(join(capi, PROVIDER_FILE), libraryNeeding(...NEEDED));
  writeFileSync(join(capi, SHARED_FILE), '');
  for (const library of libraries) writeFileSync(join(wheel, library), '');
  return prefix;
}

describe('what a library is linked against', () => {
  it('is read from its tables', () => {
    const file = join(root, 'library.so');
    writeFileSync(file, libraryNeeding(...NEEDED));
    expect(neededLibraries(file)).toEqual(NEEDED);
  });

  it('is nothing for a file of another kind', () => {
    const file = join(root, 'text');
    writeFileSync(file, 'no library');
    expect(neededLibraries(file)).toEqual([]);
  });

  (process.platform === 'linux' ? it : it.skip)('holds for ONNX Runtime itself', () => {
    expect(neededLibraries(locateLibrary())).toContain('libc.so.6');
  });
});

describe('the search for CUDA', () => {
  const own = join(root, 'own');
  const nothing = { PATH: '', LD_LIBRARY_PATH: '' };

  it('finds the provider and libraries of the active Python environment', () => {
    const prefix = pythonEnvironment('active', '1.30.0', ['libcudart.so.13', 'libcublas.so.13']);
    const found = findCuda(own, '1.30.0', { ...nothing, VIRTUAL_ENV: prefix });
    expect(found.provider).toBe(join(prefix, 'lib/python3.12/site-packages/onnxruntime/capi'));
    const files = Object.fromEntries(found.libraries.map(({ name, file }) => [name, file]));
    expect(files['libcudart.so.13']).toContain('nvidia/cu13/lib');
    // The driver first, then what others are linked against; cuDNN, which no table names, is looked for too.
    expect(found.libraries.map(({ name }) => name)).toEqual([
      'libcuda.so.1',
      'libcudart.so.13',
      'libcublasLt.so.13',
      'libcublas.so.13',
      'libcudnn.so.9',
    ]);
    expect(found.libraries.find(({ name }) => name === 'libcublasLt.so.13')?.file).toBeNull();
  });

  it('takes the folder that the variable names before others', () => {
    const active = pythonEnvironment('second', '1.30.0', ['libcudart.so.13']);
    const named = pythonEnvironment('named', '1.30.0', ['libcudart.so.13']);
    const found = findCuda(own, '1.30.0', {
      ...nothing,
      VIRTUAL_ENV: active,
      SPATIALSV_CUDA: named,
    });
    expect(found.provider).toContain('/named/');
    expect(found.libraries.map(({ file }) => file ?? '')).toContainEqual(
      expect.stringContaining('/named/'),
    );
  });

  it('refuses a provider of another version and says which one is needed', () => {
    const prefix = pythonEnvironment('old', '1.27.0', []);
    const found = findCuda(own, '99.0.0', { ...nothing, VIRTUAL_ENV: prefix });
    expect(found).toMatchObject({ provider: null, libraries: [] });
    expect(found.refused).toContainEqual(expect.objectContaining({ version: '1.27.0' }));
    expect(installHint(found)).toContain('onnxruntime-gpu[cuda,cudnn]==99.0.0');
  });

  it('names files of other major versions, which do not serve', () => {
    const prefix = pythonEnvironment('twelve', '1.30.0', ['libcumade.so.12', 'libcumade.so']);
    const capi = join(prefix, 'lib/python3.12/site-packages/onnxruntime/capi');
    writeFileSync(join(capi, PROVIDER_FILE), libraryNeeding('libcumade.so.13'));
    const { libraries } = findCuda(own, '1.30.0', { ...nothing, SPATIALSV_CUDA: prefix });
    const file = join(prefix, 'lib/python3.12/site-packages/nvidia/cu13/lib/libcumade.so.12');
    expect(libraries).toContainEqual({ name: 'libcumade.so.13', file: null, others: [file] });
  });

  it('links the library of ONNX Runtime beside the provider, as often as it is asked', () => {
    const prefix = pythonEnvironment('linked', '1.30.0', []);
    const provider = join(prefix, 'lib/python3.12/site-packages/onnxruntime/capi');
    const library = join(root, 'libonnxruntime.so.1');
    writeFileSync(library, '');
    const before = process.env['XDG_CACHE_HOME'];
    process.env['XDG_CACHE_HOME'] = join(root, 'cache');
    const links = [1, 2].map(() => linkProvider(library, provider));
    if (before === undefined) delete process.env['XDG_CACHE_HOME'];
    else process.env['XDG_CACHE_HOME'] = before;
    expect(links[1]).toBe(links[0]);
    expect(readlinkSync(links[0]!)).toBe(library);
    expect(readlinkSync(join(dirname(links[0]!), PROVIDER_FILE))).toBe(
      join(provider, PROVIDER_FILE),
    );
  });
});

describe('GPUs that the provider has code for', () => {
  it.each([
    [[9, 0], true],
    [[8, 9], true],
    [[12, 1], true],
    [[10, 0], false],
    [[7, 0], false],
  ] as const)('of compute capability %j: %s', (capability, expected) => {
    expect(hasMachineCode(capability)).toBe(expected);
  });
});
