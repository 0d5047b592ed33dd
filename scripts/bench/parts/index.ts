// All parts, in the order in which they run.
import { diskBytes } from './disk-bytes.ts'
import { etcdctlCheck } from './etcdctl-check.ts'
import { failover } from './failover.ts'
import { growth } from './growth.ts'
import { keys } from './keys.ts'
import { latency } from './latency.ts'
import type { Part } from './part.ts'
import { profile } from './profile.ts'
import { throughput } from './throughput.ts'

export const PARTS: readonly Part[] = [throughput, diskBytes, etcdctlCheck, failover, keys, growth, latency, profile]
