// What the machine does to anybody: a process that does next to nothing, a hundred times a second. It sleeps for ten milliseconds and
// then writes 4 KiB to the disk, synced. Where it, too, wakes up late or waits for its write, a store that stalls may not be to blame.
// Arguments: a folder on the disk, and for how many seconds. Prints one line of JSON.
import { closeSync, constants, openSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { argv, execPath, stdout } from 'node:process'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { runJson } from './run-json.ts'

const PERIOD_MS = 10
const BYTES = 4_096

/** One second of the probe. Milliseconds. */
export interface ProbedSecond {
  /** Counted from the start. */
  readonly second: number
  /** The longest that it overslept: the wait for a processor, besides a millisecond or two of the timer's. */
  readonly late: number
  /** The slowest write. */
  readonly write: number
}

export interface Probed {
  /** Milliseconds of the wall clock. */
  readonly startedAtMs: number
  readonly seconds: readonly ProbedSecond[]
}

/** In a process of its own, which `signal` ends early. */
export const runProbe = (folder: string, seconds: number, signal?: AbortSignal): Promise<Probed> =>
  runJson<Probed>(execPath, ['--import', 'tsx', fileURLToPath(import.meta.url), folder, String(seconds)], signal)

async function probe(folder: string, seconds: number): Promise<Probed> {
  const file = openSync(join(folder, 'probe'), constants.O_RDWR | constants.O_CREAT | constants.O_DSYNC)
  const block = Buffer.alloc(BYTES, 0x71)
  // The blocks of the file are its own from here on: only their contents are written below.
  writeSync(file, block, 0, BYTES, 0)
  const measured: { second: number; late: number; write: number }[] = []
  const startedAtMs = Date.now()
  const startMs = performance.now()
  for (;;) {
    const sleptFromMs = performance.now()
    await new Promise((resolve) => setTimeout(resolve, PERIOD_MS))
    const wokenMs = performance.now()
    writeSync(file, block, 0, BYTES, 0)
    const writtenMs = performance.now()
    // Both belong to the second in which they began, however long they lasted.
    const second = Math.floor((sleptFromMs - startMs) / 1_000)
    if (second >= seconds) break
    if (measured.at(-1)?.second !== second) measured.push({ second, late: 0, write: 0 })
    const latest = measured.at(-1)!
    latest.late = Math.max(latest.late, wokenMs - sleptFromMs - PERIOD_MS)
    latest.write = Math.max(latest.write, writtenMs - wokenMs)
  }
  closeSync(file)
  return { startedAtMs, seconds: measured }
}

if (argv[1] !== undefined && import.meta.url === pathToFileURL(argv[1]).href) {
  stdout.write(`${JSON.stringify(await probe(argv[2]!, Number(argv[3])))}\n`)
}
