/** Images, samples and conversations, a part of `spec.ts`: types alone. */

/** 8-bit RGB, EXIF orientation applied, alpha dropped. */
export interface RgbImage {
  /** (height, width, 3) row-major. */
  readonly data: Uint8Array;
  readonly height: number;
  readonly width: number;
  /** Where it came from, for messages. */
  readonly path?: string;
}

/** What the header of an image file says of its pixels. */
export interface ImageSizeV1 {
  /** EXIF orientation applied. */
  readonly height: number;
  readonly width: number;
  /** Where it came from, for messages. */
  readonly path?: string;
}

/** One line of a dataset. A sample without `question` trains the 3D losses only. */
export interface SampleV1 {
  readonly id: string;
  /** Image paths, absolute, in prompt order. */
  readonly images: readonly string[];
  readonly question?: string;
  /** What stands before the question, in the system turn; that of the chat template where absent. */
  readonly system?: string;
  /** Option letter → option text, when the question is multiple choice. */
  readonly options?: Readonly<Record<string, string>>;
  /** Target string that the model is trained to say. */
  readonly answer?: string;
  /** Letter of the right option, when the question is multiple choice. */
  readonly answerLetter?: string;
  readonly category?: string;
}

/** A stretch of the user's turn, or the place of the next image in it. */
export type ConversationPartV1 =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image' };

/** What the backbone is asked. */
export interface ConversationV1 {
  readonly images: readonly RgbImage[];
  readonly system?: string;
  readonly question: string;
  /**
   * How images stand among the texts, which are the question when they are joined. Where absent, all images stand before the
   * question, as they do in families that take their views as one video, or whose chat template moves them there.
   */
  readonly parts?: readonly ConversationPartV1[];
  /** Present in training: the assistant's turn, from which the labels are made. */
  readonly answer?: string;
}
