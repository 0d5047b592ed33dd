// Hunts bugs: runs a suite on sources in which one is planted, and sees whether a test fails. The processes that do it are used again
// for the next one.
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import type { Bug } from './bug.ts'

const WORKER = fileURLToPath(new URL('hunt-worker.mjs', import.meta.url))

/** A suite that takes longer with a bug than this hangs on it, which nobody would miss either, but it is no proof. */
const PATIENCE_MS = 120_000
/** What vitest leaves behind of each run would add up. */
const HUNTS_MAX = 12
/** Of what a process prints, the end may tell why it ended. */
const OUTPUT_MAX = 2_000

export interface Catch {
  readonly suite: string
  /** `broken`: the suite could not run at all. */
  readonly result: 'caught' | 'survived' | 'hung' | 'broken'
  readonly seconds: number
  /** The seed that found it, or the first claim that failed. */
  readonly evidence: string
}

/** What the process answers. */
interface Found {
  readonly passed: number
  readonly failed: { readonly name: string; readonly message: string } | undefined
  readonly errors: readonly string[]
}

/** As many processes as there are hunts at a time. */
export class Hunters {
  readonly #idle: Hunter[] = []

  /** Without a bug the suite runs on the sources as they are. */
  async hunt(bug: Bug | undefined, suite: string): Promise<Catch> {
    const hunter = this.#idle.pop() ?? new Hunter()
    const startMs = performance.now()
    const narrowedTo = suite === bug?.suites[0] ? bug?.narrowedTo : undefined
    const found = await hunter.hunt({ id: bug?.id ?? '', suite, narrowedTo })
    if (hunter.isFresh) this.#idle.push(hunter)
    else hunter.close()
    return { suite, seconds: (performance.now() - startMs) / 1_000, ...judge(found) }
  }

  close(): void {
    for (const hunter of this.#idle.splice(0)) hunter.close()
  }
}

function judge(found: Found | 'hung'): Pick<Catch, 'result' | 'evidence'> {
  if (found === 'hung') return { result: 'hung', evidence: `no end after ${PATIENCE_MS / 1_000} s` }
  if (found.failed !== undefined) return { result: 'caught', evidence: evidenceOf(found.failed) }
  return { result: found.passed > 0 ? 'survived' : 'broken', evidence: found.errors.join('\n') }
}

function evidenceOf({ name, message }: { name: string; message: string }): string {
  const seed = /\b\w*SEED=\S+/.exec(message)?.[0]
  return seed === undefined ? name : `${seed}: ${name}`
}

class Hunter {
  readonly #child: ChildProcess = fork(WORKER, { execArgv: [], stdio: ['ignore', 'pipe', 'pipe', 'ipc'] })
  #output = ''
  #hunts = 0
  #isLost = false

  constructor() {
    for (const stream of [this.#child.stdout, this.#child.stderr])
      stream?.on('data', (chunk: Buffer) => (this.#output = (this.#output + chunk.toString()).slice(-OUTPUT_MAX)))
  }

  get isFresh(): boolean {
    return !this.#isLost && this.#hunts < HUNTS_MAX
  }

  async hunt(order: { id: string; suite: string; narrowedTo: string | undefined }): Promise<Found | 'hung'> {
    this.#hunts++
    const child = this.#child
    return await new Promise((resolve) => {
      const end = (found: Found | 'hung', isLost: boolean): void => {
        clearTimeout(timer)
        child.removeAllListeners()
        this.#isLost = isLost
        resolve(found)
      }
      const lost = (why: string): void =>
        end({ passed: 0, failed: undefined, errors: [`${why}: ${this.#output}`] }, true)
      const timer = setTimeout(() => end('hung', true), PATIENCE_MS)
      child.once('error', (error) => lost(error.message))
      child.once('exit', (code, signal) => lost(`the process ended with ${code ?? signal}`))
      child.once('message', (found: Found) => end(found, false))
      child.send(order)
    })
  }

  close(): void {
    this.#child.kill('SIGKILL')
  }
}
