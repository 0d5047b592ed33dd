// Hunts one bug by simulation: seeds run on sources in which it is planted until one fails that passes without it. Several runs, of
// seeds that no other run has, show whether that was luck. A bug that survives the first run counts as a survivor.
import type { Bug } from './bug.ts'
import { plantTree } from './planted-tree.ts'
import type { PlantedTree } from './planted-tree.ts'
import { SeedProcess } from './seed-process.ts'

export interface Effort {
  readonly runs: number
  /** A run ends after so many seeds, or as soon as it has taken so many CPU seconds. */
  readonly seedsMax: number
  readonly secondsMax: number
}

export interface Run {
  /** The one that noticed the bug. */
  readonly seed: number | undefined
  /** How many seeds it took, the last one included. */
  readonly seeds: number
  readonly cpuSeconds: number
  readonly evidence: string
}

export interface Verdict {
  readonly runs: readonly Run[]
  /** Undefined: in most runs it survived. */
  readonly medianSeeds: number | undefined
  readonly medianSeconds: number | undefined
}

/** Far from each other, and from the seeds of other suites. */
const firstSeed = (run: number): number => 10_000_000 * (run + 1)

/** The same sources without a bug, to see that a seed fails because of it. */
export class Control {
  readonly #tree: PlantedTree = plantTree(undefined)
  readonly #process = new SeedProcess(this.#tree.root)
  #last: Promise<unknown> = Promise.resolve()

  /** One seed at a time, whoever asks. */
  async passes(seed: number): Promise<boolean> {
    const end = this.#last.then(() => this.#process.run(seed))
    this.#last = end
    return (await end).failure === undefined
  }

  close(): void {
    this.#process.close()
    this.#tree.remove()
  }
}

export async function huntBySimulation(bug: Bug, effort: Effort, control: Control): Promise<Verdict> {
  const tree = plantTree(bug)
  const process = new SeedProcess(tree.root)
  const runs: Run[] = []
  try {
    for (let at = 0; at < effort.runs && !isDecided(runs, effort.runs); at++) {
      runs.push(await hunt(firstSeed(at), effort, process, control))
    }
  } finally {
    process.close()
    tree.remove()
  }
  return {
    runs,
    medianSeeds: median(runs.map((run) => (run.seed === undefined ? Infinity : run.seeds))),
    medianSeconds: median(runs.map((run) => (run.seed === undefined ? Infinity : run.cpuSeconds))),
  }
}

/** After a first run without a catch, or when most of them are, no further one is worth its time. */
const isDecided = (runs: readonly Run[], wanted: number): boolean =>
  (runs.length > 0 && runs[0]!.seed === undefined) || runs.filter(({ seed }) => seed === undefined).length > wanted / 2

async function hunt(first: number, effort: Effort, process: SeedProcess, control: Control): Promise<Run> {
  let cpuSeconds = 0
  let seeds = 0
  let evidence = ''
  while (seeds < effort.seedsMax && cpuSeconds < effort.secondsMax) {
    const seed = first + seeds++
    const end = await process.run(seed)
    cpuSeconds += end.cpuSeconds
    if (end.failure === undefined) continue
    if (end.isLate) evidence = `seed ${seed}: ${end.failure}`
    else if (await control.passes(seed)) return { seed, seeds, cpuSeconds, evidence: end.failure }
    else evidence = `seed ${seed} fails without the bug as well`
  }
  return { seed: undefined, seeds, cpuSeconds, evidence }
}

function median(values: readonly number[]): number | undefined {
  const sorted = [...values].sort((a, b) => a - b)
  const middle = sorted[Math.floor(sorted.length / 2)]
  return middle === Infinity ? undefined : middle
}
