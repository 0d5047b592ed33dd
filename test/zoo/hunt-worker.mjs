// The process that hunts: for each order it starts vitest on one suite, with one bug planted, and says what failed. Vitest itself is
// loaded once, which takes longer than most suites do. Plain JavaScript, which needs no loader. It ends with its parent.
import { fileURLToPath } from 'node:url'
import { createVitest } from 'vitest/node'

const ROOT = fileURLToPath(new URL('../..', import.meta.url))
// Whoever forked this one may run under vitest too.
delete process.env['VITEST']

async function hunt({ id, suite, narrowedTo }) {
  // The plugin that plants the bug reads it while the configuration is loaded, each time anew.
  process.env['QUORATE_ZOO'] = id
  const vitest = await createVitest('test', {
    root: ROOT,
    run: true,
    watch: false,
    project: [suite.includes('/exploration/') ? 'exploration' : 'unit'],
    // One file in a thread: it starts faster, and shares nothing with the thread of the next hunt.
    pool: 'threads',
    isolate: false,
    bail: 1,
    reporters: [{}],
    ...(narrowedTo === undefined ? {} : { testNamePattern: narrowedTo }),
  })
  try {
    await vitest.start([suite])
    const modules = vitest.state.getTestModules()
    const testsOf = (state) => modules.flatMap((module) => [...module.children.allTests(state)])
    const [failed] = testsOf('failed')
    const errors = [...modules.flatMap((module) => module.errors()), ...vitest.state.getUnhandledErrors()]
    return {
      passed: testsOf('passed').length,
      failed: failed && { name: failed.name, message: messageOf(failed.result().errors?.[0]) },
      errors: errors.map(messageOf),
    }
  } finally {
    await vitest.close()
  }
}

function messageOf(error) {
  return String(error?.stack ?? error?.message ?? error)
}

process.on('message', (order) => {
  hunt(order).then(
    (found) => process.send(found),
    (error) => process.send({ passed: 0, failed: undefined, errors: [messageOf(error)] }),
  )
})
process.on('disconnect', () => process.exit())
