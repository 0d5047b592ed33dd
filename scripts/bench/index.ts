// A first look at speed: three nodes on this machine, fresh data, HTTP PUT and linearizable GET through `wrk` with 64 and 256
// connections to the leader, several rounds interleaved. Prints medians with minimum and maximum, and CPU per operation.
import { execFile, execFileSync } from 'node:child_process'
import { cpus } from 'node:os'
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

Starts three nodes with fresh data in a temporary directory and drives the leader (or, with --follower, a follower) with wrk.
Needs wrk (Debian: apt-get install wrk).
`)
  process.exit(0)
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

const cluster = await RealCluster.start()
try {
  const leader = await cluster.leader()
  const target = values.follower ? (await cluster.followers())[0]! : leader
  process.stdout.write(
    `quorate ${(await leader.status())?.version}, node ${process.version}, ${cpus().length} x ${cpus()[0]?.model ?? 'cpu'}; ` +
      `3 nodes, wrk -> ${target === leader ? 'the leader' : 'a follower'}, 128-byte values, ${rounds} rounds of ${seconds} s\n`,
  )
  await drive('put', 64, 2)
  const samples = new Map<string, Sample[]>()
  for (let round = 0; round < rounds; round++) {
    for (const { kind, connections } of workloads) {
      const name = `${kind.toUpperCase()} ${connections}`
      samples.set(name, [...(samples.get(name) ?? []), await drive(kind, connections, seconds)])
    }
  }
  for (const [name, taken] of samples) report(name, taken)
  const memory = cluster.nodes.map((node) => `${node.name} ${residentMiB(node.pid)} MiB`).join(', ')
  process.stdout.write(`resident memory: ${memory}\n`)

  async function drive(kind: string, connections: number, forSeconds: number): Promise<Sample> {
    const before = cluster.nodes.map((node) => cpuMicros(node.pid))
    const script = fileURLToPath(new URL(`./${kind}.lua`, import.meta.url))
    const args = [
      '-t1',
      `-c${connections}`,
      `-d${forSeconds}s`,
      '--latency',
      '-s',
      script,
      target.url,
      '--',
      String(Date.now() % 100_000),
    ]
    const { stdout } = await run('wrk', args)
    const total = Number(/(\d+) requests in/.exec(stdout)?.[1] ?? 0)
    const cpuMicrosPerOp: Record<string, number> = {}
    cluster.nodes.forEach((node, at) => {
      const role = node === leader ? 'leader' : `follower ${node.name}`
      cpuMicrosPerOp[role] = (cpuMicros(node.pid) - before[at]!) / total
    })
    return {
      perSecond: Number(/Requests\/sec:\s+([\d.]+)/.exec(stdout)?.[1] ?? 0),
      cpuMicrosPerOp,
      errors: [...stdout.matchAll(/Socket errors.*|Non-2xx.*/g)].map(String).join('; '),
      latency: ['50%', '99%'].map((part) => `${part} ${new RegExp(`${part}\\s+(\\S+)`).exec(stdout)?.[1]}`).join(', '),
    }
  }
} finally {
  await cluster.close()
}

function report(name: string, taken: readonly Sample[]): void {
  const rates = taken.map((sample) => sample.perSecond).sort((a, b) => a - b)
  const middle = taken.find((sample) => sample.perSecond === rates[Math.floor(rates.length / 2)])!
  const cpu = Object.entries(middle.cpuMicrosPerOp).map(([role, micros]) => `${role} ${micros.toFixed(1)}`)
  const errors = taken.map((sample) => sample.errors).filter((text) => text !== '')
  process.stdout.write(
    `${name.padEnd(8)} ${middle.perSecond.toFixed(0)} /s (${rates[0]!.toFixed(0)} to ${rates.at(-1)!.toFixed(0)}), closed-loop latency ${middle.latency}; ` +
      `CPU us per op: ${cpu.join(', ')}` +
      `${errors.length > 0 ? `; ERRORS: ${errors.join(' | ')}` : ''}\n`,
  )
}
