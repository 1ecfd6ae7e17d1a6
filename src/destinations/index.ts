export { circuitOutcome, enterCircuit, reportToCircuit } from './circuit/circuit.ts';
export { PermitWithdrawn } from './actions-core/classify.ts';
export { countCircuits } from './circuit/circuit-states.ts';
export { type JsonObject, type OauthTokens } from './actions-core/actions-core.ts';
export { getDefinition, listDefinitions, type Definition } from './catalogue/definitions.ts';
export { changesPerBatch, deliverBatch, MAX_CHANGES_PER_BATCH } from './delivery/deliver-batch.ts';
export { createDestinationDeps, type DestinationDeps } from './deps.ts';
export {
  createDestination,
  deleteDestination,
  getDestination,
  listDestinations,
  updateDestination,
  type UpdateDestinationInput,
} from './destinations.ts';
export { messageBuilder, type MessageComputation, type OutgoingMessage } from './delivery/messages.ts';
export { keepRefreshedTokens, openDestination, openSyncSettings } from './open-destination.ts';
export { type OpenDestination } from './opened-destination.ts';
export { changeOutcomes, type DeliveryStop, type MessageOutcome } from './actions-core/outcome.ts';
export { prepareAudience } from './delivery/prepare-audience.ts';
export {
  findDestination,
  findSubscriptions,
  maskAudienceSettings,
  openAudienceSettings,
  openSettings,
  sealAudienceSettings,
  type DestinationRow,
  type DestinationView,
  type SealedAudienceSettings,
} from './rows.ts';
export { requireDestinationSecrets, requireSecrets } from './settings/address-change.ts';
export { changedKeys } from './settings/changed-keys.ts';
export { audienceSettingsOf, mappingOf, settingsOf } from './settings/secrets.ts';
export { checkAudienceSettings } from './settings/settings.ts';
export { MASK } from '../security/index.ts';
