// Whose data directory this is: the cluster, the node, and the founding members as this node knows their addresses. Written
// last when a directory is initialised, so that its presence says that everything else is there.
import type { MemberInfo } from '../node/ports.ts'
import type { NodeId } from '../raft/index.ts'
import { DataDirectoryError } from './errors.ts'
import type { FileSystem } from './file-system.ts'
import { readSmallFile, replaceSmallFile } from './small-file.ts'

export interface Identity {
  /** 16 hex digits. */
  readonly clusterId: string
  readonly nodeId: NodeId
  readonly name: string
  /** Of the whole directory. A release refuses any but its own. */
  readonly formatVersion: number
  /** The members at the first start, this node included: the cluster id follows from them. Never changed. */
  readonly founders: readonly MemberInfo[]
  /** The same members at the addresses that were given last. */
  readonly members: readonly MemberInfo[]
}

/** Who the process wants to be, and whether what a directory remembers is that, although addresses have changed since. */
export interface Claim extends Identity {
  isSameCluster(remembered: Identity): boolean
}

export const writeIdentity = (fileSystem: FileSystem, path: string, identity: Identity): Promise<void> =>
  replaceSmallFile(fileSystem, path, identity)

/** What the directory says; checked against what this process is meant to be. Undefined when there is no identity yet. */
export async function readIdentity(
  fileSystem: FileSystem,
  path: string,
  expected: Claim,
): Promise<Identity | undefined> {
  const content = await readSmallFile(fileSystem, path)
  if (content === undefined) return undefined
  const found = content as Partial<Identity>
  checkVersion(path, found.formatVersion, expected.formatVersion)
  if (!isIdentity(found)) {
    throw new DataDirectoryError('INCOMPLETE', `${path} does not hold what it should; restore it`)
  }
  const isMoved = found.clusterId !== expected.clusterId && expected.isSameCluster(found)
  if (found.clusterId !== expected.clusterId && !isMoved) {
    throw new DataDirectoryError(
      'OTHER_CLUSTER',
      `${path} belongs to node ${found.name} of cluster ${found.clusterId}, but this is node ${expected.name} of cluster ` +
        `${expected.clusterId}. The cluster id follows from --initial-cluster and --cluster-token at the first start: ` +
        'give the ones of that start (addresses may have changed since), or another --data-dir',
    )
  }
  if ((found.nodeId !== expected.nodeId && !isMoved) || found.name !== expected.name) {
    throw new DataDirectoryError(
      'OTHER_NODE',
      `${path} belongs to node ${found.name} (${found.nodeId}), but this is node ${expected.name} (${expected.nodeId}). ` +
        'Give the --name of that node, or another --data-dir',
    )
  }
  return found
}

function checkVersion(path: string, found: unknown, known: number): void {
  if (typeof found !== 'number' || found === known) return
  throw found > known
    ? new DataDirectoryError(
        'NEWER_FORMAT',
        `${path} says that the directory is in format ${found}; this version knows only ${known}. Use a newer version`,
      )
    : new DataDirectoryError(
        'OLDER_FORMAT',
        `${path} says that the directory is in format ${found}; this version reads only ${known}. Use the version that wrote it`,
      )
}

function isIdentity(value: Partial<Identity>): value is Identity {
  const texts: unknown[] = [value.clusterId, value.nodeId, value.name]
  return (
    texts.every((text) => typeof text === 'string' && text !== '') &&
    typeof value.formatVersion === 'number' &&
    areMembers(value.founders) &&
    areMembers(value.members)
  )
}

const areMembers = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.every((member: Partial<MemberInfo>) =>
    [member.id, member.name, member.peer].every((text) => typeof text === 'string'),
  )
