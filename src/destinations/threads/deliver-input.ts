import type { OauthTokens } from '../actions-core/actions-core.ts';
import type { OutgoingMessage } from '../delivery/messages.ts';
import type { OpenDestination } from '../opened-destination.ts';

/** What deliverBatch sends, and under which conditions. */
export interface DeliverInput {
  destination: OpenDestination;
  messages: readonly OutgoingMessage[];
  /** Aborts the HTTP request that is under way. */
  signal?: AbortSignal;
  /**
   * No request goes out before this is fulfilled; what it is made of is prepared meanwhile. It must not be rejected, nor take long,
   * because a request's time runs already: whoever wants nothing sent any more aborts `signal`.
   */
  until?: Promise<void>;
  /**
   * Asked before each request, and rejected with PermitWithdrawn where none may go out any more under what the destination was opened
   * with. What is under way then is waited for, and the rest stops as `withdrawn`.
   */
  mayGo?: () => Promise<void>;
  /** Keeps the tokens that the destination gave in place of expired ones. */
  onTokenRefresh?: (tokens: OauthTokens) => Promise<void>;
}
