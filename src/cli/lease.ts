// `quorate lease`: grant, keep alive, look at and revoke leases.
import { write } from './data-io.ts'
import type { DataIo } from './data-io.ts'
import type { CommonOptions, LeaseGrantOptions } from './data-options.ts'
import { CommandFailure, EXIT, shownBytes, writeJson } from './output.ts'
import { runCommand } from './run-command.ts'
import { tableText } from './table.ts'

export const leaseGrant = (io: DataIo, ttlMs: number, options: LeaseGrantOptions): Promise<void> =>
  runCommand(io, options, async ({ client, signal }) => {
    const lease = await client.lease({ ttlMs, signal })
    if (options.json === true) await writeJson(io, { id: lease.id, ttlMs })
    else await write(io.stdout, `${lease.id}\n`)
    if (options.keep !== true) return EXIT.ok
    await firstOf(signal, lease.signal)
    if (!signal.aborted) throw new CommandFailure('LEASE_NOT_FOUND', EXIT.notFound, 'the lease was lost')
    await lease.revoke()
    return EXIT.ok
  })

export const leaseKeepAlive = (io: DataIo, id: string, options: CommonOptions): Promise<void> =>
  runCommand(io, options, async ({ client, signal }) => {
    const ttlMs = await client.keepLeaseAlive(id, { signal })
    if (options.json === true) await writeJson(io, { ttlMs })
    else await write(io.stdout, `lasts for another ${ttlMs} ms\n`)
    return EXIT.ok
  })

export const leaseRevoke = (io: DataIo, id: string, options: CommonOptions): Promise<void> =>
  runCommand(io, options, async ({ client, signal }) => {
    const deleted = await client.revokeLease(id, { signal })
    if (options.json === true) await writeJson(io, { deleted })
    else await write(io.stdout, `revoked; ${deleted} ${deleted === 1 ? 'key' : 'keys'} deleted with it\n`)
    return EXIT.ok
  })

export const leaseList = (io: DataIo, options: CommonOptions): Promise<void> =>
  runCommand(io, options, async ({ client, signal }) => {
    const leases = await client.leases({ signal })
    if (options.json === true) {
      await writeJson(io, { leases })
      return EXIT.ok
    }
    const rows = leases.map(({ id, ttlMs, remainingMs, keyCount }) => [id, ttlMs, remainingMs, keyCount])
    await write(io.stdout, tableText(['ID', 'TTL MS', 'LEFT MS', 'KEYS'], rows))
    return EXIT.ok
  })

export const leaseShow = (io: DataIo, id: string, options: CommonOptions): Promise<void> =>
  runCommand(io, options, async ({ client, signal }) => {
    const lease = await client.leaseInfo(id, { signal })
    const keys = lease.keys.map((key) => shownBytes(key))
    if (options.json === true) await writeJson(io, { ...lease, keys })
    else
      await write(
        io.stdout,
        `ttl: ${lease.ttlMs} ms\nleft: ${lease.remainingMs} ms\n${keys.map((key) => `key: ${key}\n`).join('')}`,
      )
    return EXIT.ok
  })

/** Resolves when the first of them fires. */
export function firstOf(...signals: readonly AbortSignal[]): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of signals) {
      if (signal.aborted) resolve()
      else signal.addEventListener('abort', () => resolve(), { once: true })
    }
  })
}
