// Proposes an order for a history of Quorate from what the log says: changes in the order of their revisions, answers between them. It
// may be wrong in any way; `witness.ts` verifies it, and only what is verified counts.
import { outputOf } from '../history.ts'
import type { ProposedOrder } from '../witness.ts'
import type { QuorateOperation } from './quorate.ts'
import { revisionMade } from './quorate-types.ts'
import type { QuorateOutput, QuorateWrite } from './quorate-types.ts'

/** What became of one key at one revision. */
export interface LoggedChange {
  readonly key: string
  readonly revision: number
  /** As the history speaks of values; undefined: the key was deleted. */
  readonly value: string | undefined
}

/** Doubled revisions, as in `quorate-revisions.ts`: change r is at 2r, what was answered from the state at r is at 2r + 1. */
type Place = number
const NOWHERE: Place = -1

interface Proposal {
  readonly operations: readonly QuorateOperation[]
  /** By key, in the order of revisions. */
  readonly timelines: ReadonlyMap<string, readonly LoggedChange[]>
  readonly places: Place[]
  /** For each operation the highest place of what was completed before it was invoked. */
  readonly floors: Place[]
}

export function proposeOrder(operations: readonly QuorateOperation[], changes: readonly LoggedChange[]): ProposedOrder {
  const timelines = new Map<string, LoggedChange[]>()
  for (const change of changes) {
    const timeline = timelines.get(change.key)
    if (timeline === undefined) timelines.set(change.key, [change])
    else timeline.push(change)
  }
  const proposal = { operations, timelines, places: placesTold(operations, timelines), floors: [] }
  placeInTime(proposal)
  placeDeletions(proposal)
  const { places } = proposal
  const placed = operations.flatMap((_, at) => (places[at] === NOWHERE ? [] : [at]))
  // At one place, what was invoked first goes first: that keeps real time.
  return placed.sort((a, b) => places[a]! - places[b]! || operations[a]!.invokedAt - operations[b]!.invokedAt)
}

/** Of answers that name a revision, and of puts whose value is in the log. */
function placesTold(
  operations: readonly QuorateOperation[],
  timelines: ReadonlyMap<string, readonly LoggedChange[]>,
): Place[] {
  const written = new Map<string, number>()
  for (const [key, timeline] of timelines)
    for (const { value, revision } of timeline) if (value !== undefined) written.set(`${key}\n${value}`, revision)
  return operations.map(({ input, outcome }) => {
    if (outcome.kind === 'completed') return placeOfAnswer(outcome.output)
    if (outcome.kind === 'not-applied' || input.op !== 'put') return NOWHERE
    const revision = written.get(`${input.key}\n${input.value ?? ''}`)
    return revision === undefined ? NOWHERE : revision * 2
  })
}

function placeOfAnswer(output: QuorateOutput): Place {
  const made = revisionMade(output)
  if (made !== undefined) return made * 2
  return output.revision === undefined ? NOWHERE : output.revision * 2 + 1
}

/** Answers without a revision go to the first place after all that was completed before where the key was as they say. */
function placeInTime({ operations, timelines, places, floors }: Proposal): void {
  const moments = operations.flatMap(({ invokedAt, outcome }, at) => [
    { at, moment: invokedAt, isEnd: false },
    ...(outcome.kind === 'completed' ? [{ at, moment: outcome.at, isEnd: true }] : []),
  ])
  moments.sort((a, b) => a.moment - b.moment || Number(a.isEnd) - Number(b.isEnd))
  let floor: Place = 0
  for (const { at, isEnd } of moments) {
    if (isEnd) {
      floor = Math.max(floor, places[at]!)
      continue
    }
    floors[at] = floor
    const { input, outcome } = operations[at]!
    if (outcome.kind === 'completed' && places[at] === NOWHERE)
      places[at] = firstShowing(timelines.get(input.key) ?? [], shown(outcome.output), floor)
  }
}

const shown = (output: QuorateOutput): number => {
  if (output.kind === 'precondition-failed') return output.currentRevision
  return output.kind === 'got' ? (output.entry?.modRevision ?? 0) : 0
}

/** From `floor` on, the first place where the key has that revision, 0 for an absent one. */
function firstShowing(timeline: readonly LoggedChange[], wanted: number, floor: Place): Place {
  let start: Place = 0
  let current = 0
  for (const { revision, value } of timeline) {
    if (current === wanted && revision * 2 > floor) return Math.max(floor, start)
    start = revision * 2 + 1
    current = value === undefined ? 0 : revision
  }
  return Math.max(floor, start)
}

/** Deletions say nothing of who asked for them: those that nobody was answered are given to those who were not answered. */
function placeDeletions({ operations, timelines, places, floors }: Proposal): void {
  const taken = new Set<string>()
  const open = new Map<string, number[]>()
  operations.forEach((operation, at) => {
    const { input, outcome } = operation
    if (input.op !== 'delete') return
    const made = revisionMade(outputOf(operation))
    if (made !== undefined) taken.add(`${input.key} ${made}`)
    if (outcome.kind !== 'unknown') return
    const list = open.get(input.key)
    if (list === undefined) open.set(input.key, [at])
    else list.push(at)
  })
  for (const [key, candidates] of open) {
    let before = 0
    for (const { revision, value } of timelines.get(key) ?? []) {
      if (value === undefined && !taken.has(`${key} ${revision}`)) {
        const fits = (at: number): boolean =>
          places[at] === NOWHERE && floors[at]! <= revision * 2 && isMet(operations[at]!.input as QuorateWrite, before)
        // Those that fit nowhere else first.
        const exact = candidates.find((at) => fits(at) && conditionKind(operations[at]!) === 'revision')
        const found = exact ?? candidates.find(fits)
        if (found !== undefined) places[found] = revision * 2
      }
      before = value === undefined ? 0 : revision
    }
  }
}

const conditionKind = ({ input }: QuorateOperation): string => (input.op === 'get' ? 'none' : input.condition.kind)

function isMet({ condition }: QuorateWrite, currentRevision: number): boolean {
  if (condition.kind === 'revision') return condition.revision === currentRevision
  return condition.kind === 'none' || (condition.kind === 'exists' && currentRevision > 0)
}
