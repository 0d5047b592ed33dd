// Reads of what is beside the keys, such as leases and locks: they take the parameters of all reads.
import type { QuorateError } from '../api/errors.ts'
import type { SideFacts } from '../node/facade.ts'
import type { HttpContext } from './context.ts'
import { isRefusal } from './edge.ts'
import type { Handler } from './pages.ts'
import { parseQuery } from './query.ts'
import { READ_PARAMETERS, readOptions, stalenessHeaders } from './read-options.ts'
import { queryOf } from './target.ts'

/** What is to be looked at once the read is confirmed: a document, or why there is none. */
type Look = (facts: SideFacts) => object | QuorateError

/** `question` checks the target and says what to look at. `known` are parameters that have been looked at already. */
export function look(
  { edge }: HttpContext,
  question: (target: string) => Look,
  known: readonly string[] = [],
): Handler {
  return (request, reply) => {
    const target = request.originalUrl
    const find = question(target)
    const options = readOptions(parseQuery(queryOf(target), [...READ_PARAMETERS, ...known]))
    edge.node.inspect(options, find, (outcome) => {
      edge.guarded(request, reply, () => {
        if (isRefusal(outcome)) throw outcome
        const { found, revision, stalenessMs } = outcome
        if (isRefusal(found)) throw found
        edge.json(reply, 200, found, revision, stalenessHeaders(stalenessMs))
      })
    })
  }
}
