// The JSON documents of the HTTP API as schemas: requests are validated with them, answers are described and tested with them.
// The TypeScript types of the answers are in status.ts and errors.ts; a test holds the two together.
import { Type } from 'typebox'
import { ERRORS } from './errors.ts'

const closed = { additionalProperties: false } as const
const count = (description: string) => Type.Integer({ minimum: 0, description })
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) => Type.Union([schema, Type.Null()])
const literals = <const T extends string[]>(...names: T) => Type.Unsafe<T[number]>({ type: 'string', enum: names })

const nodeName = (description: string) => Type.String({ pattern: '^[A-Za-z0-9._-]{1,64}$', description })
const NodeName = nodeName('The name of a node')
const Id = Type.String({ pattern: '^[0-9a-f]{16}$', description: '16 hexadecimal digits' })
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
    lease: Type.Optional(Type.String()),
  },
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
