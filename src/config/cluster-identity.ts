// The ids of a cluster and of its founding members, derived from what every founding node is given alike. Nodes that were
// given different lists or tokens therefore have different cluster ids, and refuse each other in the handshake.
import { createHash } from 'node:crypto'
import type { InitialMember } from './addresses.ts'

/** Of the derivation, not of the release: another text for the same input would rename every cluster. */
const DERIVATION = 'quorate-identity-1'

/**
 * 16 hex digits: the first 8 bytes of the SHA-256 of a text with one line each for the derivation's name, the word
 * `cluster`, the token (as a JSON string) and the members as `name=host:port`, sorted by name.
 */
export function clusterId(token: string, members: readonly InitialMember[]): string {
  const lines = members.map(({ name, peer }) => `${name}=${peer}`)
  return digest(['cluster', JSON.stringify(token), ...lines.sort(byCodeUnits)])
}

/** 16 hex digits, from the cluster id and the name. Names are unique in a cluster, so ids are, up to a 64-bit collision. */
export const memberId = (cluster: string, name: string): string => digest(['member', cluster, name])

function digest(lines: readonly string[]): string {
  const text = [DERIVATION, ...lines].join('\n')
  return createHash('sha256').update(text, 'utf8').digest('hex').slice(0, 16)
}

const byCodeUnits = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0)
