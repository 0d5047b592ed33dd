// What a process really asks the operating system for: attaches strace, if need be slows its log writes down, and reads the trace.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync } from 'node:fs'
import { readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

/** A finished system call. Times are seconds since the epoch, equal for all processes of this machine. */
export interface SystemCall {
  readonly name: string
  /** The descriptor's file or connection, and what was written, as strace shows them. */
  readonly args: string
  readonly startedAt: number
  readonly endedAt: number
}

const CALLS = 'pwrite64,pwritev,pwritev2,write,writev,sendto,sendmsg'
const LINE = /^(\d+)\s+(\d+\.\d+) (.*)$/
const WHOLE = /^(\w+)\((.*)\) = .* <(\d+\.\d+)>$/s
const BEGUN = /^(\w+)\((.*) <unfinished \.\.\.>$/s
const RESUMED = /^<\.\.\. (\w+) resumed>(.*)\) = /s

/** Why this machine cannot trace, or undefined. */
export function whyNoStrace(): string | undefined {
  if (process.platform !== 'linux') return 'strace is for Linux'
  try {
    execFileSync('strace', ['-o', '/dev/null', 'true'], { stdio: 'ignore' })
    return undefined
  } catch {
    return 'strace is not installed, or may not trace here'
  }
}

export class Trace {
  readonly #child: ChildProcess
  readonly #file: string
  readonly #ended: Promise<unknown>

  private constructor(child: ChildProcess, file: string) {
    this.#child = child
    this.#file = file
    this.#ended = new Promise((resolve) => child.once('close', resolve))
  }

  /** Resolves once all threads are attached. `delayMs`: each pwrite, which only the log and the vote use, returns so much later. */
  static attach(pid: number, delayMs = 0): Promise<Trace> {
    const file = join(tmpdir(), `quorate-strace-${pid}-${process.pid}`)
    const delay = delayMs === 0 ? [] : ['-e', `inject=pwrite64:delay_exit=${delayMs * 1_000}`]
    const args = ['-f', '-yy', '-ttt', '-T', '-s', '4096', '-e', `trace=${CALLS}`, ...delay]
    const child = spawn('strace', [...args, '-o', file, '-p', String(pid)], { stdio: ['ignore', 'ignore', 'pipe'] })
    const trace = new Trace(child, file)
    return new Promise((resolve, reject) => {
      let said = ''
      child.stderr.on('data', (chunk: Buffer) => {
        said += chunk.toString()
        if (said.includes('attached')) resolve(trace)
      })
      child.once('close', () => reject(new Error(`strace could not attach: ${said}`)))
    })
  }

  /** Detaches, and gives all calls that were finished. */
  async stop(): Promise<SystemCall[]> {
    this.#child.kill('SIGINT')
    await this.#ended
    const text = await readFile(this.#file, 'latin1')
    await rm(this.#file)
    return parseTrace(text)
  }
}

function parseTrace(text: string): SystemCall[] {
  const calls: SystemCall[] = []
  const begun = new Map<string, { name: string; args: string; startedAt: number }>()
  for (const line of text.split('\n')) {
    const [, thread = '', at = '', rest = ''] = LINE.exec(line) ?? []
    const whole = WHOLE.exec(rest)
    const start = BEGUN.exec(rest)
    if (whole !== null) {
      const [, name = '', args = '', seconds = ''] = whole
      calls.push({ name, args, startedAt: Number(at), endedAt: Number(at) + Number(seconds) })
    } else if (start !== null) {
      const [, name = '', args = ''] = start
      begun.set(thread, { name, args, startedAt: Number(at) })
    } else if (RESUMED.test(rest)) {
      const call = begun.get(thread)
      if (call !== undefined) calls.push({ ...call, endedAt: Number(at) })
      begun.delete(thread)
    }
  }
  return calls
}

/** Files that a process has open for synchronised writing (O_DSYNC). */
export function openForSyncedWrites(pid: number): string[] {
  const O_DSYNC = 0o10000
  const found: string[] = []
  for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const flags = /^flags:\s+([0-7]+)$/m.exec(readFileSync(`/proc/${pid}/fdinfo/${descriptor}`, 'utf8'))?.[1] ?? '0'
      if ((Number.parseInt(flags, 8) & O_DSYNC) !== 0) found.push(readlinkSync(`/proc/${pid}/fd/${descriptor}`))
    } catch {
      // Closed since it was listed: not one of those that stay open.
    }
  }
  return found
}
