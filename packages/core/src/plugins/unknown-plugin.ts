import { SpatialError } from '../errors.js';
import { nearestName } from '../nearest-name.js';
import type { PluginSet } from './load-plugins.js';
import type { ContributionKind } from './manifest.js';

/** A plugin package that exists, whether or not it is installed. */
export interface KnownPlugin {
  readonly name: string;
  /** Ids of its contributions, and the `model_type` of every checkpoint that its adapters open. */
  readonly gives: readonly string[];
}

/** What a run has of a kind, and what it could have. */
export interface Offer {
  readonly kind: ContributionKind;
  /** Ids that there are. */
  readonly known: readonly string[];
  readonly plugins: PluginSet;
  readonly notInstalled: readonly KnownPlugin[];
}

/** PLUGIN_UNKNOWN for an id; the hint is the nearest id that is there, or that can be installed. */
export const unknownId = (id: string, offer: Offer): SpatialError => {
  const { known, notInstalled } = offer;
  const nearest = nearestName([...known, ...notInstalled.flatMap(({ gives }) => gives)], id);
  if (nearest === undefined) return unknown(`"${id}"`, offer, INSTALL_ANY);
  const question = nearest === id ? undefined : `Did you mean "${nearest}"?`;
  const hint = [question, installHint(nearest, notInstalled)].filter((part) => part !== undefined);
  return unknown(`"${id}"`, offer, hint.join(' '));
};

/** PLUGIN_UNKNOWN for a checkpoint that no adapter accepts. */
export const unknownModelType = (modelType: unknown, offer: Offer): SpatialError =>
  unknown(
    `accepts a checkpoint with model_type ${JSON.stringify(modelType ?? null)}`,
    offer,
    installHint(String(modelType), offer.notInstalled) ?? INSTALL_ANY,
  );

const INSTALL_ANY =
  'Install a plugin that provides it and list it in the dependencies of your package.json.';

const unknown = (wanted: string, { kind, known, plugins }: Offer, hint: string): SpatialError => {
  const list = known.length > 0 ? known.join(', ') : 'none';
  return new SpatialError({
    code: 'PLUGIN_UNKNOWN',
    message: `no ${kind.replace('-', ' ')} ${wanted}. Known: ${list}.${describeRejected(plugins)}`,
    hint,
  });
};

const describeRejected = ({ rejected }: PluginSet): string =>
  rejected.length === 0
    ? ''
    : ` Rejected: ${rejected.map(({ error }) => error.message).join('; ')}.`;

/** How to install what gives an id or `model_type`, where that is known. */
const installHint = (name: string, notInstalled: readonly KnownPlugin[]): string | undefined => {
  const provider = notInstalled.find(({ gives }) => gives.includes(name));
  return provider && `npm install ${provider.name}`;
};
