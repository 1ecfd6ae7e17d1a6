export { SYSTEM_ACTOR, type Actor } from './actor.ts';
export {
  EVENT_TYPES,
  resolveEventType,
  type AuditEventType,
  type EventType,
  type ProductArea,
} from './catalogue/index.ts';
export { listAuditEvents, type AuditEventQuery } from './list-audit-events.ts';
export {
  MAX_PAGE_COUNT,
  readPage,
  type PageEdge,
  type PageRequest,
  type PaginationInput,
  type PaginationOutput,
} from './pagination.ts';
export { readAuditTrail } from './read-trail.ts';
export {
  recordAuditEvent,
  type AuditEventInput,
  type AuditEventRow,
  type AuditResourceType,
} from './record-audit-event.ts';
export { toAuditEventResponse, type AuditEventResponse } from './wire.ts';
