// Every setting of a node, once: one JSON Schema that the flags, the environment, the config file and the help come from.
// Plain data, so that commands which need no settings do not pay for a validator; sources.ts hands it to one.
import type { XStatic } from 'typebox/schema'

const KiB = 1024
const MiB = 1024 * KiB
const GiB = 1024 * MiB
const HOUR_MS = 3_600_000

/**
 * How text becomes a value. `text` stays as it is, `number` is decimal digits, `size` is bytes or `16MiB`,
 * `milliseconds` is digits or `300ms`, `duration` always names its unit.
 */
export type SettingKind = 'text' | 'number' | 'size' | 'milliseconds' | 'duration'

/** What the help and the error messages know of a setting, beside JSON Schema's own keywords. */
export interface Setting {
  readonly kind: SettingKind
  /** `common` settings come first in the help. */
  readonly group: 'common' | 'advanced'
  readonly placeholder: string
  readonly description: string
  /** How the default reads in the help; absent for a setting without one. */
  readonly shownDefault?: string
  readonly default?: string | number
  /** What to write instead, for a value that does not fit `pattern` or `enum`. */
  readonly hint?: string
}

/** The names are the flags' (`--data-dir`), the file's (`"data-dir"`) and, in capitals, the variables' (`QUORATE_DATA_DIR`). */
export const SETTINGS_SCHEMA = {
  type: 'object',
  additionalProperties: false,
  properties: {
    name: {
      type: 'string',
      pattern: '^[A-Za-z0-9._-]{1,64}$',
      kind: 'text',
      group: 'common',
      placeholder: 'NAME',
      description: "this node's name, one of those in --initial-cluster",
      hint: '1 to 64 letters, digits, dots, underscores or dashes',
    },
    'data-dir': {
      type: 'string',
      minLength: 1,
      kind: 'text',
      group: 'common',
      placeholder: 'DIR',
      description: "where this node's log and state live; created when missing",
    },
    listen: {
      type: 'string',
      kind: 'text',
      group: 'common',
      placeholder: 'HOST:PORT',
      description: 'address of the HTTP port',
      default: '127.0.0.1:7700',
    },
    'peer-listen': {
      type: 'string',
      kind: 'text',
      group: 'common',
      placeholder: 'HOST:PORT',
      description: 'address of the port for the other nodes',
      default: '127.0.0.1:7701',
    },
    'initial-cluster': {
      type: 'string',
      kind: 'text',
      group: 'common',
      placeholder: 'NAME=HOST:PORT,...',
      description: 'all founding nodes and their peer addresses, equal on each of them',
    },
    advertise: {
      type: 'string',
      kind: 'text',
      group: 'common',
      placeholder: 'URL',
      description: 'base URL under which clients reach this node',
      shownDefault: 'http:// and --listen, unless that is a wildcard',
    },
    'peer-advertise': {
      type: 'string',
      kind: 'text',
      group: 'common',
      placeholder: 'HOST:PORT',
      description: "peer address that the others use; must equal this node's in --initial-cluster",
      shownDefault: 'taken from --initial-cluster',
    },
    'cluster-token': {
      type: 'string',
      maxLength: 256,
      kind: 'text',
      group: 'common',
      placeholder: 'TEXT',
      description: 'tells this cluster from others that were founded with the same names and addresses',
      default: '',
      shownDefault: 'none',
    },
    'peer-secret-file': {
      type: 'string',
      minLength: 1,
      kind: 'text',
      group: 'common',
      placeholder: 'PATH',
      description:
        'file with the secret that all nodes share; or the variable QUORATE_PEER_SECRET. Optional while all peer addresses are loopback',
    },
    'log-level': {
      type: 'string',
      enum: ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'],
      kind: 'text',
      group: 'common',
      placeholder: 'LEVEL',
      description: 'least level that is logged: trace, debug, info, warn, error, fatal or silent',
      default: 'info',
    },
    'log-format': {
      type: 'string',
      enum: ['auto', 'json', 'pretty'],
      kind: 'text',
      group: 'common',
      placeholder: 'FORMAT',
      description: 'json, pretty, or auto: pretty on a terminal and JSON elsewhere',
      default: 'auto',
    },
    'heartbeat-ms': {
      type: 'integer',
      minimum: 5,
      maximum: 10_000,
      kind: 'milliseconds',
      group: 'advanced',
      placeholder: 'MS',
      description: "how often a leader proves that it lives; above the network's round trip",
      default: 50,
    },
    'election-timeout-ms': {
      type: 'integer',
      minimum: 20,
      maximum: 100_000,
      kind: 'milliseconds',
      group: 'advanced',
      placeholder: 'MS',
      description: 'silence of a leader after which the others elect; at least 4 heartbeats',
      default: 300,
    },
    'cache-size': {
      type: 'integer',
      minimum: 1 * MiB,
      maximum: 1 * GiB,
      kind: 'size',
      group: 'advanced',
      placeholder: 'SIZE',
      description: 'memory for cached entries',
      default: 56 * MiB,
    },
    'log-segment-size': {
      type: 'integer',
      minimum: 4 * MiB,
      maximum: 1 * GiB,
      multipleOf: 4 * KiB,
      kind: 'size',
      group: 'advanced',
      placeholder: 'SIZE',
      description: 'size of one file of the replicated log, a multiple of 4KiB',
      default: 16 * MiB,
    },
    'log-retain-size': {
      type: 'integer',
      minimum: 0,
      maximum: 1024 * GiB,
      kind: 'size',
      group: 'advanced',
      placeholder: 'SIZE',
      description: 'log kept for nodes that were away, beyond what the state needs',
      default: 64 * MiB,
    },
    'log-retain-entries': {
      type: 'integer',
      minimum: 0,
      maximum: 1_000_000_000,
      kind: 'number',
      group: 'advanced',
      placeholder: 'COUNT',
      description: 'the same in entries; the lesser of the two counts',
      default: 100_000,
    },
    'space-reserve': {
      type: 'integer',
      minimum: 0,
      maximum: 1024 * GiB,
      kind: 'size',
      group: 'advanced',
      placeholder: 'SIZE',
      description: 'free disk space below which writes that add data are refused',
      default: 256 * MiB,
    },
    'ballast-size': {
      type: 'integer',
      minimum: 0,
      maximum: 16 * GiB,
      kind: 'size',
      group: 'advanced',
      placeholder: 'SIZE',
      description: 'size of a file kept to be given up when a full disk would prevent a restart',
      default: 64 * MiB,
    },
    'history-age': {
      type: 'integer',
      minimum: 0,
      maximum: 8_760 * HOUR_MS,
      kind: 'duration',
      group: 'advanced',
      placeholder: 'TIME',
      description: 'how long past revisions are kept at most',
      default: HOUR_MS,
    },
    'history-revisions': {
      type: 'integer',
      minimum: 0,
      maximum: 1_000_000_000,
      kind: 'number',
      group: 'advanced',
      placeholder: 'COUNT',
      description: 'how many of them are kept at most',
      default: 1_000_000,
    },
    'history-size': {
      type: 'integer',
      minimum: 0,
      maximum: 1024 * GiB,
      kind: 'size',
      group: 'advanced',
      placeholder: 'SIZE',
      description: 'how much space they take at most',
      default: 512 * MiB,
    },
  },
} as const

export type SettingName = keyof typeof SETTINGS_SCHEMA.properties

/** What the schema allows: every setting optional, sizes in bytes, times in milliseconds. */
export type SettingValues = XStatic<typeof SETTINGS_SCHEMA>

export const SETTING_NAMES = Object.keys(SETTINGS_SCHEMA.properties) as readonly SettingName[]

export const settingOf = (name: SettingName): Setting => SETTINGS_SCHEMA.properties[name]

/** `QUORATE_DATA_DIR` for `data-dir`. */
export const variableOf = (name: string): string => `QUORATE_${name.toUpperCase().replaceAll('-', '_')}`
