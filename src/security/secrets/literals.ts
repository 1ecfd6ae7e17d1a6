/** Texts that are looked for in another text, all of them in one pass: what that costs follows the text, not how many they are. */
export interface Literals {
  /** `text` with each place where one of them stands replaced, the longest of several. */
  replaceIn(text: string, replacement: string): string;
  /** Whether one of them stands in `text`. */
  areIn(text: string): boolean;
}

/** A text as it is compared, as long as it was. */
type Fold = (text: string) => string;

interface Bucket {
  /** Sorted as JavaScript compares strings. */
  texts: string[];
  /** Of each text, the place of the longest other one that it begins with; -1 for none. */
  begins: number[];
}

/** Makes the search for `texts`, of which those shorter than `minLength` are left out. With `foldCase`, A is a. */
export function createLiterals(
  texts: Iterable<string>,
  { minLength, foldCase }: { minLength: number; foldCase: boolean },
): Literals {
  const fold = foldCase ? lowerCase : asItIs;
  const byBeginning = new Map<string, Set<string>>();
  for (const text of texts) {
    if (text.length < minLength) continue;
    const folded = fold(text);
    const beginning = folded.slice(0, minLength);
    const known = byBeginning.get(beginning);
    if (known === undefined) byBeginning.set(beginning, new Set([folded]));
    else known.add(folded);
  }
  const buckets = new Map([...byBeginning].map(([beginning, those]) => [beginning, toBucket(those)]));

  /** The next place at or after `from`; null for none. */
  const next = (folded: string, from: number): { at: number; length: number } | null => {
    for (let at = from; at + minLength <= folded.length; at++) {
      const bucket = buckets.get(folded.slice(at, at + minLength));
      if (bucket === undefined) continue;
      const length = longestAt(bucket, folded.slice(at));
      if (length > 0) return { at, length };
    }
    return null;
  };
  return {
    replaceIn: (text, replacement) => {
      if (buckets.size === 0) return text;
      const folded = fold(text);
      let left = '';
      let done = 0;
      for (let found = next(folded, 0); found !== null; found = next(folded, done)) {
        left += text.slice(done, found.at) + replacement;
        done = found.at + found.length;
      }
      return left + text.slice(done);
    },
    areIn: (text) => buckets.size > 0 && next(fold(text), 0) !== null,
  };
}

function toBucket(texts: ReadonlySet<string>): Bucket {
  const sorted = [...texts].sort();
  const begins: number[] = [];
  for (const [at, text] of sorted.entries()) {
    // Whatever a text begins with is before it, and so is all that stands between the two.
    let before = at - 1;
    while (before >= 0 && !text.startsWith(sorted[before] ?? '')) before = begins[before] ?? -1;
    begins.push(before);
  }
  return { texts: sorted, begins };
}

/** The length of the longest text of a bucket that `rest` begins with; 0 for none. */
function longestAt({ texts, begins }: Bucket, rest: string): number {
  let low = 0;
  let high = texts.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((texts[middle] ?? '') <= rest) low = middle + 1;
    else high = middle;
  }
  // The last that is not behind `rest`: it, or what it begins with.
  let at = low - 1;
  while (at >= 0 && !rest.startsWith(texts[at] ?? '')) at = begins[at] ?? -1;
  return at < 0 ? 0 : (texts[at] ?? '').length;
}

function asItIs(text: string): string {
  return text;
}

const lowerCase: Fold = (text) => {
  const lower = text.toLowerCase();
  // Of a few letters, such as İ, the small one is longer.
  return lower.length === text.length ? lower : text.replaceAll(/[A-Z]+/g, (letters) => letters.toLowerCase());
};
