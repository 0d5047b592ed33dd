// The public surface of the layer: the peer port over TCP, and its twin in memory for tests and simulation.
export { TcpTransport } from './tcp-transport.ts'
export type { TcpTransportOptions } from './tcp-transport.ts'
export { MemoryNetwork } from './memory-network.ts'
export type { Delivery, MemoryNetworkOptions } from './memory-network.ts'
