// All parts, in the order in which they run: the quick ones first.
import type { Part } from './part.ts'
import { throughput } from './throughput.ts'

export const PARTS: readonly Part[] = [throughput]
