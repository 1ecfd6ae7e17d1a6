import {
  context,
  ROOT_CONTEXT,
  SpanStatusCode,
  trace,
  type Attributes,
  type Span,
  type Tracer,
} from '@opentelemetry/api';
import { createHash } from 'node:crypto';

/**
 * An attempt is a trace: a root span over all of it, below it a span for each execution of a step, below that one for each
 * batch that is delivered. They are made by different processes, which only share the ids of task and attempt. So the ids of
 * the trace and of its root are made of these two, each process knows them without being told, and nothing about tracing
 * has to go through Temporal's histories.
 */

interface AttemptOf {
  taskId: string;
  attempt: number;
  kind: 'run' | 'sync';
}

interface SpanIds {
  traceId: string;
  spanId: string;
}

let tracer: Tracer | undefined;
let planned: SpanIds | undefined;

/** Lets the functions below make spans. Without it they only call what they are given. */
export function installTracing(given: Tracer): void {
  tracer = given;
}

export function uninstallTracing(): void {
  tracer = undefined;
}

/** The ids that the span which is being started has to have, for the provider's generator of ids; undefined for any. */
export function plannedSpanIds(): Readonly<SpanIds> | undefined {
  return planned;
}

/**
 * Does `work` in a span of the step, below its attempt's. Throws what `work` throws; `codeOf` says what that is called in the
 * span, where its message never gets, and null where it is no failure.
 */
export async function inStepSpan<T>(
  step: AttemptOf & { step: string },
  work: () => Promise<T>,
  codeOf: (error: unknown) => string | null,
): Promise<T> {
  if (tracer === undefined) return await work();
  // Never ended, so never sent: it is here to be the parent, with what the sampler decided of it.
  const parent = trace.setSpan(ROOT_CONTEXT, startAttemptSpan(tracer, step));
  const span = tracer.startSpan(
    `step ${step.step}`,
    { attributes: { ...attributesOf(step), 'trailmark.step': step.step } },
    parent,
  );
  try {
    return await context.with(trace.setSpan(parent, span), work);
  } catch (error) {
    fail(span, codeOf(error));
    throw error;
  } finally {
    span.end();
  }
}

/**
 * Does `work` in a span of one batch to a destination with this slug, below the step that it is part of. `codeOf` says what of the
 * result is a failure: a delivery tells what stopped it, and does not throw.
 */
export async function inBatchSpan<T>(
  batch: { destination: string; rows: number },
  work: () => Promise<T>,
  codeOf: (result: T) => string | null,
): Promise<T> {
  if (tracer === undefined) return await work();
  const span = tracer.startSpan('batch', {
    attributes: { 'trailmark.destination': batch.destination, 'trailmark.batch.rows': batch.rows },
  });
  try {
    const result = await context.with(trace.setSpan(context.active(), span), work);
    fail(span, codeOf(result));
    return result;
  } catch (error) {
    fail(span, 'unknown');
    throw error;
  } finally {
    span.end();
  }
}

/** An attempt has ended: its span, which is over all that was done in it, wherever that was. */
export function traceAttempt(
  attempt: AttemptOf & {
    workspaceId: string;
    startedAt: Date;
    endedAt: Date;
    outcome: 'succeeded' | 'failed' | 'cancelled';
    code?: string;
  },
): void {
  if (tracer === undefined) return;
  const span = startAttemptSpan(tracer, attempt, attempt.startedAt);
  span.setAttributes({ 'trailmark.workspace.id': attempt.workspaceId, 'trailmark.outcome': attempt.outcome });
  if (attempt.outcome === 'failed') fail(span, attempt.code ?? 'unknown');
  span.end(attempt.endedAt);
}

function startAttemptSpan(by: Tracer, attempt: AttemptOf, startTime?: Date): Span {
  const digest = createHash('sha256').update(`${attempt.taskId}/${attempt.attempt}`).digest('hex');
  planned = { traceId: digest.slice(0, 32), spanId: digest.slice(32, 48) };
  try {
    return by.startSpan(
      `attempt ${attempt.kind}`,
      { root: true, attributes: attributesOf(attempt), ...(startTime === undefined ? {} : { startTime }) },
      ROOT_CONTEXT,
    );
  } finally {
    planned = undefined;
  }
}

function attributesOf({ taskId, attempt, kind }: AttemptOf): Attributes {
  return { 'trailmark.task.id': taskId, 'trailmark.task.kind': kind, 'trailmark.task.attempt': attempt };
}

function fail(span: Span, code: string | null): void {
  if (code === null) return;
  span.setAttribute('error.type', code);
  span.setStatus({ code: SpanStatusCode.ERROR, message: code });
}
