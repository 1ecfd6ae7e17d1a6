export { expectedSizes, SAMPLE_COMPUTATIONS } from './computations.ts';
export { startRejectingReceiver, startShakyReceiver, type Receiver, type ReceiverCounts } from './receivers.ts';
export { makeShop } from './shop.ts';
export { createSampleAccess, fillSampleWorkspace, type SampleAccess } from './workspace.ts';
