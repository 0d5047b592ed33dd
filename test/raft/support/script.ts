// Golden scripts: scenarios in a small language, with what happened written below each command. Output are events of the core
// (messages sent and lost, writes, roles, commits, reads), never log lines. The language is described in golden/README.md.
import type { Message, NodeId, Ready, RoleChange, Write } from '../../../src/raft/index.ts'
import type { TestNode } from './cluster.ts'
import { Cluster } from './cluster.ts'
import { Safety } from './safety.ts'

/** Runs the commands (lines that begin with `> `) of a script; answers the script with fresh output. */
export function runScript(script: string): string {
  const runner = new Runner()
  const result: string[] = []
  let isOutput = false
  for (const line of script.trimEnd().split('\n')) {
    if (line.startsWith('> ')) {
      result.push(line, ...runner.run(line.slice(2)))
      isOutput = true
    } else if (line === '' || line.startsWith('#')) {
      isOutput = false
      result.push(line)
    } else if (!isOutput) {
      throw new Error(`neither a command, nor a comment, nor output: ${line}`)
    }
  }
  return `${result.join('\n')}\n`
}

class Runner {
  #cluster: Cluster | undefined
  #safety: Safety | undefined
  #lines: string[] = []

  run(command: string): readonly string[] {
    this.#lines = []
    const [verb = '', ...words] = command.split(' ')
    if (verb === 'nodes') this.#nodes(words)
    else this.#command(verb, words)
    this.#safety?.check()
    return this.#lines
  }

  get #running(): Cluster {
    if (this.#cluster === undefined) throw new Error('a script begins with `nodes`')
    return this.#cluster
  }

  #nodes(words: readonly string[]): void {
    const list = (name: string): readonly string[] =>
      words
        .find((word) => word.startsWith(`${name}=`))
        ?.slice(name.length + 1)
        .split(',') ?? []
    const memory = Number(list('memory')[0] ?? 1_000_000)
    const cluster = new Cluster({
      voters: words.filter((word) => !word.includes('=')),
      votersOutgoing: list('outgoing'),
      learners: list('learners'),
      config: { memoryLogBytesMax: memory },
      seed: 'golden',
    })
    this.#cluster = cluster
    this.#safety = new Safety(cluster)
    cluster.observers.push({
      ready: (node, ready) => this.#ready(node, ready),
      step: (_, message, outcome) => {
        if (outcome.kind === 'dropped')
          this.#lines.push(`${message.to} drops ${message.type} of ${message.from}: ${outcome.reason}`)
      },
      lost: (message) => this.#lines.push(`${message.from} -x ${message.to} ${describeMessage(message)}`),
    })
  }

  #command(verb: string, words: readonly string[]): void {
    const cluster = this.#running
    const [id = '', second = ''] = words
    switch (verb) {
      case 'tick':
        return cluster.tick(id, Number(second === '' ? 1 : second))
      case 'forget':
        return cluster.forget(cluster.raft(id))
      case 'expire':
        return cluster.expire(id)
      case 'settle':
        return cluster.settle()
      case 'deliver':
        return this.#deliver(id, second)
      case 'drop':
        cluster.network = []
        return undefined
      case 'partition':
        return cluster.partition(
          ...words
            .join(' ')
            .split(' | ')
            .map((group) => group.split(' ')),
        )
      case 'heal':
        return cluster.heal()
      case 'propose':
        return this.#say(cluster.propose(id, second))
      case 'read':
        this.#safety?.readBegins(cluster.node(id), Number(second))
        return this.#say(cluster.input(id, (raft) => raft.readIndex(Number(second))))
      case 'transfer':
        return this.#say(cluster.input(id, (raft) => raft.transferLeadership(second === '' ? undefined : second)))
      case 'hold':
        cluster.node(id).isDiskHeld = true
        return undefined
      case 'persist':
        return cluster.persist(id)
      case 'release':
        cluster.node(id).isDiskHeld = false
        return cluster.pump(id)
      case 'gone':
        cluster.input(id, (raft) => raft.reportGone(second))
        return undefined
      case 'crash':
        return cluster.crash(id)
      case 'restart':
        return cluster.restart(id)
      case 'lose':
        return this.#lose(id, Number(second))
      case 'distrust':
        cluster.node(id).disk.state = { ...cluster.node(id).disk.state, index: 0, term: 0 }
        return undefined
      case 'compact':
        return cluster.node(id).disk.compactTo(Number(second))
      case 'stream':
        cluster.stream(id, second)
        return undefined
      case 'status':
        return this.#status()
      default:
        throw new Error(`no such command: ${verb}`)
    }
  }

  /** Messages in flight now, from one node to another (`*` = all), and not what they cause. */
  #deliver(from: string, to: string): void {
    const cluster = this.#running
    const wanted = cluster.network.filter(
      ({ message }) => (from === '*' || message.from === from) && (to === '' || message.to === to),
    )
    for (const packet of wanted) cluster.deliverAt(cluster.network.indexOf(packet))
  }

  /** The log's end falls off the disk of a crashed node. */
  #lose(id: NodeId, count: number): void {
    const { disk } = this.#running.node(id)
    disk.entries.splice(-count)
  }

  #say(outcome: { readonly kind: string; readonly reason?: string }): void {
    if (outcome.kind === 'dropped') this.#lines.push(`refused: ${outcome.reason}`)
  }

  #ready(node: TestNode, ready: Ready): void {
    const { id } = node
    if (ready.roleChange !== undefined) this.#lines.push(`${id} is ${describeRole(ready.roleChange)}`)
    for (const message of ready.messages) this.#lines.push(`${id} -> ${message.to} ${describeMessage(message)}`)
    if (ready.write !== undefined) this.#lines.push(`${id} writes ${describeWrite(ready.write)}`)
    for (const load of ready.loads) this.#lines.push(`${id} loads ${load.first}..${load.last} for ${load.peer}`)
    for (const peer of ready.snapshotsWanted) this.#lines.push(`${id} wants a snapshot streamed to ${peer}`)
    for (const entry of ready.committed)
      this.#lines.push(`${id} applies ${entry.index}@${entry.term} ${describeData(entry)}`)
    for (const read of ready.confirmedReads) this.#lines.push(`${id} may read ${read.id} at ${read.index}`)
    for (const read of ready.abortedReads) this.#lines.push(`${id} aborts read ${read}`)
  }

  #status(): void {
    for (const { id, raft } of this.#running.nodes.values()) {
      if (raft === undefined) {
        this.#lines.push(`${id} is down`)
        continue
      }
      const log: string[] = []
      for (let index = 1; index <= raft.lastIndex; index++) log.push(String(raft.termAt(index) ?? '.'))
      const standing = raft.standing === 'full' ? '' : ` ${raft.standing}`
      this.#lines.push(`${id} ${raft.role}${standing} term=${raft.term} commit=${raft.commitIndex} log=${log.join('')}`)
      for (const peer of raft.status().peers) {
        this.#lines.push(`   ${peer.id} ${peer.kind} match=${peer.matchIndex} next=${peer.nextIndex}`)
      }
    }
  }
}

const describeRole = ({ role, term, leaderId }: RoleChange): string =>
  `${role} in term ${term}${leaderId === undefined || role === 'leader' ? '' : ` of ${leaderId}`}`

const describeData = (entry: { readonly kind: string; readonly data: Uint8Array }): string =>
  entry.kind === 'normal' ? Buffer.from(entry.data).toString() : entry.kind

function describeWrite({ hardState, entries, snapshot }: Write): string {
  const parts: string[] = []
  if (hardState !== undefined) parts.push(`term=${hardState.term} vote=${hardState.votedFor ?? 'none'}`)
  if (entries.length > 0) parts.push(`entries=${entries.map((entry) => `${entry.index}@${entry.term}`).join(',')}`)
  if (snapshot !== undefined) parts.push(`snapshot=${snapshot.index}@${snapshot.term}`)
  return parts.join(' ')
}

function describeMessage(message: Message): string {
  const head = `${message.type} t${message.term}`
  switch (message.type) {
    case 'append-entries': {
      const entries = message.entries.map((entry) => `${entry.index}@${entry.term}`).join(',')
      const { prev, commitIndex, readRound } = message
      return `${head} prev=${prev.index}@${prev.term} entries=[${entries}] commit=${commitIndex} round=${readRound}`
    }
    case 'append-entries-response': {
      const { result, readRound } = message
      return result.kind === 'accepted'
        ? `${head} accepted match=${result.matchIndex} round=${readRound}`
        : `${head} rejected prev=${result.index} hint=${result.hint.index}@${result.hint.term}`
    }
    case 'heartbeat':
      return `${head} commit=${message.commitIndex} round=${message.readRound}`
    case 'heartbeat-response':
      return `${head} round=${message.readRound}`
    case 'request-pre-vote':
      return `${head} last=${message.last.index}@${message.last.term}`
    case 'request-vote':
      return `${head} last=${message.last.index}@${message.last.term}${message.isTransfer ? ' transfer' : ''}`
    case 'request-pre-vote-response':
    case 'request-vote-response':
      return `${head} ${message.isGranted ? 'granted' : 'refused'}`
    case 'install-snapshot':
      return `${head} snapshot=${message.snapshot.index}@${message.snapshot.term}`
    case 'read-index':
      return `${head} id=${message.id}`
    case 'read-index-response':
      return `${head} id=${message.id} index=${message.index}`
    case 'request-snapshot':
    case 'timeout-now':
      return head
    default:
      throw new Error('an unknown message')
  }
}
