import { ValueType, type Attributes, type HrTime } from '@opentelemetry/api';
import { emptyResource } from '@opentelemetry/resources';
import {
  AggregationTemporality,
  DataPointType,
  type CollectionResult,
  type GaugeMetricData,
  type MetricProducer,
} from '@opentelemetry/sdk-metrics';

/** One value of a gauge, with its labels. */
interface Sample {
  value: number;
  labels?: Record<string, string>;
}

/** A gauge that is read where it is asked for: its name (without `trailmark_`), what it says, and its unit. */
export interface GaugeDescription {
  name: string;
  description: string;
  unit?: 's' | 'By';
}

/** One look at a store, and the gauges that come of it. */
export interface Reading<Name extends string = string> {
  name: string;
  gauges: Readonly<Record<Name, GaugeDescription>>;
  read: () => Promise<Record<Name, Sample[]>>;
}

const SCOPE = { name: 'trailmark' };
const UP: GaugeDescription = { name: 'reading_up', description: '1 where these gauges could be read just now, else 0' };

/**
 * Reads stores when metrics are asked for. A reading has `timeoutMs`; one that fails, or is not there by then, has no gauges
 * this time, and `trailmark_reading_up` says so: a lag as it was before the database went away would be a lie. That is why
 * these are no observable gauges, which repeat their last value where there is no new one. A reading that still runs is
 * waited for, not begun a second time.
 */
export function createReadingsProducer(readings: readonly Reading[], timeoutMs: number): MetricProducer {
  const underWay = new Map<string, Promise<Record<string, Sample[]>>>();
  const read = async (reading: Reading): Promise<Record<string, Sample[]>> => {
    const known = underWay.get(reading.name);
    if (known !== undefined) return await known;
    const begun = reading.read().finally(() => underWay.delete(reading.name));
    underWay.set(reading.name, begun);
    // Where it comes in too late nobody waits for it any more.
    begun.catch(() => undefined);
    return await begun;
  };
  return {
    collect: async (): Promise<CollectionResult> => {
      const at = now();
      const ups: Sample[] = [];
      const errors: unknown[] = [];
      const metrics = await Promise.all(
        readings.map(async (reading): Promise<GaugeMetricData[]> => {
          try {
            const samples = await within(read(reading), timeoutMs, reading.name);
            ups.push({ value: 1, labels: { reading: reading.name } });
            return Object.entries(reading.gauges).map(([key, gauge]) => gaugeData(gauge, samples[key] ?? [], at));
          } catch (error) {
            ups.push({ value: 0, labels: { reading: reading.name } });
            errors.push(error);
            return [];
          }
        }),
      );
      const scopeMetrics = [{ scope: SCOPE, metrics: [...metrics.flat(), gaugeData(UP, ups, at)] }];
      return { resourceMetrics: { resource: emptyResource(), scopeMetrics }, errors };
    },
  };
}

async function within<T>(work: Promise<T>, timeoutMs: number, name: string): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${name} was not read within ${timeoutMs} ms`)), timeoutMs);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}

function gaugeData(gauge: GaugeDescription, samples: readonly Sample[], at: HrTime): GaugeMetricData {
  return {
    descriptor: {
      name: `trailmark_${gauge.name}`,
      description: gauge.description,
      unit: gauge.unit ?? '',
      valueType: ValueType.DOUBLE,
    },
    aggregationTemporality: AggregationTemporality.CUMULATIVE,
    dataPointType: DataPointType.GAUGE,
    dataPoints: samples.map(({ value, labels }) => {
      const attributes: Attributes = labels ?? {};
      return { startTime: at, endTime: at, attributes, value };
    }),
  };
}

function now(): HrTime {
  const ms = Date.now();
  return [Math.floor(ms / 1000), (ms % 1000) * 1_000_000];
}
