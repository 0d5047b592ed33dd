// The release, as every answer, handshake and `--version` tells it: read from package.json, so there is one place to raise it.
import { readFileSync } from 'node:fs'

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as { version: string }

export const VERSION: string = version
