import { tinyChatMlTemplate } from '../tiny-chat-template.js';

/** A line of the template that counts views, and labels them where that is asked for. */
const labelled = (seen: string, label: string, marker: string): string =>
  `{%- set seen.${seen} = seen.${seen} + 1 -%}
{%- if add_vision_id -%}{{- '${label} ' + (seen.${seen} | string) + ': ' -}}{%- endif -%}
{{- '<|vision_start|><|${marker}|><|vision_end|>' -}}`;

/**
 * Chat template with the same output as the published one: a default system turn, views and texts in content order,
 * optional `Picture k: ` labels, generation prompt.
 */
export const TINY_CHAT_TEMPLATE = tinyChatMlTemplate({
  before: `{%- set seen = namespace(images=0, videos=0) -%}
{%- if messages[0].role != 'system' -%}
{{- '<|im_start|>system\\nYou are a helpful assistant.<|im_end|>\\n' -}}
{%- endif -%}
`,
  image: labelled('images', 'Picture', 'image_pad'),
  video: labelled('videos', 'Video', 'video_pad'),
  kinds: {
    image: "part.type == 'image' or 'image' in part or 'image_url' in part",
    video: "part.type == 'video' or 'video' in part",
    text: "'text' in part",
  },
});
