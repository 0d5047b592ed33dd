// Stands between the nodes of a cluster and can cut one of them off from the others: proxies in front of every peer port. Neither
// system says at the proxy who is calling, so the kernel is asked whose socket it is. Linux only.
import { readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import type { Server, Socket } from 'node:net'
import { join } from 'node:path'

interface Link {
  readonly door: number
  readonly listens: number
  readonly incoming: Socket
  readonly outgoing: Socket
}

const LISTENING = '0A'

export class PeerNetwork {
  readonly #servers: Server[] = []
  readonly #links = new Set<Link>()
  #isolated: number | undefined

  /** The port of a proxy that leads to the port `listens`. */
  async open(listens: number): Promise<number> {
    const server = createServer({ noDelay: true })
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(0, '127.0.0.1', resolve)
    })
    const address = server.address()
    if (address === null || typeof address === 'string') throw new Error('a listening socket has no port')
    server.on('connection', (incoming) => this.#accept({ door: address.port, listens, incoming }))
    this.#servers.push(server)
    return address.port
  }

  /** From now on nothing passes between this process and the others, and nobody is told: a network that swallows. */
  isolate(pid: number): void {
    this.#isolated = pid
    for (const link of this.#links) if (touches(link, pid)) hold(link)
  }

  /** What was held passes again, as TCP would send it again. */
  heal(): void {
    this.#isolated = undefined
    for (const { incoming, outgoing } of this.#links) {
      incoming.resume()
      outgoing.resume()
    }
  }

  close(): void {
    for (const { incoming, outgoing } of this.#links) {
      incoming.destroy()
      outgoing.destroy()
    }
    for (const server of this.#servers) server.close()
  }

  #accept({ door, listens, incoming }: Omit<Link, 'outgoing'>): void {
    const outgoing = connect({ host: '127.0.0.1', port: listens, noDelay: true })
    const link = { door, listens, incoming, outgoing }
    this.#links.add(link)
    const end = (): void => {
      incoming.destroy()
      outgoing.destroy()
      this.#links.delete(link)
    }
    // A node that is down refuses; its caller then loses its connection, as it would without us.
    for (const socket of [incoming, outgoing]) socket.on('error', end).on('close', end)
    pass(incoming, outgoing)
    pass(outgoing, incoming)
    if (this.#isolated !== undefined && touches(link, this.#isolated)) hold(link)
  }
}

/** By hand, because a pipe would resume what is held. */
function pass(from: Socket, to: Socket): void {
  from.on('data', (piece) => void to.write(piece))
  from.on('end', () => void to.end())
}

function hold({ incoming, outgoing }: Link): void {
  incoming.pause()
  outgoing.pause()
}

function touches({ door, listens, incoming }: Link, pid: number): boolean {
  const owned = socketsOf(pid)
  return tcpSockets().some(
    ({ local, remote, state, inode }) =>
      owned.has(inode) &&
      ((local === incoming.remotePort && remote === door) || (local === listens && state === LISTENING)),
  )
}

interface KernelSocket {
  readonly local: number
  readonly remote: number
  readonly state: string
  readonly inode: string
}

function tcpSockets(): KernelSocket[] {
  const lines = readFileSync('/proc/net/tcp', 'utf8').trim().split('\n').slice(1)
  return lines.map((line) => {
    const fields = line.trim().split(/\s+/)
    return { local: portOf(fields[1]), remote: portOf(fields[2]), state: fields[3] ?? '', inode: fields[9] ?? '' }
  })
}

/** Hexadecimal behind the colon. */
const portOf = (address: string | undefined): number => Number.parseInt(address?.split(':')[1] ?? '', 16)

/** Inodes of the sockets that a process holds. */
function socketsOf(pid: number): Set<string> {
  const inodes = new Set<string>()
  for (const name of readdirSync(`/proc/${pid}/fd`)) {
    try {
      const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(join(`/proc/${pid}/fd`, name)))?.[1]
      if (inode !== undefined) inodes.add(inode)
    } catch (error) {
      // Closed since it was listed.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    }
  }
  return inodes
}
