import { closeSync, openSync, readSync } from 'node:fs';

/** Constants of the ELF format, 64 bits, little-endian (System V ABI, chapters 4 and 5). */
const MAGIC = 0x464c457f;
const SECTION_TABLE = 0x28;
const SECTION_SIZE = 0x3a;
const SECTION_COUNT = 0x3c;
const SECTION_BYTES = 64;
const TYPE_DYNAMIC = 6;
const TAG_NEEDED = 1n;
const ENTRY_BYTES = 16;

interface Section {
  readonly type: number;
  readonly offset: number;
  readonly size: number;
  /** Index of the section that it refers to: of the names, for the dynamic one. */
  readonly link: number;
}

/**
 * Names of the shared libraries that a library of Linux is linked against, for example `libcudart.so.13`: the number is the
 * major version that is needed. Only tables are read, however large the file is.
 * @returns nothing for a file of another format.
 */
export function neededLibraries(file: string): string[] {
  const descriptor = openSync(file, 'r');
  try {
    const read = (offset: number, size: number): Buffer => {
      const buffer = Buffer.alloc(size);
      return buffer.subarray(0, readSync(descriptor, buffer, 0, size, offset));
    };
    const sections = sectionsOf(read);
    const dynamic = sections.find(({ type }) => type === TYPE_DYNAMIC);
    const names = dynamic && sections[dynamic.link];
    if (dynamic === undefined || names === undefined) return [];
    const text = read(names.offset, names.size);
    return neededNames(read(dynamic.offset, dynamic.size), text);
  } finally {
    closeSync(descriptor);
  }
}

function sectionsOf(read: (offset: number, size: number) => Buffer): Section[] {
  const header = read(0, SECTION_BYTES);
  if (header.length < SECTION_BYTES || header.readUInt32LE(0) !== MAGIC) return [];
  const count = header.readUInt16LE(SECTION_COUNT);
  const bytes = header.readUInt16LE(SECTION_SIZE);
  if (bytes !== SECTION_BYTES) return [];
  const table = read(Number(header.readBigUInt64LE(SECTION_TABLE)), count * bytes);
  return Array.from({ length: Math.floor(table.length / bytes) }, (_, i) => {
    const entry = table.subarray(i * bytes, (i + 1) * bytes);
    return {
      type: entry.readUInt32LE(4),
      offset: Number(entry.readBigUInt64LE(24)),
      size: Number(entry.readBigUInt64LE(32)),
      link: entry.readUInt32LE(40),
    };
  });
}

function neededNames(table: Buffer, text: Buffer): string[] {
  const names: string[] = [];
  for (let at = 0; at + ENTRY_BYTES <= table.length; at += ENTRY_BYTES) {
    if (table.readBigUInt64LE(at) !== TAG_NEEDED) continue;
    const start = Number(table.readBigUInt64LE(at + 8));
    names.push(text.toString('latin1', start, text.indexOf(0, start)));
  }
  return names;
}
