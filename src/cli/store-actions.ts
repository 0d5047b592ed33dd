// `quorate add`, `txn` and `compact`: counters, transactions in the JSON of the HTTP interface, and forgetting history.
import { readFile } from 'node:fs/promises'
import { write } from './data-io.ts'
import type { DataIo } from './data-io.ts'
import type { AddCommandOptions, CommonOptions } from './data-options.ts'
import { CommandFailure, EXIT, writeJson } from './output.ts'
import { readStdin } from './read-stdin.ts'
import { argumentBytes, runCommand } from './run-command.ts'

/** What one request can carry. Bytes. */
const TXN_BYTES_MAX = 2 * 1_048_576

export const add = (io: DataIo, key: string, by: bigint, options: AddCommandOptions): Promise<void> =>
  runCommand(io, options, async ({ client, signal }) => {
    const { ifRevision, fence } = options
    const { value, revision } = await client.add(argumentBytes(key, options.key64, 'KEY'), by, {
      ifRevision,
      fence,
      signal,
    })
    if (options.json === true) await writeJson(io, { value: String(value), revision })
    else await write(io.stdout, `${value}\n`)
    return EXIT.ok
  })

/** Exits with 4 when the comparisons did not hold, so that a script can tell. */
export const txn = (io: DataIo, file: string, options: CommonOptions): Promise<void> =>
  runCommand(io, options, async ({ client, signal }) => {
    const document = documentOf(await contentOf(io, file, signal), file)
    const answer = await client.txnDocument(document, { signal })
    await write(io.stdout, `${options.json === true ? JSON.stringify(answer) : JSON.stringify(answer, undefined, 2)}\n`)
    return answer['succeeded'] === true ? EXIT.ok : EXIT.precondition
  })

async function contentOf(io: DataIo, file: string, signal: AbortSignal): Promise<Uint8Array> {
  if (file === '-') return readStdin(io, signal, TXN_BYTES_MAX)
  try {
    return await readFile(file)
  } catch (error) {
    throw new CommandFailure('BAD_REQUEST', EXIT.usage, `${file} cannot be read: ${(error as Error).message}`)
  }
}

function documentOf(bytes: Uint8Array, file: string): object {
  const where = file === '-' ? 'standard input' : file
  let document: unknown
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as unknown
  } catch (error) {
    throw new CommandFailure('BAD_REQUEST', EXIT.usage, `${where} is not JSON: ${(error as Error).message}`)
  }
  if (typeof document !== 'object' || document === null || Array.isArray(document))
    throw new CommandFailure('BAD_REQUEST', EXIT.usage, `${where} is no transaction: it must be {"if", "then", "else"}`)
  return document
}

export const compact = (io: DataIo, revision: number, options: CommonOptions): Promise<void> =>
  runCommand(io, options, async ({ client, signal }) => {
    const compactRevision = await client.compact(revision, { signal })
    if (options.json === true) await writeJson(io, { compactRevision })
    else await write(io.stdout, `history is known from revision ${compactRevision} on\n`)
    return EXIT.ok
  })
