// A process of its own for the test of the lock: opens the data directory named by its argument, says so or why not, and
// holds it until it is killed.
import { openDataDirectory } from '../../src/storage/data-directory.ts'
import { identity, silent } from './support.ts'

const [path] = process.argv.slice(2)
try {
  await openDataDirectory({ path: path!, identity, ballastBytes: 0, logger: silent })
  process.send?.('open')
  setInterval(() => {}, 1000)
} catch (error) {
  process.send?.((error as { code?: string }).code ?? String(error))
  process.exitCode = 1
}
