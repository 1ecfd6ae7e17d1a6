import type { FailureDefinition } from './definition.ts';

/** What ClickHouse refuses, lacks or leaves unanswered. */
export const CLICKHOUSE_FAILURES = {
  clickhouse_unavailable: {
    class: 'transient',
    counts: false,
    sentence: 'ClickHouse could not be reached, or broke off.',
    action: 'Check that ClickHouse runs.',
  },
  clickhouse_overloaded: {
    class: 'transient',
    counts: false,
    sentence:
      'ClickHouse has more to do than it can take: too many queries, parts, or too little memory for all of them.',
    action: 'Nothing while it is tried again; if it comes often, give ClickHouse more, or run fewer tasks at once.',
  },
  clickhouse_exhausted: {
    class: 'transient',
    counts: false,
    sentence: 'ClickHouse has run out of disk.',
    action: 'Give ClickHouse more disk.',
  },
  clickhouse_read_only: {
    class: 'transient',
    counts: false,
    sentence: 'ClickHouse takes no writes: a table or its user is read only.',
    action: "Check ClickHouse's replicas, and the rights of the user in CLICKHOUSE_URL.",
  },
  clickhouse_refused: {
    class: 'transient',
    counts: false,
    sentence: "ClickHouse refused Trailmark's user or password, or lacks a right that it needs.",
    action: 'Check CLICKHOUSE_URL and the rights of its user.',
  },
  clickhouse_schema: {
    class: 'transient',
    counts: false,
    sentence: 'ClickHouse does not have a table, column or function that the query needs.',
    action:
      'If an upgrade is under way, wait for it; otherwise run the migrations, and check the version of ClickHouse.',
  },
  clickhouse_memory: {
    class: 'transient',
    counts: true,
    sentence: 'The query needed more memory than one query may use, or read more than it may.',
    action: 'If it lasts, let the definition look at less, or allow a query of ClickHouse more memory.',
  },
  clickhouse_timeout: {
    class: 'transient',
    counts: true,
    sentence: 'The query took longer than it may.',
    action: 'If it lasts, let the definition look at less, or give ClickHouse more to compute with.',
  },
  clickhouse_killed: {
    class: 'transient',
    counts: false,
    sentence: 'Someone, or a limit of the server, ended the query on ClickHouse.',
    action: 'Nothing while it is tried again; if it lasts, see who ends queries on ClickHouse, and why.',
  },
  clickhouse_query: {
    class: 'hard',
    counts: true,
    sentence: 'ClickHouse refused the query that was made of the definition.',
    action: 'Report it with the definition: it is a defect of Trailmark. A definition written differently may work.',
  },
  clickhouse_failed: {
    class: 'transient',
    counts: true,
    sentence:
      'ClickHouse failed in a way that Trailmark does not know, so the query is taken for one that may succeed later.',
    action: 'If it lasts, look at the detail and report it.',
  },
} as const satisfies Record<string, FailureDefinition>;
