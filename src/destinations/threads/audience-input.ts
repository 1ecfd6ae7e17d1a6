import type { JsonObject } from '../actions-core/actions-core.ts';
import type { MessageComputation } from '../delivery/messages.ts';
import type { OpenDestination } from '../opened-destination.ts';

/** What prepareAudience makes an audience of. */
export interface PrepareInput {
  destination: OpenDestination;
  computation: MessageComputation;
  audienceSettings: JsonObject;
  externalAudienceId: string | null;
  signal?: AbortSignal;
  /** As of deliverBatch. */
  mayGo?: () => Promise<void>;
}
