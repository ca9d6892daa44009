/** Chat template with the same output as the published one, without its special case for system turns. */
export const TINY_CHAT_TEMPLATE = `{%- for message in messages -%}
{{- message.role.upper() + ': ' -}}
{%- for part in message.content -%}
{%- if part.type == 'image' -%}{{- '<image>\\n' -}}{%- endif -%}
{%- endfor -%}
{%- for part in message.content -%}
{%- if part.type == 'video' -%}{{- '<video>\\n' -}}{%- endif -%}
{%- endfor -%}
{%- for part in message.content -%}
{%- if part.type == 'text' -%}{{- part.text + ' ' -}}{%- endif -%}
{%- endfor -%}
{%- endfor -%}
{%- if add_generation_prompt -%}
{{- 'ASSISTANT:' -}}
{%- endif -%}
`;
