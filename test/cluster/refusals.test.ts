// What a node says when it must not run or must not be listened to: a wrong directory, a lost one, a wrong secret, a full disk.
import { execFileSync } from 'node:child_process'
import { cp, mkdir, mkdtemp, rename, rm, statfs, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { RealCluster, RealNode, until } from '../support/real-cluster.ts'

const MiB = 1024 * 1024

const problem = (text: string): Record<string, unknown> => JSON.parse(text) as Record<string, unknown>

/** Copies what a killed node left; the other tests of this cluster get it back. */
async function keepCopyOf(node: RealNode): Promise<void> {
  const copy = `${node.dataDir}-kept`
  await cp(node.dataDir, copy, { recursive: true })
  onTestFinished(async () => {
    await node.stop()
    await rm(node.dataDir, { recursive: true, force: true })
    await rename(copy, node.dataDir)
  })
}

describe('a node refuses to run', () => {
  let cluster: RealCluster
  beforeAll(async () => {
    cluster = await RealCluster.start()
  })
  beforeEach(() => cluster.whole())
  afterAll(() => cluster.close())

  it('D12: on a data directory that another process uses', async () => {
    const node = cluster.node('n1')
    const twin = new RealNode('n1', node.url, node.dataDir, node.args).start([
      '--listen',
      '127.0.0.1:0',
      '--peer-listen',
      '127.0.0.1:0',
    ])
    expect(await twin.exit()).toBe(1)
    expect(twin.output).toMatch(/another process/i)
    expect(twin.output).toContain(node.dataDir)
    expect((await node.http('PUT', '/v1/kv/a', 'x')).status).toBe(201)
  })

  it('D11: on a data directory of another cluster, or of another node', async () => {
    const node = cluster.node('n1')
    await node.stop('SIGKILL')
    const other = new RealNode('n1', node.url, node.dataDir, node.args).start(['--cluster-token', 'another'])
    expect(await other.exit()).toBe(1)
    expect(other.output).toMatch(
      /belongs to node n1 of cluster [0-9a-f]{16}, but this is node n1 of cluster [0-9a-f]{16}/,
    )
    const second = cluster.node('n2')
    await second.stop('SIGKILL')
    const wrong = new RealNode('n1', second.url, node.dataDir, second.args).start(['--data-dir', node.dataDir])
    expect(await wrong.exit()).toBe(1)
    expect(wrong.output).toMatch(/n1/)
    node.start()
    second.start()
    await Promise.all(cluster.nodes.map((each) => each.ready()))
  })

  it('M7: as a member whose directory was wiped, and the cluster keeps what it acknowledged', async () => {
    expect((await cluster.node('n1').http('PUT', '/v1/kv/kept', 'kept')).status).toBe(201)
    const victim = (await cluster.followers())[0]!
    await victim.stop('SIGKILL')
    await keepCopyOf(victim)
    await rm(victim.dataDir, { recursive: true, force: true })
    victim.start()
    expect(await victim.exit()).toBe(1)
    expect(victim.output).toContain('lost its data')
    const survivor = cluster.nodes.find((node) => node !== victim)!
    expect((await survivor.http('GET', '/v1/kv/kept')).text).toBe('kept')
  })

  it('D5: on a damaged log', async () => {
    for (let at = 0; at < 50; at++) await cluster.node('n1').http('PUT', `/v1/kv/${at}`, 'x'.repeat(2_000))
    await cluster.converged()
    const victim = (await cluster.followers())[0]!
    await victim.stop('SIGKILL')
    await keepCopyOf(victim)
    const logs = join(victim.dataDir, 'groups', '0', 'log')
    const script = `const fs=require('fs'),p=require('path');const d=${JSON.stringify(logs)};const f=fs.readdirSync(d).sort().find((n)=>fs.readFileSync(p.join(d,n)).includes('x'.repeat(2000)));const path=p.join(d,f);const b=fs.readFileSync(path);b[b.indexOf('x'.repeat(2000))+1000]^=1;fs.writeFileSync(path,b)`
    execFileSync(process.execPath, ['-e', script])
    victim.start()
    expect(await victim.exit()).toBe(1)
    expect(victim.output).toMatch(/damaged at offset/)
    expect((await cluster.nodes.find((node) => node !== victim)!.http('PUT', '/v1/kv/after', 'y')).status).toBe(201)
  })

  it('D13: an old copy of a follower catches up and serves nothing old', async () => {
    await cluster.node('n1').http('PUT', '/v1/kv/old', 'old')
    const follower = (await cluster.followers())[0]!
    await until(
      'the follower has it',
      async () => (await follower.http('GET', '/v1/kv/old?consistency=stale')).text === 'old',
    )
    await follower.stop('SIGTERM')
    const copy = `${follower.dataDir}-copy`
    await cp(follower.dataDir, copy, { recursive: true })
    follower.start()
    await follower.ready()
    await cluster.node('n1').http('PUT', '/v1/kv/old', 'new')
    await follower.stop('SIGTERM')
    await rm(follower.dataDir, { recursive: true })
    await cp(copy, follower.dataDir, { recursive: true })
    follower.start()
    await follower.ready()
    expect((await follower.http('GET', '/v1/kv/old')).text).toBe('new')
  })
})

const logEnd = ({ name, isRunning, output }: RealNode): string =>
  `${name} (${isRunning ? 'runs' : 'has ended'}): ${output.slice(-800)}`

describe('the peers refuse a node', () => {
  let cluster: RealCluster
  afterEach(() => cluster.close())

  it('H12: that does not know the secret', async () => {
    cluster = await RealCluster.create()
    const [one, two, three] = cluster.nodes as [RealNode, RealNode, RealNode]
    one.start([], { QUORATE_PEER_SECRET: 'a-secret-that-all-members-know' })
    two.start([], { QUORATE_PEER_SECRET: 'a-secret-that-all-members-know' })
    three.start([], { QUORATE_PEER_SECRET: 'a-secret-of-some-other-cluster' })
    await until(
      () => `the refusal is told on both sides; the logs end with: ${[one, two, three].map(logEnd).join('\n')}`,
      () => /secret/i.test(three.output) && /secret/i.test(one.output + two.output),
    )
    const answer = await until('it answers at all', () =>
      three.http('GET', '/v1/kv/a?timeout=500ms').catch(() => undefined),
    )
    expect([answer.status, problem(answer.text)['outcome']]).toEqual([503, 'not-applied'])
    expect(one.output + two.output + three.output).not.toMatch(/a-secret-that|a-secret-of/)
    await three.stop()
    three.start([], { QUORATE_PEER_SECRET: 'a-secret-that-all-members-know' })
    await Promise.all(cluster.nodes.map((node) => node.ready()))
  })

  it('D11: that was given another list of members, and both sides say why', async () => {
    cluster = await RealCluster.create()
    const [one, two, three] = cluster.nodes as [RealNode, RealNode, RealNode]
    one.start()
    two.start()
    three.start(['--cluster-token', 'other'])
    await until('the refusal is told', () => /cluster/i.test(three.output) && /refuse/i.test(three.output))
    const answer = await until('it answers at all', () => one.http('GET', '/readyz').catch(() => undefined))
    expect(answer.status).toBe(503)
  })
})

describe('a full disk', () => {
  const mounts: string[] = []
  let cluster: RealCluster
  afterEach(async () => {
    await cluster.close()
    for (const mount of mounts.splice(0)) {
      execFileSync('umount', [mount])
      await rm(mount, { recursive: true, force: true })
    }
  })

  /** A file system of its own, of a given size; undefined where this process may not mount. */
  async function smallDisk(sizeMiB: number): Promise<string | undefined> {
    const mount = await mkdtemp(join(tmpdir(), 'quorate-disk-'))
    try {
      execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${sizeMiB}m`, 'tmpfs', mount], { stdio: 'ignore' })
      mounts.push(mount)
      return mount
    } catch {
      await rm(mount, { recursive: true, force: true })
      return undefined
    }
  }

  it('D8: refuses what adds data with 507, goes on reading and deleting, and recovers when space returns', async (context) => {
    const disks = await Promise.all([smallDisk(160), smallDisk(160), smallDisk(160)])
    context.skip(disks.includes(undefined), 'this process may not mount a file system')
    cluster = await RealCluster.create({
      dataDir: (name) => join(disks[Number(name.slice(1)) - 1]!, 'data'),
      flags: ['--space-reserve', '48MiB', '--log-segment-size', '4MiB', '--log-retain-size', '8MiB'],
    })
    for (const node of cluster.nodes) node.start()
    await Promise.all(cluster.nodes.map((node) => node.ready()))
    const leader = await cluster.leader()
    expect((await leader.http('PUT', '/v1/kv/kept', 'here')).status).toBe(201)
    const disk = disks[Number(leader.name.slice(1)) - 1]!
    await mkdir(join(disk, 'ballast'), { recursive: true })
    const { bavail, bsize } = await statfs(disk)
    await writeFile(join(disk, 'ballast', 'fill'), Buffer.alloc(bavail * bsize - 36 * MiB))
    for (const node of cluster.nodes) {
      const refused = await until(`${node.name} refuses writes`, async () => {
        const answer = await node.http('PUT', '/v1/kv/more', 'x')
        return answer.status === 507 ? answer : undefined
      })
      expect(problem(refused.text)).toMatchObject({ code: 'NO_SPACE', outcome: 'not-applied', retryable: false })
      expect((await node.http('GET', '/v1/kv/kept')).text).toBe('here')
    }
    expect((await leader.http('DELETE', '/v1/kv/kept')).status).toBe(200)
    await rm(join(disk, 'ballast'), { recursive: true })
    await until('writes are accepted again', async () => (await leader.http('PUT', '/v1/kv/more', 'x')).status < 300)
  })
})
