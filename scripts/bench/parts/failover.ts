// How long nobody can write when a leader is lost: killed, stopped, cut off, or asked to hand over, at a random phase under 1,000
// writes a second over all nodes, beside etcd.
import type { Dialect } from '../load/requests.ts'
import { temporaryFolder } from '../cleanup.ts'
import { quantile, summarize } from '../statistics.ts'
import type { System } from '../systems/system.ts'
import { KILL, PARTITION, STOP, TRANSFER } from './failover/faults.ts'
import type { Fault } from './failover/faults.ts'
import { PeerNetwork } from './failover/peer-network.ts'
import { runSeries } from './failover/series.ts'
import type { Series } from './failover/series.ts'
import { aimRow } from './part.ts'
import type { AimRow, BenchContext, Part, PartResult } from './part.ts'

/** Of the faults other than the kill, which the aim is about. */
const SHARE_OF_OTHERS = 0.2

interface Candidate {
  readonly label: string
  readonly system: System
  readonly dialect: Dialect
  readonly flags: readonly string[]
  readonly faults: readonly Fault[]
}

interface Row {
  readonly fault: string
  readonly label: string
  readonly series: Series
}

export const failover: Part = {
  name: 'failover',
  summary: 'how long nobody can write when the leader is killed, stopped, cut off, or hands over',
  run,
}

async function run(context: BenchContext): Promise<PartResult> {
  const rows: Row[] = []
  const notes: string[] = []
  for (const fault of context.isShort ? [KILL, TRANSFER] : [KILL, STOP, PARTITION, TRANSFER]) {
    for (const candidate of candidatesOf(context)) {
      if (!candidate.faults.includes(fault)) continue
      const count = fault === KILL ? context.faults : Math.max(1, Math.round(context.faults * SHARE_OF_OTHERS))
      context.progress(`failover: ${fault.name}, ${candidate.label}, ${count} times`)
      try {
        const row = { fault: fault.name, label: candidate.label, series: await measure(candidate, fault, count) }
        context.progress(`failover: ${describe(row).join(' | ')}`)
        rows.push(row)
      } catch (error) {
        // The other faults are worth measuring all the same; the report says what is missing.
        const note = `${fault.name}, ${candidate.label}: not measured: ${String(error)}`
        context.progress(`failover: ${note}`)
        notes.push(note)
      }
    }
  }
  if (context.etcd === undefined) notes.push('etcd is not installed: Quorate alone was measured.')
  notes.push(
    'Open loop: each write has a due moment, goes to any of the three nodes in turn, and is given up after a second. Errors are writes without a success in time: those of the outage itself.',
    'A cut is made by proxies in front of the peer ports that swallow what passes to or from the leader; clients still reach it. Quorate elects after 300 ms of silence by default, etcd after 1,000 ms.',
  )
  return {
    title: 'Failover',
    tables: [
      {
        title: 'From the last success before to the first success after (ms)',
        head: ['fault', 'system', 'times', 'median', 'p99', 'min', 'max', 'writes a second', 'errors'],
        rows: rows.map(describe),
      },
    ],
    charts: [],
    aims: aimsOf(rows),
    notes,
    raw: rows,
  }
}

function candidatesOf({ quorate, etcd, isShort }: BenchContext): Candidate[] {
  const all = [KILL, STOP, PARTITION, TRANSFER]
  const ours: Candidate = { label: 'Quorate', system: quorate, dialect: 'quorate', flags: [], faults: all }
  if (etcd === undefined) return [ours]
  const theirs: Candidate = { label: 'etcd', system: etcd, dialect: 'etcd', flags: [], faults: all }
  // The same patience as ours, to tell what is the default's and what is the system's.
  const tuned = ['--heartbeat-interval', '50', '--election-timeout', '300']
  const patient: Candidate = { ...theirs, label: 'etcd, 50/300 ms', flags: tuned, faults: isShort ? [] : [KILL] }
  return [ours, theirs, patient]
}

async function measure({ system, dialect, flags }: Candidate, fault: Fault, count: number): Promise<Series> {
  const network = new PeerNetwork()
  const running = await system.start(temporaryFolder('failover'), {
    nodes: 3,
    flags,
    ...(fault.needsNetwork ? { peerDoor: (_node: number, listens: number) => network.open(listens) } : {}),
  })
  try {
    return await runSeries({ system: running, dialect, network, fault, count, seed: 1 })
  } finally {
    await running.stop()
    network.close()
  }
}

function describe({ fault, label, series: { gaps, rate, load } }: Row): string[] {
  const times = gaps.map(({ ms }) => ms)
  const { median, min, max, count } = summarize(times)
  const numbers = [median, quantile(times, 0.99), min, max].map((ms) => ms.toFixed(0))
  return [fault, label, String(count), ...numbers, String(rate), `${load.errors} of ${load.operations + load.errors}`]
}

function aimsOf(rows: readonly Row[]): AimRow[] {
  const medianOf = (label: string): number | undefined => {
    const row = rows.find((row) => row.fault === KILL.name && row.label === label)
    return row && summarize(row.series.gaps.map(({ ms }) => ms)).median
  }
  const [ours, theirs] = [medianOf('Quorate'), medianOf('etcd')]
  if (ours === undefined || theirs === undefined) return []
  const goal = { aim: 4, moonshot: 10, text: ['4x faster', '10x'] } as const
  const text = `${(theirs / ours).toFixed(1)}x (${ours.toFixed(0)} ms against ${theirs.toFixed(0)} ms)`
  return [aimRow("leader killed, median gap, against etcd's default", goal, theirs / ours, text)]
}
