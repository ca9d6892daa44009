/**
 * Whether a dotted name fits a pattern: `*` stands for anything within one part, `**` for any number of whole parts.
 * `model.layers.*.self_attn.**` fits `model.layers.3.self_attn.q_proj.weight`.
 */
export function matchesName(pattern: string, name: string): boolean {
  return fits(pattern.split('.'), name.split('.'));
}

function fits([part, ...rest]: readonly string[], names: readonly string[]): boolean {
  if (part === undefined) return names.length === 0;
  if (part === '**') return names.some((_, i) => fits(rest, names.slice(i))) || fits(rest, []);
  const [name, ...others] = names;
  return name !== undefined && partPattern(part).test(name) && fits(rest, others);
}

const partPattern = (part: string): RegExp => {
  const pieces = part.split('*').map((piece) => piece.replace(/[\\^$+?()[\]{}|]/g, '\\$&'));
  return new RegExp(`^${pieces.join('.*')}$`);
};
