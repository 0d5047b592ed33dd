// What bends throughput and latency beside the number of keys: the size of values, the number of connections, the number of nodes.
// One of them moves at a time; the others stay at their defaults, whose own point is measured once and belongs to all three curves.
import { temporaryFolder } from '../cleanup.ts'
import type { RunningSystem, StartOptions } from '../systems/system.ts'
import { Attempts } from './attempt.ts'
import { DEFAULTS, driversOf, fillKeys } from './drivers.ts'
import type { Driver } from './drivers.ts'
import { measurePoint, pointsCharts, pointsTable } from './measure-point.ts'
import type { Point } from './measure-point.ts'
import type { BenchContext, Part, PartResult } from './part.ts'

type Nodes = StartOptions['nodes']

const VARIABLES = ['value bytes', 'connections', 'nodes'] as const
const DEFAULT_NODES: Nodes = 3
/** A new store holds at most so many bytes of values before it is measured, so that large ones do not become a test of the disk's size. */
const FILLED_BYTES_MAX = 256 * 1024 * 1024
/** Large values are put by fewer connections: a store that sheds load when more bytes than this are under way does what it should. */
const UNDER_WAY_BYTES_MAX = 16 * 1024 * 1024
/** One store is started for each size and each number of nodes, one for all numbers of connections. */
const START_AND_FILL_SECONDS = 5

interface Steps {
  readonly 'value bytes': readonly number[]
  readonly connections: readonly number[]
  readonly nodes: readonly Nodes[]
}

const FULL: Steps = {
  'value bytes': [16, 1_024, 16_384, 262_144],
  connections: [1, 16, 1_024, 4_096],
  nodes: [1, 5, 7],
}
/** The reference shows where its curve goes with the ends alone. */
const BESIDE: Steps = { 'value bytes': [16, 262_144], connections: [1, 4_096], nodes: [1, 7] }
const SHORT: Steps = { 'value bytes': [16_384], connections: [1], nodes: [1] }

export const growth: Part = {
  name: 'growth',
  runs: 'full',
  summary: 'throughput and latency as values, connections and nodes grow, as curves',
  estimateSeconds(context) {
    const steps = driversOf(context).map((driver) => stepsOf(context, driver))
    const starts = steps.reduce((sum, { nodes, 'value bytes': sizes }) => sum + nodes.length + sizes.length + 1, 0)
    const points = steps.reduce((sum, { connections }) => sum + connections.length, starts)
    return starts * START_AND_FILL_SECONDS + points * 6 * (context.seconds + 0.7)
  },
  run,
}

const stepsOf = ({ isShort }: BenchContext, { dialect }: Driver): Steps =>
  isShort ? SHORT : dialect === 'quorate' ? FULL : BESIDE

async function run(context: BenchContext): Promise<PartResult> {
  const points: Point[] = []
  const attempts = new Attempts(context, 'growth')
  for (const driver of driversOf(context)) {
    const steps = stepsOf(context, driver)
    for (const [what, measured] of [
      ['connections', overConnections],
      ['value bytes', overValues],
      ['nodes', overNodes],
    ] as const) {
      points.push(...((await attempts.make(`${what}, ${driver.name}`, () => measured(context, driver, steps))) ?? []))
    }
  }
  return {
    title: 'Growth',
    tables: VARIABLES.map((variable) => pointsTable(variable, points)),
    charts: VARIABLES.flatMap((variable) => pointsCharts(variable, points)),
    aims: [],
    notes: [
      `Defaults: ${DEFAULTS.keys} keys, ${DEFAULTS.valueBytes}-byte values, ${DEFAULTS.clients} connections, ${DEFAULT_NODES} nodes. Latency is open-loop at half of the saturation of its own point. Of values that are so large that more than ${UNDER_WAY_BYTES_MAX / 1024 ** 2} MiB would be under way there are fewer connections.`,
      'All nodes share this machine: a curve over nodes shows what more copies cost together, not what more machines give.',
    ],
    failures: attempts.failures,
    raw: points,
  }
}

/** With the point of the defaults, for all three curves. */
async function overConnections(context: BenchContext, driver: Driver, { connections }: Steps): Promise<Point[]> {
  return await withSystem(context, driver, DEFAULT_NODES, DEFAULTS, async (system) => {
    const points: Point[] = []
    // The defaults come first: a point that overwhelms the store must not spoil them.
    for (const clients of [DEFAULTS.clients, ...connections]) {
      const place = { driver, system, variable: 'connections', x: clients, rounds: 1 }
      const measured = await measurePoint(context, place, { ...DEFAULTS, clients })
      points.push(...measured)
      if (clients !== DEFAULTS.clients) continue
      for (const point of measured) {
        points.push({ ...point, variable: 'value bytes', x: DEFAULTS.valueBytes })
        points.push({ ...point, variable: 'nodes', x: DEFAULT_NODES })
      }
    }
    return points
  })
}

async function overValues(context: BenchContext, driver: Driver, steps: Steps): Promise<Point[]> {
  const points: Point[] = []
  for (const valueBytes of steps['value bytes']) {
    const clients = Math.min(DEFAULTS.clients, Math.floor(UNDER_WAY_BYTES_MAX / valueBytes))
    const keys = Math.max(100, Math.min(DEFAULTS.keys, Math.floor(FILLED_BYTES_MAX / valueBytes)))
    const measured = await withSystem(context, driver, DEFAULT_NODES, { keys, valueBytes }, (system) =>
      measurePoint(
        context,
        { driver, system, variable: 'value bytes', x: valueBytes, rounds: 1 },
        { ...DEFAULTS, keys, valueBytes, clients },
      ),
    )
    points.push(...measured)
  }
  return points
}

async function overNodes(context: BenchContext, driver: Driver, steps: Steps): Promise<Point[]> {
  const points: Point[] = []
  for (const nodes of steps.nodes) {
    const measured = await withSystem(context, driver, nodes, DEFAULTS, (system) =>
      measurePoint(context, { driver, system, variable: 'nodes', x: nodes, rounds: 1 }, DEFAULTS),
    )
    points.push(...measured)
  }
  return points
}

async function withSystem<T>(
  context: BenchContext,
  driver: Driver,
  nodes: Nodes,
  filled: { readonly keys: number; readonly valueBytes: number },
  work: (system: RunningSystem) => Promise<T>,
): Promise<T> {
  const system = await driver.system.start(temporaryFolder('growth'), { nodes })
  try {
    await fillKeys(context, system, driver.dialect, filled)
    return await work(system)
  } finally {
    await system.stop()
  }
}
