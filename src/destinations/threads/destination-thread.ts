/**
 * The thread that executes what people and third parties wrote: mappings, triggers and the code of actions. It runs until its job is
 * done, or until whoever started it ends it. It has no settings but those of its job, no environment, and no stores.
 */
import { readlinkSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { TaskFailure } from '../../errors.ts';
import { createOutgoingHttpAgents } from '../../security/index.ts';
import { actionsCore } from '../actions-core/actions-core.ts';
import { deliverHere } from '../delivery/deliver-batch.ts';
import type { DestinationCallDeps } from '../deps.ts';
import { observeCallsBy } from '../actions-core/observe-call.ts';
import { prepareHere } from '../delivery/prepare-audience.ts';
import { errorOfStop, stopOfError, toStopParts } from './stop-parts.ts';
import {
  sharedNow,
  type FromThread,
  type ThreadJob,
  type ThreadReply,
  type ThreadResult,
  type ThreadSetup,
  type ToThread,
} from './thread-messages.ts';
import { WrittenEvents } from '../delivery/written-events.ts';

const port = parentPort;
if (port === null) throw new Error('this file is for a thread');
const setup = workerData as ThreadSetup;

// The engines' may move while the thread lives: each answer says where they are.
let refusedAddresses: readonly string[] = [];

const deps: DestinationCallDeps = {
  allowPrivateAddresses: setup.allowPrivateAddresses,
  agents: createOutgoingHttpAgents({
    allowPrivateAddresses: setup.allowPrivateAddresses,
    allowedAddresses: setup.allowedAddresses,
    refusedAddresses: () => refusedAddresses,
  }),
  requestTimeoutMs: setup.requestTimeoutMs,
  threads: null,
};

// What was allowed a while ago is asked again: the thread may have been busy when the answer came.
const REPLY_STANDS_MS = 40;

let questions = 0;
const asked = new Map<number, (reply: ThreadReply) => void>();
let giveUp = new AbortController();

function systemId(): number | null {
  try {
    return Number(readlinkSync('/proc/thread-self').split('/').at(-1));
  } catch {
    // Only Linux has it, and only there has a thread a priority of its own.
    return null;
  }
}

function tell(message: FromThread): void {
  port?.postMessage(message);
}

async function ask(question: (number: number) => FromThread): Promise<number> {
  const number = ++questions;
  const reply = await new Promise<ThreadReply>((answered) => {
    asked.set(number, answered);
    tell(question(number));
  });
  if (!reply.ok) throw errorOfStop(reply.stopped);
  refusedAddresses = reply.refusedAddresses;
  return reply.at;
}

async function mayGo(): Promise<void> {
  for (let tries = 0; tries < 50; tries++) {
    const at = await ask((question) => ({ type: 'may_go', question }));
    if (sharedNow() - at < REPLY_STANDS_MS) return;
  }
  throw new TaskFailure('worker_exhausted', 'the thread of the destination was too busy to send');
}

async function execute(job: ThreadJob): Promise<ThreadResult> {
  const { signal } = giveUp;
  if (job.kind === 'prepare') {
    try {
      return { kind: 'prepared', externalAudienceId: await prepareHere(deps, { ...job.input, signal, mayGo }) };
    } catch (error) {
      if (signal.aborted) return { kind: 'stopped', stopped: { kind: 'aborted' } };
      return { kind: 'stopped', stopped: stopOfError(error) };
    }
  }
  const written = job.written.map((parts) => WrittenEvents.from(parts));
  const { outcomes, stopped } = await deliverHere(deps, {
    destination: job.destination,
    messages: job.messages.map((message) => ({ ...message, written: written[message.written] ?? new WrittenEvents() })),
    signal,
    mayGo,
    onTokenRefresh: async (tokens) => {
      await ask((question) => ({ type: 'tokens', question, tokens }));
    },
  });
  return { kind: 'delivered', outcomes, stopped: stopped === null ? null : toStopParts(stopped) };
}

port.on('message', (message: ToThread) => {
  if (message.type === 'abort') {
    giveUp.abort(new Error('aborted'));
    return;
  }
  if (message.type === 'reply') {
    asked.get(message.question)?.(message.reply);
    asked.delete(message.question);
    return;
  }
  giveUp = new AbortController();
  refusedAddresses = message.refusedAddresses;
  void execute(message.job)
    .catch((error: unknown): ThreadResult => ({ kind: 'stopped', stopped: stopOfError(error) }))
    .then((result) => tell({ type: 'result', result }));
});

observeCallsBy((call) => tell({ type: 'call_ended', call }));
actionsCore();
tell({ type: 'ready', systemId: systemId() });
