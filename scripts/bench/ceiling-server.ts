// The ceiling: the same HTTP server writing into a Map, alone. No replication, no disk, no checks: what Fastify itself costs on
// this machine, to set our figures in relation to. Takes the port as its argument, and begins with
// the keys that the loads read.
import Fastify from 'fastify'
import { BENCH_KEYS, BENCH_VALUE_BYTES, keyName } from './load/requests.ts'

const values = new Map<string, unknown>()
for (let at = 0; at < BENCH_KEYS; at++) values.set(keyName(at), Buffer.alloc(BENCH_VALUE_BYTES, 'x'))
const server = Fastify()
server.removeAllContentTypeParsers()
server.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, done) => done(null, body))
server.put<{ Params: { '*': string } }>('/v1/kv/*', (request, reply) => {
  values.set(request.params['*'], request.body)
  reply.code(200).header('etag', '"1"').send()
})
server.get<{ Params: { '*': string } }>('/v1/kv/*', (request, reply) => {
  const value = values.get(request.params['*'])
  if (value === undefined) reply.code(404).send()
  else reply.send(value)
})
await server.listen({ host: '127.0.0.1', port: Number(process.argv[2]) })
