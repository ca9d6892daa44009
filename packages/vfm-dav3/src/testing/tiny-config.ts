/** config.json of the small networks of reference/dav3/tiny_models.py. */

/** A network as `case.json` describes it. */
export interface TinyNetwork {
  readonly kind: 'dual' | 'mono';
  readonly channels: number;
  readonly depth: number;
  readonly heads: number;
  readonly start: number;
  readonly taps: readonly number[];
  readonly mlp: 'mlp' | 'swiglu';
  readonly features: number;
  readonly stages: readonly number[];
  readonly cameraHeads?: number;
  readonly cameraDepth?: number;
}

export type TinyConfig =
  | TinyNetwork
  | { readonly anyview: TinyNetwork; readonly metric: TinyNetwork };

const network = (tiny: TinyNetwork) => ({
  net: {
    name: tiny.mlp === 'swiglu' ? 'vitg' : 'vits',
    out_layers: tiny.taps,
    alt_start: tiny.start,
    qknorm_start: tiny.start,
    rope_start: tiny.start,
    cat_token: tiny.kind === 'dual',
    embed_dim: tiny.channels,
    depth: tiny.depth,
    num_heads: tiny.heads,
    img_size: 56,
  },
  head: {
    __object__: { name: tiny.kind === 'dual' ? 'DualDPT' : 'DPT' },
    features: tiny.features,
    out_channels: tiny.stages,
  },
  ...(tiny.kind === 'dual'
    ? { cam_enc: { num_heads: tiny.cameraHeads, trunk_depth: tiny.cameraDepth } }
    : {}),
});

export const tinyConfigFile = (tiny: TinyConfig): Record<string, unknown> => ({
  model_name: 'da3-tiny',
  config:
    'anyview' in tiny
      ? { anyview: network(tiny.anyview), metric: network(tiny.metric) }
      : network(tiny),
});
