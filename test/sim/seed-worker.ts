// The child process of a campaign: runs the seeds that it is told, one after another, and reports each.
import type { SeedOrder, SeedReport } from './campaign.ts'
import { runSeedTwice } from './determinism.ts'
import { runSeed } from './run-seed.ts'

// Ctrl-C reaches all processes of a terminal: the campaign decides what it means.
process.on('SIGINT', () => {})
process.on('message', (order: SeedOrder) => void report(order))

async function report({ seed, nodes, isChecked }: SeedOrder): Promise<void> {
  const before = process.cpuUsage()
  const result = isChecked ? await runSeedTwice(seed, { nodes }) : await runSeed(seed, { nodes })
  const { user, system } = process.cpuUsage(before)
  const cpuSeconds = (user + system) / 1e6 / (isChecked ? 2 : 1)
  process.send?.({ ...result, cpuSeconds } satisfies SeedReport)
}
