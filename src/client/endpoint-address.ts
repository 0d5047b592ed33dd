// The addresses of nodes as callers write them.
import { refusal } from './client-error.ts'

/** The origins of the endpoints, or a ClientError that says which one is wrong. */
export function parseEndpoints(endpoints: string | readonly string[]): string[] {
  const texts = typeof endpoints === 'string' ? endpoints.split(',') : endpoints
  if (!Array.isArray(texts) || texts.length === 0)
    throw refusal('BAD_PARAMETER', 'a client needs at least one endpoint, such as http://127.0.0.1:7700')
  const origins = texts.map(parseEndpoint)
  return [...new Set(origins)]
}

function parseEndpoint(text: string): string {
  const origin = originOf(text)
  if (origin === undefined)
    throw refusal(
      'BAD_PARAMETER',
      `${JSON.stringify(text)} is not an endpoint: give scheme, host and port, as in http://127.0.0.1:7700`,
    )
  return origin
}

/** `http://host:port` of an address without path, query, user or password; undefined for anything else. */
export function originOf(text: string): string | undefined {
  const trimmed = typeof text === 'string' ? text.trim() : ''
  if (!URL.canParse(trimmed)) return undefined
  const url = new URL(trimmed)
  if (url.protocol !== 'http:' && url.protocol !== 'https:') return undefined
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '' || url.username !== '' || url.password !== '') {
    return undefined
  }
  return url.origin
}
