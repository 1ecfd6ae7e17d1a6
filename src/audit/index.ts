export { SYSTEM_ACTOR, type Actor } from './actor.ts';
export { EVENT_TYPES, resolveEventType, type AuditEventType } from './catalogue/index.ts';
export { listAuditEvents } from './list-audit-events.ts';
export {
  readPage,
  type PageEdge,
  type PageRequest,
  type PaginationInput,
  type PaginationOutput,
} from './pagination.ts';
export { readAuditTrail } from './read-trail.ts';
export { recordAuditEvent, recordAuditEvents, type AuditEventInput, type AuditEventRow } from './record-audit-event.ts';
export type { AuditEventResponse } from './wire.ts';
