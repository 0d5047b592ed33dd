// `quorate cluster` and `quorate transfer-leader`: the members as the leader sees them, and handing leadership over.
import { write } from './data-io.ts'
import type { DataIo } from './data-io.ts'
import type { CommonOptions } from './data-options.ts'
import { EXIT, printable, writeJson } from './output.ts'
import { runCommand } from './run-command.ts'
import { tableText } from './table.ts'

const HEAD = ['NAME', 'ID', 'KIND', 'ROLE', 'REACHABLE', 'MATCH', 'LAG', 'VERSION', 'URL', 'PEER']

export const cluster = (io: DataIo, options: CommonOptions): Promise<void> =>
  runCommand(io, options, async ({ client, signal }) => {
    const answer = await client.cluster({ signal })
    if (options.json === true) {
      await writeJson(io, answer)
      return EXIT.ok
    }
    const rows = answer.members.map((member) => [
      member.name,
      member.id,
      member.kind,
      member.role,
      member.reachable,
      member.matchIndex,
      member.lagEntries,
      member.version,
      member.url,
      member.peer,
    ])
    await write(io.stdout, `cluster ${printable(answer.clusterId)}, term ${answer.term}\n${tableText(HEAD, rows)}`)
    return EXIT.ok
  })

export const transferLeader = (io: DataIo, to: string | undefined, options: CommonOptions): Promise<void> =>
  runCommand(io, options, async ({ client, signal }) => {
    await client.transferLeadership(to, { signal })
    if (options.json === true) await writeJson(io, { transferred: true, ...(to === undefined ? {} : { to }) })
    else await write(io.stdout, `leadership was handed over${to === undefined ? '' : ` to ${printable(to)}`}\n`)
    return EXIT.ok
  })
