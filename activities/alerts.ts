import { attemptDelivery, workspaceOfDelivery, type DeliveryOutcome } from '../src/alerts/index.ts';
import { takeAlertSlot } from '../src/tasks/index.ts';
import type { ActivityDeps } from './deps.ts';

/** In so long another try is made at an alert that had no slot. */
const ALERT_AGAIN_MS = 5_000;

export function createAlertActivities(deps: ActivityDeps) {
  return {
    async attemptAlertDelivery(deliveryId: string): Promise<DeliveryOutcome> {
      const slot = await takeAlertSlot(deps.slots, await workspaceOfDelivery(deps.channels.pool, deliveryId));
      if (slot === null) return { status: 'retry', afterMs: ALERT_AGAIN_MS };
      try {
        return await attemptDelivery(deps.channels, deliveryId);
      } finally {
        slot.leave();
      }
    },
  };
}
