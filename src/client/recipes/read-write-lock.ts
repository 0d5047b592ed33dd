// A lock for many readers or one writer, in the order in which they came: a writer that waits is not overtaken. Its keys are below `<name>/`.
import type { ClientCore } from '../core.ts'
import { standInLine } from './line.ts'
import type { Hold, LineOptions } from './line.ts'

export class ReadWriteLock {
  readonly name: string
  readonly #core: ClientCore

  constructor(core: ClientCore, name: string) {
    this.#core = core
    this.name = name
  }

  /** Together with other readers. */
  read(options: LineOptions = {}): Promise<Hold> {
    const writers = `${this.name}/write/`
    const isTurn = (before: readonly string[]): boolean => !before.some((key) => key.startsWith(writers))
    return standInLine(this.#core, { prefix: `${this.name}/`, kind: 'read', isTurn }, options)
  }

  /** Alone. */
  write(options: LineOptions = {}): Promise<Hold> {
    return standInLine(
      this.#core,
      { prefix: `${this.name}/`, kind: 'write', isTurn: (before) => before.length === 0 },
      options,
    )
  }
}
