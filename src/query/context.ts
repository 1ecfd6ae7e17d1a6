/**
 * Says where a trait's values are. A trait may be a profile's own, an audience (its members have it, as `true`), or a
 * computed trait; of the latter two it is a version that was computed before. Called with names that referencedTraits
 * gives; throws whatever the caller wants thrown if a name can't be resolved.
 */
export type TraitResolver = (
  name: string,
) =>
  | { readonly from: 'profile' }
  | { readonly from: 'audience' | 'computed_trait'; readonly computationId: string; readonly version: number };

/** What a definition is computed against. */
export interface QueryContext {
  readonly spaceId: string;
  /** The moment that `within`, `within_last` and their kind count from. Events after it are not seen. */
  readonly asOf: Date;
  readonly traits: TraitResolver;
}
