/** The samples of one scrape: value by name and labels. */
export interface Scrape {
  /** What the scrape said of each name: its type, by its family. */
  types: Map<string, string>;
  /** The one sample of this name with exactly these labels, or undefined. */
  value(name: string, labels?: Record<string, string>): number | undefined;
  /** The samples of this name. */
  samples(name: string): { labels: Record<string, string>; value: number }[];
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /([a-zA-Z_]\w*)="((?:[^"\\]|\\.)*)"(?:,|$)/gy;

/** Reads Prometheus' text format; throws at the first line that is none of it. */
function parsePrometheus(text: string): Scrape {
  const types = new Map<string, string>();
  const all: { name: string; labels: Record<string, string>; value: number }[] = [];
  for (const line of text.split('\n')) {
    const type = /^# TYPE (\S+) (counter|gauge|histogram|summary|untyped)$/.exec(line);
    if (type !== null) types.set(type[1] ?? '', type[2] ?? '');
    if (line === '' || line.startsWith('#')) continue;
    const sample = SAMPLE.exec(line);
    const value = Number((sample?.[3] ?? 'not a sample').replace('+Inf', 'Infinity'));
    if (sample === null || Number.isNaN(value)) throw new Error(`not a sample of Prometheus: ${line}`);
    all.push({ name: sample[1] ?? '', labels: readLabels(sample[2] ?? ''), value });
  }
  const samples = (name: string) => all.filter((sample) => sample.name === name);
  return {
    types,
    samples,
    value: (name, labels = {}) => {
      const wanted = canonical(labels);
      const found = samples(name).filter((sample) => canonical(sample.labels) === wanted);
      if (found.length > 1) throw new Error(`${name} is there ${found.length} times with the same labels`);
      return found[0]?.value;
    },
  };
}

export async function scrape(url: string): Promise<Scrape> {
  const response = await fetch(url, { signal: AbortSignal.timeout(15_000) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${response.status} of ${url}: ${text}`);
  return parsePrometheus(text);
}

function readLabels(text: string): Record<string, string> {
  const found = [...text.matchAll(LABEL)];
  if (found.map(([whole]) => whole).join('') !== text) throw new Error(`not labels of Prometheus: ${text}`);
  return Object.fromEntries(found.map(([, name = '', value = '']) => [name, value]));
}

function canonical(labels: Record<string, string>): string {
  return JSON.stringify(Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1)));
}
