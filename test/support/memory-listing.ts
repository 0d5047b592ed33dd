// Listings and conditions the plain way: what the node in memory is made of.
import type { Condition, KeyEntry, KeyRange } from '../../src/api/commands.ts'
import type { ListedItem, ListRequest } from '../../src/node/facade.ts'

export function rollUp(entries: readonly KeyEntry[], separator: ListRequest['separator']): ListedItem[] {
  const items: ListedItem[] = []
  for (const entry of entries) {
    const at = separator === undefined ? -1 : entry.key.indexOf(separator.text, separator.offset)
    if (separator === undefined || at === -1) {
      items.push({ kind: 'entry', entry })
      continue
    }
    const prefix = entry.key.slice(0, at + separator.text.length)
    const last = items.at(-1)
    if (last?.kind !== 'prefix' || last.prefix !== prefix) items.push({ kind: 'prefix', prefix })
  }
  return items
}

export function holds(condition: Condition, entry: KeyEntry | undefined): boolean {
  if (condition.kind === 'revision') return condition.revision === (entry?.modRevision ?? 0)
  return condition.kind === 'none' || (condition.kind === 'exists' && entry !== undefined)
}

/** What is behind, or with `reverse` in front of, the last item of a page. */
export function restOf({ range, reverse }: ListRequest, last: ListedItem | undefined): KeyRange {
  const key = last === undefined ? '' : last.kind === 'entry' ? last.entry.key : last.prefix
  if (reverse) return { from: range.from, to: key }
  const isPrefix = last?.kind === 'prefix'
  return {
    from: isPrefix ? key.slice(0, -1) + String.fromCharCode(key.charCodeAt(key.length - 1) + 1) : `${key}\0`,
    to: range.to,
  }
}
