// The ceiling: the same HTTP server writing into a Map, alone. No replication, no disk, no checks: what Fastify itself costs on
// this machine, to set our figures in relation to. Prints its address once it listens.
import Fastify from 'fastify'

const values = new Map<string, unknown>()
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
process.stdout.write(`${await server.listen({ host: '127.0.0.1', port: 0 })}\n`)
