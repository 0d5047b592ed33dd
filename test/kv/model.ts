// A second state machine, written to be obvious and slow: it keeps the whole map as it was at every revision, and no pointers.
// The production one must answer exactly the same.
import type { ClientCommand, Command, CommandResult, KeyEntry } from '../../src/api/commands.ts'

type Entries = ReadonlyMap<string, KeyEntry>

export class Model {
  /** By revision. */
  readonly #past: Entries[] = [new Map(), new Map()]
  compactRevision = 0

  get revision(): number {
    return this.#past.length - 1
  }

  get live(): Entries {
    return this.at(this.revision)
  }

  at(revision: number): Entries {
    return this.#past[revision]!
  }

  execute(command: Command): CommandResult {
    if (command.op === 'compact') return this.#compact(command.revision)
    const current = this.live.get(command.key)
    const currentRevision = current?.modRevision ?? 0
    if (!isMet(command, currentRevision))
      return { kind: 'precondition-failed', revision: this.revision, currentRevision }
    const previous = command.wantsPrevious ? current : undefined
    const next = new Map(this.live)
    if (command.op === 'delete') {
      if (next.delete(command.key)) this.#past.push(next)
      return { kind: 'deleted', revision: this.revision, count: current ? 1 : 0, previous }
    }
    const modRevision = this.revision + 1
    next.set(command.key, {
      key: command.key,
      value: command.value,
      contentType: command.contentType,
      createRevision: current?.createRevision ?? modRevision,
      modRevision,
      version: (current?.version ?? 0) + 1,
      lease: '',
    })
    this.#past.push(next)
    return { kind: 'put', revision: modRevision, isCreated: current === undefined, previous }
  }

  #compact(revision: number): CommandResult {
    if (revision <= this.revision) this.compactRevision = Math.max(this.compactRevision, revision)
    return { kind: 'compacted', revision: this.compactRevision }
  }
}

function isMet({ condition }: ClientCommand, currentRevision: number): boolean {
  if (condition.kind === 'revision') return condition.revision === currentRevision
  if (condition.kind === 'exists') return currentRevision > 0
  return condition.kind === 'none'
}
