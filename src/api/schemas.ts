// The JSON documents of the HTTP API as schemas: requests and answers are described and tested with them.
// The TypeScript types of the answers are in status.ts and errors.ts; a test holds the two together.
// `then` is a member of the API's transactions.
/* oxlint-disable unicorn/no-thenable */
import { Type } from 'typebox'
import type { TSchema } from 'typebox'
import { ERRORS } from './errors.ts'
import { WIRE_LIMITS } from './limits.ts'

const closed = { additionalProperties: false } as const
const count = (description: string) => Type.Integer({ minimum: 0, description })
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()])
const literals = <const T extends string[]>(...names: T) => Type.Unsafe<T[number]>({ type: 'string', enum: names })

const INT64 = '^-?[0-9]{1,19}$'

/** A whole number with a unit, or of seconds. */
const DURATION = '^[0-9]{1,15}(ms|s|m|h|d)?$'
const Text = Type.Optional(Type.String())
const Base64url = Type.Optional(Type.String({ pattern: '^[A-Za-z0-9_-]*$' }))

/** Bytes as text, or as base64url under the name with 64 behind it. */
const namedBytes = <const N extends string>(name: N) =>
  ({ [name]: Text, [`${name}64`]: Base64url }) as Record<N | `${N}64`, typeof Text>

const nodeName = (description: string) => Type.String({ pattern: '^[A-Za-z0-9._-]{1,64}$', description })
const NodeName = nodeName('The name of a node')
const Id = Type.String({ pattern: '^[0-9a-f]{16}$', description: '16 hexadecimal digits' })
const LeaseId = Type.String({
  pattern: '^(?!0{16})[0-7][0-9a-f]{15}$',
  description: 'The id of a lease: 16 hexadecimal digits',
})
const Ttl = Type.Union([Type.String({ pattern: DURATION }), Type.Integer({ minimum: 1 })], {
  description: 'A duration such as 500ms, 30s, 5m, 1h or 1d, or whole seconds',
})
const Wait = Type.Union([Type.String({ pattern: DURATION }), Type.Integer({ minimum: 0 })], {
  description: 'How long to wait in the queue; 0, the default, is not at all',
})
const Role = literals('leader', 'follower', 'candidate', 'pre-candidate', 'learner')

export const Entry = Type.Object(
  {
    key: Type.Optional(Type.String({ description: 'Where the bytes of the key are valid UTF-8' })),
    key64: Type.Optional(Type.String({ description: 'Else: base64url without padding' })),
    value: Type.Optional(Type.String({ description: 'Where the bytes of the value are valid UTF-8' })),
    value64: Type.Optional(Type.String({ description: 'Else: base64url without padding' })),
    contentType: Type.Optional(Type.String({ description: 'Absent for application/octet-stream' })),
    createRevision: count('The revision that created the key'),
    modRevision: count('The revision of its latest change'),
    version: count('Changes since it was created, 1 for a created key'),
    lease: Type.Optional(LeaseId),
    ttlMs: Type.Optional(count('Until its lease expires, in reads of the present')),
  },
  closed,
)

/** Without its value where only keys were asked for. */
export const EntryPage = Type.Object(
  {
    revision: count('The revision that the listing is of'),
    count: count('Entries on this page; with countOnly, in the whole range'),
    more: Type.Boolean(),
    cursor: Type.Optional(Type.String({ description: 'Where the listing goes on; opaque' })),
    entries: Type.Optional(Type.Array(Entry)),
    prefixes: Type.Optional(Type.Array(Type.String(), { description: 'What was rolled up, with separator' })),
    prefixes64: Type.Optional(Type.Array(Type.String(), { description: 'Those that are not valid UTF-8' })),
  },
  closed,
)

export const AddAnswer = Type.Object(
  { value: Type.String({ pattern: INT64 }), revision: count('The revision of the store after the addition') },
  closed,
)

export const PutAnswer = Type.Object({ prev: orNull(Entry) }, closed)

export const DeleteAnswer = Type.Object(
  {
    deleted: count('How many keys were deleted'),
    revision: count('The revision of the store after the deletion'),
    prev: Type.Optional(orNull(Entry)),
  },
  closed,
)

export const Problem = Type.Object({
  type: Type.String({ description: 'urn:quorate:problem: and the code in lower case' }),
  title: Type.String(),
  status: Type.Integer(),
  detail: Type.String(),
  code: literals(...(Object.keys(ERRORS) as (keyof typeof ERRORS)[])),
  outcome: literals('not-applied', 'unknown'),
  retryable: Type.Boolean({ description: 'The same request may succeed later, perhaps on another node' }),
  compactRevision: Type.Optional(count('With COMPACTED: the oldest revision that can still be read')),
  currentRevision: Type.Optional(count('With PRECONDITION_FAILED: the modRevision of the key, 0 when absent')),
  retryAfterMs: Type.Optional(count('With 429 and 503: when to try again')),
})

export const StatusAnswer = Type.Object(
  {
    name: NodeName,
    id: Id,
    clusterId: Type.String(),
    role: Role,
    term: count('The current term'),
    leader: orNull(Type.Object({ name: NodeName, url: Type.String() }, closed)),
    commitIndex: count('The highest entry known to be committed'),
    appliedIndex: count('The highest entry that the state machine has executed'),
    revision: count('The revision of the store on this node'),
    logBytes: count('Bytes of the live log on disk'),
    dbBytes: count('Bytes of the state on disk'),
    pid: count('Process id'),
    version: Type.String(),
    uptimeMs: count('Milliseconds since the node started'),
  },
  closed,
)

export const MemberAnswer = Type.Object(
  {
    name: NodeName,
    id: Id,
    url: orNull(Type.String()),
    peer: Type.String({ description: 'host:port between the nodes' }),
    kind: literals('voter', 'learner'),
    role: orNull(Role),
    matchIndex: orNull(count('Its log equals the leader’s up to here')),
    lagEntries: orNull(count('Entries that it has yet to store')),
    reachable: orNull(Type.Boolean()),
    version: orNull(Type.String()),
  },
  closed,
)

export const ClusterAnswer = Type.Object(
  { clusterId: Type.String(), term: count('The current term'), members: Type.Array(MemberAnswer) },
  closed,
)

export const TransferRequest = Type.Object({ to: Type.Optional(nodeName('The name of a voter')) }, closed)

export const HealthAnswer = Type.Object(
  {
    ok: Type.Boolean(),
    checks: Type.Record(Type.String(), Type.String(), { description: 'The checks that fail; with `verbose`, all' }),
  },
  closed,
)

export const VersionAnswer = Type.Object(
  { version: Type.String(), node: Type.String({ description: 'The version of Node.js' }), api: Type.Literal(1) },
  closed,
)

export const RootAnswer = Type.Object(
  { name: Type.String(), version: Type.String(), links: Type.Record(Type.String(), Type.String()) },
  closed,
)

// --------------------------------------------------------------------------------------------------------- transactions

const keyOrRange = {
  ...namedBytes('key'),
  ...namedBytes('prefix'),
  ...namedBytes('from'),
  ...namedBytes('to'),
}

const compared = <T extends TSchema>(operand: T) =>
  Type.Optional(
    Type.Union([
      operand,
      Type.Object(
        {
          '=': Type.Optional(operand),
          '!=': Type.Optional(operand),
          '<': Type.Optional(operand),
          '>': Type.Optional(operand),
        },
        { ...closed, minProperties: 1, maxProperties: 1 },
      ),
    ]),
  )

const Compare = Type.Object(
  {
    ...keyOrRange,
    version: compared(count('0 for a missing key')),
    createRevision: compared(count('0 for a missing key')),
    modRevision: compared(count('0 for a missing key')),
    value: compared(Type.String()),
    value64: compared(Type.String()),
    lease: compared(Type.String({ description: 'Empty for none' })),
  },
  { ...closed, description: 'A key or a range, and exactly one of its properties. A bare operand means =' },
)

const operations = {
  put: Type.Optional(
    Type.Object(
      {
        ...namedBytes('key'),
        ...namedBytes('value'),
        contentType: Text,
        ttl: Type.Optional(Ttl),
        lease: Type.Optional(LeaseId),
        prev: Type.Optional(Type.Boolean()),
      },
      closed,
    ),
  ),
  add: Type.Optional(
    Type.Object({ ...namedBytes('key'), by: Type.Union([Type.Integer(), Type.String({ pattern: INT64 })]) }, closed),
  ),
  delete: Type.Optional(Type.Object({ ...keyOrRange, prev: Type.Optional(Type.Boolean()) }, closed)),
  get: Type.Optional(
    Type.Object(
      {
        ...keyOrRange,
        limit: Type.Optional(Type.Integer({ minimum: 1, maximum: WIRE_LIMITS.pageEntriesMax })),
        reverse: Type.Optional(Type.Boolean()),
        keysOnly: Type.Optional(Type.Boolean()),
        countOnly: Type.Optional(Type.Boolean()),
      },
      closed,
    ),
  ),
  txn: Type.Optional(Type.Unsafe<object>({ $ref: '#/components/schemas/TxnRequest' })),
}

const Operations = Type.Optional(
  Type.Array(Type.Object(operations, { ...closed, minProperties: 1, maxProperties: 1 }), {
    maxItems: WIRE_LIMITS.txnOperationsMax,
  }),
)

export const TxnRequest = Type.Object(
  { if: Type.Optional(Type.Array(Compare)), then: Operations, else: Operations },
  closed,
)

const results = {
  put: Type.Optional(Type.Object({ created: Type.Boolean(), prev: Type.Optional(orNull(Entry)) }, closed)),
  delete: Type.Optional(Type.Object({ deleted: count('Keys'), prev: Type.Optional(orNull(Entry)) }, closed)),
  add: Type.Optional(Type.Object({ value: Type.String({ pattern: INT64 }) }, closed)),
  get: Type.Optional(
    Type.Object({ count: count('Entries'), more: Type.Boolean(), entries: Type.Optional(Type.Array(Entry)) }, closed),
  ),
  txn: Type.Optional(Type.Unsafe<object>({ $ref: '#/components/schemas/NestedTxnAnswer' })),
}

const Results = Type.Array(Type.Object(results, { ...closed, minProperties: 1, maxProperties: 1 }), {
  description: 'One for each operation of the branch taken',
})

export const NestedTxnAnswer = Type.Object({ succeeded: Type.Boolean(), results: Results }, closed)

export const TxnAnswer = Type.Object(
  {
    succeeded: Type.Boolean({ description: 'Whether all comparisons held' }),
    revision: count('The revision of the store after the transaction'),
    results: Results,
  },
  closed,
)

// ------------------------------------------------------------------------------------------- leases, locks and elections

export const LeaseRequest = Type.Object({ ttl: Ttl, id: Type.Optional(LeaseId) }, closed)

export const LeaseAnswer = Type.Object({ id: LeaseId, ttlMs: count('Granted, in milliseconds') }, closed)

export const KeepAliveAnswer = Type.Object({ ttlMs: count('Until it expires, in milliseconds') }, closed)

const lease = {
  id: LeaseId,
  ttlMs: count('Granted, in milliseconds'),
  remainingMs: count('Until it expires, as far as this node knows'),
  keyCount: count('Keys that die with it'),
}

export const LeaseInfoAnswer = Type.Object(
  {
    ...lease,
    keys: Type.Array(Type.String()),
    keys64: Type.Optional(Type.Array(Type.String(), { description: 'Those that are not valid UTF-8' })),
  },
  closed,
)

export const LeasesAnswer = Type.Object(
  {
    leases: Type.Array(Type.Object(lease, closed), { description: 'By id' }),
    more: Type.Boolean({ description: 'There are others behind these' }),
    cursor: Type.Optional(Type.String({ description: 'For the next page, when there is more' })),
  },
  closed,
)

export const RevokeAnswer = Type.Object(
  { deleted: count('Keys that went with the lease'), revision: count('The revision of the store after it') },
  closed,
)

const Owner = Type.String({ maxLength: WIRE_LIMITS.ownerBytesMax, description: 'Who asks, in words for people' })
const Token = Type.Integer({ minimum: 1, description: 'A fencing token: it only grows' })

export const LockRequest = Type.Object({ ttl: Ttl, wait: Type.Optional(Wait), owner: Type.Optional(Owner) }, closed)

export const LockAnswer = Type.Object({ token: Token, lease: LeaseId }, closed)

const Place = Type.Object({ token: Token, lease: LeaseId, owner: Owner }, closed)

export const LockInfoAnswer = Type.Object(
  { ...namedBytes('name'), holder: orNull(Place), queue: Type.Array(Place) },
  closed,
)

export const UnlockAnswer = Type.Object(
  {
    wasHeld: Type.Boolean({ description: 'Whether it was the holder’s, not that of one who waited' }),
    revision: count('The revision of the store after it'),
  },
  closed,
)

/** To campaign; with the parameter token, a value alone: to proclaim it. */
export const ElectionRequest = Type.Object(
  { ttl: Type.Optional(Ttl), ...namedBytes('value'), wait: Type.Optional(Wait), owner: Type.Optional(Owner) },
  closed,
)

export const ElectionAnswer = Type.Union([
  LockAnswer,
  Type.Object({ revision: count('Of the store after the proclamation') }, closed),
])

export const ElectionInfoAnswer = Type.Object(
  {
    ...namedBytes('name'),
    leader: orNull(Type.Object({ token: Token, lease: LeaseId, owner: Owner, ...namedBytes('value') }, closed)),
    candidates: count('Who campaigns, the leader included'),
  },
  closed,
)

// ---------------------------------------------------------------------------------------------------------- maintenance

export const CompactRequest = Type.Object({ revision: Type.Integer({ minimum: 1 }) }, closed)

export const CompactAnswer = Type.Object(
  { compactRevision: count('The oldest revision that can still be read') },
  closed,
)

export const DigestAnswer = Type.Object(
  {
    digest: Type.String({ description: 'Of the state at the applied index: equal on all nodes' }),
    appliedIndex: count('The entry after which it was taken'),
    revision: count('The revision of that state'),
    version: count('Of the digest: only equal ones are to be compared'),
  },
  closed,
)
