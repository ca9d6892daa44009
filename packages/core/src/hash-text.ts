/** 32-bit FNV-1a of the UTF-8 bytes: spreads names over seeds, equally on every machine. Not for keys that must not collide. */
export function hashText(text: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
