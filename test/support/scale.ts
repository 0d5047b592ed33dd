// How large the tests of whole clusters are: small enough for every run, or with QUORATE_FULL=1 as large as what they claim.
import { readFile } from 'node:fs/promises'
import type { RealNode } from './real-cluster.ts'

export const IS_FULL = process.env['QUORATE_FULL'] === '1'

/** The number for every run, and the full one. */
export const scaled = (everyRun: number, full: number): number => (IS_FULL ? full : everyRun)

/** Beyond the project's own limit only where the full numbers were asked for. */
export const LONG_MS = IS_FULL ? 900_000 : 240_000

/** Figures for whoever runs a test by hand; every run says them too, in one line. */
export function tell(line: string): void {
  process.stderr.write(`    ${line}\n`)
}

/** What the kernel says the process occupies, in MiB. */
export async function residentMiB(node: RealNode): Promise<number> {
  const text = await readFile(`/proc/${node.pid}/status`, 'utf8')
  const kib = /^VmRSS:\s+(\d+) kB$/m.exec(text)?.[1]
  if (kib === undefined) throw new Error(`the kernel does not say how large process ${node.pid} is`)
  return Math.round(Number(kib) / 1024)
}

/** The files that the kernel says the process has mapped into its memory. */
export async function mappedFiles(node: RealNode): Promise<readonly string[]> {
  const text = await readFile(`/proc/${node.pid}/maps`, 'utf8')
  return text.split('\n').flatMap((line) => /\s(\/.*)$/.exec(line)?.[1] ?? [])
}

export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted[Math.floor(sorted.length / 2)]
  if (middle === undefined) throw new Error('no values have no median')
  return middle
}

/** For intervals that are part of a test's plan, as a rate of writes is. Never in place of waiting for a state. */
export const pauseFor = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
