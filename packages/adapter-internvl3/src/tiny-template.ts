/**
 * Chat template with the same output as the published one: no system turn of its own, views and texts in content order, each
 * view a marker and a newline, generation prompt.
 */
export const TINY_CHAT_TEMPLATE = `{%- for message in messages -%}
{{- '<|im_start|>' + message.role + '\\n' -}}
{%- if message.content is string -%}
{{- message.content -}}
{%- else -%}
{%- for part in message.content -%}
{%- if part.type == 'image' -%}
{{- '<IMG_CONTEXT>\\n' -}}
{%- elif part.type == 'video' -%}
{{- '<video>\\n' -}}
{%- elif part.type == 'text' -%}
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
