// Ids that clients choose: of sessions and of leases.
import type { Prng } from '../lib/prng.ts'

/** 16 hexadecimal digits: a positive int64. */
export function randomId(prng: Prng): string {
  const high = prng.uint32() & 0x7fffffff
  const low = prng.uint32() | 1
  return hex8(high) + hex8(low >>> 0)
}

const hex8 = (word: number): string => word.toString(16).padStart(8, '0')
