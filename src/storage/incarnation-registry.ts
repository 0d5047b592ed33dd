// Which incarnation of each founding member this node has vouched for (design, "Incarnations"): a small file beside the state,
// because snapshots replace the state. A member that lost its data comes back with another incarnation, and is refused.
import type { IncarnationRegistry } from '../node/ports.ts'
import type { NodeId } from '../raft/index.ts'
import { DataDirectoryError } from './errors.ts'
import type { FileSystem } from './file-system.ts'
import { OneAtATime } from './one-at-a-time.ts'
import { readSmallFile, replaceSmallFile } from './small-file.ts'

const FORMAT = 1

interface Content {
  readonly format: number
  readonly own: string
  readonly isRegistered: boolean
  /** Pairs of member and incarnation, sorted by member. */
  readonly members: readonly (readonly [NodeId, string])[]
}

/** Draws this node's own incarnation and writes the file. */
export async function createIncarnations(
  fileSystem: FileSystem,
  path: string,
  random: (bytes: number) => Uint8Array,
): Promise<void> {
  const own = Buffer.from(random(16)).toString('hex')
  const content: Content = { format: FORMAT, own, isRegistered: false, members: [] }
  await replaceSmallFile(fileSystem, path, content)
}

/** Rejects when the file is missing, damaged, or of another version. */
export async function openIncarnations(fileSystem: FileSystem, path: string): Promise<IncarnationRegistry> {
  const content = await readSmallFile(fileSystem, path)
  if (content === undefined) {
    throw new DataDirectoryError(
      'INCOMPLETE',
      `${path} is missing: this member has forgotten for whom it vouched. Restore the data directory, or replace this member`,
    )
  }
  return new FileIncarnations(fileSystem, path, validContent(path, content))
}

class FileIncarnations implements IncarnationRegistry {
  readonly #fileSystem: FileSystem
  readonly #path: string
  #content: Content
  readonly #members: Map<NodeId, string>
  readonly #changes = new OneAtATime()

  constructor(fileSystem: FileSystem, path: string, content: Content) {
    this.#fileSystem = fileSystem
    this.#path = path
    this.#content = content
    this.#members = new Map(content.members)
  }

  get own(): string {
    return this.#content.own
  }

  get isRegistered(): boolean {
    return this.#content.isRegistered
  }

  markRegistered(): Promise<void> {
    return this.#change((content) => ({ ...content, isRegistered: true }))
  }

  get(member: NodeId): string | undefined {
    return this.#members.get(member)
  }

  async record(member: NodeId, incarnation: string): Promise<void> {
    await this.#change((content) => {
      const known = this.#members.get(member)
      if (known !== undefined && known !== incarnation) {
        throw new Error(`member ${member} is registered with incarnation ${known}, not ${incarnation}`)
      }
      const others = content.members.filter(([id]) => id !== member)
      const members = [...others, [member, incarnation] as const].sort(([a], [b]) => (a < b ? -1 : 1))
      return { ...content, members }
    })
  }

  /** What is remembered is what is durable: memory changes after the file. */
  #change(edit: (content: Content) => Content): Promise<void> {
    return this.#changes.run(async () => {
      const content = edit(this.#content)
      await replaceSmallFile(this.#fileSystem, this.#path, content)
      this.#content = content
      for (const [member, incarnation] of content.members) this.#members.set(member, incarnation)
    })
  }
}

function validContent(path: string, content: unknown): Content {
  const { format, own, isRegistered, members } = content as Partial<Content>
  if (format !== FORMAT) {
    throw new DataDirectoryError('NEWER_FORMAT', `${path} is in format ${format}; this version knows only ${FORMAT}`)
  }
  const isValid =
    isIncarnation(own) &&
    typeof isRegistered === 'boolean' &&
    Array.isArray(members) &&
    members.every((pair) => Array.isArray(pair) && isNodeId(pair[0]) && isIncarnation(pair[1]))
  if (!isValid) throw new DataDirectoryError('INCOMPLETE', `${path} does not hold what it should; restore it`)
  return { format, own, isRegistered, members }
}

const isIncarnation = (value: unknown): value is string => typeof value === 'string' && /^[0-9a-f]{32}$/.test(value)
const isNodeId = (value: unknown): value is NodeId => typeof value === 'string' && /^[0-9a-f]{16}$/.test(value)
