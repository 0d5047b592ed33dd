// What is wrong with the configuration: everything at once, one line each, ready to be shown.

/** Input, not a bug: the command prints it and exits with the code for wrong usage. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly problems: readonly string[]

  constructor(problems: readonly string[]) {
    super(problems.join('\n'))
    this.problems = problems
  }
}
