import {
  type BackboneConfig,
  type Da3Config,
  type NetworkConfig,
  PATCH,
  tapChannels,
} from './da3-config.js';
import { VITS } from './da3-variants.js';

/** Content of config.json that `parseDa3Config` reads back. */
export const da3ConfigFile = ({
  modelName,
  anyView: first,
  single,
}: Da3Config): Readonly<Record<string, unknown>> => {
  const config =
    first && single
      ? { anyview: networkFile(first), metric: networkFile(single) }
      : networkFile((first ?? single)!);
  return { model_name: modelName, config };
};

const networkFile = ({ backbone, head, cameraEncoder }: NetworkConfig) => {
  const { channels, depth, heads, crossViewStart: first = -1 } = backbone;
  const isDual = head.kind === 'dual';
  return {
    net: {
      name: vitName(backbone),
      out_layers: backbone.taps,
      alt_start: first,
      qknorm_start: first,
      rope_start: first,
      cat_token: backbone.concatenates,
      embed_dim: channels,
      depth,
      num_heads: heads,
      img_size: PATCH * backbone.baseGrid,
    },
    head: {
      __object__: { name: isDual ? 'DualDPT' : 'DPT' },
      dim_in: tapChannels(backbone),
      output_dim: isDual ? 2 : 1,
      features: head.features,
      out_channels: head.stages,
    },
    ...(cameraEncoder
      ? {
          cam_enc: {
            dim_out: channels,
            num_heads: cameraEncoder.heads,
            trunk_depth: cameraEncoder.depth,
          },
          cam_dec: { dim_in: tapChannels(backbone) },
        }
      : {}),
  };
};

/** The released one of this width; among the others only the giant's has a gated MLP. */
const vitName = ({ channels, mlp }: BackboneConfig): string => {
  if (mlp === 'swiglu') return 'vitg';
  const names = ['vits', 'vitb', 'vitl'] as const;
  return names.find((name) => VITS[name].channels === channels) ?? 'vits';
};
