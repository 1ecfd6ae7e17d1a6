import type { Client } from '@temporalio/client';
import { defineSearchAttributeKey, type SearchAttributePair } from '@temporalio/common';
import { setTimeout as sleep } from 'node:timers/promises';
import { OUTCOME_ATTRIBUTE, type TaskKind } from '../model/kinds.ts';

/**
 * What Temporal's own pages and queries can find a task's workflow by: ids and words of ours only, no name or value of a
 * customer's. The outcome is set by the workflow, when it has one.
 */
const WORKSPACE = defineSearchAttributeKey('TrailmarkWorkspace', 'KEYWORD');
const COMPUTATION = defineSearchAttributeKey('TrailmarkComputation', 'KEYWORD');
const KIND = defineSearchAttributeKey('TrailmarkKind', 'KEYWORD');

/** All of them, by name; each is a Keyword. */
const SEARCH_ATTRIBUTES: readonly string[] = [WORKSPACE.name, COMPUTATION.name, KIND.name, OUTCOME_ATTRIBUTE];

// INDEXED_VALUE_TYPE_KEYWORD of Temporal's API
const KEYWORD = 2;
// A server with several hosts takes a while until each has heard of them.
const USABLE_WITHIN_MS = 20_000;
const LOOK_EVERY_MS = 100;
const INVALID_ARGUMENT = 3;

/** What a task's workflow is started with. */
export function attributesOf(task: {
  kind: TaskKind;
  workspace_id: string;
  computation_id: string;
}): SearchAttributePair[] {
  return [
    { key: WORKSPACE, value: task.workspace_id },
    { key: COMPUTATION, value: task.computation_id },
    { key: KIND, value: task.kind },
  ];
}

/** What a workflow's search attributes say of the task that it was started for. */
export function readAttributes(attributes: { get(key: typeof WORKSPACE): string | undefined }): {
  workspaceId: string | undefined;
  computationId: string | undefined;
  kind: string | undefined;
} {
  return {
    workspaceId: attributes.get(WORKSPACE),
    computationId: attributes.get(COMPUTATION),
    kind: attributes.get(KIND),
  };
}

/** Whether Temporal refused a start because it does not know one of the search attributes. */
export function isUnknownAttribute(error: unknown): boolean {
  const { cause } = error as { cause?: { code?: number; details?: string } };
  return cause?.code === INVALID_ARGUMENT && /search attribute/i.test(cause.details ?? '');
}

/**
 * Registers the search attributes in the client's namespace where they are missing, and waits until they can be used. Answers
 * with a sentence where that can't be: what is missing, why, and how to add it. Trailmark works without them; it is Temporal's
 * pages that can't be searched then. Throws what Temporal threw where it can't be reached.
 */
export async function ensureSearchAttributes(temporal: Client): Promise<string | undefined> {
  const { namespace } = temporal.options;
  const { operatorService } = temporal.connection;
  const known = await readKnown(temporal);
  const missing = known === undefined ? SEARCH_ATTRIBUTES : SEARCH_ATTRIBUTES.filter((name) => !(name in known));
  const other = known === undefined ? [] : SEARCH_ATTRIBUTES.filter((name) => (known[name] ?? KEYWORD) !== KEYWORD);
  if (other.length > 0) {
    return `Namespace ${namespace} has search attributes of our names and another type: ${other.join(', ')}. Remove them (temporal operator search-attribute remove --name NAME); they are added as Keyword then.`;
  }
  if (missing.length === 0) return undefined;
  try {
    await operatorService.addSearchAttributes({
      namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
    });
  } catch (error) {
    const { code, details } = error as { code?: number; details?: string };
    if (code === undefined || isUnreachable(code)) throw error;
    const command = missing.map((name) => `--name ${name} --type Keyword`).join(' ');
    return `Search attributes are missing in namespace ${namespace} and can't be added: ${details ?? 'refused'}. Have them added by someone who may: temporal operator search-attribute create --namespace ${namespace} ${command} (on Temporal Cloud, in the namespace's settings).`;
  }
  return await untilUsable(temporal);
}

/** The custom search attributes of the namespace; undefined where this client may not ask. */
async function readKnown(temporal: Client): Promise<Record<string, number> | undefined> {
  try {
    const { customAttributes } = await temporal.connection.operatorService.listSearchAttributes({
      namespace: temporal.options.namespace,
    });
    return customAttributes;
  } catch (error) {
    const { code } = error as { code?: number };
    if (code === undefined || isUnreachable(code)) throw error;
    return undefined;
  }
}

async function untilUsable(temporal: Client): Promise<string | undefined> {
  const query = SEARCH_ATTRIBUTES.map((name) => `${name} = 'none'`).join(' OR ');
  const deadline = Date.now() + USABLE_WITHIN_MS;
  for (;;) {
    try {
      await temporal.workflow.count(query);
      return undefined;
    } catch (error) {
      if (Date.now() > deadline) {
        return `Search attributes were added to namespace ${temporal.options.namespace}, and it does not know them yet: ${(error as Error).message}`;
      }
      await sleep(LOOK_EVERY_MS);
    }
  }
}

/** gRPC's DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED, UNAVAILABLE and CANCELLED: it is worth trying again. */
function isUnreachable(code: number): boolean {
  return [1, 4, 8, 14].includes(code);
}
