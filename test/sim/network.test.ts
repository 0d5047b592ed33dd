// The simulated wires: what they may do to messages, and what they may not do to requests.
import { describe, expect, it } from 'vitest'
import { Prng } from '../../src/lib/prng.ts'
import type { ForwardAnswer, PeerHandlers } from '../../src/node/ports.ts'
import type { Message } from '../../src/raft/index.ts'
import { Conduct } from './conduct.ts'
import { Host } from './host.ts'
import { Links } from './links.ts'
import { Network } from './network.ts'
import { Observer } from './observer.ts'
import type { SimulatedTransport } from './simulated-transport.ts'
import { Situations } from './situations.ts'
import { drawSwarm } from './swarm.ts'
import { World } from './world.ts'

const A = '0000000000000001'
const B = '0000000000000002'

interface End {
  readonly host: Host
  readonly transport: SimulatedTransport
  readonly heard: Message[]
  readonly connections: boolean[]
}

async function connected(onForward: PeerHandlers['onForward']): Promise<{
  world: World
  links: Links
  network: Network
  a: End
  b: End
}> {
  const world = new World()
  const situations = new Situations()
  const members = [
    { id: A, name: 'a' },
    { id: B, name: 'b' },
  ]
  const { network: settings } = drawSwarm(new Prng(1), { isCalm: true })
  const links = new Links(world, new Prng(2), settings)
  links.isQuiet = true
  const observer = new Observer(world, situations, members)
  // Nobody is elected here, so that nobody may send these messages: a world of its own hears of that.
  const conduct = new Conduct(new World(), members, 100)
  const network = new Network({ world, links, situations, observer, conduct })
  const ends = await Promise.all(
    members.map(async ({ id, name }, index): Promise<End> => {
      const host = new Host({ world, prng: new Prng(3), index, ratePerMille: 1_000, lateMsMax: 0 })
      const transport = network.transport(host, { id, name, boot: 1, incarnation: '', url: '', version: '' })
      const heard: Message[] = []
      const connections: boolean[] = []
      await transport.start({
        admit: () => undefined,
        onRefused: () => {},
        onMessage: (message) => heard.push(message),
        onForward,
        onControl: (_from, _kind, body) => Promise.resolve(body),
        onSnapshot: () => Promise.resolve(),
        onGone: () => {},
        onConnection: (_peer, isUp) => connections.push(isUp),
      })
      return { host, transport, heard, connections }
    }),
  )
  const [a, b] = ends as [End, End]
  await world.run(100, () => a.connections.length > 0)
  return { world, links, network, a, b }
}

const COMMANDS = Buffer.from('commands')
const refuse: PeerHandlers['onForward'] = (_from, _number, _commands, answer) =>
  answer({ kind: 'not-proposed', code: 'NO_LEADER', detail: '' })
const ask = (end: End): ForwardAnswer[] => {
  const answers: ForwardAnswer[] = []
  end.transport.forward(B, 1, COMMANDS, (answer) => answers.push(answer))
  return answers
}
const heartbeat: Message = { type: 'heartbeat', from: A, to: B, term: 1, commitIndex: 0, readRound: 0, lastIndex: 0 }

describe('a forward', () => {
  it('is answered once', async () => {
    const { world, a } = await connected(refuse)
    const answers = ask(a)
    await world.run(1_000)
    expect(answers).toMatchObject([{ kind: 'not-proposed' }])
  })

  it('is unsent only without a connection', async () => {
    const { world, network, a } = await connected(refuse)
    network.breakBetween(A, B)
    await world.run(50, () => a.connections.at(-1) === false)
    const answers = ask(a)
    await world.run(0)
    expect(answers).toEqual([{ kind: 'unsent' }])
  })

  it('is lost, and may have arrived all the same, when the connection breaks', async () => {
    let arrivals = 0
    const { world, network, a } = await connected(() => void arrivals++)
    const answers = ask(a)
    await world.run(1_000, () => arrivals > 0)
    network.breakBetween(A, B)
    await world.run(1_000)
    expect(answers).toEqual([{ kind: 'lost' }])
    expect(arrivals).toBe(1)
  })

  it('waits while the way is cut, and is lost when that lasts', async () => {
    let arrivals = 0
    const { world, links, network, a } = await connected(() => void arrivals++)
    links.cut(A, B)
    network.suspect(A, B)
    const answers = ask(a)
    await world.run(1_000)
    expect(answers).toEqual([])
    await world.run(3_000)
    expect(answers).toEqual([{ kind: 'lost' }])
    expect(arrivals).toBe(0)
  })
})

describe('a message', () => {
  it('arrives, and a cut way swallows it', async () => {
    const { world, links, a, b } = await connected(refuse)
    a.transport.send([heartbeat])
    await world.run(100)
    expect(b.heard).toHaveLength(1)
    links.cut(A, B)
    a.transport.send([heartbeat])
    await world.run(500)
    links.mend(A, B)
    await world.run(500)
    expect(b.heard).toHaveLength(1)
  })

  it('does not reach the next life of its addressee', async () => {
    const { world, network, a, b } = await connected(refuse)
    a.transport.send([heartbeat])
    b.host.kill()
    network.leave(b.transport, false)
    await world.run(500)
    expect(b.heard).toHaveLength(0)
    expect(a.connections).toEqual([true, false])
  })
})
