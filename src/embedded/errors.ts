/** Why an engine or the whole start can't go on: a sentence that says what to do, for the person who typed the command. */
export class StartError extends Error {
  override readonly name = 'StartError';
}

/** A program found a port taken that had been free a moment before: with another port it would start. */
export class PortTakenError extends StartError {}
