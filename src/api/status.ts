// What a node says of itself and of its cluster: the bodies of /v1/status, /v1/cluster and the health checks.

export type NodeRole = 'leader' | 'follower' | 'candidate' | 'pre-candidate' | 'learner'

export interface NodeStatus {
  readonly name: string
  /** 16 hex digits. */
  readonly id: string
  readonly clusterId: string
  readonly role: NodeRole
  readonly term: number
  readonly leader: { readonly name: string; readonly url: string } | null
  readonly commitIndex: number
  readonly appliedIndex: number
  readonly revision: number
  readonly logBytes: number
  readonly dbBytes: number
  readonly pid: number
  readonly version: string
  readonly uptimeMs: number
}

export interface MemberStatus {
  readonly name: string
  readonly id: string
  readonly url: string | null
  readonly peer: string
  readonly kind: 'voter' | 'learner'
  readonly role: NodeRole | null
  readonly matchIndex: number | null
  readonly lagEntries: number | null
  readonly reachable: boolean | null
  readonly version: string | null
}

export interface ClusterStatus {
  readonly clusterId: string
  readonly term: number
  readonly members: readonly MemberStatus[]
}

export interface HealthReport {
  readonly ok: boolean
  /** One line for each check: 'ok', or what is wrong. */
  readonly checks: Readonly<Record<string, string>>
}
