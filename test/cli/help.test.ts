// The help is the first documentation that anyone reads; a wrong call says what is wrong and exits with 2.
import { CommanderError } from 'commander'
import type { Command } from 'commander'
import { describe, expect, it } from 'vitest'
import { buildProgram } from '../../src/cli/main.ts'
import { SETTING_NAMES } from '../../src/config/settings.ts'

interface Run {
  readonly output: string
  readonly error: CommanderError | undefined
}

/** Runs a command line that must end before any action. */
async function run(...argv: readonly string[]): Promise<Run> {
  let output = ''
  const capture = (text: string): void => {
    output += text
  }
  const program = buildProgram()
  const quiet = (command: Command): void => {
    command.configureOutput({
      writeOut: capture,
      writeErr: capture,
      getOutHelpWidth: () => 120,
      getErrHelpWidth: () => 120,
    })
    command.commands.forEach(quiet)
  }
  quiet(program)
  try {
    await program.parseAsync([...argv], { from: 'user' })
  } catch (error) {
    if (error instanceof CommanderError) return { output, error }
    throw error
  }
  return { output, error: undefined }
}

describe('help', () => {
  it('groups the commands and teaches with examples', async () => {
    const { output } = await run('--help')
    expect(output).toMatch(/Run nodes:\n +serve .*run one node\n +dev .*run a cluster on this machine/)
    expect(output).toMatch(/Use a cluster:\n/)
    expect(output).toContain('quorate put greeting hello')
    expect(output).toContain('6 outcome unknown')
  })

  it('of serve groups common before advanced, and has every setting with its default', async () => {
    const { output } = await run('serve', '--help')
    expect(output.indexOf('Common options:')).toBeGreaterThan(0)
    expect(output.indexOf('Advanced options:')).toBeGreaterThan(output.indexOf('Common options:'))
    for (const name of SETTING_NAMES) expect(output).toContain(`--${name} <`)
    expect(output).toContain('--config <FILE>')
    expect(output.replaceAll(/\s+/g, ' ')).toMatch(/--cache-size <SIZE> memory for cached entries \(default: 56MiB\)/)
    expect(output).toContain('QUORATE_DATA_DIR')
    expect(output).toContain('--initial-cluster n1=127.0.0.1:7701')
    expect(output).not.toMatch(/--peer-secret(?!-file)/)
  })

  it('of dev names its options, their variables and their defaults', async () => {
    const text = (await run('dev', '--help')).output.replaceAll(/\s+/g, ' ')
    expect(text).toMatch(/--nodes <COUNT> how many nodes, 1 to 7 \(default: 3, env: QUORATE_NODES\)/)
    expect(text).toMatch(/--data-dir <DIR> .* \(default: "\.\/data", env: QUORATE_DATA_DIR\)/)
    expect(text).toMatch(/--base-port <PORT> HTTP port of n1 \(default: 7700, env: QUORATE_BASE_PORT\)/)
    expect(text).toContain('--no-restart')
  })
})

describe('a wrong call', () => {
  it.each([
    [['srve'], /unknown command 'srve'[\s\S]*Did you mean serve\?/],
    [['serve', '--nmae', 'n1'], /unknown option '--nmae'[\s\S]*Did you mean --name\?/],
    [['serve', '--name'], /option '--name <NAME>' argument missing/],
    [['serve', 'extra'], /too many arguments for 'serve'/],
    [['dev', '--nodes', '8'], /'--nodes <COUNT>' argument '8' is invalid\. It must be a whole number from 1 to 7/],
    [['dev', '--base-port', '7e3'], /argument '7e3' is invalid/],
    [['dev', '--log-level', 'loud'], /Allowed choices are trace, debug/],
  ])('%j says what is wrong', async (argv, expected) => {
    const { output, error } = await run(...argv)
    expect(output).toMatch(expected)
    expect(error?.exitCode).not.toBe(0)
  })
})
