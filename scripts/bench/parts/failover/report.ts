// What the failover part prints: the gaps of each fault and system, the verdict on the kill, and what was proved beside it.
import type { Reached } from '../../aims.ts'
import { quantile, summarize } from '../../statistics.ts'
import type { Table } from '../part.ts'
import { KILL } from './faults.ts'
import type { Gap } from './series.ts'

/** One fault on one system; it grows by turns. */
export interface Row {
  readonly fault: string
  readonly label: string
  readonly gaps: Gap[]
  /** Writes a second. */
  rate: number
  successes: number
  errors: number
  /** Answered operations of the recorded history, and writes whose outcome nobody knows. */
  checked: number
  unknown: number
}

export const failoverTable = (rows: readonly Row[]): Table => ({
  title: 'From the last success before to the first success after (ms)',
  head: ['fault', 'system', 'times', 'median', 'p99', 'min', 'max', 'writes a second', 'errors'],
  rows: rows.map(({ fault, label, gaps, rate, successes, errors }) => {
    const times = gaps.map(({ ms }) => ms)
    const { median, min, max, count } = summarize(times)
    const numbers = [median, quantile(times, 0.99), min, max].map((ms) => ms.toFixed(0))
    return [fault, label, String(count), ...numbers, String(rate), `${errors} of ${successes + errors}`]
  }),
})

export const historyNotes = (rows: readonly Row[]): string[] =>
  rows
    .filter(({ checked }) => checked > 0)
    .map(
      ({ fault, label, checked, unknown }) =>
        `history beside ${fault}, ${label}: ${checked} operations through all nodes, ${unknown} writes of unknown outcome, each key read at last through each node: linearizable`,
    )

function describe(gaps: readonly number[]): string {
  const { median, min, max } = summarize(gaps)
  return `${median.toFixed(0)} ms (${min.toFixed(0)} to ${max.toFixed(0)})`
}

export function failoverAims(rows: readonly Row[]): Reached[] {
  const gapsOf = (label: string): number[] =>
    rows.find((row) => row.fault === KILL.name && row.label === label)?.gaps.map(({ ms }) => ms) ?? []
  const [ours, theirs] = [gapsOf('Quorate'), gapsOf('etcd')]
  if (ours.length === 0 || theirs.length === 0) return []
  const value = summarize(theirs).median / summarize(ours).median
  return [{ id: 'failover', value, text: `${value.toFixed(1)}x: ${describe(ours)} against ${describe(theirs)}` }]
}
