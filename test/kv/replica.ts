// A replica for tests: a state machine over a MapState, fed with encoded entries exactly as the applier of a node does it.
import { decodeEntry } from '../../src/api/command-codec.ts'
import { NO_CONDITION } from '../../src/api/commands.ts'
import type { Command, CommandResult, DeleteCommand, PutCommand } from '../../src/api/commands.ts'
import { initialMeta, KvStateMachine, reads } from '../../src/kv/index.ts'
import type { Applied, Change, KvMeta } from '../../src/kv/index.ts'
import { encodeBatch } from '../api/command-codec-samples.ts'
import { MapState } from './map-state.ts'

export class Replica {
  readonly state: MapState
  readonly machine: KvStateMachine
  readonly changes: Change[] = []

  constructor(state: MapState = new MapState(), meta: KvMeta = initialMeta()) {
    this.state = state
    this.machine = new KvStateMachine(meta)
  }

  get meta(): KvMeta {
    return this.machine.meta
  }

  /** Applies one entry with one group. */
  entry(commands: readonly Command[], clusterTimeMs = 0): readonly CommandResult[] {
    const groups = commands.length === 0 ? [] : [{ tag: TAG, commands }]
    return this.apply(encodeBatch({ clusterTimeMs, groups })).results[0] ?? []
  }

  apply(data: Uint8Array): Applied {
    const batch = decodeEntry(data)
    this.state.fetch(reads(batch, this.state))
    const applied = this.machine.apply(batch, { term: 1, index: this.meta.index + 1 }, this.state)
    this.changes.push(...applied.changes)
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
