// Events as text, in the two formats of a stream. What several watchers are sent is encoded once: texts are remembered for as
// long as the node holds the event, or the array of a revision's events, that they belong to.
import { keyToBytes } from '../lib/bytes.ts'
import type { KeyEntry } from '../api/commands.ts'
import type { WatchEvent } from '../node/facade.ts'
import { EVENT_STREAM, NDJSON } from './accept.ts'
import { entryDocument, entryText, namedBytes } from './entry-json.ts'

export type StreamType = typeof EVENT_STREAM | typeof NDJSON

type Kind = 'put' | 'delete' | 'sync' | 'progress' | 'compacted' | 'lagging' | 'leader' | 'problem'

/** How one format spells events. Without an `id`, a consumer that reconnects must not go on behind this event. */
export class EventText {
  readonly type: StreamType
  readonly #ofEvent = new WeakMap<WatchEvent, Buffer>()
  readonly #ofLastEvent = new WeakMap<WatchEvent, Buffer>()
  readonly #ofRevision = new WeakMap<readonly WatchEvent[], Buffer>()

  constructor(type: StreamType) {
    this.type = type
  }

  /** `data` is a JSON object that is not empty. */
  event(kind: Kind, data: string, id?: number): string {
    if (this.type === NDJSON) {
      const mark = id === undefined ? '' : `"id":${id},`
      return `{"event":"${kind}",${mark}${data.slice(1)}\n`
    }
    const mark = id === undefined ? '' : `id: ${id}\n`
    return `event: ${kind}\n${mark}data: ${data}\n\n`
  }

  /** With the revision as its id. */
  mark(kind: 'sync' | 'progress', revision: number): string {
    return this.event(kind, `{"revision":${revision}}`, revision)
  }

  /** An entry that was there before the events. */
  initial(entry: KeyEntry): string {
    return this.event('put', putData(entry, undefined))
  }

  /** All events of one revision: the last one says that it is whole. */
  revision(revision: number, events: readonly WatchEvent[]): Buffer {
    if (events.length === 1) return this.#single(events[0]!, revision)
    let text = this.#ofRevision.get(events)
    if (text === undefined) {
      const last = events.length - 1
      text = Buffer.concat(events.map((event, at) => this.#single(event, at === last ? revision : undefined)))
      this.#ofRevision.set(events, text)
    }
    return text
  }

  #single(event: WatchEvent, id: number | undefined): Buffer {
    const texts = id === undefined ? this.#ofEvent : this.#ofLastEvent
    let text = texts.get(event)
    if (text === undefined) {
      text = Buffer.from(this.event(event.kind, dataOf(event), id))
      texts.set(event, text)
    }
    return text
  }
}

const dataOf = ({ kind, entry, previous }: WatchEvent): string =>
  kind === 'put' ? putData(entry, previous) : deleteData(entry, previous)

const putData = (entry: KeyEntry, previous: KeyEntry | undefined): string => {
  const prev = previous === undefined ? '' : `,"prev":${entryText(previous)}`
  return `{"revision":${entry.modRevision},${entryText(entry).slice(1, -1)}${prev}}`
}

/** What is gone has no value, and no counters but the revision of its end. */
const deleteData = (entry: KeyEntry, previous: KeyEntry | undefined): string =>
  JSON.stringify({
    revision: entry.modRevision,
    ...namedBytes('key', keyToBytes(entry.key)),
    modRevision: entry.modRevision,
    version: entry.version,
    ...(previous === undefined ? {} : { prev: entryDocument(previous) }),
  })

/** One of each for a server, so that all its watchers share texts. */
export const eventTexts = (): Readonly<Record<StreamType, EventText>> => ({
  [EVENT_STREAM]: new EventText(EVENT_STREAM),
  [NDJSON]: new EventText(NDJSON),
})
