import { conversationsFormat, instructionFormat, messagesFormat } from './data/chat-rows.js';
import { mindCubeFormat } from './data/mindcube.js';
import { mmbenchFormat } from './data/mmbench.js';
import { plainFormat } from './data/plain.js';
import { dptGeometryHead } from './heads/dpt-geometry-head.js';
import { createRegistry, type PluginRegistry } from './plugins/registry.js';
import { definePlugin } from './spec.js';

/** Name under which the contributions of core are listed. */
export const BUILT_IN_PLUGIN_NAME = '@spatialsv/core';

/** Heads and data set formats that are always there. */
export const builtInPlugin = definePlugin({
  specificationVersion: 'v1',
  contributions: () => [
    dptGeometryHead,
    plainFormat,
    mindCubeFormat,
    mmbenchFormat,
    conversationsFormat,
    messagesFormat,
    instructionFormat,
  ],
});

/** A registry of {@link builtInPlugin} alone, where no plugins are loaded. */
export const builtInContributions = (): PluginRegistry => {
  const loaded = [{ name: BUILT_IN_PLUGIN_NAME, contributions: builtInPlugin.contributions() }];
  return createRegistry({ loaded, rejected: [] });
};
