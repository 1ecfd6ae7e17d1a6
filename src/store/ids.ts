import { typeid } from 'typeid-js';

/** The prefix of each kind of id, so that an id says what it names. */
export const ID_PREFIXES = {
  workspace: 'wrk',
  user: 'usr',
  accessToken: 'tok',
  space: 'spa',
  source: 'src',
  writeKey: 'key',
  audience: 'aud',
  computedTrait: 'trt',
  destination: 'dst',
  subscription: 'sub',
  connection: 'con',
  task: 'tsk',
  auditEvent: 'evt',
  alert: 'alt',
  channel: 'chn',
  delivery: 'dlv',
} as const;

/** A new id such as `tsk_01h455vb4pex5vsknk084sn02q`: a TypeID, whose UUIDv7 makes later ids sort after earlier ones. */
export function newId(kind: keyof typeof ID_PREFIXES): string {
  return typeid(ID_PREFIXES[kind]).toString();
}
