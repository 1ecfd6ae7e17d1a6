import { defineSignal, setHandler, sleep } from '@temporalio/workflow';

/** A version that does nothing, whatever it is told; and whose history no other version replays. */
export async function executeTask(): Promise<void> {
  setHandler(defineSignal('look'), () => undefined);
  await sleep('30 days');
}
