import { proxyActivities, sleep } from '@temporalio/workflow';
import type { Activities } from '../activities/index.ts';

/**
 * Delivers one alert to one channel, with the waits between tries that src/alerts decides, until it is there or dead. `taskQueue`
 * is where tries are made.
 */
export async function deliverAlert(deliveryId: string, taskQueue: string): Promise<'delivered' | 'dead'> {
  const { attemptAlertDelivery } = proxyActivities<Pick<Activities, 'attemptAlertDelivery'>>({
    taskQueue,
    startToCloseTimeout: '30 seconds',
    retry: { initialInterval: '1 second', backoffCoefficient: 2, maximumInterval: '1 minute' },
  });
  for (;;) {
    const result = await attemptAlertDelivery(deliveryId);
    if (result.status !== 'retry') return result.status;
    await sleep(result.afterMs);
  }
}
