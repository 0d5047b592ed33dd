// Debian's ZooKeeper, a further column of throughput. Its writes promise what ours do, its reads somewhat less, and it says so.
import { execFile } from 'node:child_process'
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { freePorts, ServerProcess } from './server-process.ts'
import { startedSystem, until } from './system.ts'
import type { RunningNode, RunningSystem, StartOptions, System } from './system.ts'

export const ZOOKEEPER_INSTALL = 'apt-get install zookeeper'

const JARS = '/usr/share/java'
/** The manifest of the first names all others that it needs; the second writes its log to stderr. */
const CLASS_PATH = `${JARS}/zookeeper.jar:${JARS}/slf4j-simple.jar`
const MAIN = 'org.apache.zookeeper.server.quorum.QuorumPeerMain'
const STATUS_TIMEOUT_MS = 1_000

/** Undefined where it is not installed, or Java is not. */
export async function findZookeeper(): Promise<System | undefined> {
  const [version, java] = [jarVersion(), await javaVersion()]
  if (version === undefined || java === undefined) return undefined
  return {
    name: 'ZooKeeper',
    version: `${version} on Java ${java}`,
    promises:
      'a write is on the disks of a majority (fdatasync of its log) and applied before the answer, and writes are linearizable; a plain get is answered by the server that is asked, and only sequentially consistent, so a GET here is a sync and after its answer a get, both of the leader; that is still less than the others promise: no majority confirms that the leader still leads, and one that was deposed and does not know it may answer with an old value; default settings, with the times of its example and a heap of 1,000 MB',
    start,
  }
}

/** Its package leaves a link with the version in its name. */
function jarVersion(): string | undefined {
  try {
    return readdirSync(JARS)
      .map((name) => /^zookeeper-(\d[\d.]*)\.jar$/.exec(name)?.[1])
      .find((version) => version !== undefined)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function javaVersion(): Promise<string | undefined> {
  try {
    const { stderr } = await promisify(execFile)('java', ['-version'])
    return /version "(\S+)"/.exec(stderr)?.[1] ?? 'of unknown version'
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

async function start(dir: string, { nodes: count }: StartOptions): Promise<RunningSystem> {
  const ports = await freePorts(3 * count)
  const members = Array.from(
    { length: count },
    (_, at) => `server.${at + 1}=127.0.0.1:${ports[3 * at + 1]}:${ports[3 * at + 2]}`,
  )
  const nodes = members.map((_, at) => {
    const dataDir = join(dir, `z${at + 1}`)
    const port = ports[3 * at]!
    mkdirSync(dataDir, { recursive: true })
    writeFileSync(join(dataDir, 'myid'), `${at + 1}\n`)
    writeFileSync(join(dataDir, 'zoo.cfg'), `${[...settings(dataDir, port), ...members].join('\n')}\n`)
    return node(`z${at + 1}`, port, dataDir, new ServerProcess('java', javaArguments(dataDir)).start())
  })
  return startedSystem(dir, nodes, isLeading)
}

/** The three times are those of its example, two of them without a default. All else has its default; the log is synced, above all. */
const settings = (dataDir: string, port: number): string[] => [
  'tickTime=2000',
  'initLimit=10',
  'syncLimit=5',
  `dataDir=${dataDir}`,
  `clientPort=${port}`,
  'clientPortAddress=127.0.0.1',
  'admin.enableServer=false',
]

const javaArguments = (dataDir: string): string[] => [
  '-Xmx1000m',
  // Both are files outside the data folder otherwise, which stay when the process is killed.
  '-XX:-UsePerfData',
  `-XX:ErrorFile=${join(dataDir, 'error.log')}`,
  '-Dorg.slf4j.simpleLogger.defaultLogLevel=warn',
  '-cp',
  CLASS_PATH,
  MAIN,
  join(dataDir, 'zoo.cfg'),
]

interface ZookeeperNode extends RunningNode {
  readonly port: number
}

const node = (name: string, port: number, dataDir: string, process: ServerProcess): ZookeeperNode => ({
  name,
  url: `127.0.0.1:${port}`,
  port,
  dataDir,
  process,
  ready: () =>
    until(`${name} at 127.0.0.1:${port} serves`, async () => {
      process.assertRunning()
      return (await mode(port)) === undefined ? undefined : true
    }).then(() => undefined),
})

/** One alone has no leader, and is it. */
async function isLeading({ port }: ZookeeperNode): Promise<boolean> {
  const now = await mode(port)
  return now === 'leader' || now === 'standalone'
}

/** Undefined while it is down, or serves nobody because there is no majority. */
async function mode(port: number): Promise<string | undefined> {
  return /^Mode: (\S+)/m.exec(await ask(port, 'srvr'))?.[1]
}

/** One of its four-letter words: it answers, and closes the connection. */
function ask(port: number, word: string): Promise<string> {
  return new Promise((resolve) => {
    let answer = ''
    const socket = connect(port, '127.0.0.1', () => void socket.write(word))
    socket.setTimeout(STATUS_TIMEOUT_MS, () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      answer += chunk.toString()
    })
    // It is down or starting: whoever asks waits and asks again, up to a limit.
    socket.on('error', () => undefined)
    socket.on('close', () => resolve(answer))
  })
}
