import { Cron } from 'croner';
import { LRUCache } from 'lru-cache';
import { RequestError } from '../errors.ts';

/** A schedule as people give it: every so many seconds, or a cron expression in a time zone; one of the two. */
export interface ScheduleInput {
  intervalSeconds?: number | undefined;
  cron?: string | undefined;
  /** An IANA name; UTC where it is not given. */
  timeZone?: string | undefined;
  /** Each run begins up to so many seconds after its slot. */
  jitterSeconds?: number | undefined;
}

/** A schedule that comes: what `checkSchedule` has accepted. */
export type Schedule = { jitterSeconds: number } & ({ intervalSeconds: number } | { cron: string; timeZone: string });

/** The columns that a schedule is stored in. */
export interface ScheduleColumns {
  schedule_interval_seconds: number | null;
  schedule_cron: string | null;
  schedule_time_zone: string | null;
  schedule_jitter_seconds: number;
}

/** The least and the most seconds between two runs. */
export const MIN_INTERVAL_SECONDS = 10;
export const MAX_INTERVAL_SECONDS = 31_536_000;

const EXAMPLE =
  'Give minute, hour, day of month, month and day of week, such as 0 9 * * MON-FRI; a sixth field in front is seconds';
// How many slots of a cron expression are looked at for the shortest time between two.
const LOOKED_AT = 50;
// How many missed slots of a cron expression are counted: each takes a good part of a millisecond.
const COUNTED = 100;

/**
 * Checks a schedule and fills what was left away. `now` is where the search for its slots begins.
 * Throws RequestError `schedule_invalid`: its field is the part that is wrong, its message what would be right.
 */
export function checkSchedule(input: ScheduleInput, now: Date = new Date()): Schedule {
  const { intervalSeconds, cron, timeZone, jitterSeconds = 0 } = input;
  if ((intervalSeconds === undefined) === (cron === undefined)) {
    throw invalid(
      'schedule',
      `A schedule has either intervalSeconds or cron${cron === undefined ? '' : ', not both'}: give { "intervalSeconds": 3600 } or { "cron": "0 9 * * *", "timeZone": "Europe/Berlin" }.`,
    );
  }
  if (!Number.isInteger(jitterSeconds) || jitterSeconds < 0) {
    throw invalid('schedule.jitterSeconds', 'A jitter is a whole number of seconds, 0 for none.');
  }
  const schedule =
    cron === undefined
      ? checkInterval(intervalSeconds ?? 0, timeZone, jitterSeconds)
      : checkCron(cron, timeZone ?? 'UTC', jitterSeconds, now);
  const shortest = shortestGapMs(schedule, now) / 1_000;
  if (jitterSeconds >= shortest) {
    throw invalid(
      'schedule.jitterSeconds',
      `A jitter of ${jitterSeconds} seconds is not shorter than the ${shortest} seconds between two runs: give less than ${shortest}.`,
    );
  }
  return schedule;
}

/**
 * The first slot after `after`, to the millisecond. Slots of an interval keep the rhythm of `origin`: they are whole intervals away
 * from it. Slots of a cron expression follow the clocks of its time zone, as Vixie cron does: where clocks are put forward, a
 * fixed time that does not exist comes when they have been, once; where they are put back, a fixed time comes at its first
 * occurrence only, and what comes every so many minutes or hours goes on through both.
 * Throws Error for a time zone that this process does not know, or an expression that never comes.
 */
export function nextSlot(schedule: Schedule, after: Date, origin: Date = after): Date {
  if ('cron' in schedule) {
    const slot = cronOf(schedule).nextRun(after);
    if (slot === null) throw new Error(`the cron expression ${schedule.cron} never comes after ${after.toISOString()}`);
    return slot;
  }
  const intervalMs = schedule.intervalSeconds * 1_000;
  const intervals = Math.floor((after.getTime() - origin.getTime()) / intervalMs) + 1;
  return new Date(origin.getTime() + intervals * intervalMs);
}

/** When the run of a slot is due: up to the schedule's jitter after it, and before the slot that follows. `random` gives [0, 1). */
export function jittered(schedule: Schedule, slot: Date, random: () => number = Math.random): Date {
  if (schedule.jitterSeconds === 0) return slot;
  const room = nextSlot(schedule, slot).getTime() - slot.getTime() - 1;
  return new Date(slot.getTime() + Math.floor(random() * (Math.min(schedule.jitterSeconds * 1_000, room) + 1)));
}

/** How many slots there are after `slot` up to `until`. Of a cron expression no more than 100 are counted. */
export function countSlots(schedule: Schedule, slot: Date, until: Date): number {
  if ('intervalSeconds' in schedule) {
    return Math.max(0, Math.floor((until.getTime() - slot.getTime()) / (schedule.intervalSeconds * 1_000)));
  }
  let slots = 0;
  for (let at = nextSlot(schedule, slot); at <= until && slots < COUNTED; at = nextSlot(schedule, at)) slots++;
  return slots;
}

/** The schedule that is stored in these columns. */
export function scheduleOf(row: ScheduleColumns): Schedule {
  const jitterSeconds = row.schedule_jitter_seconds;
  if (row.schedule_cron !== null && row.schedule_time_zone !== null) {
    return { cron: row.schedule_cron, timeZone: row.schedule_time_zone, jitterSeconds };
  }
  if (row.schedule_interval_seconds === null)
    throw new Error('a schedule without an interval and without a cron expression');
  return { intervalSeconds: row.schedule_interval_seconds, jitterSeconds };
}

/** The columns of a schedule, in the order of ScheduleColumns: interval, cron, time zone, jitter. */
export function toScheduleColumns(schedule: Schedule): ScheduleColumns {
  const cron = 'cron' in schedule ? schedule : null;
  return {
    schedule_interval_seconds: 'intervalSeconds' in schedule ? schedule.intervalSeconds : null,
    schedule_cron: cron?.cron ?? null,
    schedule_time_zone: cron?.timeZone ?? null,
    schedule_jitter_seconds: schedule.jitterSeconds,
  };
}

function checkInterval(intervalSeconds: number, timeZone: string | undefined, jitterSeconds: number): Schedule {
  if (timeZone !== undefined) {
    throw invalid(
      'schedule.timeZone',
      'A time zone goes with a cron expression; an interval counts seconds whatever the clocks say. Take it away, or give cron instead of intervalSeconds.',
    );
  }
  if (!Number.isInteger(intervalSeconds) || intervalSeconds < MIN_INTERVAL_SECONDS) {
    throw invalid(
      'schedule.intervalSeconds',
      `A whole number of seconds, at least ${MIN_INTERVAL_SECONDS} between two runs.`,
    );
  }
  if (intervalSeconds > MAX_INTERVAL_SECONDS) {
    throw invalid('schedule.intervalSeconds', `At most a year between two runs: ${MAX_INTERVAL_SECONDS} seconds.`);
  }
  return { intervalSeconds, jitterSeconds };
}

function checkCron(text: string, zone: string, jitterSeconds: number, now: Date): Schedule {
  const cron = text.trim().replaceAll(/\s+/g, ' ');
  const schedule = { cron, timeZone: checkTimeZone(zone), jitterSeconds };
  const shown = JSON.stringify(cron);
  // What croner would read besides: a date in ISO 8601, once.
  if (!/^(@[a-z]+|[^\s@]+( [^\s]+){4,5})$/i.test(cron)) {
    const { length } = cron === '' ? [] : cron.split(' ');
    throw invalid('schedule.cron', `The cron expression ${shown} has ${length} fields, not five or six. ${EXAMPLE}.`);
  }
  let first: Date | null;
  try {
    first = cronOf(schedule).nextRun(now);
  } catch (error) {
    const reason = (error instanceof Error ? error.message : String(error))
      .replace(/^CronPattern: /, '')
      .replace(/\.$/, '');
    throw invalid('schedule.cron', `The cron expression ${shown} can't be read: ${reason}. ${EXAMPLE}.`, error);
  }
  if (first === null) {
    throw invalid(
      'schedule.cron',
      `The cron expression ${shown} never comes: no month that it names has such a day. Correct its day of month or its month.`,
    );
  }
  const seconds = secondsApart(cron);
  if (seconds < MIN_INTERVAL_SECONDS) {
    throw invalid(
      'schedule.cron',
      `The cron expression ${shown} has slots ${seconds === 1 ? 'every second' : `${seconds} seconds apart`}: at least ${MIN_INTERVAL_SECONDS} seconds lie between two runs, such as */${MIN_INTERVAL_SECONDS} * * * * *.`,
    );
  }
  return schedule;
}

/** The name of a time zone as it is written, in whatever case it came. Throws RequestError for field schedule.timeZone. */
function checkTimeZone(zone: string): string {
  const known = ['UTC', ...Intl.supportedValuesOf('timeZone')];
  const lower = zone.trim().toLowerCase();
  const exact = known.find((name) => name.toLowerCase() === lower);
  if (exact !== undefined) return exact;
  // Other names of the same zones, such as Asia/Kolkata. Offsets, which newer engines take too, know no summer time.
  if (/^[a-z]/i.test(zone) && !/^(gmt|utc)?[+-]\d/i.test(zone) && isTimeZone(zone)) return zone;
  const city = lower.split('/').at(-1)?.replaceAll(' ', '_');
  const meant = known.find((name) => name.toLowerCase().split('/').at(-1) === city);
  throw invalid(
    'schedule.timeZone',
    `There is no time zone ${JSON.stringify(zone)}. Give a name of the IANA list, ${
      meant === undefined ? 'such as Europe/Berlin, America/New_York or UTC' : `perhaps ${meant}`
    }.`,
  );
}

function isTimeZone(zone: string): boolean {
  try {
    return new Intl.DateTimeFormat('en', { timeZone: zone }).resolvedOptions().timeZone !== '';
  } catch {
    return false;
  }
}

/** The least seconds between two slots within a minute, or from the last of one minute to the first of the next. */
function secondsApart(cron: string): number {
  const fields = cron.split(' ');
  if (fields.length < 6) return 60;
  // Within one minute there are at most six slots that are far enough apart, and the seventh is in the next.
  const from = new Date(0);
  return Math.min(...gapsMs(cronOf({ cron: `${fields[0]} * * * * *`, timeZone: 'UTC' }), from, 7)) / 1_000;
}

function shortestGapMs(schedule: Schedule, from: Date): number {
  if ('intervalSeconds' in schedule) return schedule.intervalSeconds * 1_000;
  return Math.min(...gapsMs(cronOf(schedule), from, LOOKED_AT));
}

function gapsMs(cron: Cron, from: Date, count: number): number[] {
  const slots = cron.nextRuns(count, from);
  return slots.slice(1).map((slot, index) => slot.getTime() - (slots[index]?.getTime() ?? 0));
}

// Parsed expressions: a tick asks for the same few again and again.
const parsed = new LRUCache<string, Cron>({
  max: 1_000,
  // In characters: most are some twenty, and nothing keeps a person from writing a list of a thousand seconds.
  maxSize: 1_000_000,
  sizeCalculation: (_, key) => key.length,
  ttl: 3_600_000,
});

function cronOf({ cron, timeZone }: { cron: string; timeZone: string }): Cron {
  const key = `${timeZone} ${cron}`;
  const found = parsed.get(key);
  if (found !== undefined) return found;
  const made = new Cron(cron, {
    mode: '5-or-6-parts',
    fixedTimeRule: 'no-wildcard',
    // By the offset it needs no Intl, and is several times as fast.
    ...(timeZone === 'UTC' ? { utcOffset: 0 } : { timezone: timeZone }),
  });
  parsed.set(key, made);
  return made;
}

function invalid(field: string, message: string, cause?: unknown): RequestError {
  return new RequestError('invalid', 'schedule_invalid', message, { field, cause });
}
