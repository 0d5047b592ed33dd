// The skip list through one key's changes. Change number v points back at change v & (v - 1): its number with the lowest bit
// cleared. Nothing already written is ever touched, and any past change is reached in O(log² n) reads instead of n.
import { assert } from '../lib/assert.ts'
import type { KeyPointer, KeyRecord, Revision, RevisionId } from './types.ts'

/**
 * The skips of a key's next change, newest first. `previous` is the pointer to change number v - 1, or undefined for v = 1.
 *
 * The chain of v is v with its lowest bits cleared one after another: 7, 6, 4 for 0b111. Its skips are the chain without v
 * itself. If v ends in k zeros, v - 1 ends in k ones, and its chain first clears exactly these; what is left of it is v with
 * the lowest bit cleared, and so on down. So the skips of v are the chain of v - 1 without its first k links.
 */
export function nextSkips(previous: KeyPointer | undefined): readonly RevisionId[] {
  if (previous === undefined) return []
  const zeros = trailingZeros(previous.changes + 1)
  if (zeros > previous.skips.length + 1) assert(false, `the skips of change ${previous.changes} are too few`)
  return zeros === 0 ? [previous.at, ...previous.skips] : previous.skips.slice(zeros - 1)
}

/** By division: a shift would lose the bits above 2^31. */
function trailingZeros(value: number): number {
  let zeros = 0
  for (let rest = value; rest % 2 === 0; rest /= 2) zeros++
  return zeros
}

/** The next step of a search for a key as it was at a past revision. */
export type SeekStep =
  /** The record that was current at that revision. */
  | { readonly kind: 'found'; readonly at: RevisionId }
  /** The key did not exist then. */
  | { readonly kind: 'absent' }
  /** Read this record, which is newer than the revision, and go on with {@link seekFromRecord}. */
  | { readonly kind: 'read'; readonly at: RevisionId }

/** Begins at what is known without any read: the pointer. */
export function seekFromPointer(pointer: KeyPointer, revision: Revision): SeekStep {
  if (pointer.at.revision <= revision) return settled(pointer.at, pointer.isTombstone)
  const skip = pointer.skips.findLast((skip) => skip.revision > revision)
  return { kind: 'read', at: skip ?? pointer.at }
}

/** Goes back from a record newer than `revision`: by its skip unless that would leap over the answer, else by one. */
export function seekFromRecord(record: KeyRecord, revision: Revision): SeekStep {
  const { at, predecessor, skip } = record
  assert(at.revision > revision, `record ${at.revision} is not newer than revision ${revision}`)
  if (skip !== undefined && skip.revision > revision) return { kind: 'read', at: skip }
  if (predecessor === undefined) return { kind: 'absent' }
  if (predecessor.revision <= revision) return settled(predecessor, predecessor.isTombstone)
  return { kind: 'read', at: predecessor }
}

/** A tombstone proves absence without being read, which matters: compaction may have removed it. */
function settled(at: RevisionId, isTombstone: boolean): SeekStep {
  return isTombstone ? { kind: 'absent' } : { kind: 'found', at: { revision: at.revision, sub: at.sub } }
}
