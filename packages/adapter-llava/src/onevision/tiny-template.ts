/** Chat template with the same output as the published one: images, then videos, then texts, each text on a line of its own. */
export const TINY_CHAT_TEMPLATE = `{%- for message in messages -%}
{{- '<|im_start|>' + message.role + ' ' -}}
{%- for kind in ['image', 'video'] -%}
{%- for part in message.content if part.type == kind -%}
{{- '<' + kind + '>' -}}
{%- endfor -%}
{%- endfor -%}
{%- for part in message.content if part.type == 'text' -%}
{{- '\\n' + part.text -}}
{%- endfor -%}
{{- '<|im_end|>' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- '<|im_start|>assistant\\n' -}}
{%- endif -%}
`;
