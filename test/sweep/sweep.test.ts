// The crash sweep: for every durable step of a few fixed lives, the power goes off right there; the disk keeps all, nothing, a random
// part or a torn end of what was not synced; the node starts again and every promise to a client is checked. For a sample of them
// the power goes off once more while the node recovers.
// SWEEP_STRIDE=n takes only every n-th operation, SWEEP_AT=n only that one; SEED=s other random parts.
import { env } from 'node:process'
import { describe, expect, test } from 'vitest'
import { Prng } from '../../src/lib/prng.ts'
import type { Survival } from '../../src/storage/simulated-file-system.ts'
import type { Machine } from './machine.ts'
import { Scenario } from './scenario.ts'

interface Life {
  readonly name: string
  readonly size: number
  /** A state must have come from a leader meanwhile, or the life has missed its point. */
  readonly isInstalling?: boolean
  /** Entries of the victim must have been superseded meanwhile. */
  readonly isTruncating?: boolean
  /** Returns early when the power goes off: each step does nothing then. */
  readonly live: (scenario: Scenario, victim: Machine) => Promise<void>
}

const startAll = async (scenario: Scenario): Promise<void> => {
  for (const machine of scenario.machines) await scenario.start(machine)
  await scenario.until(() => scenario.leader !== undefined)
}

const LIVES: readonly Life[] = [
  {
    name: 'a single node: first start, writes over several segments, compaction, another term',
    size: 1,
    async live(scenario, victim) {
      await startAll(scenario)
      await scenario.write(victim, 9)
      await scenario.pass(60)
      await scenario.write(victim, 3)
      if (victim.isOff) return
      await scenario.settled(victim.restart({ keep: 'all' }), victim)
      await scenario.until(() => scenario.leader !== undefined)
      await scenario.write(victim, 2)
    },
  },
  {
    name: 'a follower of three: registration, writes, compaction',
    size: 3,
    async live(scenario) {
      await startAll(scenario)
      await scenario.write(scenario.leader, 6)
      await scenario.pass(60)
      await scenario.write(scenario.leader, 3)
    },
  },
  {
    name: 'a leader cut off with entries of its own: truncation, then a state from the new leader',
    size: 3,
    isInstalling: true,
    isTruncating: true,
    async live(scenario, victim) {
      await startAll(scenario)
      await scenario.write(scenario.leader, 2)
      await scenario.makeLeader(victim)
      scenario.isolate(victim)
      await scenario.write(victim, 1, 300)
      const isReplaced = (): boolean =>
        scenario.machines.some((one) => one !== victim && one.node?.status().role === 'leader')
      await scenario.until(isReplaced)
      const rival = scenario.machines.find((one) => one !== victim && one.node?.status().role === 'leader')
      await scenario.write(rival, 2)
      scenario.isolate(victim, true)
      await scenario.pass(400)
      scenario.isolate(victim)
      await scenario.pass(500)
      const other = scenario.machines.find((one) => one !== victim && one.node?.status().role === 'leader')
      await scenario.write(other, 12)
      await scenario.pass(100)
      scenario.isolate(victim, true)
      await scenario.pass(1_500)
      await scenario.write(scenario.leader, 2)
    },
  },
]

const seed = env['SEED'] ?? 'sweep'
const SURVIVALS: readonly [string, (at: number) => Survival, isBatchKept: boolean][] = [
  ['everything', () => ({ keep: 'all' }), true],
  ['nothing', () => ({ keep: 'none' }), false],
  ['a random part', (at) => ({ keep: 'random', prng: new Prng(`${seed}/${at}`) }), false],
  ['a torn last write', () => ({ keep: 'torn', bytesOfLastWrite: 700 }), true],
]

/** The first leader is the first to start; the victim of the third life is that one. */
const victimOf = (scenario: Scenario): Machine => scenario.machine(scenario.machines.length === 1 ? 'n1' : 'n2')

interface Crash {
  readonly at: number
  readonly survival: Survival
  readonly isBatchKept: boolean
  /** Another one, after so many operations of the recovery. */
  readonly again?: number
}

/** Whether every crash that was asked for came about. */
async function crash(life: Life, { at, survival, isBatchKept, again }: Crash): Promise<boolean> {
  const scenario = new Scenario(life.size)
  const victim = victimOf(scenario)
  victim.powerOffAt = at
  victim.isBatchKept = isBatchKept
  scenario.haltWhenOff(victim)
  await life.live(scenario, victim)
  let hasCrashed = victim.isOff
  if (again !== undefined) hasCrashed = (await scenario.crashAgain(victim, survival, again)) && hasCrashed
  await scenario.recoverAndCheck(victim, survival)
  await scenario.close()
  return hasCrashed
}

async function operationsOf(life: Life): Promise<number> {
  const scenario = new Scenario(life.size)
  const victim = victimOf(scenario)
  await life.live(scenario, victim)
  const { operations, installs, superseded } = victim
  await scenario.recoverAndCheck(victim, { keep: 'none' })
  await scenario.close()
  if (life.isInstalling === true) expect(installs).toBeGreaterThan(0)
  if (life.isTruncating === true) expect(superseded).toBeGreaterThan(0)
  return operations
}

/** Of so many operations, one is followed by a second crash. */
const AGAIN_EVERY = 5
/** A recovery takes about so many operations. */
const RECOVERY_OPERATIONS = 25

/** The crashes at one operation. */
function crashesAt(at: number): [string, Crash][] {
  const crashes = SURVIVALS.map(([kept, survival, isBatchKept]): [string, Crash] => [
    `${kept} kept`,
    { at, survival: survival(at), isBatchKept },
  ])
  if (at % AGAIN_EVERY !== 0) return crashes
  const prng = new Prng(`${seed}/${at}/again`)
  const again = prng.between(1, RECOVERY_OPERATIONS)
  const twice: Crash = { at, survival: { keep: 'random', prng }, isBatchKept: prng.chance(1, 2), again }
  return [...crashes, [`a random part kept, and again ${again} operations later`, twice]]
}

describe('D2, S2, A1: a crash at any operation keeps every promise', () => {
  test.each(LIVES.map((life) => [life.name, life] as const))(
    '%s',
    async (_, life) => {
      const operations = await operationsOf(life)
      expect(operations).toBeGreaterThan(40)
      const only = env['SWEEP_AT']
      const stride = only === undefined ? Number(env['SWEEP_STRIDE'] ?? 1) : Infinity
      let twice = 0
      for (let at = Number(only ?? 1); at <= operations; at += stride) {
        for (const [what, how] of crashesAt(at)) {
          try {
            if ((await crash(life, how)) && how.again !== undefined) twice++
          } catch (error) {
            throw new Error(`SEED=${seed} SWEEP_AT=${at}, ${what}: ${(error as Error).message}`, { cause: error })
          }
        }
      }
      if (stride === 1) expect(twice).toBeGreaterThan(operations / AGAIN_EVERY / 3)
    },
    600_000,
  )
})
