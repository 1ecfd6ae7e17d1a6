import type { Dispatcher } from 'undici';
import type { Principal } from '../access/index.ts';
import type { DestinationDeps } from '../destinations/index.ts';
import type { HealthFinding } from '../health/index.ts';
import type { Logger } from '../logger.ts';
import type { GuessLimit } from './middleware/guess-limit.ts';
import type { RateLimit } from './middleware/token-buckets.ts';
import type { SecretBox, TrustedProxies } from '../security/index.ts';
import type { ClickHouseClient, PostgresPool } from '../store/index.ts';

/** What the API needs from the process that serves it. */
export interface ApiDeps {
  pool: PostgresPool;
  clickhouse: ClickHouseClient;
  secretBox: SecretBox;
  logger: Logger;
  destinations: DestinationDeps;
  /** The way out to addresses that people typed in: createOutgoingAgent. Channels are tested through it. */
  dispatcher: Dispatcher;
  /** Starts the workflow of a task that was committed. What it throws is logged: the scheduler starts it then. */
  startTask: (taskId: string) => Promise<void>;
  /** Tells the workflow of a task that someone has changed what it should do. What it throws is logged: the reconciler tells it then. */
  wakeTask: (taskId: string) => Promise<void>;
  /** Where people reach this server, such as https://trailmark.example.com: decides cookies and which Origin may change things. */
  publicUrl: string;
  /** Looks at the work (checkWork), for /readyz; without it only the engines are asked. */
  checkWork?: (() => Promise<readonly HealthFinding[]>) | undefined;
  /**
   * Where Temporal's own pages show this installation's workflows, up to and with the namespace, such as
   * http://127.0.0.1:8233/namespaces/default. Tasks link there; without it they do not.
   */
  temporalUiUrl?: string | undefined;
  /** Whose X-Forwarded-For is believed; nobody's without it. */
  trustedProxies?: TrustedProxies | undefined;
  /** Requests per second and burst of one access token or user. */
  rateLimit: RateLimit;
}

/** What middleware knows of a request. */
export interface ApiEnv {
  Variables: {
    requestId: string;
    /** Where the request comes from, past the proxies that are trusted; undefined where there is no socket. */
    clientAddress: string | undefined;
    guesses: GuessLimit;
    /** Set on every route that is not public. */
    principal: Principal;
    authenticatedBy: 'token' | 'cookie';
  };
}
