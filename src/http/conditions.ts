// Conditions: If-Match, If-None-Match and ?cas as RFC 9110 defines entity tags, and one at a time on writes. A tag of ours is a
// revision in quotes; any other well-formed tag is simply not current, and what is not well-formed is refused.
import { NO_CONDITION } from '../api/commands.ts'
import type { Condition } from '../api/commands.ts'
import { QuorateError } from '../api/errors.ts'

interface ConditionHeaders {
  readonly 'if-match'?: string | undefined
  readonly 'if-none-match'?: string | undefined
}

const ABSENT: Condition = { kind: 'revision', revision: 0 }

const REVISION_TAG = /^"([1-9]\d{0,14})"$/
const TAG = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"$/
const TAG_LIST = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*"(?:[ \t]*,[ \t]*(?:W\/)?"[\x21\x23-\x7e\x80-\xff]*")*$/

const refuse = (detail: string): QuorateError => new QuorateError('BAD_REQUEST', detail)

export const entityTag = (revision: number): string => `"${revision}"`

/** The one condition of a write. */
export function writeCondition(headers: ConditionHeaders, cas: number | undefined): Condition {
  const match = headers['if-match']
  const noneMatch = headers['if-none-match']
  if (match === undefined && noneMatch === undefined && cas === undefined) return NO_CONDITION
  if (Number(match !== undefined) + Number(noneMatch !== undefined) + Number(cas !== undefined) > 1)
    throw refuse('A write takes one condition: If-Match, If-None-Match or the parameter cas.')
  if (cas !== undefined) return cas === 0 ? ABSENT : { kind: 'revision', revision: cas }
  if (noneMatch !== undefined) {
    if (noneMatch !== '*') throw refuse('On a write, If-None-Match can only be *: the key must not exist.')
    return ABSENT
  }
  return matchCondition(match ?? '')
}

function matchCondition(match: string): Condition {
  if (match === '*') return { kind: 'exists' }
  const revision = REVISION_TAG.exec(match)?.[1]
  if (revision !== undefined) return { kind: 'revision', revision: Number(revision) }
  if (TAG.test(match)) return { kind: 'never' }
  throw refuse(
    TAG_LIST.test(match)
      ? 'On a write, If-Match takes one entity tag, not a list.'
      : 'If-Match must be * or one entity tag in double quotes, such as "17".',
  )
}

export type ReadVerdict = 'send' | 'not-modified' | 'precondition-failed'

/** What a GET or HEAD of an existing key answers: If-Match first, by strong comparison; then If-None-Match, by weak. */
export function readVerdict(headers: ConditionHeaders, modRevision: number): ReadVerdict {
  const match = headers['if-match']
  const noneMatch = headers['if-none-match']
  const own = entityTag(modRevision)
  if (match !== undefined && match !== '*' && !tagsOf('If-Match', match).includes(own)) return 'precondition-failed'
  if (noneMatch === undefined) return 'send'
  if (noneMatch === '*') return 'not-modified'
  const isCurrent = tagsOf('If-None-Match', noneMatch).some((tag) => tag === own || tag === `W/${own}`)
  return isCurrent ? 'not-modified' : 'send'
}

/** Refuses what is malformed even where the key turns out not to exist: bad input does not depend on the state. */
export function checkReadConditions(headers: ConditionHeaders): void {
  const match = headers['if-match']
  const noneMatch = headers['if-none-match']
  if (match !== undefined && match !== '*') tagsOf('If-Match', match)
  if (noneMatch !== undefined && noneMatch !== '*') tagsOf('If-None-Match', noneMatch)
}

function tagsOf(header: string, text: string): readonly string[] {
  if (!TAG_LIST.test(text)) throw refuse(`${header} must be * or entity tags in double quotes, separated by commas.`)
  return text.match(/(?:W\/)?"[^"]*"/g) ?? []
}
