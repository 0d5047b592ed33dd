// The process that runs seeds of the simulation in one tree, one after another. A bug may crash it or keep it busy for ever; the next
// seed then gets a new one.
import { fork } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { join } from 'node:path'
import type { SeedOrder, SeedReport } from '../sim/campaign.ts'

/** A seed takes about a second of CPU time. One that takes so long hangs, which is no proof on a busy machine. */
const PATIENCE_MS = 120_000
const HEAP_MB = 1_500

export interface SeedEnd {
  /** Undefined: the seed passed. */
  readonly failure: string | undefined
  readonly isLate: boolean
  readonly cpuSeconds: number
}

export class SeedProcess {
  readonly #root: string
  #child: ChildProcess | undefined

  constructor(root: string) {
    this.#root = root
  }

  async run(seed: number): Promise<SeedEnd> {
    const child = (this.#child ??= this.#fork())
    const startMs = performance.now()
    return await new Promise((resolve) => {
      const end = (result: SeedEnd): void => {
        clearTimeout(timer)
        child.removeAllListeners()
        resolve(result)
      }
      const lost = (failure: string, isLate = false): void => {
        this.close()
        end({ failure, isLate, cpuSeconds: (performance.now() - startMs) / 1_000 })
      }
      const timer = setTimeout(() => lost(`no end after ${PATIENCE_MS / 1_000} s`, true), PATIENCE_MS)
      child.once('error', (error) => lost(error.message))
      child.once('exit', (code) => lost(`the process ended with ${code}`))
      child.once('message', ({ failure, cpuSeconds }: SeedReport) => end({ failure, isLate: false, cpuSeconds }))
      child.send({ seed, nodes: undefined, isChecked: false } satisfies SeedOrder)
    })
  }

  close(): void {
    this.#child?.removeAllListeners()
    this.#child?.kill('SIGKILL')
    this.#child = undefined
  }

  #fork(): ChildProcess {
    const options = ['--import', 'tsx', `--max-old-space-size=${HEAP_MB}`]
    // What a crash prints is known from how it is seeded; the table has a line for it.
    const stdio: ('ignore' | 'ipc')[] = ['ignore', 'ignore', 'ignore', 'ipc']
    return fork(join(this.#root, 'test/sim/seed-worker.ts'), { cwd: this.#root, execArgv: options, stdio })
  }
}
