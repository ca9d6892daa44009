/** How large an operation is: what decides which way of writing it is the fastest. */
export interface KernelSize {
  /** Rows of a product, pixels of the result of a convolution. */
  readonly rows: number;
  /** Channels, the geometric mean of those that go in and come out. */
  readonly channels: number;
}

/** Which of several ways of writing an operation runs fastest on this processor. */
export interface KernelChoice {
  /** Channels per block of ONNX Runtime's blocked layout on this processor; absent where it has none. */
  readonly block: number | undefined;
  /** The way in which an operation of a kind is to be written at a size; undefined for a kind that nobody measured. */
  of(kind: string, size: KernelSize): string | undefined;
}

/** An operation that a graph holds and that could be written in another way. */
export interface Alternative {
  readonly kind: string;
  readonly size: KernelSize;
}

/** The way of writing that every kind has and that others are compared with. */
export const PLAIN = 'plain';
/** In ONNX Runtime's blocked layout. */
export const BLOCKED = 'blocked';
/** Domain of the layout's operators. */
export const BLOCKED_DOMAIN = 'com.microsoft.nchwc';
/** On one thread alone: what one core has made, another one does not read. */
export const SINGLE_THREADED = 'single-threaded';
/** In pieces that run at the same time, each on a thread of its own. */
export const IN_PIECES = 'in-pieces';

/** Block sizes of ONNX Runtime's builds: AVX-512 and Arm, AVX2 and older, and the smallest that it allows. */
export const BLOCK_SIZES: readonly number[] = [16, 8, 4];

/** Everything in blocks of this size, wherever they fit. */
export const alwaysBlocked = (block: number): KernelChoice => ({ block, of: () => BLOCKED });
