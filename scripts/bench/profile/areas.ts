// What samples of a thread say: how long each function ran itself, and each area of the program. A native function belongs to whoever
// called it; what runs in Node.js itself, or in no function at all, has areas of its own.
import type { CallFrame, CpuProfile } from './inspector.ts'

const IDLE = 'idle'
const GC = 'garbage collection'
const NATIVE = 'native code outside functions'
const NODE = 'Node.js: sockets, streams, http'

/** By the first that is found in the address of a function's file. */
const AREAS: readonly (readonly [pattern: RegExp, area: string])[] = [
  [/\/node_modules\/(?:classic-level|level|abstract-level)\//, 'LevelDB'],
  [/\/node_modules\/(?:@fastify\/|fastify|find-my-way|light-my-request)/, 'http'],
  [/\/node_modules\/undici\//, 'undici'],
  [/\/(?:dist|src)\/storage\/wal\//, 'log'],
  [/\/(?:dist|src)\/(?:storage|kv)\//, 'apply and state'],
  [/\/(?:dist|src)\/(http|raft|transport|client)\//, '$1'],
  [/\/(?:dist|src)\/node\//, 'driver (node)'],
  [/\/(?:dist|src)\/(?:api|lib)\//, 'codec and helpers (api, lib)'],
  [/\/scripts\/bench\//, 'the generator'],
  [/^node:/, NODE],
]

export interface SelfTime {
  readonly name: string
  readonly area: string
  readonly micros: number
}

export interface Breakdown {
  /** Longest first. */
  readonly functions: readonly SelfTime[]
  readonly areas: ReadonlyMap<string, number>
  /** Of functions and areas together. */
  readonly busyMicros: number
  /** Of the time that passed, how much the thread waited for events. */
  readonly idleShare: number
}

/**
 * Samples are taken by the clock, also while the thread waits for a core that others have; `cpuMicros` is what the thread really ran,
 * and all times but the idle one are scaled to it.
 */
export function breakdownOf({ nodes, samples, timeDeltas }: CpuProfile, cpuMicros: number): Breakdown {
  const sampled = new Map<number, number>()
  samples.forEach((id, at) => sampled.set(id, (sampled.get(id) ?? 0) + timeDeltas[at]!))
  const areaById = areasById(nodes)
  const total = [...sampled.values()].reduce((a, b) => a + b, 0)
  const idle = [...sampled].reduce((sum, [id, self]) => sum + (areaById.get(id) === IDLE ? self : 0), 0)
  const scale = cpuMicros / Math.max(1, total - idle)
  const functions = new Map<string, SelfTime>()
  const areas = new Map<string, number>()
  for (const { id, callFrame } of nodes) {
    const area = areaById.get(id)!
    const micros = (sampled.get(id) ?? 0) * scale
    if (micros === 0 || area === IDLE) continue
    areas.set(area, (areas.get(area) ?? 0) + micros)
    const name = nameOf(callFrame, area)
    functions.set(name, { name, area, micros: micros + (functions.get(name)?.micros ?? 0) })
  }
  return {
    functions: [...functions.values()].toSorted((a, b) => b.micros - a.micros),
    areas,
    busyMicros: cpuMicros,
    idleShare: total === 0 ? 0 : idle / total,
  }
}

function areasById(nodes: CpuProfile['nodes']): Map<number, string> {
  const byId = new Map(nodes.map((node) => [node.id, node]))
  const areas = new Map<number, string>()
  const visit = (id: number, callers: string): void => {
    const { callFrame, children = [] } = byId.get(id)!
    const area = areaOf(callFrame) ?? callers
    areas.set(id, area)
    for (const child of children) visit(child, area)
  }
  const [root] = nodes
  if (root !== undefined) visit(root.id, NATIVE)
  return areas
}

/** Undefined for a native function, which has no file. */
function areaOf({ functionName, url }: CallFrame): string | undefined {
  if (functionName === '(idle)') return IDLE
  if (functionName === '(garbage collector)') return GC
  if (functionName === '(program)' || functionName === '(root)') return NATIVE
  if (url === '') return undefined
  for (const [pattern, area] of AREAS) {
    const match = pattern.exec(url)
    if (match !== null) return area.replace('$1', match[1] ?? '')
  }
  return 'other'
}

function nameOf({ functionName, url, lineNumber }: CallFrame, area: string): string {
  if (url === '') return functionName === '' ? `a native function of ${area}` : functionName
  const file = url.replace(/^.*\/(?:node_modules|dist|src|scripts)\//, '')
  return `${functionName === '' ? 'anonymous' : functionName} (${file}:${lineNumber + 1})`
}
