// A replica for tests: a state machine over a MapState, fed with encoded entries exactly as the applier of a node does it.
import { decodeEntry } from '../../src/api/command-codec.ts'
import { NO_CONDITION } from '../../src/api/commands.ts'
import type { Command, CommandResult, DeleteCommand, EntryBatch, PutCommand } from '../../src/api/commands.ts'
import { initialMeta, KvStateMachine } from '../../src/kv/index.ts'
import type { Applied, Change, KvMeta, LockChange, ReadSet } from '../../src/kv/index.ts'
import { encodeBatch } from '../api/command-codec-samples.ts'
import { MapState } from './map-state.ts'

export class Replica {
  readonly state: MapState
  machine: KvStateMachine
  readonly changes: Change[] = []
  readonly lockChanges: LockChange[] = []
  /** What the last entry asked for, step by step. */
  reads: ReadSet[] = []
  /** A long command gives others their turn. */
  onPause: () => void = () => {}

  constructor(state: MapState = new MapState(), meta: KvMeta = initialMeta()) {
    this.state = state
    this.machine = new KvStateMachine(meta, state.rowsReversed())
  }

  get meta(): KvMeta {
    return this.machine.meta
  }

  /** As after a restart: all that is kept in memory is read from the rows again. */
  restart(): void {
    this.machine = new KvStateMachine(this.meta, this.state.rowsReversed())
  }

  /** Applies one entry with one group. Without a time it is the same as before. */
  entry(commands: readonly Command[], clusterTimeMs = 0): readonly CommandResult[] {
    const groups = commands.length === 0 ? [] : [{ tag: TAG, commands }]
    return this.apply(encodeBatch({ clusterTimeMs, groups })).results[0] ?? []
  }

  apply(data: Uint8Array): Applied {
    return this.applyBatch(decodeEntry(data))
  }

  applyBatch(batch: EntryBatch): Applied {
    this.reads = []
    const run = this.machine.begin(batch, { term: 1, index: this.meta.index + 1 }, this.state)
    for (let wanted = run.next(); wanted !== undefined; wanted = run.next()) {
      if (wanted === 'pause') this.onPause()
      else {
        this.reads.push(wanted)
        this.state.fetch(wanted)
      }
      run.execute()
    }
    const applied = run.finish()
    this.state.endEntry()
    this.changes.push(...applied.changes)
    this.lockChanges.push(...applied.lockChanges)
    return applied
  }

  /** Applies one command as an entry of its own. */
  do(command: Command): CommandResult {
    return this.entry([command])[0]!
  }
}

const TAG = { member: '00000000000000a1', boot: 1, number: 0 }

export const put = (key: string, value: string, fields: Partial<PutCommand> = {}): PutCommand => ({
  op: 'put',
  key,
  value: Buffer.from(value, 'latin1'),
  contentType: '',
  condition: NO_CONDITION,
  wantsPrevious: false,
  ...fields,
})

export const deletion = (key: string, fields: Partial<DeleteCommand> = {}): DeleteCommand => ({
  op: 'delete',
  key,
  condition: NO_CONDITION,
  wantsPrevious: false,
  ...fields,
})

export const compact = (revision: number): Command => ({ op: 'compact', revision })
export const atRevision = (revision: number): PutCommand['condition'] => ({ kind: 'revision', revision })
