// The public surface of the package, listed by hand: run a node inside your own process, or talk to a cluster.
export { startNode, type ListeningAddress, type RunningNode } from './start-node.ts'
export { ConfigError, loadConfig, type ConfigInput, type LoadedConfig, type NodeConfig } from './config/index.ts'
export { createLogger } from './observability/logger.ts'
export * from './client/index.ts'
export { VERSION } from './version.ts'
