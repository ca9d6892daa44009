/** First form that is found: a quoted answer in single quotes, in double quotes, a digit. */
const FORMS = [/Answer': '([^']*)'/, /Answer": "([^"]*)"/, /Answer': (\d)/];

/**
 * The answer in the JSON-like template that Spatial457 asks for, else the whole text.
 * Source: open-compass/VLMEvalKit, vlmeval/dataset/spatial457.py@e8e78f05.
 */
export function extractJsonAnswer(text: string): string {
  for (const form of FORMS) {
    const found = form.exec(text)?.[1];
    if (found !== undefined) return found;
  }
  return text;
}
