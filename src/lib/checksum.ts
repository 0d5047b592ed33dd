// CRC-32 (the polynomial of zlib), for detecting damage to stored or transmitted bytes. It is linear and unkeyed: never use it
// where values may be chosen to collide, and never for the digest of the state (see hash.ts).
import { crc32 as zlibCrc32 } from 'node:zlib'

/** The checksum of `bytes`, an unsigned 32-bit integer. With the checksum of what came before as `seed`, it chains. */
export const crc32 = (bytes: Uint8Array, seed = 0): number => zlibCrc32(bytes, seed)
