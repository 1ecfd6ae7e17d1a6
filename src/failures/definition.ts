export type FailureClass = 'transient' | 'hard';

export interface FailureDefinition {
  /** `hard` where the same attempt a few minutes later would end the same way. After the last attempt any failure is hard. */
  readonly class: FailureClass;
  /**
   * Whether a task that ends by it counts towards disabling its computation or suspending its connection. Yes where the reason
   * is in what the workspace set up, or in the weight of this one computation. No where it is in what all of them share: an
   * outage would disable everything, and someone would have to enable it all again.
   */
  readonly counts: boolean;
  /** What it tells the destination's circuit (src/destinations/circuit/circuit.ts): that the tool is there, or is not. Else nothing. */
  readonly circuit?: 'answered' | 'failed';
  /** Safe to show to anyone who may see the task. */
  readonly sentence: string;
  /** What the person who reads it can do: true while it is tried again as well as after the last attempt. */
  readonly action: string;
}
