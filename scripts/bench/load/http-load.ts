// The load generator as a process of its own, so that what it costs can be told from what it measures. Takes the options as JSON
// in its only argument; prints a line of JSON when time begins to run, and one with the result.
import { argv, stdout } from 'node:process'
import { Load } from './load.ts'
import type { LoadOptions } from './load.ts'

const options = JSON.parse(argv[2] ?? '') as LoadOptions
const load = new Load(options, {
  onStart: () => void stdout.write('{"started":true}\n'),
})
process.once('SIGTERM', () => load.stop())
const result = await load.run()
stdout.write(`${JSON.stringify(result)}\n`, () => process.exit(0))
