// All parts, in the order in which they run: the quick ones first.
import { diskBytes } from './disk-bytes.ts'
import { etcdctlCheck } from './etcdctl-check.ts'
import type { Part } from './part.ts'
import { throughput } from './throughput.ts'

export const PARTS: readonly Part[] = [throughput, diskBytes, etcdctlCheck]
