// How many bytes reach the disk for each byte that is put: the log, the state, its compactions and the history together, under
// uniform overwrites, counted at the block device.
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Reached } from '../aims.ts'
import { temporaryFolder } from '../cleanup.ts'
import { runClientLoad } from '../load/client-run.ts'
import { runGoLoad } from '../load/go-load.ts'
import type { LoadResult } from '../load/load-result.ts'
import { keyName } from '../load/requests.ts'
import { deviceBytesWritten } from '../measure.ts'
import type { RunningSystem, System } from '../systems/system.ts'
import { Attempts } from './attempt.ts'
import { fillKeys } from './drivers.ts'
import type { BenchContext, Part, PartResult } from './part.ts'

interface Sample {
  readonly system: string
  readonly valueBytes: number
  readonly puts: number
  readonly errors: string
  readonly deviceBytes: number
  /** What the device was written per second before the load began: other programs, mostly. */
  readonly quietBytesPerSecond: number
  /** Bytes on disk for each byte of key and value, for one of the three nodes. */
  readonly perByte: number
}

const NODES = 3
const CLIENTS = 256
const SIZES = [
  { valueBytes: 128, id: 'disk-128' },
  { valueBytes: 1_024, id: 'disk-1024' },
] as const
/**
 * Keys are filled until so much was written: by then Quorate's log drops its oldest files and writes over them, as it does ever after. The
 * zeros that new ones begin with, 96 MiB in the life of a node, are no price of a put.
 */
const FULL = { keys: 200_000, seconds: 30, fillBytes: 80 * 1024 ** 2 }
const SHORT = { keys: 10_000, seconds: 2, fillBytes: 0 }
/** The device is looked at this often, and counts as quiet when so little was written in between. */
const LOOK_MS = 500
const QUIET_BYTES = 256 * 1024
const LOOKS_MAX = 20

export const diskBytes: Part = {
  name: 'disk-bytes',
  runs: 'matrix',
  summary: 'bytes written to the block device for each byte put, with values of 128 bytes and 1 KiB',
  estimateSeconds: ({ isShort, etcd }) => (isShort ? 12 : 70) * (etcd === undefined ? 2 : 4),
  run,
}

async function run(context: BenchContext): Promise<PartResult> {
  const probe = temporaryFolder('device')
  const result: Omit<PartResult, 'tables' | 'aims' | 'raw' | 'notes'> = { title: 'Bytes on disk', charts: [] }
  if (deviceBytesWritten(probe) === undefined) {
    const notes = [`${probe} is not on a block device of its own counters (tmpfs, overlay): no bytes were counted.`]
    return { ...result, tables: [], aims: [], raw: [], notes }
  }
  const attempts = new Attempts(context, 'disk-bytes')
  const samples: Sample[] = []
  for (const { valueBytes } of SIZES) {
    const reference = context.etcdLoad === undefined ? undefined : context.etcd
    for (const system of [context.quorate, reference]) {
      if (system === undefined) continue
      const what = `${system.name}, values of ${valueBytes} bytes`
      const sample = await attempts.make(what, () => measure(context, system, valueBytes))
      if (sample !== undefined) samples.push(sample)
    }
  }
  const { failures } = attempts
  return {
    ...result,
    tables: [table(samples)],
    aims: aims(samples),
    notes: notes(context, samples),
    failures,
    raw: samples,
  }
}

async function measure(context: BenchContext, system: System, valueBytes: number): Promise<Sample> {
  const { keys, seconds, fillBytes } = context.isShort ? SHORT : FULL
  context.progress(`${system.name}: ${keys} keys with values of ${valueBytes} bytes, then ${seconds} s of overwrites`)
  const dir = temporaryFolder(system.name.toLowerCase())
  const running = await system.start(dir, { nodes: NODES })
  try {
    const dialect = system === context.quorate ? 'quorate' : 'etcd'
    for (let written = 0; written <= fillBytes; written += keys * valueBytes) {
      await fillKeys(context, running, dialect, { keys, valueBytes })
    }
    const before = await settled(dir)
    const load = await drive(context, running, { isOurs: dialect === 'quorate', keys, valueBytes, seconds })
    const after = await settled(dir)
    const deviceBytes = after.bytes - before.bytes
    const putBytes = load.operations * (keyName(0).length + valueBytes)
    const sample: Sample = {
      system: system.name,
      valueBytes,
      puts: load.operations,
      errors: load.errors > 0 ? `${load.errors}: ${load.firstError}` : '',
      deviceBytes,
      quietBytesPerSecond: before.bytesPerSecond,
      perByte: deviceBytes / NODES / putBytes,
    }
    context.progress(
      `${system.name}, ${valueBytes} bytes: ${sample.perByte.toFixed(1)} bytes on disk a byte put and node`,
    )
    return sample
  } finally {
    await running.stop()
  }
}

const drive = (
  context: BenchContext,
  { urls }: RunningSystem,
  options: { readonly isOurs: boolean; readonly keys: number; readonly valueBytes: number; readonly seconds: number },
): Promise<LoadResult> => {
  const { isOurs, ...rest } = options
  return isOurs
    ? runClientLoad({ endpoints: urls, kind: 'put', callers: CLIENTS, warmsUp: false, ...rest })
    : runGoLoad(context.etcdLoad!, { endpoints: [urls[0]!], op: 'put', clients: CLIENTS, ...rest })
}

/** Waits until caches are written and the device is quiet; where others keep it busy, the last look says how busy. */
async function settled(dir: string): Promise<{ readonly bytes: number; readonly bytesPerSecond: number }> {
  let bytes = await synced(dir)
  let written = 0
  for (let look = 0; look < LOOKS_MAX; look++) {
    const startMs = performance.now()
    await new Promise((resolve) => setTimeout(resolve, LOOK_MS))
    const now = await synced(dir)
    written = ((now - bytes) * 1_000) / (performance.now() - startMs)
    const isQuiet = now - bytes < QUIET_BYTES
    bytes = now
    if (isQuiet) break
  }
  return { bytes, bytesPerSecond: written }
}

/** What processes gave to the system's cache counts as soon as it is on the device, so it is sent there first. */
async function synced(dir: string): Promise<number> {
  await promisify(execFile)('sync')
  const bytes = deviceBytesWritten(dir)
  if (bytes === undefined) throw new Error(`the block device of ${dir} has gone`)
  return bytes
}

function table(samples: readonly Sample[]): PartResult['tables'][number] {
  return {
    title: `Bytes written to the device, a node of ${NODES}, for each byte of key (16) and value`,
    head: [
      'system',
      'value bytes',
      'puts',
      'MiB written by all nodes',
      'bytes a byte put',
      'MiB a second before the load',
    ],
    rows: samples.map((sample) => [
      sample.system,
      String(sample.valueBytes),
      sample.puts.toLocaleString('en-US'),
      (sample.deviceBytes / 1024 ** 2).toFixed(0),
      sample.errors === '' ? sample.perByte.toFixed(1) : `errors: ${sample.errors}`,
      (sample.quietBytesPerSecond / 1024 ** 2).toFixed(2),
    ]),
  }
}

function aims(samples: readonly Sample[]): Reached[] {
  return SIZES.flatMap(({ valueBytes, id }) => {
    const at = (name: string): Sample | undefined =>
      samples.find((sample) => sample.system === name && sample.valueBytes === valueBytes && sample.errors === '')
    const [ours, theirs] = [at('Quorate'), at('etcd')]
    if (ours === undefined) return []
    const beside = theirs === undefined ? '' : `; etcd ${theirs.perByte.toFixed(1)}`
    return [{ id, value: ours.perByte, text: `${ours.perByte.toFixed(1)}${beside}` }]
  })
}

function notes(context: BenchContext, samples: readonly Sample[]): string[] {
  const notes = [
    'Counted at the block device, file system and journal included, because a process that writes with O_DSYNC is charged whole folios by the kernel. Whatever else writes to the device is counted too: the last column says how much that was just before.',
  ]
  const busy = samples.some(({ quietBytesPerSecond }) => quietBytesPerSecond > QUIET_BYTES)
  if (busy) notes.push('The device was not quiet before some of these measurements: read them as upper bounds.')
  if (context.etcdLoad === undefined)
    notes.push('etcd, or its Go client, is not installed: Quorate was measured alone.')
  if (context.isShort) notes.push('In the short form the state is too small for its compactions to show.')
  return notes
}
