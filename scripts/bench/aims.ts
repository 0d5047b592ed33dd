// What is to be reached, row by row, and the verdict on what was. The parts name a row and hand in what they measured; the table
// has all rows, so that what was not measured shows as well.
import type { Summary } from './statistics.ts'

export type AimId =
  | 'http-put'
  | 'http-get'
  | 'client-put'
  | 'client-put-txn'
  | 'client-get'
  | 'one-client-put'
  | 'one-client-get'
  | 'failover'
  | 'ceiling'
  | 'etcdctl-check'
  | 'disk-128'
  | 'disk-1024'
  | 'memory'
  | 'restart'
  | 'growth-put'
  | 'growth-get'

export interface Goal {
  readonly workload: string
  readonly aim: number
  readonly moonshot: number
  /** The two as words. */
  readonly words: readonly [aim: string, moonshot: string]
  readonly isLessBetter?: boolean
}

const ETCD = "etcd's Go client over gRPC"

const factor = (workload: string, aim: number, moonshot: number, suffix = 'x'): Goal => ({
  workload,
  aim,
  moonshot,
  words: [`${aim}${suffix}`, `${moonshot}${suffix}`],
})

const less = (workload: string, aim: number, moonshot: number, words: Goal['words']): Goal => ({
  workload,
  aim,
  moonshot,
  words,
  isLessBetter: true,
})

const kept = (kind: string): Goal => ({
  workload: `throughput of ${kind} over HTTP from 10,000 keys to the most: what is left of it`,
  aim: 0.75,
  moonshot: 0.9,
  words: ['within 25 %', 'within 10 %'],
})

/** In the order of the table. */
export const GOALS: Readonly<Record<AimId, Goal>> = {
  'http-put': factor(`HTTP PUT, 256 clients, against ${ETCD}`, 2, 3),
  'http-get': factor(`HTTP linearizable GET, 256 clients, against ${ETCD}`, 3, 4.5),
  'client-put': factor(`TypeScript client PUT, against ${ETCD}`, 4, 6),
  'client-put-txn': factor("TypeScript client PUT, against etcd's transactions of 128 puts", 1.2, 2),
  'client-get': factor(`TypeScript client linearizable GET, against ${ETCD}`, 10, 25),
  'one-client-put': factor('one client at a time, PUT, median time', 1.5, 2, 'x faster'),
  'one-client-get': factor('one client at a time, GET, median time', 1.5, 2, 'x faster'),
  failover: factor("leader killed, median gap between successes, against etcd's default", 4, 10, 'x faster'),
  ceiling: factor('HTTP PUT, 256 clients, against the ceiling: Fastify writing into a Map, alone', 0.5, 0.8, ''),
  'etcdctl-check': {
    workload: "etcdctl's published check: 15,000 puts a second, the slowest under 500 ms",
    aim: 1,
    moonshot: 2,
    words: ['passes through the client', 'passes over HTTP'],
  },
  'disk-128': less('bytes on disk for each byte put, values of 128 bytes', 8, 6, ['8', '6']),
  'disk-1024': less('bytes on disk for each byte put, values of 1,024 bytes', 5, 4, ['5', '4']),
  memory: less("a node's memory with 1,000,000 keys, against etcd's", 0.5, 0.2, ['half', 'a fifth']),
  restart: less('restart of a killed node with 1,000,000 keys, seconds until ready', 2, 0.5, [
    'under 2 s',
    'under 0.5 s',
  ]),
  'growth-put': kept('PUT'),
  'growth-get': kept('GET'),
}

/** What a part measured for one row. */
export interface Reached {
  readonly id: AimId
  /** The number that decides. */
  readonly value: number
  /** What is printed of it: the median with minimum and maximum, and what it is made of. */
  readonly text: string
}

export type Verdict = 'moonshot' | 'reached' | 'missed' | 'not measured'

export function verdictOn({ id, value }: Pick<Reached, 'id' | 'value'>): Verdict {
  const { aim, moonshot, isLessBetter } = GOALS[id]
  const isWithin = (goal: number): boolean => (isLessBetter === true ? value <= goal : value >= goal)
  return isWithin(moonshot) ? 'moonshot' : isWithin(aim) ? 'reached' : 'missed'
}

const VERDICTS: Readonly<Record<Verdict, string>> = {
  moonshot: 'reached, and the moonshot too',
  reached: 'reached',
  missed: 'missed',
  'not measured': 'not measured',
}

/** Every row of the table of aims, measured or not. */
export function aimRows(reached: readonly Reached[]): string[][] {
  return (Object.keys(GOALS) as AimId[]).map((id) => {
    const { workload, words } = GOALS[id]
    const [aim, moonshot] = words
    const row = reached.find((candidate) => candidate.id === id)
    return [workload, aim, moonshot, row?.text ?? '', VERDICTS[row === undefined ? 'not measured' : verdictOn(row)]]
  })
}

/** A median with its extremes. */
export const spread = ({ median, min, max }: Summary, format: (value: number) => string): string =>
  min === max ? format(median) : `${format(median)} (${format(min)} to ${format(max)})`
