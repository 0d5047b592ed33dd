// What may befall a leader, for either system: each is done to it and undone afterwards.
import { request } from 'undici'
import type { Dialect } from '../../load/requests.ts'
import type { RunningNode, RunningSystem } from '../../systems/system.ts'
import type { PeerNetwork } from './peer-network.ts'

export interface Fault {
  readonly name: string
  /** Between the nodes stands a network that can be cut. */
  readonly needsNetwork: boolean
  /** Happens when the first promise resolves; what that resolves to undoes it. */
  inject(scene: Scene): Promise<() => Promise<void>>
}

export interface Scene {
  readonly system: RunningSystem
  readonly dialect: Dialect
  readonly network: PeerNetwork
  readonly leader: RunningNode
}

export const KILL: Fault = {
  name: 'leader killed (SIGKILL)',
  needsNetwork: false,
  async inject({ leader }) {
    leader.process.signal('SIGKILL')
    return async () => {
      await leader.process.exit()
      leader.process.start()
      await leader.ready()
    }
  },
}

export const STOP: Fault = {
  name: 'leader stopped (SIGSTOP)',
  needsNetwork: false,
  async inject({ leader }) {
    leader.process.signal('SIGSTOP')
    return async () => {
      leader.process.signal('SIGCONT')
      await leader.ready()
    }
  },
}

export const PARTITION: Fault = {
  name: 'leader cut off from its peers',
  needsNetwork: true,
  async inject({ leader, network }) {
    network.isolate(leader.process.pid)
    return async () => {
      network.heal()
      await leader.ready()
    }
  },
}

export const TRANSFER: Fault = {
  name: 'planned transfer',
  needsNetwork: false,
  async inject({ system, dialect, leader }) {
    const other = system.nodes.find((node) => node !== leader)!
    await (dialect === 'etcd' ? transferEtcd(leader, other) : transferQuorate(leader, other))
    return async () => {}
  },
}

const transferQuorate = (from: RunningNode, to: RunningNode): Promise<unknown> =>
  post(`${from.url}/v1/leader/transfer`, { to: to.name })

async function transferEtcd(from: RunningNode, to: RunningNode): Promise<unknown> {
  const status = (await post(`${to.url}/v3/maintenance/status`, {})) as { readonly header: { member_id: string } }
  return await post(`${from.url}/v3/maintenance/transfer-leadership`, { targetID: status.header.member_id })
}

async function post(url: string, body: object): Promise<unknown> {
  const headers = { 'content-type': 'application/json' }
  const answer = await request(url, { method: 'POST', headers, body: JSON.stringify(body) })
  const text = await answer.body.text()
  if (answer.statusCode >= 300) throw new Error(`${url} answered ${answer.statusCode}: ${text}`)
  return text === '' ? undefined : JSON.parse(text)
}
