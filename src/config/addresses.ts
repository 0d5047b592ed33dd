// Addresses as people write them: `host:port`, `[::1]:7700`, a base URL, and the list of founding members.
import { isIP, isIPv6 } from 'node:net'

export interface Address {
  /** Without brackets. */
  readonly host: string
  readonly port: number
}

/** A founding member as `--initial-cluster` names it. */
export interface InitialMember {
  readonly name: string
  /** host:port of its peer port, in canonical spelling. */
  readonly peer: string
}

/** What is wrong with an address, as the end of a sentence that begins with the setting's name. */
export class AddressError extends Error {
  override readonly name = 'AddressError'
}

const HOST_NAME = /^(?=.{1,253}$)[A-Za-z0-9_]([A-Za-z0-9_-]{0,62})(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,62}))*\.?$/

/** Reads `host:port`. Port 0 (any free one) makes sense only where a node listens. */
export function parseAddress(text: string, options: { allowsPortZero: boolean }): Address {
  const match = /^(?:\[([^\]]*)\]|([^:[\]]*)):(\d{1,5})$/.exec(text)
  if (match === null) {
    if (isIPv6(text)) throw new AddressError(`needs brackets and a port, such as [${text}]:7700, not ${quote(text)}`)
    throw new AddressError(`must be host:port, such as 127.0.0.1:7700 or [::1]:7700, not ${quote(text)}`)
  }
  const [, bracketed, plain, digits] = match
  const host = bracketed ?? plain ?? ''
  if (host === '') throw new AddressError(`names no host; write 0.0.0.0:${digits} to listen on every interface`)
  if (bracketed !== undefined ? !isIPv6(host) : isIP(host) === 0 && !isHostName(host)) {
    throw new AddressError(`names ${quote(host)}, which is neither a host name nor an IP address`)
  }
  const port = Number(digits)
  if (port > 65_535) throw new AddressError(`has port ${port}; the highest is 65535`)
  if (port === 0 && !options.allowsPortZero) throw new AddressError('has port 0, which nobody can connect to')
  return { host: host.toLowerCase(), port }
}

export const formatAddress = ({ host, port }: Address): string =>
  isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`

/** Digits and dots alone look like an IPv4 address and would be one, mistyped. */
const isHostName = (host: string): boolean => HOST_NAME.test(host) && !/^[\d.]+$/.test(host)

/** Only this machine can reach it. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || (isIP(host) === 4 && host.startsWith('127.'))
}

/** Names every interface, and therefore nothing that another machine could connect to. */
export const isWildcard = (host: string): boolean => host === '0.0.0.0' || (isIPv6(host) && /^[0:]+$/.test(host))

/** A base URL without path, query, fragment or credentials; returned without a slash at the end. */
export function parseBaseUrl(text: string): string {
  let url: URL
  try {
    url = new URL(text)
  } catch {
    throw new AddressError(`must be a URL such as http://10.0.0.1:7700, not ${quote(text)}`)
  }
  if (url.protocol !== 'http:') throw new AddressError(`must begin with http://, not ${quote(text)}`)
  if (url.username !== '' || url.password !== '') throw new AddressError('must not contain a user name or password')
  if (url.pathname !== '/' || url.search !== '' || url.hash !== '') {
    throw new AddressError(`must end after the port (no path, query or fragment), not ${quote(text)}`)
  }
  if (isWildcard(url.hostname.replace(/^\[|\]$/g, ''))) {
    throw new AddressError(`must be an address that clients can connect to, not ${quote(text)}`)
  }
  return url.origin
}

/** Reads `n1=host:port,n2=host:port`; names and addresses must be unique. Sorted by name. */
export function parseInitialCluster(text: string): readonly InitialMember[] {
  const members = text.split(',').map(parseMember)
  const names = new Set<string>()
  const peers = new Map<string, string>()
  for (const { name, peer } of members) {
    if (names.has(name)) throw new AddressError(`names ${name} twice`)
    const other = peers.get(peer)
    if (other !== undefined) throw new AddressError(`gives ${other} and ${name} the same address ${peer}`)
    names.add(name)
    peers.set(peer, name)
  }
  return members.sort((a, b) => (a.name < b.name ? -1 : 1))
}

function parseMember(text: string): InitialMember {
  const [, name, address] = /^([^=]*)=(.*)$/s.exec(text.trim()) ?? []
  if (name === undefined || address === undefined) {
    throw new AddressError(
      `must be a list such as n1=10.0.0.1:7701,n2=10.0.0.2:7701; ${quote(text)} is not name=host:port`,
    )
  }
  if (!/^[A-Za-z0-9._-]{1,64}$/.test(name)) {
    throw new AddressError(
      `contains the name ${quote(name)}; names are 1 to 64 letters, digits, dots, underscores or dashes`,
    )
  }
  try {
    const parsed = parseAddress(address, { allowsPortZero: false })
    if (isWildcard(parsed.host)) throw new AddressError(`is ${quote(address)}, which the other nodes cannot connect to`)
    return { name, peer: formatAddress(parsed) }
  } catch (error) {
    if (error instanceof AddressError) throw new AddressError(`: the address of ${name} ${error.message}`)
    throw error
  }
}

/** JSON's quoting also makes control characters visible. */
const quote = (text: string): string => JSON.stringify(text)
