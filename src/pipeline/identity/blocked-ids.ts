import type { EventWarning } from '../ingest/event-warnings.ts';
import type { IdentifiedMessage } from './space-identity.ts';

/**
 * What programs send as an id where they have none. As an id of a person each would merge everybody who has it into one, so
 * none of them is an id, unless a space says otherwise. `0` stands for all that is zeros and dashes, the empty UUID too.
 */
export const DEFAULT_BLOCKED_IDS: readonly string[] = [
  '0',
  '-1',
  'null',
  'undefined',
  'nil',
  'none',
  'nan',
  'n/a',
  '#n/a',
  '\\n',
  'unknown',
  'anonymous',
  'anon',
  'guest',
  'test',
  'true',
  'false',
  'empty',
  'not set',
  'not available',
  '[object object]',
  '[object undefined]',
  '[object null]',
  '[object promise]',
  '{}',
  '[]',
];

// What nobody sees: controls, formats, and characters that are drawn as nothing.
const UNSEEN = /[\p{C}\p{DI}\u2800]/gu;
const MAX_WRAPPINGS = 3;
// As a number is written: 0.0, -0, 0e0.
const ZERO = /^[-+]?0+(?:\.0*)?(?:e[-+]?\d+)?$/;

/** What two spellings of one blocked value have in common. */
export function normalizeId(value: string): string {
  let text = value.normalize('NFKC').replaceAll(UNSEEN, '').trim().toLowerCase();
  // "null" in quotes, (none) and <nil> are what some languages make of it; {…} is how one writes UUIDs.
  for (let depth = 0; depth < MAX_WRAPPINGS; depth++) {
    if (/^\[object [^\]]*\]$/.test(text)) return 'object object';
    const inside = /^(?:"(.*)"|'(.*)'|\((.*)\)|<(.*)>|\[(.*)\]|\{(.*)\})$/s
      .exec(text)
      ?.slice(1)
      .find((part) => part !== undefined);
    if (inside === undefined) break;
    text = inside.trim();
  }
  if (text !== '' && (/^[0-]*$/.test(text) || ZERO.test(text))) return '0';
  return text.replaceAll(/(?<=[a-z])[_-]+(?=[a-z])/g, ' ');
}

/** Says of an id whether it identifies anybody in a space. */
export interface IdFilter {
  blocks(value: string): boolean;
}

/** A filter of these values, however they are spelt. What is empty but for spaces identifies nobody in any space. */
export function createIdFilter(values: readonly string[]): IdFilter {
  const blocked = new Set(values.map(normalizeId));
  return {
    blocks: (value) => {
      const text = normalizeId(value);
      return text === '' || blocked.has(text);
    },
  };
}

export const DEFAULT_ID_FILTER = createIdFilter(DEFAULT_BLOCKED_IDS);
export const NO_ID_FILTER: IdFilter = { blocks: () => false };

const ID_FIELDS = ['userId', 'anonymousId', 'previousId', 'groupId'] as const;
type IdField = (typeof ID_FIELDS)[number];

type MessageWithIds = Pick<IdentifiedMessage, 'type'> & { [field in IdField]?: string | null };

/** A message by the ids that identify somebody. */
export interface UsableIds {
  /** What to resolve its profile and account by; null where no id of a person is left. */
  message: MessageWithIds | null;
  /** The fields whose values identify nobody. */
  blocked: IdField[];
}

/**
 * Takes the blocked ids out of a message. Its user id blocked, it is under its anonymous id; an alias of which one side is left links
 * nothing and is under that side; a group call without its group is an event of its profile.
 */
export function usableIds(message: MessageWithIds, filter: IdFilter): UsableIds {
  const fields = ID_FIELDS.filter((field) => field !== 'previousId' || message.type === 'alias');
  const blocked = fields.filter((field) => isBlocked(message[field], filter));
  if (blocked.length === 0) return { message, blocked };
  const ids: { [field in IdField]?: string } = {};
  for (const field of fields) {
    const id = message[field];
    if (id && !blocked.includes(field)) ids[field] = id;
  }
  return { message: message.type === 'alias' ? restOfAlias(ids) : restOf(message.type, ids), blocked };
}

function restOf(type: MessageWithIds['type'], ids: { [field in IdField]?: string }): MessageWithIds | null {
  return ids.userId === undefined && ids.anonymousId === undefined ? null : { type, ...ids };
}

/** As any other message: an alias merges two, and here one is left. */
function restOfAlias({ userId, anonymousId, previousId }: { [field in IdField]?: string }): MessageWithIds | null {
  if (userId !== undefined && previousId !== undefined) return { type: 'alias', userId, previousId };
  if (userId !== undefined) return { type: 'track', userId };
  const anonymous = anonymousId ?? previousId;
  return anonymous === undefined ? null : { type: 'track', anonymousId: anonymous };
}

function isBlocked(value: string | null | undefined, filter: IdFilter): boolean {
  return value !== undefined && value !== null && value !== '' && filter.blocks(value);
}

/** What is said of a message's blocked ids: of each what it was, and what the event counts for instead. */
export function warningsOf(message: MessageWithIds, { message: rest, blocked }: UsableIds): EventWarning[] {
  return blocked.map((field) => {
    const value = `${field} ${JSON.stringify(message[field])}`;
    if (rest === null) {
      return {
        code: 'identifies_nobody',
        field,
        message: `${value} identifies nobody, and no other id is left: the event is in none of this space's profiles.`,
      };
    }
    const under = rest.userId ? 'userId' : 'anonymous id';
    return {
      code: 'id_blocked',
      field,
      message:
        field === 'groupId'
          ? `${value} identifies no group: the event is kept without one.`
          : `${value} identifies nobody: the event is kept under its ${under}, and merges nobody by it.`,
    };
  });
}

/** Why a message is refused that has no id left: what it has and what would be right. */
export function nobodyMessage(message: MessageWithIds, field: IdField): string {
  const value = `${field} ${JSON.stringify(message[field])}`;
  return `${value} identifies nobody, and the message has no other id: send the person's own id, or for someone who is not known yet an anonymousId made for them alone`;
}
