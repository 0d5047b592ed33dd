// A first look at speed: three nodes on this machine, fresh data, HTTP PUT and linearizable GET through `wrk`, and beside them
// the ceiling: the same HTTP server writing into a Map, alone. Rounds are interleaved. Prints medians with minimum and
// maximum, CPU per operation of each process, and the ratio to the ceiling within the same run: machines differ, ratios less so.
import { execFile, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { cpus } from 'node:os'
import { execPath } from 'node:process'
import { parseArgs, promisify } from 'node:util'
import { fileURLToPath } from 'node:url'
import { RealCluster } from '../../test/support/real-cluster.ts'
import { cpuMicros, residentMiB } from './proc.ts'

const run = promisify(execFile)

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '64,256' },
    follower: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  },
})

if (values.help) {
  process.stdout.write(`npm run bench -- [--rounds 3] [--seconds 5] [--connections 64,256] [--follower]

Starts three nodes with fresh data in a temporary directory and drives the leader (or, with --follower, a follower) with wrk;
in turns with the ceiling, a plain Fastify server that writes into a Map.
Needs wrk (Debian: apt-get install wrk).
`)
  process.exit(0)
}

/** Something that answers PUT and GET, and the processes that it costs. */
interface Target {
  readonly name: string
  readonly url: string
  readonly processes: readonly { readonly role: string; readonly pid: number }[]
}

interface Sample {
  readonly perSecond: number
  readonly cpuMicrosPerOp: Readonly<Record<string, number>>
  readonly errors: string
  readonly latency: string
}

const rounds = Number(values.rounds)
const seconds = Number(values.seconds)
const workloads = values.connections
  .split(',')
  .flatMap((connections) => ['put', 'get'].map((kind) => ({ kind, connections: Number(connections) })))

try {
  execFileSync('which', ['wrk'], { stdio: 'ignore' })
} catch {
  process.stderr.write('wrk is not installed. On Debian: apt-get install wrk\n')
  process.exit(1)
}

const ceilingServer = spawn(
  execPath,
  ['--import', 'tsx', fileURLToPath(new URL('./ceiling-server.ts', import.meta.url))],
  {
    stdio: ['ignore', 'pipe', 'inherit'],
  },
)
const cluster = await RealCluster.start()
try {
  const [address] = (await once(ceilingServer.stdout, 'data')) as [Buffer]
  const leader = await cluster.leader()
  const driven = values.follower ? (await cluster.followers())[0]! : leader
  const ours: Target = {
    name: 'quorate',
    url: driven.url,
    processes: cluster.nodes.map((node) => ({
      role: node === leader ? 'leader' : `follower ${node.name}`,
      pid: node.pid,
    })),
  }
  const ceiling: Target = {
    name: 'ceiling',
    url: address.toString().trim(),
    processes: [{ role: 'server', pid: ceilingServer.pid! }],
  }
  process.stdout.write(
    `quorate ${(await leader.status())?.version}, node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'cpu'}; ` +
      `3 nodes, wrk -> ${driven === leader ? 'the leader' : 'a follower'}, 128-byte values, ${rounds} rounds of ${seconds} s\n`,
  )
  const targets = [ours, ceiling]
  // Until all keys are there, and the compilers have seen the hot paths.
  for (const target of targets) await drive(target, 'put', 256, 10)
  const samples = new Map<string, Sample[]>()
  for (let round = 0; round < rounds; round++) {
    for (const { kind, connections } of workloads) {
      for (const target of targets) {
        const name = `${kind.toUpperCase()} ${connections} ${target.name}`
        samples.set(name, [...(samples.get(name) ?? []), await drive(target, kind, connections, seconds)])
      }
    }
  }
  for (const [name, taken] of samples) report(name, taken)
  for (const { kind, connections } of workloads) {
    const [a, b] = targets.map((target) => samples.get(`${kind.toUpperCase()} ${connections} ${target.name}`)!)
    const ratios = a!.map((sample, round) => sample.perSecond / b![round]!.perSecond).sort((x, y) => x - y)
    process.stdout.write(
      `${kind.toUpperCase()} ${connections}: ${middleOf(ratios).toFixed(2)} of the ceiling ` +
        `(${ratios[0]!.toFixed(2)} to ${ratios.at(-1)!.toFixed(2)})\n`,
    )
  }
  const memory = cluster.nodes.map((node) => `${node.name} ${residentMiB(node.pid)} MiB`).join(', ')
  process.stdout.write(`resident memory: ${memory}\n`)
} finally {
  ceilingServer.kill()
  await cluster.close()
}

async function drive(target: Target, kind: string, connections: number, forSeconds: number): Promise<Sample> {
  const before = target.processes.map(({ pid }) => cpuMicros(pid))
  const seed = String(Date.now() % 100_000)
  const options = ['-t1', `-c${connections}`, `-d${forSeconds}s`, '--latency', '-s', script(`${kind}.lua`)]
  const { stdout } = await run('wrk', [...options, target.url, '--', seed])
  const total = Number(/(\d+) requests in/.exec(stdout)?.[1] ?? 0)
  const cpuMicrosPerOp: Record<string, number> = {}
  target.processes.forEach(({ role, pid }, at) => {
    cpuMicrosPerOp[role] = (cpuMicros(pid) - before[at]!) / total
  })
  return {
    perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1] ?? 0),
    cpuMicrosPerOp,
    errors: [...stdout.matchAll(/Socket errors.*|Non-2xx.*/g)].map(String).join('; '),
    latency: ['50%', '99%'].map((part) => `${part} ${new RegExp(`${part}\\s+(\\S+)`).exec(stdout)?.[1]}`).join(', '),
  }
}

function script(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url))
}

function middleOf(sorted: readonly number[]): number {
  return sorted[Math.floor(sorted.length / 2)]!
}

function report(name: string, taken: readonly Sample[]): void {
  const rates = taken.map((sample) => sample.perSecond).sort((a, b) => a - b)
  const middle = taken.find((sample) => sample.perSecond === middleOf(rates))!
  const cpu = Object.entries(middle.cpuMicrosPerOp).map(([role, micros]) => `${role} ${micros.toFixed(1)}`)
  const errors = taken.map((sample) => sample.errors).filter((text) => text !== '')
  process.stdout.write(
    `${name.padEnd(16)} ${middle.perSecond.toFixed(0)} /s (${rates[0]!.toFixed(0)} to ${rates.at(-1)!.toFixed(0)}), closed-loop latency ${middle.latency}; ` +
      `CPU us per op: ${cpu.join(', ')}` +
      `${errors.length > 0 ? `; ERRORS: ${errors.join(' | ')}` : ''}\n`,
  )
}
