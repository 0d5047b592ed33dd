// What the bench needs of a store, whichever it is: start it with fresh data, know its processes, kill and restart its nodes.
import { removeFolder } from '../cleanup.ts'
import type { ServerProcess } from './server-process.ts'

export interface StartOptions {
  readonly nodes: 1 | 3 | 5 | 7
  /** Further command-line arguments of each node, in the system's own words. */
  readonly flags?: readonly string[]
  /** Arguments of Node.js itself for node number `node`, where the system runs on it. */
  readonly nodeArguments?: (node: number) => readonly string[]
  /**
   * The port under which the other nodes reach the peer port `listens` of node number `node`, where something stands between
   * them. Left out: the port itself.
   */
  readonly peerDoor?: (node: number, listens: number) => Promise<number>
}

export interface System {
  readonly name: string
  readonly version: string
  /** What an acknowledged write and a read are worth in this configuration, and how that was seen; printed with the results. */
  readonly promises: string
  /** Starts all nodes on loopback with their data below `dir`, and resolves when each of them serves. */
  start(dir: string, options: StartOptions): Promise<RunningSystem>
}

/** A process that costs CPU time and memory in the system's name. */
export interface RoleProcess {
  readonly role: string
  readonly pid: number
}

export interface RunningNode {
  readonly name: string
  readonly url: string
  readonly dataDir: string
  readonly process: ServerProcess
  /** Resolves when the node, started again by `process.start()`, answers linearizable requests. */
  ready(): Promise<void>
}

export interface RunningSystem {
  /** The node that led at the start comes first, here and in what follows. */
  readonly nodes: readonly RunningNode[]
  readonly urls: readonly string[]
  readonly dataDirs: readonly string[]
  /** With their present process ids: a restarted node has another. */
  readonly processes: readonly RoleProcess[]
  /** Waits until one of the nodes that run leads, and gives its place in `nodes`. */
  leader(): Promise<number>
  /** The same cluster with the node that leads now in the first place. */
  leaderFirst(): Promise<RunningSystem>
  /** Kills all nodes and removes their data. Harmless when repeated. */
  stop(): Promise<void>
}

/** Generous: machines are shared, and a store may read ten million keys before it serves. A wait that takes this long has failed. */
const WAIT_MS = 300_000
const POLL_MS = 10

/** Polls until the claim gives something; the error tells what was awaited. */
export async function until<T>(what: string, claim: () => Promise<T | undefined>): Promise<T> {
  const endMs = performance.now() + WAIT_MS
  for (;;) {
    const value = await claim()
    if (value !== undefined) return value
    if (performance.now() > endMs) throw new Error(`waited ${WAIT_MS} ms in vain: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, POLL_MS))
  }
}

/** The ports under which the nodes reach each other; `ports` are those they listen on, two a node, the second for its peers. */
export async function peerDoors(ports: readonly number[], options: StartOptions): Promise<number[]> {
  const doors: number[] = []
  for (let at = 0; at < options.nodes; at++) {
    const listens = ports[2 * at + 1]!
    doors.push(options.peerDoor === undefined ? listens : await options.peerDoor(at, listens))
  }
  return doors
}

/** Waits until each of the nodes, whose data is below `dir`, serves. If one does not, none is left behind. */
export async function startedSystem<Node extends RunningNode>(
  dir: string,
  nodes: readonly Node[],
  isLeader: (node: Node) => Promise<boolean>,
): Promise<RunningSystem> {
  const stop = async (): Promise<void> => {
    await Promise.all(nodes.map(({ process }) => process.stop()))
    removeFolder(dir)
  }
  try {
    await Promise.all(nodes.map((node) => node.ready()))
    return await runningSystem(nodes, isLeader, stop)
  } catch (error) {
    await stop()
    throw error
  }
}

/** The nodes with their leader first, and what all systems' clusters have in common. */
async function runningSystem<Node extends RunningNode>(
  nodes: readonly Node[],
  isLeader: (node: Node) => Promise<boolean>,
  stop: () => Promise<void>,
): Promise<RunningSystem> {
  const leaderAmong = (list: readonly Node[]): Promise<number> =>
    until('one of the nodes leads', async () => {
      const answers = await Promise.all(list.map((node) => isLeader(node)))
      const at = answers.lastIndexOf(true)
      return at < 0 ? undefined : at
    })
  const first = await leaderAmong(nodes)
  const ordered = [nodes[first]!, ...nodes.filter((_, at) => at !== first)]
  return {
    nodes: ordered,
    urls: ordered.map(({ url }) => url),
    dataDirs: ordered.map(({ dataDir }) => dataDir),
    get processes() {
      return ordered.map((node, at) => ({
        role: at === 0 ? 'leader' : `follower ${at}`,
        pid: node.process.pid,
      }))
    },
    leader: () => leaderAmong(ordered),
    leaderFirst: () => runningSystem(ordered, isLeader, stop),
    stop,
  }
}
