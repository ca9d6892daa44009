/**
 * What tfjs had registered in this process before this package imported it; evaluated before `@tensorflow/tfjs`. tfjs keeps
 * its registries in a global, which all copies of it share and overwrite.
 */
interface TfjsGlobals {
  readonly _tfGlobals?: ReadonlyMap<string, ReadonlyMap<string, object>>;
}

/** A gradient of tfjs that this package never replaces: its registration tells one copy of tfjs from another. */
const MARKER_KERNEL = 'Tanh';

/** Registration of {@link MARKER_KERNEL} by the copy of tfjs that was loaded last; undefined before any. */
export const currentMarker = (): object | undefined =>
  (globalThis as TfjsGlobals)._tfGlobals?.get('gradRegistry')?.get(MARKER_KERNEL);

export const markerBefore = currentMarker();
