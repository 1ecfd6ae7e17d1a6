import { z } from '@hono/zod-openapi';

export const audienceSettingsSchema = z
  .record(z.string(), z.unknown())
  .describe('Settings of the audience at a destination that keeps audiences of its own.');

export const enteredSecretsSchema = z
  .record(z.string(), z.string().max(10_000))
  .describe(
    'The secrets of the destination, entered again, by the fields that the refusal `secrets_required` names. Needed where the settings say where the destination sends.',
  );
