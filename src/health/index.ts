export { checkWork } from './check-work.ts';
export { HEALTH_CODES, type HealthFinding } from './findings.ts';
export { setMark } from './marks.ts';
