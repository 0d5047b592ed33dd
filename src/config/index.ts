// The configuration of a node: read it with `loadConfig`, derive the ids with `clusterId` and `memberId`.
export { loadConfig } from './node-config.ts'
export type { LoadedConfig, NodeConfig } from './node-config.ts'
export type { ConfigInput } from './sources.ts'
export { ConfigError } from './config-error.ts'
export { clusterId, memberId } from './cluster-identity.ts'
export { formatAddress, isLoopback } from './addresses.ts'
export type { Address, InitialMember } from './addresses.ts'
