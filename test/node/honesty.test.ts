// Random faults against whole nodes in memory: every write goes to a key of its own, so that what became of it can be read off
// afterwards. An acknowledged write is there; one that was answered `not-applied` never is; none was applied twice.
import { describe, expect, it } from 'vitest'
import { QuorateError } from '../../src/api/errors.ts'
import { present } from '../../src/lib/assert.ts'
import { Prng } from '../../src/lib/prng.ts'
import { type Heard, MemoryCluster, type ReadOutcome, type WriteOutcome } from '../support/memory-cluster.ts'

const SEEDS = Number(process.env['HONESTY_SEEDS'] ?? 6)
const FIRST_SEED = Number(process.env['HONESTY_FIRST_SEED'] ?? 1)
const STEPS = 120

interface Written {
  readonly key: string
  readonly heard: Heard<WriteOutcome>
}

interface Checked {
  readonly key: string
  readonly heard: Heard<ReadOutcome>
}

class Run {
  readonly cluster: MemoryCluster
  readonly #prng: Prng
  readonly #written: Written[] = []
  readonly #checked: Checked[] = []
  readonly #events: string[] = []
  readonly #names: readonly [string, ...string[]]

  constructor(cluster: MemoryCluster, prng: Prng) {
    this.cluster = cluster
    this.#prng = prng
    const [first, ...others] = cluster.members.map((member) => member.name)
    this.#names = [present(first, 'a member'), ...others]
    for (const disk of cluster.disks.values()) disk.latencyMs = () => prng.below(4)
  }

  async faults(): Promise<void> {
    for (let step = 0; step < STEPS; step++) {
      this.#calls()
      await this.#fault()
      this.#bury()
      await this.cluster.advance(this.#prng.below(60))
    }
  }

  /** Everything is mended; every call must end, and every key tell the truth. */
  async verdict(): Promise<void> {
    const { cluster } = this
    cluster.release()
    for (const name of this.#names) {
      const disk = cluster.disk(name)
      disk.appends.failure = undefined
      disk.appends.open()
      disk.stateWork.open()
    }
    await cluster.advance(100)
    this.#bury()
    for (const name of this.#names) cluster.rejoin(name)
    for (const name of this.#names) if (!cluster.nodes.has(name)) await cluster.start(name)
    expect([...cluster.failures].map(([name, error]) => `${name}: ${error.stack}`)).toEqual([])
    await cluster.until(() => cluster.leader !== undefined)
    await cluster.advance(6_000)
    for (const { key, heard } of this.#written) {
      const answer = heard.answer
      const found = await cluster.answer(cluster.read(this.#prng.pick(this.#names), key))
      if (found instanceof QuorateError) throw new Error(`${key}: ${found.code} ${found.message}`)
      const version = found.entry?.version ?? 0
      const outcome = answer instanceof QuorateError ? answer.outcome : answer === undefined ? 'crashed' : 'applied'
      const isTrue =
        version <= 1 && (outcome !== 'applied' || version === 1) && (outcome !== 'not-applied' || version === 0)
      expect(isTrue, `${key} heard ${outcome}, and has version ${version}`).toBe(true)
    }
    for (const { key, heard } of this.#checked) {
      if (heard.answer === undefined || heard.answer instanceof QuorateError) continue
      expect(heard.answer.entry?.version, `a read after the answer must find ${key}`).toBe(1)
    }
  }

  get story(): string {
    return this.#events.join(' ')
  }

  #calls(): void {
    const { cluster } = this
    for (const name of cluster.nodes.keys()) {
      const count = this.#prng.below(3)
      for (let at = 0; at < count; at++) {
        const key = `w${this.#written.length}`
        this.#written.push({ key, heard: cluster.put(name, key, 'x'.repeat(1 + this.#prng.below(200)), 3_000) })
      }
      this.#check(name)
    }
  }

  /** What has been acknowledged by now is there for every linearizable read that begins now, through any node. */
  #check(name: string): void {
    const done = this.#written.filter(
      ({ heard }) => heard.answer !== undefined && !(heard.answer instanceof QuorateError),
    )
    const known = done.slice(-20)
    if (known.length === 0) return
    const { key } = known[this.#prng.below(known.length)]!
    this.#checked.push({ key, heard: this.cluster.read(name, key, { timeoutMs: 2_000 }) })
  }

  async #fault(): Promise<void> {
    const { cluster } = this
    const name = this.#prng.pick(this.#names)
    const disk = cluster.disk(name)
    const draw = this.#prng.below(18)
    switch (draw) {
      case 0:
        return this.#note('isolate', name, () => cluster.isolate(name))
      case 1:
      case 2:
        return this.#note('rejoin', name, () => cluster.rejoin(name))
      case 3:
        if (cluster.nodes.has(name)) this.#note('crash', name, () => cluster.crash(name))
        return
      case 4:
      case 5:
        if (cluster.nodes.has(name)) return
        disk.stateWork.open()
        disk.appends.failure = undefined
        this.#note('start', name, () => disk.appends.open())
        await cluster.start(name)
        return
      case 6:
        return this.#note('disk waits', name, () => disk.appends.shut())
      case 7:
        return this.#note('disk goes on', name, () => disk.appends.open())
      case 8:
        return this.#note('state waits', name, () => disk.stateWork.shut())
      case 9:
        return this.#note('state goes on', name, () => disk.stateWork.open())
      case 10: {
        const kinds = ['message', 'forward', 'forward-answer', 'snapshot'] as const
        const kind = this.#prng.pick(kinds)
        return this.#note(`hold ${kind}s to`, name, () => {
          cluster.isHeld = (delivery) => delivery.kind === kind && delivery.to === cluster.idOf(name)
        })
      }
      case 11:
        return this.#note('release', '', () => cluster.release())
      case 12:
        if (cluster.nodes.has(name)) {
          this.#note('transfer from', name, () => {
            cluster
              .node(name)
              .transferLeadership(undefined)
              .catch(() => {})
          })
        }
        return
      case 13:
        return this.#note('disk fails', name, () => {
          disk.appends.failure = new Error('EIO')
        })
      case 14:
        if (!cluster.nodes.has(name)) return
        disk.stateWork.open()
        this.#note('close', name, () => disk.appends.open())
        return await cluster.stop(name)
      default:
        await cluster.advance(this.#prng.below(400))
    }
  }

  /** Nodes that stopped themselves because their disk failed are replaced by their next life. */
  #bury(): void {
    for (const [name, error] of this.cluster.failures) {
      if (!error.message.includes('EIO')) throw error
      this.cluster.failures.delete(name)
      this.#note('stopped itself', name, () => this.cluster.crash(name))
    }
  }

  #note(event: string, name: string, act: () => void): void {
    this.#events.push(`${event}${name === '' ? '' : ` ${name}`};`)
    act()
  }
}

describe('outcomes under random faults', () => {
  for (let seed = FIRST_SEED; seed < FIRST_SEED + SEEDS; seed++) {
    it(`are honest (HONESTY_FIRST_SEED=${seed} HONESTY_SEEDS=1)`, async () => {
      const prng = new Prng(seed)
      const logRetention = prng.chance(1, 2)
        ? { retainBytes: 2_000, retainEntries: 10 }
        : { retainBytes: 1e9, retainEntries: 1e9 }
      const cluster = await MemoryCluster.started(prng.pick([3, 3, 5]), { seed, logRetention })
      const run = new Run(cluster, prng)
      try {
        await run.faults()
        await run.verdict()
      } catch (error) {
        throw new Error(`seed ${seed}: ${String(error)}\n${run.story}`, { cause: error })
      }
      await cluster.close()
    })
  }
})
