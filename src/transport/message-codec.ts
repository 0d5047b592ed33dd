// Raft messages as frames and back. Shapes are checked here, sense in the core's `step`.
// A header names sender, addressee and term first; entries' data follow the header as raw bytes, one after another.
import { unreachable } from '../lib/assert.ts'
import { DecodeError } from '../lib/bytes.ts'
import type { AppendEntries, AppendEntriesResponse, InstallSnapshot, Message } from '../raft/messages.ts'
import type { Entry, EntryId, EntryKind } from '../raft/types.ts'
import { encodeFrame, FRAME } from './frame.ts'
import type { Frame, OutgoingFrame } from './frame.ts'
import { HeaderReader, packHeader } from './header.ts'

/** What may travel: a snapshot's meta never does, its receiver makes that message itself. */
export type WireMessage = Exclude<Message, InstallSnapshot>

/** Their positions are the numbers on the wire. */
const ENTRY_KINDS: readonly EntryKind[] = ['normal', 'no-op', 'configuration']
const FIELDS_PER_ENTRY = 3
const BOOT_MAX = 2 ** 48 - 1

export function encodeMessage(message: WireMessage): OutgoingFrame {
  const { from, to, term } = message
  switch (message.type) {
    case 'append-entries':
      return encodeAppend(message)
    case 'append-entries-response':
      return encodeAppendResponse(message)
    case 'heartbeat':
      return encodeFrame(
        FRAME.heartbeat,
        packHeader([from, to, term, message.commitIndex, message.readRound, message.lastIndex]),
      )
    case 'heartbeat-response':
      return encodeFrame(FRAME.heartbeatResponse, packHeader([from, to, term, message.readRound, message.isSpaceLow]))
    case 'request-pre-vote':
      return encodeFrame(FRAME.requestPreVote, packHeader([from, to, term, message.last.term, message.last.index]))
    case 'request-pre-vote-response':
      return encodeFrame(FRAME.requestPreVoteResponse, packHeader([from, to, term, message.isGranted]))
    case 'request-vote':
      return encodeFrame(
        FRAME.requestVote,
        packHeader([from, to, term, message.last.term, message.last.index, message.isTransfer]),
      )
    case 'request-vote-response':
      return encodeFrame(FRAME.requestVoteResponse, packHeader([from, to, term, message.isGranted]))
    case 'request-snapshot':
      return encodeFrame(FRAME.requestSnapshot, packHeader([from, to, term]))
    case 'timeout-now':
      return encodeFrame(FRAME.timeoutNow, packHeader([from, to, term]))
    case 'read-index':
      return encodeFrame(FRAME.readIndex, packHeader([from, to, term, message.id, message.boot]))
    case 'read-index-response':
      return encodeFrame(FRAME.readIndexResponse, packHeader([from, to, term, message.id, message.boot, message.index]))
    default:
      return unreachable(message)
  }
}

function encodeAppend(message: AppendEntries): OutgoingFrame {
  const { from, to, term, prev, commitIndex, readRound, lastIndex } = message
  const table: number[] = []
  const body: Uint8Array[] = []
  for (const entry of message.entries) {
    table.push(entry.term, ENTRY_KINDS.indexOf(entry.kind), entry.data.length)
    if (entry.data.length > 0) body.push(entry.data)
  }
  const header = packHeader([from, to, term, prev.term, prev.index, commitIndex, readRound, lastIndex, table])
  return encodeFrame(FRAME.appendEntries, header, body)
}

function encodeAppendResponse(message: AppendEntriesResponse): OutgoingFrame {
  const { from, to, term, readRound, isSpaceLow, result } = message
  const shared = [from, to, term, readRound, isSpaceLow]
  return encodeFrame(
    FRAME.appendEntriesResponse,
    result.kind === 'accepted'
      ? packHeader([...shared, true, result.matchIndex])
      : packHeader([...shared, false, result.index, result.hint.term, result.hint.index]),
  )
}

type Decoder = (header: HeaderReader, envelope: Envelope, body: Uint8Array) => WireMessage
type Envelope = Pick<Message, 'from' | 'to' | 'term'>

/**
 * By frame type. A type that is not here is no Raft message. What passes with each entry is written out, because a spread is slow
 * (decisions/callbacks-on-the-hot-path.md).
 */
const DECODERS = new Map<number, readonly [WireMessage['type'], Decoder]>([
  [FRAME.appendEntries, ['append-entries', decodeAppend]],
  [FRAME.appendEntriesResponse, ['append-entries-response', decodeAppendResponse]],
  [
    FRAME.heartbeat,
    [
      'heartbeat',
      (header, { from, to, term }) => ({
        type: 'heartbeat',
        from,
        to,
        term,
        commitIndex: header.integer('commitIndex'),
        readRound: header.integer('readRound'),
        lastIndex: header.integer('lastIndex'),
      }),
    ],
  ],
  [
    FRAME.heartbeatResponse,
    [
      'heartbeat-response',
      (header, { from, to, term }) => ({
        type: 'heartbeat-response',
        from,
        to,
        term,
        readRound: header.integer('readRound'),
        isSpaceLow: header.boolean('isSpaceLow'),
      }),
    ],
  ],
  [
    FRAME.requestPreVote,
    [
      'request-pre-vote',
      (header, envelope) => ({ type: 'request-pre-vote', ...envelope, last: header.entryId('last') }),
    ],
  ],
  [
    FRAME.requestPreVoteResponse,
    [
      'request-pre-vote-response',
      (header, envelope) => ({
        type: 'request-pre-vote-response',
        ...envelope,
        isGranted: header.boolean('isGranted'),
      }),
    ],
  ],
  [
    FRAME.requestVote,
    [
      'request-vote',
      (header, envelope) => ({
        type: 'request-vote',
        ...envelope,
        last: header.entryId('last'),
        isTransfer: header.boolean('isTransfer'),
      }),
    ],
  ],
  [
    FRAME.requestVoteResponse,
    [
      'request-vote-response',
      (header, envelope) => ({ type: 'request-vote-response', ...envelope, isGranted: header.boolean('isGranted') }),
    ],
  ],
  [FRAME.requestSnapshot, ['request-snapshot', (_header, envelope) => ({ type: 'request-snapshot', ...envelope })]],
  [FRAME.timeoutNow, ['timeout-now', (_header, envelope) => ({ type: 'timeout-now', ...envelope })]],
  [
    FRAME.readIndex,
    [
      'read-index',
      (header, envelope) => ({
        type: 'read-index',
        ...envelope,
        id: header.integer('id'),
        boot: header.integer('boot', BOOT_MAX),
      }),
    ],
  ],
  [
    FRAME.readIndexResponse,
    [
      'read-index-response',
      (header, envelope) => ({
        type: 'read-index-response',
        ...envelope,
        id: header.integer('id'),
        boot: header.integer('boot', BOOT_MAX),
        index: header.integer('index'),
      }),
    ],
  ],
])

/** The message of a frame. Throws DecodeError unless type, every field and every length are as they should be. */
export function decodeMessage(frame: Frame): WireMessage {
  const known = DECODERS.get(frame.type)
  if (known === undefined) throw new DecodeError(`a frame of type 0x${frame.type.toString(16)} is no Raft message`)
  const [type, decode] = known
  const header = new HeaderReader(frame.header, type)
  const envelope = { from: header.nodeId('from'), to: header.nodeId('to'), term: header.integer('term') }
  const message = decode(header, envelope, frame.body)
  header.end()
  if (message.type !== 'append-entries' && frame.body.length > 0)
    throw new DecodeError(`${type}: ${frame.body.length} bytes after the header where none belong`)
  return message
}

function decodeAppend(header: HeaderReader, { from, to, term }: Envelope, body: Uint8Array): AppendEntries {
  const prev = header.entryId('prev')
  const commitIndex = header.integer('commitIndex')
  const readRound = header.integer('readRound')
  const lastIndex = header.integer('lastIndex')
  const entries = decodeEntries(prev, header.integers('entries'), body)
  return { type: 'append-entries', from, to, term, prev, entries, commitIndex, readRound, lastIndex }
}

function decodeEntries(prev: EntryId, table: readonly number[], body: Uint8Array): Entry[] {
  if (table.length % FIELDS_PER_ENTRY !== 0)
    throw new DecodeError(`append-entries: ${table.length} numbers do not describe whole entries`)
  const count = table.length / FIELDS_PER_ENTRY
  if (prev.index + count > Number.MAX_SAFE_INTEGER) throw new DecodeError('append-entries: an index is above 2^53 - 1')
  const entries: Entry[] = []
  let start = 0
  for (let at = 0; at < count; at++) {
    const kind = ENTRY_KINDS[table[at * FIELDS_PER_ENTRY + 1]!]
    if (kind === undefined) throw new DecodeError('append-entries: an entry is of an unknown kind')
    const length = table[at * FIELDS_PER_ENTRY + 2]!
    if (length > body.length - start) throw new DecodeError('append-entries: the entries are cut short')
    entries.push({
      term: table[at * FIELDS_PER_ENTRY]!,
      index: prev.index + 1 + at,
      kind,
      data: body.subarray(start, start + length),
    })
    start += length
  }
  if (start !== body.length) throw new DecodeError(`append-entries: ${body.length - start} bytes after the entries`)
  return entries
}

function decodeAppendResponse(header: HeaderReader, { from, to, term }: Envelope): AppendEntriesResponse {
  const readRound = header.integer('readRound')
  const isSpaceLow = header.boolean('isSpaceLow')
  const result: AppendEntriesResponse['result'] = header.boolean('isAccepted')
    ? { kind: 'accepted', matchIndex: header.integer('matchIndex') }
    : { kind: 'rejected', index: header.integer('index'), hint: header.entryId('hint') }
  return { type: 'append-entries-response', from, to, term, readRound, isSpaceLow, result }
}
