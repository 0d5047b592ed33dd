// The options of the commands in this folder.
import { exit, stderr, stdout } from 'node:process'
import { parseArgs } from 'node:util'
import type { ParseArgsConfig } from 'node:util'

/** The values of the command line. `--help` prints the text and ends the process; so does, with 2, what the command does not know. */
export function parseCommandLine<const T extends ParseArgsConfig>(
  help: string,
  config: T,
): ReturnType<typeof parseArgs<T>>['values'] {
  let values: ReturnType<typeof parseArgs<T>>['values']
  try {
    values = parseArgs(config).values
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    if (code?.startsWith('ERR_PARSE_ARGS') !== true) throw error
    stderr.write(`${message}\n\n${help}`)
    exit(2)
  }
  if ('help' in values && values['help'] === true) {
    stdout.write(help)
    exit(0)
  }
  return values
}
