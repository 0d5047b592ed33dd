// The secret that all nodes share: from a variable or a file, never from a flag, because other users can list those.
import { readFileSync } from 'node:fs'
import type { ConfigInput, Settings } from './sources.ts'

export interface PeerSecret {
  /** Without white space around it. Never logged, never sent. */
  readonly secret: string | undefined
  /** Something names a secret, usable or not. */
  readonly isGiven: boolean
  readonly problems: readonly string[]
  readonly warnings: readonly string[]
}

/** A shorter one can be guessed from one recorded handshake. */
const CHARACTERS_ADVISED = 16
const CHARACTERS_MAX = 1_024

const VARIABLE = 'QUORATE_PEER_SECRET'
const FILE_VARIABLE = 'QUORATE_PEER_SECRET_FILE'

/** As everywhere, a flag beats a variable and a variable beats the config file; two variables contradict each other. */
export function readPeerSecret(settings: Settings, env: ConfigInput['env']): PeerSecret {
  const path = settings.values['peer-secret-file']
  const pathFrom = settings.culprit('peer-secret-file')
  const variable = env[VARIABLE]
  if (variable !== undefined && pathFrom === FILE_VARIABLE) {
    return refused(`${VARIABLE} and ${FILE_VARIABLE} are both set; remove one of them`)
  }
  if (path !== undefined && (variable === undefined || pathFrom.startsWith('--'))) {
    try {
      return checked(readFileSync(path, 'utf8').trim(), `${pathFrom} (${path})`)
    } catch (error) {
      return refused(`${pathFrom}: ${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`)
    }
  }
  if (variable !== undefined) return checked(variable.trim(), VARIABLE)
  return { secret: undefined, isGiven: false, problems: [], warnings: [] }
}

function checked(secret: string, source: string): PeerSecret {
  if (secret === '') return refused(`${source}: the secret is empty; make one with: openssl rand -hex 32`)
  if (secret.length > CHARACTERS_MAX) return refused(`${source}: the secret has more than ${CHARACTERS_MAX} characters`)
  const warnings =
    secret.length < CHARACTERS_ADVISED
      ? [
          `${source}: the secret has less than ${CHARACTERS_ADVISED} characters; make a better one with: openssl rand -hex 32`,
        ]
      : []
  return { secret, isGiven: true, problems: [], warnings }
}

const refused = (problem: string): PeerSecret => ({
  secret: undefined,
  isGiven: true,
  problems: [problem],
  warnings: [],
})
