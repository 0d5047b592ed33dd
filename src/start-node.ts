// The composition root: turns a configuration into a running node. The only place that knows every adapter.
import { randomBytes } from 'node:crypto'
import type { Server } from 'node:net'
import { join } from 'node:path'
import type { Logger as PinoLogger } from 'pino'
import { clusterId, isLoopback, memberId, type NodeConfig } from './config/index.ts'
import { buildApp } from './http/app.ts'
import { assert, present } from './lib/assert.ts'
import { Prng } from './lib/prng.ts'
import { recordShare, rowShare } from './kv/digest.ts'
import { initialMeta } from './kv/index.ts'
import { LIMITS } from './node/limits.ts'
import type { Clock, ClusterConfiguration, MemberInfo } from './node/ports.ts'
import { type NodeOptions, QuorateNode } from './node/quorate-node.ts'
import { openAmnesiaNote } from './storage/amnesia-note.ts'
import { type DataDirectory, openDataDirectory } from './storage/data-directory.ts'
import { nodeFileSystem } from './storage/node-file-system.ts'
import { openStateStorage, prepareLevelDb } from './storage/state-db/index.ts'
import { openRaftLog } from './storage/wal/index.ts'
import { TcpTransport } from './transport/tcp-transport.ts'
import { VERSION } from './version.ts'

export interface ListeningAddress {
  readonly host: string
  readonly port: number
}

export interface RunningNode {
  readonly httpAddress: ListeningAddress
  readonly peerAddress: ListeningAddress
  /** Resolves with the reason when the node had to stop itself. */
  readonly failed: Promise<Error>
  /** Hands leadership over, answers what is in flight, makes everything durable, and closes. */
  close(): Promise<void>
}

/** Monotonic time and timers of this process. */
export const systemClock: Clock = {
  now: () => performance.now(),
  after: (delayMs, callback) => {
    const timer = setTimeout(callback, Math.max(0, delayMs))
    return { cancel: () => clearTimeout(timer) }
  },
  soon: (callback) => {
    setImmediate(callback)
  },
}

/** What to close, in the order of opening, if the start fails half way. All of it may be closed twice. */
type Closers = (() => Promise<void>)[]

/** Starts one node. Rejects with a message for people when the data directory, a port or the disk refuses. */
export async function startNode(config: NodeConfig, logger: PinoLogger): Promise<RunningNode> {
  const closers: Closers = []
  const closeAll = async (): Promise<void> => {
    for (const close of closers.reverse()) await close()
  }
  try {
    return await start(config, logger, closers)
  } catch (error) {
    await closeAll().catch((second: unknown) =>
      logger.warn({ error: String(second) }, 'closing after a failed start failed too'),
    )
    throw error
  }
}

async function start(config: NodeConfig, logger: PinoLogger, closers: Closers): Promise<RunningNode> {
  const directory = await openDirectory(config, logger)
  closers.push(() => directory.close())
  const { clusterId: cluster, nodeId, members } = directory.identity
  const self = present(
    members.find((member) => member.id === nodeId),
    'this node among the members',
  )
  const { states, log, amnesia } = await openStorage(config, directory, logger, closers)
  const boot = randomBytes(6).readUIntBE(0, 6)
  const url = config.advertise ?? ''
  const transport = new TcpTransport({
    clusterId: cluster,
    self: { id: self.id, name: self.name, boot, incarnation: directory.incarnations.own, url, version: VERSION },
    listen: config.peerListen,
    members,
    secret: config.peerSecret,
    logger,
    clock: systemClock,
    random: randomBytes,
  })
  const prng = new Prng(randomBytes(16).toString('hex'))
  const { incarnations: registry, diskSpace } = directory
  const ports = { clock: systemClock, prng, log, states, transport, registry, amnesia, diskSpace, logger }
  const node = await QuorateNode.open(nodeOptions(config, { clusterId: cluster, self, members, boot, url }), ports)
  closers.push(() => node.close())

  const app = buildApp({
    node,
    log: logger,
    versions: { release: VERSION, node: process.version },
    isLoopback: isLoopback(config.listen.host),
    allowedHosts: url === '' ? [] : [new URL(url).hostname],
  })
  closers.push(() => app.server.close())
  await node.start()
  await app.server.listen(config.listen)
  return {
    httpAddress: addressOf(app.server.server.address()),
    peerAddress: transport.address,
    failed: node.failed,
    close: once(async () => {
      app.drain()
      try {
        await node.close()
      } finally {
        await app.server.close()
        await directory.close()
      }
    }),
  }
}

/** Later calls join the first. */
function once(close: () => Promise<void>): () => Promise<void> {
  let closing: Promise<void> | undefined
  return () => (closing ??= close())
}

/** The state first: what the log keeps in memory depends on how far the state is. */
async function openStorage(config: NodeConfig, directory: DataDirectory, logger: PinoLogger, closers: Closers) {
  const { groupPath } = directory
  const { members } = directory.identity
  const states = await openStateStorage({
    directory: groupPath,
    initial: { configuration: foundingConfiguration(members), meta: initialMeta() },
    recordDigest: recordShare,
    rowDigest: rowShare,
    logger,
    clock: systemClock,
    cacheBytesMax: config.cacheBytes,
    leveldb: await prepareLevelDb(groupPath, logger),
  })
  closers.push(() => states.current.close())
  const log = await openRaftLog({
    fileSystem: nodeFileSystem,
    directory: join(groupPath, 'log'),
    votePath: join(groupPath, 'vote'),
    keepFrom: states.current.meta.index + 1,
    memoryBytesMax: Math.min(LIMITS.memoryLogBytesMax, config.logRetainBytes),
    segmentBytes: config.logSegmentBytes,
    random: randomBytes,
    logger,
  })
  closers.push(() => log.close())
  const amnesia = await openAmnesiaNote(nodeFileSystem, join(groupPath, 'amnesia'))
  return { states, log, amnesia }
}

type Identity = Pick<NodeOptions, 'clusterId' | 'self' | 'members' | 'boot' | 'url'>

function nodeOptions(config: NodeConfig, identity: Identity): NodeOptions {
  return {
    ...identity,
    version: VERSION,
    pid: process.pid,
    heartbeatMs: config.heartbeatMs,
    electionTimeoutMs: config.electionTimeoutMs,
    logRetention: { retainBytes: config.logRetainBytes, retainEntries: config.logRetainEntries },
    historyRetention: { ageMs: config.historyAgeMs, revisions: config.historyRevisions, bytes: config.historyBytes },
    spaceReserveBytes: config.spaceReserveBytes,
  }
}

/** The directory, made or checked. Members it knows by name may have moved to other addresses since the first start. */
async function openDirectory(config: NodeConfig, logger: PinoLogger): Promise<DataDirectory> {
  const { clusterToken, initialCluster, name } = config
  const cluster = clusterId(clusterToken, initialCluster)
  const directory = await openDataDirectory({
    path: config.dataDir,
    identity: {
      clusterId: cluster,
      nodeId: memberId(cluster, name),
      name,
      members: initialCluster.map((member) => ({ ...member, id: memberId(cluster, member.name) })),
    },
    isSameCluster: (remembered) => clusterId(clusterToken, remembered.founders) === remembered.clusterId,
    ballastBytes: config.ballastBytes,
    logger,
  })
  const { members } = directory.identity
  const given = new Map(initialCluster.map((member) => [member.name, member.peer]))
  const moved = members.map((member) => ({ ...member, peer: given.get(member.name) ?? member.peer }))
  if (moved.some(({ peer }, at) => peer !== members[at]?.peer)) {
    logger.info({ members: moved }, 'members are at other addresses than before')
    await directory.updateMembers(moved)
  }
  const known = new Set(members.map((member) => member.name))
  const strangers = [...given.keys()].filter((other) => !known.has(other))
  const missing = [...known].filter((other) => !given.has(other))
  if (strangers.length + missing.length > 0) {
    logger.warn(
      { strangers, missing },
      '--initial-cluster names other members than this cluster has; only addresses are taken from it',
    )
  }
  return directory
}

function foundingConfiguration(members: readonly MemberInfo[]): ClusterConfiguration {
  const voters = members.map((member) => member.id).sort()
  return { members, confState: { voters, votersOutgoing: [], learners: [], learnersNext: [], autoLeave: false } }
}

function addressOf(address: ReturnType<Server['address']>): ListeningAddress {
  assert(typeof address === 'object' && address !== null, 'the HTTP port is open')
  return { host: address.address, port: address.port }
}
