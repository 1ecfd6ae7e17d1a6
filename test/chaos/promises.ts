import type { Evidence, PromiseResult } from './evidence.ts';
import { checkDeliveries, checkReceivers } from './promises-delivery.ts';
import { checkEvents, checkMembership } from './promises-events.ts';
import { checkOverviews } from './promises-overview.ts';
import { checkOff, checkPeople } from './promises-people.ts';
import { checkAlerts, checkAttempts, checkOutcomes, checkSteps, checkTrail } from './promises-tasks.ts';

/** Every promise, looked at once the world is at rest. */
export async function checkPromises(evidence: Evidence): Promise<PromiseResult[]> {
  return [
    await checkOutcomes(evidence),
    await checkAttempts(evidence),
    await checkTrail(evidence),
    await checkSteps(evidence),
    await checkReceivers(evidence),
    ...(await checkDeliveries(evidence)),
    await checkOverviews(evidence),
    await checkAlerts(evidence),
    await checkEvents(evidence),
    await checkMembership(evidence),
    checkOff(evidence),
    await checkPeople(evidence),
  ];
}
