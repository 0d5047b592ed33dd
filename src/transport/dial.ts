// One attempt to reach a peer: address, TCP connection, handshake. It ends in exactly one of accepted, refused and failed.
import { connect } from 'node:net'
import type { MemberInfo, PeerHello } from '../node/ports.ts'
import { Connection } from './connection.ts'
import type { FrameHandler, Refused } from './connection.ts'
import { track } from './environment.ts'
import type { Environment } from './environment.ts'
import type { Channel } from './handshake-codec.ts'
import { isPeerRefusal } from './handshake-codec.ts'
import { CallerHandshake } from './handshake.ts'

export interface DialEvents {
  onAccepted(connection: Connection, peer: PeerHello): FrameHandler
  onRefused(refused: Refused): void
  /** `isGone`: nobody is there, as far as can be told from here. */
  onFailed(reason: string, isGone: boolean): void
}

/** Ends the attempt, or the connection that came of it. */
export interface Dialled {
  close(reason: string): void
}

export function dial(environment: Environment, member: MemberInfo, channel: Channel, events: DialEvents): Dialled {
  const { limits, clock, counters } = environment
  const address = parseAddress(member.peer)
  const socket = connect({ ...address, noDelay: true })
  let connection: Connection | undefined
  let isOver = false
  const fail = (reason: string, isGone = false): void => {
    if (isOver || connection !== undefined) return
    isOver = true
    timer.cancel()
    socket.destroy()
    counters.add('connections_failed')
    events.onFailed(reason, isGone)
  }
  const startedAt = clock.now()
  const timer = clock.after(limits.connectMsMax, () => fail(`no connection within ${limits.connectMsMax} ms`))
  // A refusal is the word of the peer's machine, however late we read it.
  socket.on('error', (error: NodeJS.ErrnoException) =>
    fail(error.message, error.code === 'ECONNREFUSED' || clock.now() - startedAt <= limits.goneMsMax),
  )
  socket.once('connect', () => {
    if (isOver) return
    timer.cancel()
    connection = open()
    track(environment, connection)
  })
  const open = (): Connection =>
    new Connection(socket, {
      limits,
      clock,
      counters,
      makeHandshake: (send) => new CallerHandshake(environment.handshake, member, channel, send),
      onAccepted: (accepted) => {
        counters.add('connections_opened')
        return events.onAccepted(connection!, accepted.peer)
      },
      onRefused: (refused) => {
        reportRefusal(environment, member, refused)
        events.onRefused(refused)
      },
      onFailed: (reason) => {
        counters.add('connections_failed')
        // Somebody took the connection, whatever became of it.
        events.onFailed(reason, false)
      },
      onCorrupt: (reason) =>
        environment.log.warn(
          `corrupt/${member.name}/${channel}`,
          { peer: member.name, channel, reason },
          `closing a connection to ${member.name}: what it sent makes no sense (${reason})`,
        ),
    })
  return {
    close: (reason) => (connection === undefined ? fail(reason) : connection.close(reason)),
  }
}

function reportRefusal(environment: Environment, member: MemberInfo, refused: Refused): void {
  const { counters, handlers, log } = environment
  const { code, detail, isProven } = refused
  const fields = { peer: member.name, refusal: code }
  if (refused.by === 'us') {
    counters.add('handshakes_refused_by_us')
    log.warn(`refused/${member.name}/by us`, fields, `refusing to talk to ${member.name}: ${detail}`)
    return
  }
  counters.add('handshakes_refused_by_peer')
  const cause = `refused/${member.name}/${isPeerRefusal(code) ? code : 'unknown code'}`
  const isNews = log.warn(cause, fields, `${member.name} at ${member.peer} refuses this node: ${detail}`)
  if (!isPeerRefusal(code)) return
  // A node stops when a member says that it lost its data. A stranger on that member's address must not achieve as much.
  if (code === 'incarnation' ? isProven : isNews) handlers.onRefused(member.id, code, detail)
}

/** `host:port`; an IPv6 address is written in brackets. */
export function parseAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3])
  if (host === undefined || !(port >= 1 && port <= 65_535))
    throw new RangeError(`"${address}" is not a peer address: write host:port, such as 127.0.0.1:7701`)
  return { host, port }
}
