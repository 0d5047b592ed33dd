// What the global revision tells across keys, checked on the whole history without a search. Each answer that names a revision
// gives its operation a place in the one order of all changes. Every rule here only refuses what no order can explain.
import { completedAt, outputOf } from '../history.ts'
import type { Operation } from '../history.ts'
import type { Contradiction } from '../model.ts'
import { entryShown, revisionMade } from './quorate-types.ts'
import type { QuorateInput, QuorateOutput } from './quorate-types.ts'

type QuorateOperation = Operation<QuorateInput, QuorateOutput>
type Finding = Contradiction<QuorateInput, QuorateOutput> | undefined

export interface RevisionOptions {
  readonly initialRevision: number
  readonly isComplete: boolean
  /** One revision may be several keys': transactions and ranges are in the history as one write for each key. */
  readonly areShared?: boolean
}

/**
 * An operation with the places it can have. Places are doubled revisions: change r is at 2r, and what was answered from the
 * state at revision r is at 2r + 1, after that change and before the next.
 */
interface Placed {
  readonly operation: QuorateOperation
  readonly least: number
  readonly most: number
}

/** The operations are prepared: puts without an answer name the revision where others saw them. */
export function checkRevisions(operations: readonly QuorateOperation[], options: RevisionOptions): Finding {
  const placed = operations.flatMap((operation) => place(operation) ?? [])
  const changes = new Map<number, QuorateOperation>()
  return (
    checkUnique(placed, changes, options) ??
    checkShown(placed, changes, options) ??
    checkNewest(placed, changes, operations) ??
    checkRealTime(placed) ??
    (options.isComplete ? checkGaps(placed, changes, operations, options.initialRevision) : undefined)
  )
}

/** The revision that an operation is known to have made. */
const changeOf = ({ input, outcome }: QuorateOperation): number | undefined =>
  outcome.kind === 'completed' ? revisionMade(outcome.output) : input.op === 'put' ? input.landedAt : undefined

/** The newest revision of its key that an answer proves to exist; 0 when it proves none. */
function newestShown(output: QuorateOutput | undefined): number {
  if (output?.kind === 'precondition-failed') return output.currentRevision
  return entryShown(output)?.modRevision ?? 0
}

function place(operation: QuorateOperation): Placed | undefined {
  const change = changeOf(operation)
  if (change !== undefined) return { operation, least: change * 2, most: change * 2 }
  const output = outputOf(operation)
  if (output === undefined) return undefined
  const { revision } = output
  if (revision !== undefined) return { operation, least: revision * 2 + 1, most: revision * 2 + 1 }
  return { operation, least: newestShown(output) * 2 + 1, most: Infinity }
}

/** A revision is one operation's. Fills `changes`. */
function checkUnique(
  placed: readonly Placed[],
  changes: Map<number, QuorateOperation>,
  { areShared = false }: RevisionOptions,
): Finding {
  const seen = new Map<string, QuorateOperation>()
  for (const { operation } of placed) {
    const revision = changeOf(operation)
    if (revision === undefined) continue
    const name = areShared ? `${revision} ${operation.input.key}` : String(revision)
    const other = seen.get(name)
    seen.set(name, operation)
    if (other !== undefined) {
      return { operations: [other, operation], reason: `Revision ${revision} was given to two writes.` }
    }
    changes.set(revision, operation)
  }
  return undefined
}

/** What is shown was made by a write of that key, and not after the state that shows it. */
function checkShown(
  placed: readonly Placed[],
  changes: ReadonlyMap<number, QuorateOperation>,
  { areShared = false }: RevisionOptions,
): Finding {
  for (const { operation, least } of placed) {
    const shown = newestShown(outputOf(operation))
    const writer = changes.get(shown)
    if (!areShared && writer !== undefined && writer.input.key !== operation.input.key) {
      return { operations: [writer, operation], reason: `Revision ${shown} is that of another key's write.` }
    }
    if (shown * 2 > least) {
      return {
        operations: [operation],
        reason: `It shows revision ${shown}, newer than the state it was answered from.`,
      }
    }
  }
  return undefined
}

/** An answer from the state at revision r shows the key's newest change up to r. */
function checkNewest(
  placed: readonly Placed[],
  changes: ReadonlyMap<number, QuorateOperation>,
  operations: readonly QuorateOperation[],
): Finding {
  const byKey = new Map<string, Placed[]>()
  for (const item of placed) {
    const { key } = item.operation.input
    const list = byKey.get(key)
    if (list === undefined) byKey.set(key, [item])
    else list.push(item)
  }
  const deletable = new Set(
    operations.flatMap((operation) => (isUnansweredDelete(operation) ? [operation.input.key] : [])),
  )
  for (const [key, items] of byKey) {
    items.sort((a, b) => a.least - b.least)
    let newest: QuorateOperation | undefined
    for (const { operation, most } of items) {
      const change = changeOf(operation)
      const before = newest
      if (change === undefined && most !== Infinity && before !== undefined) {
        const finding = staleFinding(before, operation, () => deletable.has(key) && hasGap(changes, before, most >> 1))
        if (finding !== undefined) return finding
      }
      if (change !== undefined) newest = operation
    }
  }
  return undefined
}

const isUnansweredDelete = ({ input, outcome }: QuorateOperation): boolean =>
  input.op === 'delete' && outcome.kind === 'unknown'

/** Whether a revision between a change and a later state is not known to be somebody's. */
function hasGap(changes: ReadonlyMap<number, QuorateOperation>, after: QuorateOperation, until: number): boolean {
  for (let revision = (changeOf(after) ?? 0) + 1; revision <= until; revision++) if (!changes.has(revision)) return true
  return false
}

/** An absent key shows no revision; it contradicts a put only if no unanswered delete can have come between. */
function staleFinding(newest: QuorateOperation, answer: QuorateOperation, mayBeDeleted: () => boolean): Finding {
  const made = changeOf(newest) ?? 0
  const shown = newestShown(outputOf(answer))
  const isAbsent = shown === 0
  if (isAbsent ? newest.input.op === 'delete' || mayBeDeleted() : shown >= made) return undefined
  const what = isAbsent ? 'that the key is absent' : `revision ${shown}`
  const reason = `A stale read: it was answered from a state that had revision ${made} of the key, but shows ${what}.`
  return { operations: [newest, answer], reason }
}

/** What was completed before another operation was invoked has its place before it. */
function checkRealTime(placed: readonly Placed[]): Finding {
  const byCompletion = [...placed].sort((a, b) => completedAt(a.operation) - completedAt(b.operation))
  const byInvocation = [...placed].sort((a, b) => a.operation.invokedAt - b.operation.invokedAt)
  let latest: Placed | undefined
  let next = 0
  for (const later of byInvocation) {
    for (; next < byCompletion.length; next++) {
      const earlier = byCompletion[next]!
      if (completedAt(earlier.operation) >= later.operation.invokedAt) break
      if (latest === undefined || earlier.least > latest.least) latest = earlier
    }
    if (latest !== undefined && later.most < latest.least) return orderFinding(latest, later)
  }
  return undefined
}

function orderFinding(earlier: Placed, later: Placed): Finding {
  const known = Math.floor(earlier.least / 2)
  const revision = later.most >> 1
  const reason =
    (later.most & 1) === 0
      ? `Revision ${known} had been seen before the write was invoked that made revision ${revision}.`
      : `A stale read: revision ${known} had been seen before it was invoked, but it was answered from revision ${revision}.`
  return { operations: [earlier.operation, later.operation], reason }
}

/**
 * Each revision up to the newest seen is some write's: one that was answered with it, or one without an answer, invoked before
 * anybody saw a state that includes it. Later gaps may be filled by whatever may fill earlier ones, so counting is enough.
 */
function checkGaps(
  placed: readonly Placed[],
  changes: ReadonlyMap<number, QuorateOperation>,
  operations: readonly QuorateOperation[],
  initialRevision: number,
): Finding {
  const unanswered = operations
    .filter((operation) => operation.input.op !== 'get' && operation.outcome.kind === 'unknown')
    .filter((operation) => changeOf(operation) === undefined)
    .sort((a, b) => a.invokedAt - b.invokedAt)
  const seen = firstSightings(placed)
  let from = initialRevision + 1
  let gaps = 0
  let fillers = 0
  for (const { revision: until, witness } of seen) {
    for (; from <= until; from++) {
      if (changes.has(from)) continue
      gaps += 1
      while (fillers < unanswered.length && unanswered[fillers]!.invokedAt <= completedAt(witness)) fillers += 1
      if (gaps <= fillers) continue
      const reason = `No write accounts for revision ${from}: one was applied twice (a double apply), or was never asked for.`
      const last = changes.get(from - 1)
      return { operations: last === undefined || last === witness ? [witness] : [last, witness], reason }
    }
  }
  return undefined
}

interface Sighting {
  readonly revision: number
  readonly witness: QuorateOperation
}

/** In the order of revisions: up to each, who was first to be answered from a state with that or more. */
function firstSightings(placed: readonly Placed[]): Sighting[] {
  const answered = placed.filter(({ operation }) => operation.outcome.kind === 'completed')
  answered.sort((a, b) => b.least - a.least)
  const sightings: Sighting[] = []
  let first: QuorateOperation | undefined
  for (const { operation, least } of answered) {
    if (first === undefined || completedAt(operation) < completedAt(first)) first = operation
    sightings.push({ revision: least >> 1, witness: first })
  }
  return sightings.reverse()
}
