import { connect } from 'node:http2';

const TIMEOUT_MS = 2_000;

/**
 * Asks DescribeNamespace by gRPC, by hand: the one call that says the server answers and the namespace is there, without
 * loading a gRPC client into the process that only watches over others.
 */
export async function hasNamespace(address: string, namespace: string): Promise<boolean> {
  return await new Promise((resolve) => {
    // What it hears may be anything: another program can have the port. Errors may come more than once.
    const session = connect(`http://${address}`);
    // Not of silence alone: whoever drips something is not silent.
    const timer = setTimeout(() => done(false), TIMEOUT_MS);
    const done = (answer: boolean): void => {
      clearTimeout(timer);
      session.destroy();
      resolve(answer);
    };
    session.on('error', () => done(false));
    const request = session.request({
      ':method': 'POST',
      ':path': '/temporal.api.workflowservice.v1.WorkflowService/DescribeNamespace',
      'content-type': 'application/grpc',
      te: 'trailers',
    });
    request.on('error', () => done(false));
    // Without a message the status comes in the headers, with one in the trailers.
    request.on('response', (headers) => headers['grpc-status'] !== undefined && done(headers['grpc-status'] === '0'));
    request.on('trailers', (headers) => done(headers['grpc-status'] === '0'));
    request.on('close', () => done(false));
    request.resume();
    request.end(frame(namespace));
  });
}

/** A gRPC frame around a protobuf message whose field 1 is a string. */
function frame(text: string): Buffer {
  const bytes = Buffer.from(text, 'utf8');
  const message = Buffer.concat([Buffer.from([0x0a, bytes.length]), bytes]);
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
