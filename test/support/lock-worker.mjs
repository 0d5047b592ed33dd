// One of many processes that pass a lock around, for test/cluster/locking.test.ts: queues, writes with the lock's token as its fence
// until it has done its share or is refused, releases, queues again. It ignores on purpose what the client says of a lock that may be
// lost: the store alone has to stop it. Plain JavaScript over the built client, because it is started, and killed, often.
import { Client } from '../../dist/client/index.js'

const [, , endpoints, name, owner, ttlMs] = process.argv
const WRITES = 20
const client = new Client({ endpoints, timeoutMs: 10_000 })

/** What the test reads: one JSON object a line. */
const say = (event, facts) => process.stdout.write(`${JSON.stringify({ event, ...facts })}\n`)

async function hold() {
  const lock = await client.lock(name, { ttlMs: Number(ttlMs), owner })
  say('held', { token: lock.token })
  for (let at = 0; at < WRITES; at++) {
    try {
      await client.put(`${name}/log`, `${lock.token} ${owner} ${at}`, { fence: lock })
    } catch (error) {
      if (error.code !== 'PRECONDITION_FAILED') throw error
      say('fenced', { token: lock.token, wrote: at })
      break
    }
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  await lock.release()
}

for (;;) {
  try {
    await hold()
  } catch (error) {
    // After a long stop the session, the lock or the time is gone; such a holder starts afresh.
    say('failed', { code: error.code, message: error.message })
    if (error.code === undefined) process.exit(1)
  }
}
