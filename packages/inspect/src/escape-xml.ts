/** Text between the tags of an SVG. What XML cannot hold becomes a question mark. */
export const escapeXml = (text: string): string =>
  text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replace(/[^\P{Cc}\t\n]|\p{Cs}/gu, '?');
