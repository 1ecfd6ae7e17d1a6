import type { Duplex } from 'node:stream';
import pg from 'pg';

/** Of pg's connection, what its type declarations leave away. */
interface ListeningConnection {
  attachListeners(stream: Duplex): void;
}

/**
 * A client that takes whatever it is told. pg parses inside the socket's `data` event, where what it throws at an answer that is none of
 * PostgreSQL's (another program has the port, say) would end the process: here it ends the connection.
 */
export class ContainedClient extends pg.Client {
  constructor(config?: pg.ClientConfig) {
    super(config);
    const connection = (this as unknown as { connection: ListeningConnection }).connection;
    const attachListeners = connection.attachListeners.bind(connection);
    connection.attachListeners = (stream) => {
      const emit = stream.emit.bind(stream) as (event: string, ...values: unknown[]) => boolean;
      stream.emit = (event: string, ...values: unknown[]): boolean => {
        try {
          return emit(event, ...values);
        } catch (error) {
          if (event !== 'data') throw error;
          stream.destroy(error as Error);
          return true;
        }
      };
      attachListeners(stream);
    };
  }
}
