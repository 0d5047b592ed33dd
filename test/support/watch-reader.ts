// A watcher for tests: writes down what it hears, and can be too busy to take more.
import type { QuorateError } from '../../src/api/errors.ts'
import type { WatchEvent, WatchHandle, WatchSink } from '../../src/node/facade.ts'

/** A reader that notes what it hears, and can be busy. */
export class Reader implements WatchSink {
  readonly heard: string[] = []
  readonly arrays: (readonly WatchEvent[])[] = []
  isBusy = false
  handle!: WatchHandle

  onInitial(items: readonly { key: string }[]): boolean {
    return this.#note(`initial ${items.map(({ key }) => key).join(',')}`)
  }

  onSync(revision: number): boolean {
    return this.#note(`sync ${revision}`)
  }

  onEvents(revision: number, events: readonly WatchEvent[]): boolean {
    this.arrays.push(events)
    return this.#note(`${revision}: ${events.map(described).join(' ')}`)
  }

  onProgress(revision: number): boolean {
    return this.#note(`progress ${revision}`)
  }

  onCompacted(compactRevision: number): void {
    this.#note(`compacted ${compactRevision}`)
  }

  onLagging(revision: number): void {
    this.#note(`lagging ${revision}`)
  }

  onFailure(error: QuorateError): void {
    this.#note(`failed ${error.code}`)
  }

  resume(): void {
    this.isBusy = false
    this.handle.resume()
  }

  #note(what: string): boolean {
    this.heard.push(what)
    return !this.isBusy
  }
}

function described({ kind, entry, previous }: WatchEvent): string {
  const value = kind === 'put' ? `=${Buffer.from(entry.value).toString()}` : ' gone'
  return `${entry.key}${value}${previous === undefined ? '' : ` (was ${Buffer.from(previous.value).toString()})`}`
}
