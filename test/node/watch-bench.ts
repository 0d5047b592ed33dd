// A watch hub over a state in memory, for tests: what is applied, what can be confirmed and which state is current is up to them.
import type { QuorateError } from '../../src/api/errors.ts'
import { ALL_KEYS } from '../../src/api/ranges.ts'
import type { WatchRequest } from '../../src/node/facade.ts'
import { WatchHub } from '../../src/node/watch-hub.ts'
import { VirtualClock } from '../support/virtual-clock.ts'
import { Reader } from '../support/watch-reader.ts'
import { FakeHistory, type FakeWrite } from './fake-history.ts'

export class WatchBench {
  readonly clock = new VirtualClock()
  state = new FakeHistory()
  confirmed = 0
  canServe = true
  refusal: QuorateError | undefined
  readonly failures: unknown[] = []
  readonly hub: WatchHub

  constructor() {
    // oxlint-disable-next-line no-this-alias -- getters of the port read this bench
    const bench = this
    this.hub = new WatchHub(this.clock, {
      get store() {
        return bench.state.store
      },
      get canServe() {
        return bench.canServe
      },
      confirm: (_options, done) => {
        this.confirmed++
        done(this.refusal ?? { revision: this.state.meta.revision, stalenessMs: undefined })
      },
      fail: (error) => this.failures.push(error),
    })
  }

  watch(request: Partial<WatchRequest> = {}): Reader {
    const reader = new Reader()
    const all: WatchRequest = {
      range: ALL_KEYS,
      fromRevision: undefined,
      wantsInitial: false,
      wantsPrevious: false,
      only: undefined,
      timeoutMs: 5_000,
      ...request,
    }
    reader.handle = this.hub.watch(all, reader)
    return reader
  }

  async started(request: Partial<WatchRequest> = {}): Promise<Reader> {
    const reader = this.watch(request)
    await this.clock.drain()
    return reader
  }

  change(...writes: FakeWrite[]): void {
    this.hub.onApplied(this.state.change(...writes))
  }

  advance(ms: number): void {
    for (let passed = 0; passed < ms; passed += 50) {
      this.clock.advance(50)
      this.hub.sweep()
    }
  }
}
