// The whole retry table, operation x failure, against servers that fail in exactly that way.
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { ERRORS } from '../../src/api/errors.ts'
import type { ErrorCode } from '../../src/api/errors.ts'
import { Client, ClientError } from '../../src/client/index.ts'
import { decide, PAUSE, pauseMs } from '../../src/client/retry-policy.ts'
import { Prng } from '../../src/lib/prng.ts'
import { cut, garbage, ok, page, problem, refusedEndpoint, reset, ScriptedCluster } from '../support/scripted-node.ts'
import type { Step } from '../support/scripted-node.ts'

type Fate = 'repeated' | 'not-applied' | 'unknown'

/** What becomes of a call whose first attempt meets the failure and whose next one would succeed. */
interface Row {
  readonly failure: string
  readonly step: Step
  readonly read: 'repeated' | 'not-applied'
  readonly change: Fate
  readonly code: string
}

const soon = { retryAfterMs: 1 }
const row = (failure: string, step: Step, read: Row['read'], change: Fate, code: string): Row => ({
  failure,
  step,
  read,
  change,
  code,
})
const definite = (code: ErrorCode): Row => row(code, problem(code), 'not-applied', 'not-applied', code)

const ROWS: readonly Row[] = [
  row('a reset after sending', reset, 'repeated', 'unknown', 'CONNECTION_LOST'),
  row('an answer cut short', cut, 'repeated', 'unknown', 'CONNECTION_LOST'),
  row('garbage', garbage, 'repeated', 'unknown', 'UNEXPECTED_ANSWER'),
  row('a proxy page with 502', page(502), 'repeated', 'unknown', 'UNEXPECTED_ANSWER'),
  row('a proxy page with 200', page(200), 'repeated', 'unknown', 'UNEXPECTED_ANSWER'),
  row('a proxy page with 404', page(404), 'repeated', 'unknown', 'UNEXPECTED_ANSWER'),
  row('NO_LEADER', problem('NO_LEADER', soon), 'repeated', 'repeated', ''),
  row('NOT_READY', problem('NOT_READY', soon), 'repeated', 'repeated', ''),
  row('TOO_STALE', problem('TOO_STALE', soon), 'repeated', 'repeated', ''),
  row('OVERLOADED', problem('OVERLOADED', soon), 'repeated', 'repeated', ''),
  row('SHUTTING_DOWN before proposing', problem('SHUTTING_DOWN', soon), 'repeated', 'repeated', ''),
  row(
    'SHUTTING_DOWN once proposed',
    problem('SHUTTING_DOWN', { ...soon, outcome: 'unknown' }),
    'repeated',
    'unknown',
    'SHUTTING_DOWN',
  ),
  row('LEADERSHIP_LOST', problem('LEADERSHIP_LOST', soon), 'repeated', 'unknown', 'LEADERSHIP_LOST'),
  row(
    'LEADERSHIP_LOST, known not to be applied',
    problem('LEADERSHIP_LOST', { ...soon, outcome: 'not-applied' }),
    'repeated',
    'repeated',
    '',
  ),
  row('TIMEOUT', problem('TIMEOUT'), 'repeated', 'unknown', 'TIMEOUT'),
  row('TIMEOUT, known not to be applied', problem('TIMEOUT', { outcome: 'not-applied' }), 'repeated', 'repeated', ''),
  row('SESSION_EXPIRED', problem('SESSION_EXPIRED'), 'not-applied', 'unknown', 'SESSION_EXPIRED'),
  row('INTERNAL', problem('INTERNAL'), 'not-applied', 'unknown', 'INTERNAL'),
  row(
    'a code of a newer release',
    problem('CONFLICT', { code: 'FROM_A_LATER_RELEASE' }),
    'not-applied',
    'not-applied',
    'UNEXPECTED_ANSWER',
  ),
  ...(
    [
      'BAD_REQUEST',
      'KEY_REQUIRED',
      'KEY_TOO_LONG',
      'BAD_PARAMETER',
      'MALFORMED_HTTP',
      'FORBIDDEN',
      'MEMBER_NOT_FOUND',
      'NOT_FOUND',
      'METHOD_NOT_ALLOWED',
      'REQUEST_TIMEOUT',
      'CONFLICT',
      'PRECONDITION_FAILED',
      'VALUE_TOO_LARGE',
      'UNSUPPORTED_MEDIA_TYPE',
      'EXPECTATION_FAILED',
      'HEADERS_TOO_LARGE',
      'NO_SPACE',
      'RANGE_TOO_LARGE',
      'LEASE_NOT_FOUND',
      'LEASE_FULL',
      'NOT_A_NUMBER',
      'COMPACTED',
      'IDEMPOTENCY_MISMATCH',
      'LOCKED',
    ] as const
  ).map(definite),
]

const OPERATIONS: Readonly<Record<string, (client: Client) => Promise<unknown>>> = {
  get: (client) => client.get('k'),
  cluster: (client) => client.cluster(),
  put: (client) => client.put('k', 'v'),
  delete: (client) => client.delete('k'),
  transferLeadership: (client) => client.transferLeadership('n2'),
}
const READS = new Set(['get', 'cluster'])

const caught = async (call: Promise<unknown>): Promise<ClientError> => {
  const error = await call.then(
    () => undefined,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(ClientError)
  return error as ClientError
}

describe('an operation that meets a failure', () => {
  let cluster: ScriptedCluster
  beforeAll(async () => {
    cluster = await ScriptedCluster.start(['n1', 'n2'])
  })
  afterAll(() => cluster[Symbol.asyncDispose]())

  test('every code of the error table has a row', () => {
    const covered = new Set(ROWS.map(({ failure }) => failure.split(/[ ,]/, 1)[0]))
    const missing = Object.keys(ERRORS).filter((code) => !covered.has(code) && code !== 'KEY_NOT_FOUND')
    expect(missing).toEqual([])
  })

  for (const { failure, step, read, change, code } of ROWS) {
    for (const [name, call] of Object.entries(OPERATIONS)) {
      const fate = READS.has(name) ? read : change
      test(`H8 H9: ${name} after ${failure} is ${fate === 'repeated' ? 'repeated' : `told as ${fate}`}`, async () => {
        await using client = new Client({ sessions: false, endpoints: cluster.endpoints })
        cluster.script(step, ok())
        if (fate === 'repeated') {
          await call(client)
          expect(cluster.requests).toHaveLength(2)
          return
        }
        const error = await caught(call(client))
        expect(error).toMatchObject({ code, outcome: fate, attempts: 1 })
        expect(cluster.requests).toHaveLength(1)
      })
    }
  }

  for (const [name, call] of Object.entries(OPERATIONS)) {
    test(`${name} goes elsewhere when a connection is refused`, async () => {
      const refused = await refusedEndpoint()
      cluster.script(ok())
      // Several clients: each draws its first endpoint by lot.
      for (let seed = 0; seed < 6; seed++) {
        await using client = new Client(
          { sessions: false, endpoints: [refused, cluster.endpoints[0]!] },
          { prng: new Prng(`refused ${seed}`) },
        )
        await call(client)
      }
      expect(cluster.requests).toHaveLength(6)
    })

    test(`${name} is told as UNAVAILABLE and not applied when nobody accepts connections`, async () => {
      await using client = new Client({
        sessions: false,
        endpoints: [await refusedEndpoint(), await refusedEndpoint()],
        timeoutMs: 1_000,
      })
      const error = await caught(call(client))
      expect(error).toMatchObject({ code: 'UNAVAILABLE', outcome: 'not-applied', retryable: true })
      expect(error.attempts).toBeGreaterThan(2)
      expect(error.message).toMatch(/ECONNREFUSED/)
    })
  }
})

describe('the policy', () => {
  test('A2: what can be applied only once is repeated exactly where a read is', () => {
    for (const code of Object.keys(ERRORS) as ErrorCode[])
      for (const outcome of ['not-applied', 'unknown'] as const)
        expect(decide('repeatable', code, outcome)).toBe(decide('read', code, outcome))
    expect(decide('repeatable', 'SESSION_EXPIRED', 'unknown')).toBe('fail')
    expect(decide('repeatable', 'broken', 'unknown')).toBe('elsewhere')
  })

  test('H9: no change whose outcome is unknown is ever repeated, whatever the failure', () => {
    const failures = [
      ...(Object.keys(ERRORS) as ErrorCode[]),
      'broken',
      'timeout',
      'unreadable',
      'unknown-code',
    ] as const
    for (const failure of failures) {
      for (const kind of ['write', 'admin'] as const) expect(decide(kind, failure, 'unknown')).toBe('fail')
    }
  })

  test('pauses double up to a ceiling, are spread, and are never shorter than the node asked for', () => {
    const prng = new Prng('pauses')
    for (let pauses = 0; pauses < 40; pauses++) {
      const ceiling = Math.min(PAUSE.msMax, PAUSE.msMin * 2 ** pauses)
      const pause = pauseMs(pauses, 0, prng)
      expect(pause).toBeGreaterThanOrEqual(ceiling / 2)
      expect(pause).toBeLessThanOrEqual(ceiling)
      expect(pauseMs(pauses, 3_000, prng)).toBeGreaterThanOrEqual(3_000)
    }
    expect(new Set(Array.from({ length: 50 }, () => pauseMs(0, 400, prng))).size).toBeGreaterThan(20)
  })
})
