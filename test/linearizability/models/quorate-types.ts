// What clients ask of one key of Quorate and what they are answered, as the Quorate model reads it. And how to make that from
// the commands and answers of a node.
import type { CommandResult, Condition, KeyEntry, KeyWrite } from '../../../src/api/commands.ts'
import { Hasher64, hashToHex } from '../../../src/lib/hash.ts'
import type { ReadAnswer } from '../../../src/node/facade.ts'

export type QuorateInput =
  | { readonly op: 'get'; readonly key: string }
  | {
      readonly op: 'put'
      readonly key: string
      /** Any text that stands for the value; equal for equal values only. Null: a value that nobody saw (set by `prepare`). */
      readonly value: string | null
      readonly contentType: string
      readonly condition: Condition
      /** The revision that it must have made, as reads of its value show (set by `prepare`). */
      readonly landedAt?: number
    }
  | { readonly op: 'delete'; readonly key: string; readonly condition: Condition }

export type QuoratePut = Extract<QuorateInput, { op: 'put' }>
export type QuorateWrite = Exclude<QuorateInput, { op: 'get' }>

export interface QuorateEntry {
  readonly value: string
  readonly contentType: string
  readonly createRevision: number
  readonly modRevision: number
  readonly version: number
}

/**
 * `revision` is that of the store where the answer was made (`Quorate-Revision`); of a write that changed something, the
 * revision it made. Undefined when the client did not learn it.
 */
export type QuorateOutput =
  | { readonly kind: 'got'; readonly entry: QuorateEntry | undefined; readonly revision: number | undefined }
  | {
      readonly kind: 'put'
      readonly revision: number
      readonly isCreated: boolean
      /** The entry before; null when there was none; undefined when it was not asked for. */
      readonly previous?: QuorateEntry | null
    }
  | {
      readonly kind: 'deleted'
      readonly count: number
      readonly revision: number
      readonly previous?: QuorateEntry | null
    }
  | {
      readonly kind: 'precondition-failed'
      /** 0 when the key was absent. */
      readonly currentRevision: number
      readonly revision: number | undefined
    }

export function inputOfCommand(command: KeyWrite): QuorateInput {
  const { key, condition } = command
  if (command.op === 'delete') return { op: 'delete', key, condition }
  return { op: 'put', key, value: valueText(command.value), contentType: command.contentType, condition }
}

export function outputOfResult(result: CommandResult, wantsPrevious: boolean): QuorateOutput {
  if (result.kind === 'put') {
    const { revision, isCreated } = result
    return { kind: 'put', revision, isCreated, ...previousOf(result.previous, wantsPrevious) }
  }
  if (result.kind === 'deleted') {
    const { revision, count } = result
    return { kind: 'deleted', revision, count, ...previousOf(result.previous, wantsPrevious) }
  }
  if (result.kind === 'precondition-failed') return result
  throw new RangeError(`${result.kind} answers no operation of the key-value model`)
}

const previousOf = (previous: KeyEntry | undefined, isWanted: boolean): { previous?: QuorateEntry | null } =>
  isWanted ? { previous: previous === undefined ? null : entryOf(previous) } : {}

/** Of a linearizable read: a stale one promises less, and has no place in a history. */
export const outputOfRead = ({ entry, revision }: ReadAnswer): QuorateOutput => ({
  kind: 'got',
  entry: entry && entryOf(entry),
  revision,
})

export function entryOf(entry: KeyEntry): QuorateEntry {
  const { contentType, createRevision, modRevision, version } = entry
  return { value: valueText(entry.value), contentType, createRevision, modRevision, version }
}

/** The bytes one code unit each; of long values the length and a hash. */
export function valueText(value: Uint8Array): string {
  if (value.length <= 64) return String.fromCharCode(...value)
  return `${value.length} bytes ${hashToHex(new Hasher64().bytes(value).finish())}`
}

/** The revision that an answered write made, if it changed anything. */
export function revisionMade(output: QuorateOutput | undefined): number | undefined {
  if (output?.kind === 'put') return output.revision
  return output?.kind === 'deleted' && output.count > 0 ? output.revision : undefined
}

/** The entry that an answer shows, with its value. */
export function entryShown(output: QuorateOutput | undefined): QuorateEntry | undefined {
  if (output === undefined || output.kind === 'precondition-failed') return undefined
  return (output.kind === 'got' ? output.entry : output.previous) ?? undefined
}
