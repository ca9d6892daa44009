import type { LabelLicenceV1 } from '@spatialsv/core/spec';

/** Four values, shallow to deep. */
export type Four = readonly [number, number, number, number];

/** Sizes of the released vision transformers by the names that config.json has for them. */
export const VITS = {
  vits: { channels: 384, depth: 12, heads: 6 },
  vitb: { channels: 768, depth: 12, heads: 12 },
  vitl: { channels: 1024, depth: 24, heads: 16 },
  vitg: { channels: 1536, depth: 40, heads: 24 },
} as const;

const OPEN = { name: 'Apache-2.0', commercialUse: true };
const NON_COMMERCIAL = { name: 'CC-BY-NC-4.0', commercialUse: false };

interface Variant {
  readonly licence: LabelLicenceV1;
  /** As config.json has it. */
  readonly config: unknown;
}

const CROSS_VIEW_START = { vits: 4, vitb: 4, vitl: 8, vitg: 13 };

const anyView = (
  name: keyof typeof VITS,
  out_layers: Four,
  head: { readonly features?: number; readonly out_channels?: Four } = {},
) => {
  const first = CROSS_VIEW_START[name];
  const starts = { alt_start: first, qknorm_start: first, rope_start: first };
  return {
    net: { name, out_layers, ...starts },
    head: { __object__: { name: 'DualDPT' }, ...head },
    cam_enc: {},
  };
};

const SINGLE = {
  net: { name: 'vitl', out_layers: [4, 11, 17, 23], cat_token: false },
  head: { __object__: { name: 'DPT' } },
};
const SMALL_HEAD = { features: 64, out_channels: [48, 96, 192, 384] } as const;
const BASE_HEAD = { features: 128, out_channels: [96, 192, 384, 768] } as const;
const GIANT = anyView('vitg', [19, 27, 33, 39]);

const VARIANTS: Readonly<Record<string, Variant>> = {
  'da3-small': {
    licence: OPEN,
    config: anyView('vits', [5, 7, 9, 11], SMALL_HEAD),
  },
  'da3-base': {
    licence: OPEN,
    config: anyView('vitb', [5, 7, 9, 11], BASE_HEAD),
  },
  'da3-large': {
    licence: NON_COMMERCIAL,
    config: anyView('vitl', [11, 15, 19, 23]),
  },
  'da3-giant': { licence: NON_COMMERCIAL, config: GIANT },
  'da3mono-large': { licence: OPEN, config: SINGLE },
  'da3metric-large': { licence: OPEN, config: SINGLE },
  'da3nested-giant-large': {
    licence: NON_COMMERCIAL,
    config: { anyview: GIANT, metric: SINGLE },
  },
};

/** Names of the released variants; each also with the suffix `-1.1`. */
export const DA3_VARIANTS: readonly string[] = Object.keys(VARIANTS);

/** By name, letter case and `-1.1` ignored. */
export const variantOf = (modelName: string): Variant | undefined =>
  VARIANTS[modelName.toLowerCase().replace(/-1\.1$/, '')];
