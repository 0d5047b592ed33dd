// A counter in one key: a decimal 64-bit integer, as text that anybody can read.
import { ClientError } from '../client-error.ts'
import { addCommand } from '../commands.ts'
import type { ClientCore } from '../core.ts'
import { keyString } from '../key-path.ts'
import type { Key } from '../key-path.ts'
import type { CallOptions } from '../options.ts'
import { addResult } from '../results.ts'

export class Counter {
  readonly key: Key
  readonly #core: ClientCore

  constructor(core: ClientCore, key: Key) {
    keyString(key)
    this.#core = core
    this.key = key
  }

  /** Adds, and gives the sum: no two callers are given the same one while all add in the same direction. */
  async add(by: bigint | number = 1, options: CallOptions = {}): Promise<bigint> {
    const command = addCommand(this.key, by, {})
    return addResult(await this.#core.write(command, { ...options, name: 'add' })).value
  }

  /** 0 where there is no such key. */
  async value(options: CallOptions = {}): Promise<bigint> {
    const entry = await this.#core.get(this.key, options)
    const text = entry?.text() ?? '0'
    if (/^-?\d{1,19}$/.test(text)) return BigInt(text)
    throw new ClientError('NOT_A_NUMBER', 'the value of this key is no counter', {
      outcome: 'not-applied',
      retryable: false,
    })
  }
}
