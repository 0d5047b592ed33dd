// Cursors: where a listing goes on, as a token that callers hand back unread. It holds the revision that all pages are of, what
// is left of the range, and a hash of the listing's parameters: with others it would not be the same listing.
import type { KeyRange } from '../api/commands.ts'
import { QuorateError } from '../api/errors.ts'
import { WIRE_LIMITS } from '../api/limits.ts'
import { ByteReader, ByteWriter, DecodeError, fromBase64url } from '../lib/bytes.ts'
import { Hasher64 } from '../lib/hash.ts'

/** What makes a listing that listing. The limit may differ from page to page. */
export interface ListingParameters {
  readonly range: KeyRange
  readonly reverse: boolean
  readonly keysOnly: boolean
  readonly separator: string | undefined
  readonly revision: number | undefined
}

export interface Cursor {
  readonly revision: number
  readonly rest: KeyRange
}

const VERSION = 1

/** One byte more than a key: the successor of the longest one. */
const BOUND_BYTES_MAX = WIRE_LIMITS.keyBytesMax + 1

const refuse = (detail: string): QuorateError => new QuorateError('BAD_PARAMETER', detail)

/** Layout: version, revision, whether the rest has an end, its bounds with their lengths, hash. */
export function encodeCursor({ revision, rest }: Cursor, parameters: ListingParameters): string {
  const writer = new ByteWriter()
    .uint8(VERSION)
    .varint(revision)
    .uint8(rest.to === undefined ? 0 : 1)
  for (const bound of [rest.from, rest.to ?? '']) writer.varint(bound.length).latin1(bound)
  const { hi, lo } = hashOf(parameters)
  return writer.int32(hi).int32(lo).finish().toString('base64url')
}

export function decodeCursor(text: string, parameters: ListingParameters): Cursor {
  const bytes = fromBase64url(text)
  if (bytes === undefined) throw refuse('The cursor is not one that this API gave out.')
  const { cursor, hi, lo } = read(bytes)
  const { rest } = cursor
  const hash = hashOf(parameters)
  if (hash.hi !== hi || hash.lo !== lo)
    throw refuse('The cursor is of a listing with other parameters; repeat those of the first page.')
  const { range } = parameters
  const isInside = rest.from >= range.from && (range.to === undefined || (rest.to !== undefined && rest.to <= range.to))
  if (!isInside || (parameters.revision !== undefined && parameters.revision !== cursor.revision))
    throw refuse('The cursor is not one that this API gave out.')
  return cursor
}

function read(bytes: Buffer): { cursor: Cursor; hi: number; lo: number } {
  try {
    const reader = new ByteReader(bytes)
    const version = reader.uint8()
    const revision = reader.varint()
    const hasEnd = reader.uint8()
    const from = bound(reader)
    const to = bound(reader)
    const hi = reader.int32()
    const lo = reader.int32()
    reader.end()
    if (version !== VERSION || hasEnd > 1 || (hasEnd === 0) !== (to === '')) throw new DecodeError('not canonical')
    return { cursor: { revision, rest: { from, to: hasEnd === 1 ? to : undefined } }, hi, lo }
  } catch (error) {
    if (!(error instanceof DecodeError)) throw error
    throw refuse('The cursor is not one that this API gave out.')
  }
}

function bound(reader: ByteReader): string {
  const length = reader.varint()
  if (length > BOUND_BYTES_MAX) throw new DecodeError('a bound is longer than a key')
  return reader.latin1(length)
}

function hashOf({ range, reverse, keysOnly, separator, revision }: ListingParameters): { hi: number; lo: number } {
  return new Hasher64()
    .latin1(range.from)
    .number(range.to === undefined ? 0 : 1)
    .latin1(range.to ?? '')
    .number((reverse ? 1 : 0) + (keysOnly ? 2 : 0) + (separator === undefined ? 0 : 4))
    .latin1(separator ?? '')
    .number(revision ?? -1)
    .finish()
}
