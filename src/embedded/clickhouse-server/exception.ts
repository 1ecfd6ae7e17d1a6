/** An error as ClickHouse's HTTP interface tells it: a code, a name, a text. */
export class ServerException extends Error {
  override readonly name = 'ServerException';
  readonly code: number;
  readonly status: number;

  constructor(code: number, text: string) {
    super(text);
    this.code = code;
    this.status = statusOf(code);
  }
}

/** A ServerException with the code's name where the text has none, as ClickHouse writes it. */
export function exception(code: keyof typeof NAMES, text: string): ServerException {
  return new ServerException(code, `Code: ${code}. DB::Exception: ${text} (${NAMES[code]})`);
}

/** Any error that chDB throws, as a ServerException. Its texts begin with `Code: N.`; what has none is LOGICAL_ERROR-like: 1002. */
export function toException(error: unknown): ServerException {
  if (error instanceof ServerException) return error;
  const text = error instanceof Error ? error.message : String(error);
  // A text may hold the text of an inner exception: the first code is the one that counts.
  const code = /Code: (\d+)\./.exec(text)?.[1];
  if (code === undefined) return exception(1002, text);
  return new ServerException(Number(code), text.slice(text.indexOf('Code: ')).trimEnd());
}

const NAMES = {
  36: 'BAD_ARGUMENTS',
  48: 'NOT_IMPLEMENTED',
  62: 'SYNTAX_ERROR',
  73: 'UNKNOWN_FORMAT',
  107: 'FILE_DOESNT_EXIST',
  115: 'UNKNOWN_SETTING',
  202: 'TOO_MANY_SIMULTANEOUS_QUERIES',
  354: 'ZLIB_INFLATE_FAILED',
  394: 'QUERY_WAS_CANCELLED',
  396: 'TOO_MANY_ROWS_OR_BYTES',
  516: 'AUTHENTICATION_FAILED',
  1002: 'UNKNOWN_EXCEPTION',
} as const;

// The groups of ClickHouse's exceptionCodeToHTTPStatus.
const BAD_REQUEST = new Set([
  6, 8, 25, 26, 27, 36, 38, 41, 53, 62, 69, 70, 72, 117, 130, 131, 158, 271, 354, 456, 457, 468,
]);
const NOT_FOUND = new Set([46, 47, 50, 56, 60, 63, 73, 78, 81, 107, 115, 336, 511]);

function statusOf(code: number): number {
  if (code === 194) return 401;
  if ([192, 193, 497, 516].includes(code)) return 403;
  if (BAD_REQUEST.has(code)) return 400;
  if (NOT_FOUND.has(code)) return 404;
  if (code === 159) return 408;
  if (code === 396) return 413;
  if (code === 48) return 501;
  if (code === 202) return 503;
  return 500;
}
