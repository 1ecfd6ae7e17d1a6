/** A text of at most `maxLength` UTF-16 units: one that is longer is cut between two characters, and ends with `…`. */
export function cutText(text: string, maxLength: number): string {
  if (text.length <= maxLength) return text;
  const end = maxLength - 1;
  // Behind the first half of a pair: the other half would stand alone.
  const last = text.charCodeAt(end - 1);
  return `${text.slice(0, last >= 0xd800 && last <= 0xdbff ? end - 1 : end)}…`;
}
