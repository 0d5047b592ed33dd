// What an entry will read, so that it can be fetched before apply, which never waits. Pure: only the batch decides.
import type { EntryBatch } from '../api/commands.ts'
import type { KeyString } from '../lib/bytes.ts'
import type { KvState, ReadSet } from './types.ts'

/**
 * What applying the batch asks the state for: each key once, in the order of first use. `_found` is what was fetched before,
 * for operations whose keys follow from others; a put or a delete names its key itself.
 */
export function reads(batch: EntryBatch, _found: Pick<KvState, 'pointer'>): ReadSet {
  const pointers = new Set<KeyString>()
  const records = new Set<KeyString>()
  for (const { commands } of batch.groups) {
    for (const command of commands) {
      if (command.op === 'compact') continue
      pointers.add(command.key)
      if (command.wantsPrevious) records.add(command.key)
    }
  }
  return { pointers: [...pointers], records: [...records] }
}
