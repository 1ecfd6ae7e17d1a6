export { startListener, type Listener } from './http-listener.ts';
export { targetOf } from './request-target.ts';
