// How long nobody can write when a leader is lost: killed, stopped, cut off, or asked to hand over, at a random phase under 1,000
// writes a second over all nodes, beside etcd. The clusters take turns, a few faults at a time.
import { temporaryFolder } from '../cleanup.ts'
import type { Dialect } from '../load/requests.ts'
import type { RunningSystem, System } from '../systems/system.ts'
import { failoverAims, failoverTable, historyNotes } from './failover/report.ts'
import type { Row } from './failover/report.ts'
import { KILL, PARTITION, STOP, TRANSFER } from './failover/faults.ts'
import type { Fault } from './failover/faults.ts'
import { PeerNetwork } from './failover/peer-network.ts'
import { calmRate, runSeries } from './failover/series.ts'
import { Attempts } from './attempt.ts'
import type { BenchContext, Part, PartResult } from './part.ts'

/** Of the faults other than the kill, which the aim is about. */
const SHARE_OF_OTHERS = 0.3
/** And of the reference's, whose gaps take longer. */
const SHARE_OF_THEIR_OTHERS = 0.2
const TURN = 10
/** Ours and theirs, from one fault to the next. */
const FAULT_SECONDS = { quorate: 1.8, etcd: 2.3 } as const
const START_SECONDS = 9

interface Candidate {
  readonly label: string
  readonly system: System
  readonly dialect: Dialect
  readonly flags: readonly string[]
  readonly faults: readonly Fault[]
}

export const failover: Part = {
  name: 'failover',
  runs: 'always',
  summary: 'how long nobody can write when the leader is killed, stopped, cut off, or hands over',
  estimateSeconds(context) {
    let seconds = 0
    for (const candidate of candidatesOf(context)) {
      const faults = candidate.faults.reduce((sum, fault) => sum + countOf(context, candidate, fault), 0)
      const clusters = candidate.faults.includes(PARTITION) ? 2 : 1
      seconds += clusters * START_SECONDS + faults * FAULT_SECONDS[candidate.dialect]
    }
    return seconds
  },
  run,
}

async function run(context: BenchContext): Promise<PartResult> {
  const rows: Row[] = []
  const attempts = new Attempts(context, 'failover')
  const candidates = candidatesOf(context)
  // The proxies of a cut are in the path of that fault only.
  for (const faults of [[KILL, STOP, TRANSFER], [PARTITION]]) {
    const stages = candidates.map((candidate) => new Stage(context, candidate, faults.includes(PARTITION)))
    try {
      for (const fault of faults) rows.push(...(await takeTurns(context, fault, stages, attempts)))
    } finally {
      await Promise.all(stages.map((stage) => stage.stop()))
    }
  }
  const notes = [
    ...historyNotes(rows),
    'Open loop: each write has a due moment, goes to any of the three nodes in turn, and is given up after a second. Errors are writes without a success in time: those of the outage itself.',
    'A cut is made by proxies in front of the peer ports that swallow what passes to or from the leader; clients still reach it. Quorate elects after 300 ms of silence by default, etcd after 1,000 ms.',
  ]
  if (context.etcd === undefined) notes.push('etcd is not installed: Quorate alone was measured.')
  const measured = rows.filter(({ gaps }) => gaps.length > 0)
  return {
    title: 'Failover',
    tables: [failoverTable(measured)],
    charts: [],
    aims: failoverAims(measured),
    notes,
    failures: attempts.failures,
    raw: rows,
  }
}

/** All candidates of one fault, a few times each, again and again. One that breaks is left out from then on. */
async function takeTurns(
  context: BenchContext,
  fault: Fault,
  stages: readonly Stage[],
  attempts: Attempts,
): Promise<Row[]> {
  const open = stages
    .filter(({ candidate }) => candidate.faults.includes(fault))
    .map((stage) => ({ stage, left: countOf(context, stage.candidate, fault), row: stage.newRow(fault) }))
  for (let seed = 1; open.some(({ left }) => left > 0); seed++) {
    for (const turn of open) {
      if (turn.left === 0) continue
      const { stage, row } = turn
      const count = Math.min(TURN, turn.left)
      turn.left -= count
      const before = row.gaps.length
      await attempts.make(`${fault.name}, ${row.label}, after ${before}`, () => stage.add(row, fault, count, seed))
      const gaps = row.gaps.slice(before).map(({ ms }) => ms.toFixed(0))
      if (gaps.length > 0) context.progress(`failover: ${fault.name}, ${row.label}: ${gaps.join(', ')} ms`)
      else {
        turn.left = 0
        await stage.stop()
      }
    }
  }
  return open.map(({ row }) => row)
}

/** One candidate's cluster; started when it is wanted, and anew after it broke. */
class Stage {
  readonly candidate: Candidate
  readonly #context: BenchContext
  readonly #isCuttable: boolean
  #network = new PeerNetwork()
  #system: RunningSystem | undefined
  #rate = 0

  constructor(context: BenchContext, candidate: Candidate, isCuttable: boolean) {
    this.#context = context
    this.candidate = candidate
    this.#isCuttable = isCuttable
  }

  newRow(fault: Fault): Row {
    return {
      fault: fault.name,
      label: this.candidate.label,
      gaps: [],
      rate: 0,
      successes: 0,
      errors: 0,
      checked: 0,
      unknown: 0,
    }
  }

  async add(row: Row, fault: Fault, count: number, seed: number): Promise<void> {
    const { dialect } = this.candidate
    const cluster = { system: this.#system ?? (await this.#start()), dialect, network: this.#network }
    if (this.#rate === 0) this.#rate = await calmRate(cluster)
    const { gaps, successes, errors, history } = await runSeries({ cluster, fault, count, seed, rate: this.#rate })
    row.gaps.push(...gaps)
    row.rate = this.#rate
    row.successes += successes
    row.errors += errors
    row.checked += history.operations
    row.unknown += history.unknown
  }

  async stop(): Promise<void> {
    await this.#system?.stop()
    this.#network.close()
    this.#system = undefined
    this.#rate = 0
  }

  async #start(): Promise<RunningSystem> {
    const { system, flags, label } = this.candidate
    this.#context.progress(`failover: starting ${label}${this.#isCuttable ? ' behind proxies' : ''}`)
    const network = new PeerNetwork()
    this.#network = network
    const door = this.#isCuttable ? { peerDoor: (_node: number, listens: number) => network.open(listens) } : {}
    this.#system = await system.start(temporaryFolder('failover'), { nodes: 3, flags, ...door })
    return this.#system
  }
}

function candidatesOf({ quorate, etcd, isShort }: BenchContext): Candidate[] {
  const all = isShort ? [KILL, TRANSFER] : [KILL, STOP, TRANSFER, PARTITION]
  const ours: Candidate = { label: 'Quorate', system: quorate, dialect: 'quorate', flags: [], faults: all }
  if (etcd === undefined) return [ours]
  const theirs: Candidate = { label: 'etcd', system: etcd, dialect: 'etcd', flags: [], faults: all }
  if (isShort) return [ours, theirs]
  // The same patience as ours, to tell what is the default's and what is the system's.
  const flags = ['--heartbeat-interval', '50', '--election-timeout', '300']
  return [ours, theirs, { ...theirs, label: PATIENT, flags, faults: [KILL] }]
}

const PATIENT = 'etcd, 50/300 ms'

function countOf({ faults }: BenchContext, { label, dialect }: Candidate, fault: Fault): number {
  if (fault === KILL && label !== PATIENT) return faults
  const share = fault === KILL || dialect === 'quorate' ? SHARE_OF_OTHERS : SHARE_OF_THEIR_OTHERS
  return Math.max(1, Math.round(faults * share))
}
