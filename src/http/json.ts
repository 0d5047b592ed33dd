// JSON requests, strictly: UTF-8 without a byte order mark, no member twice, bounded depth. JSON.parse keeps the last of two
// equal members and proxies may keep the first; who decides by the first must not be deceived by the second.
import { QuorateError } from '../api/errors.ts'
import { HTTP_LIMITS } from './limits.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const refuse = (detail: string): QuorateError => new QuorateError('BAD_REQUEST', detail)

/** JSON, nothing, or what curl says without being told. Parameters such as a charset are let pass. */
const JSON_TYPES = /^(?:application\/json|application\/x-www-form-urlencoded)[ \t]*(?:;|$)/i

export function checkJsonType(headers: {
  readonly 'content-type'?: string | undefined
  readonly 'content-encoding'?: string | undefined
}): void {
  const type = headers['content-type']
  if (type !== undefined && !JSON_TYPES.test(type))
    throw new QuorateError('UNSUPPORTED_MEDIA_TYPE', 'This endpoint takes application/json.')
  const encoding = headers['content-encoding']
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity')
    throw new QuorateError('UNSUPPORTED_MEDIA_TYPE', 'Content-Encoding is not supported.')
}

/** An empty body is an empty object: every member of our requests that can be left out may be left out together. */
export function parseJson(body: Uint8Array): unknown {
  if (body.length === 0) return {}
  let text: string
  try {
    text = utf8.decode(body)
  } catch {
    throw refuse('The body is not valid UTF-8.')
  }
  const written = countMembers(text)
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    throw refuse('The body is not valid JSON.')
  }
  if (membersOf(document) !== written) throw refuse('The body names a member of an object twice.')
  return document
}

/** Colons outside of strings, one a member; refuses what is nested too deeply. Well-formedness is JSON.parse's business. */
function countMembers(text: string): number {
  let members = 0
  let depth = 0
  let isString = false
  for (let i = 0; i < text.length; i++) {
    const character = text[i]
    if (isString) {
      if (character === '\\') i++
      else if (character === '"') isString = false
    } else if (character === '"') isString = true
    else if (character === ':') members++
    else if (character === '{' || character === '[') {
      depth++
      if (depth > HTTP_LIMITS.jsonDepthMax)
        throw refuse(`The body is nested more than ${HTTP_LIMITS.jsonDepthMax} levels deep.`)
    } else if (character === '}' || character === ']') depth--
  }
  return members
}

/** Recursion is safe: the depth was bounded before. */
function membersOf(document: unknown): number {
  if (typeof document !== 'object' || document === null) return 0
  const values: unknown[] = Object.values(document)
  const own = Array.isArray(document) ? 0 : values.length
  return values.reduce<number>((sum, value) => sum + membersOf(value), own)
}
