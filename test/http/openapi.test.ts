// The description of the API: it names every route that exists and nothing else, and what the server answers fits its schemas.
import { Value } from 'typebox/value'
import { describe, expect, expectTypeOf, it } from 'vitest'
import type { Static, TSchema } from 'typebox'
import { ALLOW, KEY_ROUTE } from '../../src/api/routes.ts'
import * as schemas from '../../src/api/schemas.ts'
import type { ClusterStatus, HealthReport, NodeStatus } from '../../src/api/status.ts'
import { openBench } from './harness.ts'

interface Document {
  readonly openapi: string
  readonly info: { readonly version: string }
  readonly paths: Record<string, Record<string, { responses?: Record<string, unknown> }>>
  readonly components: { readonly schemas: Record<string, unknown> }
}

const describeApi = async (): Promise<{ document: Document; text: string }> => {
  const { app } = openBench()
  const answer = await app.server.inject('/v1/openapi.json')
  return { document: answer.json(), text: answer.payload }
}

const METHODS = ['get', 'head', 'put', 'post', 'delete']
const methodsOf = (item: object | undefined): string[] =>
  METHODS.filter((method) => item !== undefined && method in item)

describe('the description', () => {
  it('has each route with each of its methods, and no others', async () => {
    const { document } = await describeApi()
    expect(document.openapi).toBe('3.1.0')
    expect(document.info.version).toBe('0.1.0')
    const described = new Map(Object.entries(document.paths))
    for (const [route, allow] of ALLOW) {
      const methods = allow
        .toLowerCase()
        .split(', ')
        .filter((method) => method !== 'options')
      for (const path of route === KEY_ROUTE ? ['/v1/kv/{key}', '/v1/kv64/{key64}'] : [route]) {
        expect([path, methodsOf(described.get(path)).sort()]).toEqual([path, methods.sort()])
        described.delete(path)
      }
    }
    expect([...described.keys()]).toEqual([])
  })

  it('describes only what the server routes', async () => {
    const { document } = await describeApi()
    const { app } = openBench()
    for (const [path, item] of Object.entries(document.paths))
      for (const method of methodsOf(item)) {
        const url = path.replace('{key}', 'a').replace('{key64}', 'YQ')
        await app.server.inject({ method: 'PUT', url: '/v1/kv/a', payload: 'x' })
        const answer = await app.server.inject({ method: method as 'get', url })
        expect([path, method, answer.statusCode]).not.toContain(405)
        expect([path, method, answer.statusCode]).not.toContain(404)
        expect(Object.keys(item[method]!.responses!)).toContain(String(answer.statusCode))
      }
  })

  it('refers only to schemas that it holds', async () => {
    const { document, text } = await describeApi()
    const names = [...text.matchAll(/"\$ref":"#\/components\/schemas\/(\w+)"/g)].map((match) => match[1]!)
    expect(names.length).toBeGreaterThan(10)
    for (const name of names) expect(document.components.schemas).toHaveProperty(name)
  })
})

const fits = (schema: TSchema, document: unknown): void => expect([...Value.Errors(schema, document)]).toEqual([])

describe('a schema', () => {
  it('fits what the server answers', async () => {
    const { app } = openBench()
    const ask = async (method: 'GET' | 'PUT' | 'DELETE', url: string, payload?: string): Promise<unknown> =>
      (await app.server.inject({ method, url, ...(payload === undefined ? {} : { payload }) })).json()
    fits(schemas.PutAnswer, await ask('PUT', '/v1/kv/a?prev', 'x'))
    fits(schemas.PutAnswer, await ask('PUT', '/v1/kv/a?prev', 'y'))
    fits(schemas.DeleteAnswer, await ask('DELETE', '/v1/kv/a?prev'))
    fits(schemas.DeleteAnswer, await ask('DELETE', '/v1/kv/a'))
    fits(schemas.Problem, await ask('GET', '/v1/kv/a'))
    fits(schemas.Problem, await ask('PUT', '/v1/kv/a?cas=7'))
    fits(schemas.StatusAnswer, await ask('GET', '/v1/status'))
    fits(schemas.ClusterAnswer, await ask('GET', '/v1/cluster'))
    fits(schemas.HealthAnswer, await ask('GET', '/readyz?verbose'))
    fits(schemas.VersionAnswer, await ask('GET', '/version'))
    fits(schemas.RootAnswer, await ask('GET', '/'))
  })

  it('is the type of the same name', () => {
    expectTypeOf<NodeStatus>().toExtend<Static<typeof schemas.StatusAnswer>>()
    expectTypeOf<Static<typeof schemas.StatusAnswer>>().toExtend<NodeStatus>()
    expectTypeOf<Static<typeof schemas.ClusterAnswer>>().toExtend<ClusterStatus>()
    expectTypeOf<Static<typeof schemas.HealthAnswer>>().toExtend<HealthReport>()
  })
})
