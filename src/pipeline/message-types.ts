/** The calls of Segment's spec that are taken. */
export const EVENT_TYPES = ['track', 'identify', 'page', 'screen', 'group', 'alias'] as const;
export type EventType = (typeof EVENT_TYPES)[number];

// An id is part of an index in PostgreSQL, whose entries hold 2.7 KB.
export const MAX_ID_LENGTH = 512;
