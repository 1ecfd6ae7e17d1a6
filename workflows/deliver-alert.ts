import { proxyActivities, sleep } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';

const { attemptAlertDelivery } = proxyActivities<Pick<Activities, 'attemptAlertDelivery'>>({
  startToCloseTimeout: '30 seconds',
  retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
});

/** Delivers one alert to one channel, with the waits between tries that src/alerts decides, until it is there or dead. */
export async function deliverAlert(deliveryId: string): Promise<'delivered' | 'dead'> {
  for (;;) {
    const result = await attemptAlertDelivery(deliveryId);
    if (result.status !== 'retry') return result.status;
    await sleep(result.afterMs);
  }
}
