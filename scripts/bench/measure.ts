// What processes and the disk have used so far, as the kernel accounts for it. Linux only. Readings are totals: measure twice and
// subtract.
import { execFileSync } from 'node:child_process'
import { readFileSync, readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'

const TICKS_PER_SECOND = Number(execFileSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }))
/** Fixed by the kernel's block layer, whatever the device says of itself. */
const SECTOR_BYTES = 512

/** User and system time of all threads, those that have ended included, in microseconds. */
export const cpuMicros = (pid: number): number => statMicros(`/proc/${pid}/stat`)

/** The same of the thread that the process began with, which in Node.js is the one that runs JavaScript. */
export const mainThreadMicros = (pid: number): number => statMicros(`/proc/${pid}/task/${pid}/stat`)

/** How long that thread was ready to run and had no processor, in milliseconds; undefined where the kernel does not count it, or when it has ended. */
export function mainThreadWaitMs(pid: number): number | undefined {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, 'utf8').split(' ')[1]) / 1e6
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes((error as NodeJS.ErrnoException).code ?? '')) return undefined
    throw error
  }
}

function statMicros(path: string): number {
  const stat = readFileSync(path, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return ((Number(fields[11]) + Number(fields[12])) * 1_000_000) / TICKS_PER_SECOND
}

/** Memory in RAM now: what the process cost this machine, shared pages and file pages that it maps included. */
export const residentBytes = (pid: number): number => statusBytes(pid, 'VmRSS')

/** The highest it ever was. */
export const residentPeakBytes = (pid: number): number => statusBytes(pid, 'VmHWM')

function statusBytes(pid: number, field: string): number {
  const line = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  if (line === null) throw new Error(`process ${pid} has no ${field}: it has ended`)
  return Number(line[1]) * 1024
}

/**
 * Bytes written to the block device that holds a folder. The counter of the process itself (/proc/<pid>/io) charges whole folios
 * for each small O_DSYNC write, so only the device tells the truth; whatever else writes to it is counted too, so it takes a quiet
 * disk. Undefined where the folder is not on a block device (tmpfs, some overlays).
 */
export function deviceBytesWritten(folder: string): number | undefined {
  const { dev } = statSync(folder)
  // The kernel's packing of major and minor as stat(2) hands it out.
  const major = (dev >> 8) & 0xfff
  const minor = (dev & 0xff) | ((dev >> 12) & 0xfff00)
  try {
    const fields = readFileSync(`/sys/dev/block/${major}:${minor}/stat`, 'utf8').trim().split(/\s+/)
    return Number(fields[6]) * SECTOR_BYTES
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

/** Bytes of the disk that a folder occupies. Files that vanish while it is read count as nothing. */
export function folderBytes(folder: string): number {
  let sum = 0
  for (const entry of readdirSync(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue
    const stat = statSync(join(entry.parentPath, entry.name), { throwIfNoEntry: false })
    sum += (stat?.blocks ?? 0) * SECTOR_BYTES
  }
  return sum
}

/** CPU microseconds of several processes since its creation. */
export class CpuMeter {
  readonly #before: ReadonlyMap<string, { readonly pid: number; readonly micros: number }>

  constructor(processes: readonly { readonly role: string; readonly pid: number }[]) {
    this.#before = new Map(processes.map(({ role, pid }) => [role, { pid, micros: cpuMicros(pid) }]))
  }

  /** By role. Divide by the operations of the same time. */
  spent(): Record<string, number> {
    const spent: Record<string, number> = {}
    for (const [role, { pid, micros }] of this.#before) spent[role] = cpuMicros(pid) - micros
    return spent
  }
}
