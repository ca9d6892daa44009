import {
  type BackboneConfigV1,
  nearestName,
  parseTapSite,
  SpatialError,
  type TapSite,
} from '@spatialsv/core';

type Depths = Pick<BackboneConfigV1, 'layers' | 'visionBlocks'>;

/** What a list of sites may begin with. */
const KINDS = ['vision', 'layer', 'projector', 'embedding', 'final'] as const;

/**
 * The sites of a list: `vision:all,projector,layer:4,12,20,28`. A number belongs to the kind before it; `all` stands for every
 * block of the vision encoder, patch embedding included, or every layer of the decoder between `embedding` and `final`.
 * @returns every site once, in the order of the list.
 * @throws SpatialError USAGE for what is no list of sites; TAP_UNKNOWN for a site that this backbone does not have.
 */
export function parseSites(list: string, depths: Depths): readonly TapSite[] {
  const sites: TapSite[] = [];
  let kind: 'vision' | 'layer' | undefined;
  for (const part of list.split(',').map((text) => text.trim())) {
    const [, named, index = part] = /^(vision|layer):(.*)$/.exec(part) ?? [];
    kind = (named as typeof kind) ?? (/^\d+$/.test(part) ? kind : undefined);
    if (kind === undefined) sites.push(parseSingle(part, list, depths));
    else if (index === 'all') sites.push(...allOf(kind, depths));
    else sites.push(parseTapSite(`${kind}:${index}`, depths));
  }
  return [...new Set(sites)];
}

function parseSingle(part: string, list: string, depths: Depths): TapSite {
  if (part === 'projector' || part === 'embedding' || part === 'final')
    return parseTapSite(part, depths);
  const near = nearestName(KINDS, part.split(':')[0]!);
  throw new SpatialError({
    code: 'USAGE',
    message: `--sites ${list}: expected vision:K, layer:K, projector, embedding or final, found "${part}"`,
    hint:
      near === undefined
        ? 'For example: --sites vision:all,projector,layer:4,12,20,28'
        : `Did you mean ${near}${near === 'vision' || near === 'layer' ? ':all' : ''}? For example: --sites vision:all,projector,layer:4,12`,
  });
}

function allOf(kind: 'vision' | 'layer', { layers, visionBlocks }: Depths): TapSite[] {
  if (kind === 'vision')
    return Array.from({ length: visionBlocks + 1 }, (_, block) => `vision:${block}` as const);
  return Array.from({ length: layers - 1 }, (_, block) => `layer:${block + 1}` as const);
}
