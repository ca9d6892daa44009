/** What differs between the templates of families, in the language of templates. */
interface ChatMlParts {
  /** What comes before the messages. */
  readonly before?: string;
  /** How an image and a video are written. */
  readonly image: string;
  readonly video: string;
  /** Which `part` is an image, a video, a text. */
  readonly kinds?: Readonly<Record<'image' | 'video' | 'text', string>>;
}

const BY_TYPE = {
  image: "part.type == 'image'",
  video: "part.type == 'video'",
  text: "part.type == 'text'",
};

/** Chat template of models that mark turns as Qwen does: parts in their order, generation prompt. */
export const tinyChatMlTemplate = ({
  before = '',
  image,
  video,
  kinds = BY_TYPE,
}: ChatMlParts): string =>
  `${before}{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' -}}
{%- if message.content is string -%}
{{- message.content -}}
{%- else -%}
{%- for part in message.content -%}
{%- if ${kinds.image} -%}
${image}
{%- elif ${kinds.video} -%}
${video}
{%- elif ${kinds.text} -%}
{{- part.text -}}
{%- endif -%}
{%- endfor -%}
{%- endif -%}
{{- '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
`;
