/** The contract of backbones, a part of `spec.ts`: types alone. */
import type { MappedTensor, Tensor } from '@spatialsv/engine';
import type { ContributionBaseV1 } from './contribution-spec.js';
import type { Finding } from './finding.js';
import type { ParameterGroup, Parameters } from './parameters-spec.js';
import type { ConversationV1, ImageSizeV1 } from './sample-spec.js';

/** Where the feature grid of one view lies in the token sequence and in its image. */
export interface ViewGridV1 {
  /** Rows and columns of the feature grid. */
  readonly h: number;
  readonly w: number;
  /** Sequence positions of the grid cells, row-major, h·w entries. */
  readonly tokenIndex: Int32Array;
  /** Visual positions outside the grid (newline tokens, thumbnail). */
  readonly extraIndex: Int32Array;
  /** Pixel of the original image at cell (r, c): x = ax·(c+½)+bx, y = ay·(r+½)+by. */
  readonly toImage: {
    readonly ax: number;
    readonly bx: number;
    readonly ay: number;
    readonly by: number;
  };
  /** Rectangle of the original image that the grid sees, in pixels. */
  readonly covered: {
    readonly x0: number;
    readonly y0: number;
    readonly x1: number;
    readonly y1: number;
  };
}

/**
 * How the pixels of one view are laid out. Opaque to everybody but the backbone that made it, which may add fields of its
 * own; JSON-serialisable.
 */
export interface ViewLayoutV1 {
  /** Equal where, and only where, views share a program and pixels of one image mean the same. */
  readonly key: string;
}

/** Processed pixels of one view, ready for the vision encoder. */
export interface ViewInputV1 {
  /** (P, patch values) float32. */
  readonly pixelValues: Float32Array;
  readonly pixelShape: readonly number[];
  readonly layout: ViewLayoutV1;
}

/** A conversation as the backbone sees it. */
export interface PreparedInputsV1 {
  /** (T) token ids, image placeholders expanded. */
  readonly inputIds: Int32Array;
  /** (T) target ids aligned with `inputIds`, −100 where no loss is taken. */
  readonly labels: Int32Array;
  /** (R, T) position ids; R = 3 for M-RoPE, 1 otherwise. */
  readonly positions: Int32Array;
  readonly positionRows: 1 | 3;
  /** Position of the token that would follow the sequence, equal in all rows. */
  readonly nextPosition: number;
  /** (T) i for text token i, T + k for the k-th visual row: row numbers of [text embeddings; visual rows]. */
  readonly spliceIndex: Int32Array;
  readonly views: readonly ViewInputV1[];
  readonly grids: readonly ViewGridV1[];
}

/** Where hidden states of the decoder are tapped: its input, after K of its L blocks (1 ≤ K < L), after the final norm. */
export type DecoderSite = 'embedding' | `layer:${number}` | 'final';

/** Where states of one view are tapped: patch embedding (0) or after K vision blocks, and rows of the projector. */
export type ViewSite = `vision:${number}` | 'projector';

export type TapSite = DecoderSite | ViewSite;

/** How answers are drawn where sampling is asked for. Applied in this order, each to what the one before leaves. */
export interface SamplingSettingsV1 {
  /** Whether the checkpoint means its answers to be drawn. Nobody follows it unless sampling is asked for. */
  readonly doSample: boolean;
  /** Divides the logits, > 0. */
  readonly temperature: number;
  /** Draws among this many most probable tokens; 0 = all. */
  readonly topK: number;
  /** Draws among the most probable tokens that reach this probability together, in (0, 1]. */
  readonly topP: number;
  /** Draws among tokens of at least this share of the largest probability, in [0, 1]; 0 = all. */
  readonly minP: number;
}

/** What a checkpoint says about its answers: generation_config.json as a whole. */
export interface GenerationSettingsV1 {
  /** Token ids that end an answer. */
  readonly endOfTurnIds: readonly number[];
  /** Makes tokens of prompt and answer less probable (> 1); 1 changes nothing. Greedy answers follow it also. */
  readonly repetitionPenalty: number;
  /**
   * Whether the penalty counts tokens of the prompt also; it does where absent. Models whose own code generates from
   * embeddings see the answer alone.
   */
  readonly penalisesPrompt?: boolean;
  /** Tokens of an answer at most, where the checkpoint says so. */
  readonly maxNewTokens?: number;
  readonly sampling: SamplingSettingsV1;
  /** Name of the file that says so; absent where none does. */
  readonly file?: string;
  /** Settings of the file that are not followed, by their names there. */
  readonly ignored?: Readonly<Record<string, unknown>>;
}

/** Learning rate of each trained group (Table 6 of the paper). */
export interface LearningRatesV1 {
  readonly languageModel: number;
  readonly projector: number;
  readonly spatial: number;
}

export interface BackboneConfigV1 {
  /** The published model of this shape, for example `Qwen2.5-VL-3B`; absent for other sizes. */
  readonly model?: string;
  readonly layers: number;
  readonly hiddenSize: number;
  readonly vocabularySize: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly headDim: number;
  readonly positionRows: 1 | 3;
  /** Blocks of the vision encoder: `vision:0` … `vision:N` can be tapped. */
  readonly visionBlocks: number;
  readonly generation: GenerationSettingsV1;
  /** What training takes where its configuration says nothing: those of Table 6 of the paper for the family. */
  readonly learningRates: LearningRatesV1;
  /**
   * Layers whose hidden states feed the 3D heads, shallow to deep (Table 6 of the paper, or evenly spread for other
   * depths): 0 = embeddings, k = after k blocks, L = after the final norm.
   */
  readonly defaultTaps: readonly number[];
}

/** One block of a decoder. */
export interface DecoderLayerV1 {
  /** Blocks of one kind are one computation with other weights, so that they share a program. */
  readonly kind: string;
  /** Layer-free name of every parameter → its full name. */
  readonly names: Readonly<Record<string, string>>;
}

/** What a block reads beside its own parameters and x. */
export interface BlockInputsV1 {
  /** (R, T) int32. */
  readonly positions: Tensor;
  /**
   * Incremental decoding: keys and values (kvHeads, capacity, hd) of the tokens before, and the slot (scalar int32) of the
   * first of the T new tokens; slot s is valid when s < `cacheSlot`. Without them the T tokens are a whole sequence.
   */
  readonly cache?: LayerCacheV1;
  readonly cacheSlot?: Tensor;
  /**
   * Given instead of `cacheSlot` to decoders that take it: the T tokens are of several sequences that share a cache. `slots`
   * (T) int32 is where the cache takes each of them; `mask` (T, capacity) float32 is added to its scores once all are written,
   * 0 for what it sees and −10⁹ elsewhere.
   */
  readonly slots?: Tensor;
  readonly mask?: Tensor;
  /**
   * Several sequences one behind the other: (T) int32, equal for the tokens of one, which see none of another. Only given where
   * the decoder {@link DecoderV1.separatesSegments separates} them, and never with a cache.
   */
  readonly segments?: Tensor;
}

export interface LayerCacheV1 {
  readonly keys: Tensor;
  readonly values: Tensor;
}

export interface BlockOutputV1 extends LayerCacheV1 {
  /** (T, C). `keys` and `values` are those of the T tokens (kvHeads, T, hd), or the updated cache. */
  readonly x: Tensor;
}

/**
 * The parts of a causal decoder. Core composes them: a whole sequence in one program, block by block, with a cache, with
 * taps and gradients. Each part is a pure program that takes every weight from its `parameters`.
 */
export interface DecoderV1 {
  readonly layers: readonly DecoderLayerV1[];
  /**
   * Whether blocks take `slots` and `mask`, as those of core's `createDecoder` do: answers are then decoded several at a time.
   * Others are decoded one after the other.
   */
  readonly takesSlots?: boolean;
  /** Whether `block` takes {@link BlockInputsV1.segments}, so that training may join short samples. Default: it does not. */
  readonly separatesSegments?: boolean;
  /** Full names of the parameters that each part reads. */
  readonly names: {
    readonly embed: readonly string[];
    readonly finalNorm: readonly string[];
    readonly logits: readonly string[];
  };
  /** (T) int32 ids → (T, C). */
  embed(parameters: Parameters, inputIds: Tensor): Tensor;
  /**
   * One block over x (T, C).
   * @param parameters by layer-free name.
   */
  block(kind: string, parameters: Parameters, x: Tensor, inputs: BlockInputsV1): BlockOutputV1;
  /** (n, C) → (n, C). */
  finalNorm(parameters: Parameters, x: Tensor): Tensor;
  /** (n, C) after the final norm → (n, K). */
  logits(parameters: Parameters, hidden: Tensor): Tensor;
}

/** What the vision encoder makes of one view. */
export interface EncodedViewV1 {
  /** (P, Cv), as `projectView` takes them. */
  readonly features: Tensor;
  /** The asked states, (P, Cv) each, patches row-major: 0 = patch embedding, K = after K blocks. */
  readonly states: Readonly<Record<number, Tensor>>;
}

/**
 * One opened checkpoint. The functions over tensors are pure programs: they are traced by the engine, never read
 * values, and take every weight from `parameters`.
 */
export interface BackboneV1 {
  readonly adapterId: string;
  /** Folder of the checkpoint. */
  readonly folder: string;
  readonly config: BackboneConfigV1;
  /** Every weight of the checkpoint by published name, still in its file. */
  readonly weights: Readonly<Record<string, MappedTensor>>;
  /** What is doubtful about the folder and does not keep it from being used: warnings, said when it is opened. */
  readonly findings?: readonly Finding[];
  parameterGroup(name: string): ParameterGroup;

  /** Tokenises, lays out and preprocesses a conversation. */
  prepare(conversation: ConversationV1): Promise<PreparedInputsV1>;
  decodeTokens(ids: readonly number[]): string;
  /**
   * Refuses an image by its size, as `prepare` would: asked of every image before a run. Absent where every size is taken.
   * @throws SpatialError IMAGE_INVALID.
   */
  requireImageSize?(image: ImageSizeV1): void;

  /** Vision encoder of one view, (P, …) pixel values in; `states` names the blocks whose output is wanted as well. */
  encodeView(
    parameters: Parameters,
    pixelValues: Tensor,
    layout: ViewLayoutV1,
    states?: readonly number[],
  ): EncodedViewV1;
  /** Vision-language projector of one view: (P, Cv) → a row (C) for each of the view's positions, in their order. */
  projectView(parameters: Parameters, features: Tensor, layout: ViewLayoutV1): Tensor;
  readonly decoder: DecoderV1;

  /** Writes a checkpoint folder of the same layout with some weights replaced (float32 in, stored dtype out). */
  save(folder: string, replaced: ReadonlyMap<string, Float32Array>): Promise<void>;
}

export interface OpenBackboneOptions {
  /** Image budget in pixels per view; the adapter's default where absent. */
  readonly minPixels?: number;
  readonly maxPixels?: number;
  /** The adapter's own settings; every default where absent. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

export interface TinyCheckpointOptions {
  readonly folder: string;
  readonly seed: number;
  readonly hiddenSize?: number;
  readonly layers?: number;
  readonly heads?: number;
  /** Texts whose words should become tokens. */
  readonly corpus?: readonly string[];
  /** Folder with the files of a real tokenizer, which is written instead of a small one. */
  readonly tokenizer?: string;
  /** The adapter's own settings of its tiny checkpoints; every default where absent. */
  readonly settings?: Readonly<Record<string, unknown>>;
}

export interface BackboneAdapterV1 extends ContributionBaseV1<'backbone-adapter'> {
  /** Whether this adapter opens a checkpoint with this parsed config.json. */
  accepts(config: Readonly<Record<string, unknown>>): boolean;
  /** @throws SpatialError CONFIG_INVALID for settings that it does not know or a pixel budget that the family does not have. */
  open(folder: string, options?: OpenBackboneOptions): Promise<BackboneV1>;
  /**
   * Writes a small random checkpoint with every structural feature of the family, its tokenizer and template.
   * @throws SpatialError CONFIG_INVALID for settings that it does not know.
   */
  writeTiny(options: TinyCheckpointOptions): Promise<void>;
}
