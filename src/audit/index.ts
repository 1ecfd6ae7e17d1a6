export { SYSTEM_ACTOR, type Actor } from './actor.ts';
export { EVENT_TYPES, resolveEventType, type AuditEventType, type EventType } from './catalogue/index.ts';
export {
  recordAuditEvent,
  type AuditEventInput,
  type AuditEventRow,
  type AuditResourceType,
} from './record-audit-event.ts';
