// One frozen, checked configuration of a node: the settings, and the rules that bind several of them together.
import {
  AddressError,
  formatAddress,
  isLoopback,
  isWildcard,
  parseAddress,
  parseBaseUrl,
  parseInitialCluster,
} from './addresses.ts'
import type { Address, InitialMember } from './addresses.ts'
import { ConfigError } from './config-error.ts'
import { readPeerSecret } from './peer-secret.ts'
import type { SettingName } from './settings.ts'
import { readSettings } from './sources.ts'
import type { ConfigInput, Settings } from './sources.ts'

export interface NodeConfig {
  readonly name: string
  readonly dataDir: string
  readonly listen: Address
  readonly peerListen: Address
  /** Sorted by name; this node is one of them. */
  readonly initialCluster: readonly InitialMember[]
  /** The base URL of the HTTP port, without a slash at the end; undefined when nothing concrete is known. */
  readonly advertise: string | undefined
  /** host:port, as in `initialCluster`. */
  readonly peerAdvertise: string
  readonly clusterToken: string
  /** Never logged, never sent. */
  readonly peerSecret: string | undefined
  readonly heartbeatMs: number
  readonly electionTimeoutMs: number
  readonly logLevel: 'trace' | 'debug' | 'info' | 'warn' | 'error' | 'fatal' | 'silent'
  readonly logFormat: 'auto' | 'json' | 'pretty'
  readonly cacheBytes: number
  readonly logSegmentBytes: number
  readonly logRetainBytes: number
  readonly logRetainEntries: number
  readonly spaceReserveBytes: number
  readonly ballastBytes: number
  readonly historyAgeMs: number
  readonly historyRevisions: number
  readonly historyBytes: number
}

export interface LoadedConfig {
  readonly config: NodeConfig
  /** Worth a line in the log each. */
  readonly warnings: readonly string[]
}

/** Throws a {@link ConfigError} that lists everything wrong with the input. */
export function loadConfig(input: ConfigInput): LoadedConfig {
  const settings = readSettings(input)
  const { values } = settings
  const check = new Checks(settings)

  const name = check.required('name')
  const dataDir = check.required('data-dir')
  const listen = check.address('listen')
  const peerListen = check.address('peer-listen')
  const cluster = check.parsed('initial-cluster', parseInitialCluster)
  const ownUrl = check.parsed('advertise', parseBaseUrl)
  const ownPeer = check.parsed('peer-advertise', (text) => formatAddress(parseAddress(text, { allowsPortZero: false })))
  if (cluster === undefined) check.required('initial-cluster')
  const { secret, isGiven, problems, warnings } = readPeerSecret(settings, input.env)
  for (const problem of problems) check.problem(problem)

  const heartbeatMs = values['heartbeat-ms'] ?? 0
  const electionTimeoutMs = values['election-timeout-ms'] ?? 0
  if (electionTimeoutMs < 4 * heartbeatMs) {
    check.problem(
      `${settings.culprit('election-timeout-ms')} must be at least 4 times --heartbeat-ms: one lost heartbeat must not cause an election, but ${electionTimeoutMs} is less than 4 x ${heartbeatMs}`,
    )
  }
  const peerAdvertise = check.membership(name, cluster, ownPeer)
  if (!isGiven) check.secretIsOptional(peerListen, cluster)
  check.finish()

  const config: NodeConfig = Object.freeze({
    name: name!,
    dataDir: dataDir!,
    listen: listen!,
    peerListen: peerListen!,
    initialCluster: cluster!,
    advertise: ownUrl ?? defaultUrl(listen!),
    peerAdvertise: peerAdvertise!,
    clusterToken: values['cluster-token'] ?? '',
    peerSecret: secret,
    heartbeatMs,
    electionTimeoutMs,
    logLevel: values['log-level']!,
    logFormat: values['log-format']!,
    cacheBytes: values['cache-size']!,
    logSegmentBytes: values['log-segment-size']!,
    logRetainBytes: values['log-retain-size']!,
    logRetainEntries: values['log-retain-entries']!,
    spaceReserveBytes: values['space-reserve']!,
    ballastBytes: values['ballast-size']!,
    historyAgeMs: values['history-age']!,
    historyRevisions: values['history-revisions']!,
    historyBytes: values['history-size']!,
  })
  return { config, warnings: [...settings.warnings, ...warnings, ...exposure(config)] }
}

/** Port 0 is known only after listening, and a wildcard names nothing that a client could connect to. */
function defaultUrl(listen: Address): string | undefined {
  return listen.port === 0 || isWildcard(listen.host) ? undefined : `http://${formatAddress(listen)}`
}

function exposure({ listen }: NodeConfig): string[] {
  if (isLoopback(listen.host)) return []
  return [
    `--listen ${formatAddress(listen)} is not a loopback address, and HTTP requests are not authenticated: whoever reaches that port can read and change everything`,
  ]
}

/** Collects what is wrong, so that one run tells all of it. */
class Checks {
  readonly #settings: Settings
  readonly #problems: string[] = []

  constructor(settings: Settings) {
    this.#settings = settings
  }

  problem(text: string): void {
    this.#problems.push(text)
  }

  finish(): void {
    if (this.#problems.length > 0) throw new ConfigError(this.#problems)
  }

  required(name: 'name' | 'data-dir' | 'initial-cluster'): string | undefined {
    const value = this.#settings.values[name]
    const example = {
      name: '--name n1',
      'data-dir': '--data-dir ./data/n1',
      'initial-cluster': '--initial-cluster n1=10.0.0.1:7701,n2=10.0.0.2:7701,n3=10.0.0.3:7701',
    }[name]
    if (value === undefined) this.problem(`--${name} is required, as in: ${example}`)
    return value
  }

  /** The parsed value, or undefined when it is absent or wrong. */
  parsed<T>(name: SettingName, parse: (text: string) => T): T | undefined {
    const value = this.#settings.values[name]
    if (typeof value !== 'string') return undefined
    try {
      return parse(value)
    } catch (error) {
      if (!(error instanceof AddressError)) throw error
      this.problem(`${this.#settings.culprit(name)} ${error.message}`.replace(' : ', ': '))
      return undefined
    }
  }

  address(name: 'listen' | 'peer-listen'): Address | undefined {
    return this.parsed(name, (text) => parseAddress(text, { allowsPortZero: true }))
  }

  /** This node's peer address as all others were told it. */
  membership(
    name: string | undefined,
    cluster: readonly InitialMember[] | undefined,
    ownPeer: string | undefined,
  ): string | undefined {
    if (name === undefined || cluster === undefined) return undefined
    const culprit = (setting: SettingName): string => this.#settings.culprit(setting)
    const own = cluster.find((member) => member.name === name)
    if (own === undefined) {
      const names = cluster.map((member) => member.name).join(', ')
      this.problem(
        `${culprit('name')} is ${name}, which ${culprit('initial-cluster')} does not contain (it has ${names})`,
      )
      return undefined
    }
    if (ownPeer !== undefined && ownPeer !== own.peer) {
      this.problem(
        `${culprit('peer-advertise')} is ${ownPeer}, but ${culprit('initial-cluster')} tells the others that ${name} is at ${own.peer}; make them equal`,
      )
    }
    return own.peer
  }

  /** Without a secret, anybody who reaches a peer port could take part in the cluster. */
  secretIsOptional(peerListen: Address | undefined, cluster: readonly InitialMember[] | undefined): void {
    if (peerListen === undefined || cluster === undefined) return
    const addresses = cluster.map(({ peer }) => parseAddress(peer, { allowsPortZero: false }))
    const exposed = [peerListen, ...addresses].find(({ host }) => !isLoopback(host))
    if (exposed === undefined) return
    this.problem(
      `--peer-secret-file is required, because the peer address ${formatAddress(exposed)} is not a loopback address: write the same random text (openssl rand -hex 32) to a file on each node, or set QUORATE_PEER_SECRET`,
    )
  }
}
