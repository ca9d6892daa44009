import { createHash } from 'node:crypto';
import { SpatialError } from '../errors.js';
import { knownHashes } from '../known-hashes.js';
import { LabelStore, type LabelSummary } from '../label-store/index.js';
import type {
  GeometryFieldV1,
  GeometryLabelsV1,
  LabellerV1,
  LabelProvenanceV1,
  LabelRequestV1,
} from '../spec.js';

/** What a labeller reads of a store. */
export type ReadableLabelStore = Pick<
  LabelStore,
  'folder' | 'keys' | 'summary' | 'read' | 'contentOf'
>;

/** A labeller of a store, which also finds labels by what the images contain. */
export interface StoredLabeller extends LabellerV1 {
  /** Whether there are labels of images with these SHA-256, in this order. */
  hasContent(hashes: readonly string[]): boolean;
  /** Those labels, for a caller that has read the images itself; undefined without any. */
  labelsOfContent(hashes: readonly string[]): GeometryLabelsV1 | undefined;
  /** What identifies them, as `contentOf` does; undefined without any. */
  digestOfContent(hashes: readonly string[]): string | undefined;
  /** The error that says that labels of these images are missing. */
  missingLabels(images: readonly string[]): SpatialError;
}

/**
 * Labels that were stored before, as a source: images are found by their content, wherever they lie now. Where a view set
 * is stored in several sizes, the asked one is taken, or else the largest.
 * @param source id of the source whose labels are wanted; with one kind of labels in the store it may be left out.
 * @returns a labeller whose provenance is that of the labels. Disposing it leaves the store open.
 * @throws SpatialError DATA_INVALID when the store has no labels of the source, or labels of several models or settings.
 */
export function storedLabeller(store: ReadableLabelStore, source?: string): StoredLabeller {
  const { provenance, provides, sets } = onlyKind(store.folder, kindsOf(store), source);
  const keyOfContent = (hashes: readonly string[], size = {}) =>
    choose(sets.get(setName(hashes)) ?? [], size);
  const keyOf = async ({ images, ...size }: LabelRequestV1) =>
    keyOfContent(await Promise.all(images.map(knownHashes.of)), size);
  return {
    sourceId: provenance.source,
    provides,
    provenance,
    dispose: async () => undefined,
    hasContent: (hashes) => keyOfContent(hashes) !== undefined,
    labelsOfContent(hashes) {
      const key = keyOfContent(hashes);
      return key === undefined ? undefined : store.read(key)?.labels;
    },
    digestOfContent(hashes) {
      const key = keyOfContent(hashes);
      return key === undefined ? undefined : store.contentOf(key);
    },
    missingLabels: (images) => notStored(store.folder, images, provenance),
    async doLabel(request) {
      request.signal?.throwIfAborted();
      const key = await keyOf(request);
      const stored = key === undefined ? undefined : store.read(key);
      if (stored !== undefined) return stored.labels;
      throw notStored(store.folder, request.images, provenance);
    },
    async contentOf(request) {
      const key = await keyOf(request);
      const content = key === undefined ? undefined : store.contentOf(key);
      if (content !== undefined) return content;
      throw notStored(store.folder, request.images, provenance);
    },
  };
}

/**
 * {@link storedLabeller} of a folder, opened to read; disposing it closes the store.
 * @throws SpatialError as LabelStore.open and storedLabeller do.
 */
export async function openStoredLabels(folder: string, source?: string): Promise<StoredLabeller> {
  const store = await LabelStore.open(folder, { readOnly: true });
  try {
    return { ...storedLabeller(store, source), dispose: () => store.close() };
  } catch (error) {
    await store.close();
    throw error;
  }
}

/** Labels of one model with one choice of settings. */
interface LabelKind {
  readonly provenance: LabelProvenanceV1;
  readonly provides: readonly GeometryFieldV1[];
  /** By content of the images. */
  readonly sets: Map<string, SizedKey[]>;
}

type SizedKey = Pick<LabelSummary, 'key' | 'height' | 'width'>;

function kindsOf(store: ReadableLabelStore): readonly LabelKind[] {
  const kinds = new Map<string, LabelKind>();
  for (const key of store.keys()) {
    const summary = store.summary(key);
    if (summary === undefined) continue;
    const { provenance, images, height, width } = summary;
    const name = JSON.stringify(provenance);
    const kind = kinds.get(name) ?? { provenance, provides: fieldsOf(summary), sets: new Map() };
    kinds.set(name, kind);
    const set = setName(images.map(({ sha256 }) => sha256));
    kind.sets.set(set, [...(kind.sets.get(set) ?? []), { key, height, width }]);
  }
  return [...kinds.values()];
}

const setName = (hashes: readonly string[]): string =>
  createHash('sha256').update(hashes.join(' ')).digest('base64');

/** Rays and points follow from depth and cameras, which every label has. */
const fieldsOf = ({ fields }: LabelSummary): readonly GeometryFieldV1[] => {
  const geometry = ['depth', 'ray-map', 'point-map', 'camera'] as const;
  return fields.some(({ name }) => name === 'features') ? [...geometry, 'feature'] : geometry;
};

function choose(
  stored: readonly SizedKey[],
  { height, width }: Pick<LabelRequestV1, 'height' | 'width'>,
): string | undefined {
  const largest = stored.toSorted((a, b) => b.height * b.width - a.height * a.width);
  const exact = stored.find((size) => size.height === height && size.width === width);
  return (exact ?? largest[0])?.key;
}

function onlyKind(
  folder: string,
  kinds: readonly LabelKind[],
  source: string | undefined,
): LabelKind {
  const wanted = kinds.filter(
    ({ provenance }) => source === undefined || provenance.source === source,
  );
  const [kind] = wanted;
  if (kind !== undefined && wanted.length === 1) return kind;
  const names = (list: readonly LabelKind[]) => list.map(describeKind).join('; ');
  throw new SpatialError({
    code: 'DATA_INVALID',
    message:
      kind === undefined
        ? `${folder}: expected labels of ${source ?? 'any source'}, found ${names(kinds) || 'an empty store'}`
        : `${folder}: expected one kind of labels${source === undefined ? '' : ` of ${source}`}, found ${wanted.length}: ${names(wanted)}`,
    hint:
      kind === undefined
        ? `Make them with: spatialsv label --source ${source ?? 'SOURCE'} --out ${folder}`
        : 'Keep labels of different models or settings in stores of their own, or name the source.',
  });
}

const describeKind = ({ provenance, sets }: LabelKind): string =>
  `${provenance.source} ${provenance.model} ${JSON.stringify(provenance.settings)} (${sets.size} view sets)`;

const notStored = (
  folder: string,
  images: readonly string[],
  { source, model }: LabelProvenanceV1,
): SpatialError =>
  new SpatialError({
    code: 'DATA_INVALID',
    message: `${folder}: no ${source} ${model} labels of the ${images.length} images ${images.slice(0, 2).join(', ')}${images.length > 2 ? ' …' : ''} in this order`,
    hint: `Label them first: spatialsv label --source ${source} --out ${folder} with the same data; only missing view sets are labelled.`,
  });

/**
 * @throws SpatialError DATA_INVALID for labels under a licence that does not allow commercial use.
 */
export function requireCommercialUse({ provenance }: Pick<LabellerV1, 'provenance'>): void {
  const { licence, source, model } = provenance;
  if (licence.commercialUse) return;
  throw new SpatialError({
    code: 'DATA_INVALID',
    message: `labels of ${source} ${model}: expected a licence that allows commercial use, found ${licence.name}`,
    hint: 'Label with weights that allow it (da3-small and da3-base do), or set commercialUse: false for research.',
  });
}
