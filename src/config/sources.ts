// Where settings come from: flags before environment variables before the config file before defaults. Whatever is wrong
// names its culprit, the flag, the variable or the key of the file, so that a reader knows where to look.
import { readFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { unreachable } from '../lib/assert.ts'
import { ConfigError } from './config-error.ts'
import { SETTINGS_SCHEMA, SETTING_NAMES, settingOf, variableOf } from './settings.ts'
import type { Setting, SettingName, SettingValues } from './settings.ts'
import { parseDuration, parseMilliseconds, parseNumber, parseSize, showQuantity } from './units.ts'
import type { Parsed } from './units.ts'

/** What the command line and the process give. Flags by their name without dashes: `data-dir`, and `config` for the file. */
export interface ConfigInput {
  readonly flags: Readonly<Record<string, string | undefined>>
  readonly env: Readonly<Record<string, string | undefined>>
}

export interface Settings {
  readonly values: SettingValues
  /** Names what set it: `--listen`, `QUORATE_LISTEN`, `"listen" in quorate.json`; the flag's name for a default. */
  culprit(name: SettingName): string
  readonly warnings: readonly string[]
}

/** Variables that mean something to another command, or elsewhere. `serve` neither uses them nor warns of them. */
const OTHER_VARIABLES: ReadonlySet<string> = new Set([
  'QUORATE_CONFIG',
  'QUORATE_PEER_SECRET',
  'QUORATE_ENDPOINTS',
  'QUORATE_TIMEOUT',
  'QUORATE_NODES',
  'QUORATE_BASE_PORT',
  'QUORATE_HISTORIES',
])

/** Fastify's validator: loading typebox's own takes twice as long. The schema knows more of a setting than JSON Schema does. */
const check = new Ajv({ allErrors: true, strict: false }).compile(SETTINGS_SCHEMA)

interface Given {
  readonly value: unknown
  readonly culprit: string
}

/** Merges the sources and checks each value by itself. Throws a {@link ConfigError} that lists everything wrong. */
export function readSettings(input: ConfigInput): Settings {
  const given = new Map<SettingName, Given>()
  const problems: string[] = []
  for (const [key, value] of Object.entries(readConfigFile(input))) {
    const culprit = `"${key}" in ${configPath(input)?.path}`
    if (isSettingName(key)) given.set(key, { value, culprit })
    else problems.push(`${culprit} is not a setting${suggestion(key)}`)
  }
  for (const name of SETTING_NAMES) {
    const variable = variableOf(name)
    // Compose and shells make empty variables out of absent ones: empty is not set.
    const fromVariable = input.env[variable] || undefined
    if (fromVariable !== undefined) given.set(name, { value: fromVariable, culprit: variable })
    const fromFlag = input.flags[name]
    if (fromFlag !== undefined) given.set(name, { value: fromFlag, culprit: `--${name}` })
  }
  const values = convert(given, problems)
  if (problems.length > 0) throw new ConfigError(problems)
  return {
    values,
    culprit: (name) => given.get(name)?.culprit ?? `--${name}`,
    warnings: unknownVariables(input.env),
  }
}

function convert(given: ReadonlyMap<SettingName, Given>, problems: string[]): Record<string, unknown> {
  const values: Record<string, unknown> = {}
  for (const name of SETTING_NAMES) {
    const found = given.get(name)
    const setting = settingOf(name)
    if (found === undefined) {
      if (setting.default !== undefined) values[name] = setting.default
      continue
    }
    const converted = fromText(setting, found.value)
    if ('problem' in converted) problems.push(`${found.culprit} ${converted.problem}, not ${show(found.value)}`)
    else values[name] = converted.value
  }
  check(values)
  const named = new Set<SettingName>()
  for (const { keyword, params, instancePath } of check.errors ?? []) {
    const name = instancePath.slice(1) as SettingName
    // The first is enough: a value of the wrong type breaks every other keyword too.
    if (named.has(name)) continue
    named.add(name)
    const culprit = given.get(name)?.culprit ?? `--${name}`
    const claim = explain(settingOf(name), keyword, params)
    problems.push(`${culprit} ${claim}, not ${show(given.get(name)?.value)}`)
  }
  return values
}

/** Text from a flag, a variable or the file becomes what the schema wants; other values of the file are left to it. */
function fromText(setting: Setting, value: unknown): Parsed | { readonly value: unknown } {
  if (typeof value !== 'string') return { value }
  switch (setting.kind) {
    case 'text':
      return { value }
    case 'number':
      return parseNumber(value)
    case 'size':
      return parseSize(value)
    case 'milliseconds':
      return parseMilliseconds(value)
    case 'duration':
      return parseDuration(value)
    default:
      return unreachable(setting.kind)
  }
}

/** One broken keyword of the schema as the middle of a sentence. */
function explain(setting: Setting, keyword: string, params: Readonly<Record<string, unknown>>): string {
  const limit = Number(params['limit'])
  switch (keyword) {
    case 'minimum':
      return `must be at least ${showQuantity(setting.kind, limit)}`
    case 'maximum':
      return `must be at most ${showQuantity(setting.kind, limit)}`
    case 'multipleOf':
      return `must be a multiple of ${showQuantity(setting.kind, Number(params['multipleOf']))}`
    case 'minLength':
      return 'must not be empty'
    case 'maxLength':
      return `must have at most ${limit} characters`
    case 'enum':
      return `must be one of ${(params['allowedValues'] as readonly string[]).join(', ')}`
    case 'pattern':
      return `must be ${setting.hint}`
    case 'type':
      return `must be ${setting.kind === 'text' ? 'a string' : 'a whole number, or a string with a unit'}`
    default:
      return `does not fit (${keyword})`
  }
}

function configPath({ flags, env }: ConfigInput): { path: string; culprit: string } | undefined {
  if (flags['config'] !== undefined) return { path: flags['config'], culprit: '--config' }
  const path = env['QUORATE_CONFIG']
  return path === undefined || path === '' ? undefined : { path, culprit: 'QUORATE_CONFIG' }
}

function readConfigFile(input: ConfigInput): Readonly<Record<string, unknown>> {
  const source = configPath(input)
  if (source === undefined) return {}
  let parsed: unknown
  try {
    parsed = JSON.parse(readFileSync(source.path, 'utf8'))
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error)
    throw new ConfigError([`${source.culprit}: ${source.path} cannot be read as JSON: ${reason}`])
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed)) {
    throw new ConfigError([`${source.culprit}: ${source.path} must be a JSON object, such as {"name": "n1"}`])
  }
  return parsed as Record<string, unknown>
}

/** A newer or older release may know it, and platforms inject variables of their own: worth a line, not a failure. */
function unknownVariables(env: ConfigInput['env']): string[] {
  const known = new Set(SETTING_NAMES.map((name) => variableOf(name)))
  return Object.keys(env)
    .filter((variable) => variable.startsWith('QUORATE_') && !known.has(variable) && !OTHER_VARIABLES.has(variable))
    .sort()
    .map((variable) => `the environment variable ${variable} is not a setting and is ignored`)
}

const isSettingName = (key: string): key is SettingName => Object.hasOwn(SETTINGS_SCHEMA.properties, key)

const plain = (text: string): string => text.toLowerCase().replaceAll(/[^a-z0-9]/g, '')

/** The usual mistake is the other convention: `dataDir`, `data_dir`. */
function suggestion(key: string): string {
  const near = SETTING_NAMES.find((name) => plain(name) === plain(key))
  return near === undefined ? '' : `; did you mean "${near}"?`
}

const show = (value: unknown): string => JSON.stringify(value) ?? 'nothing'
