/** The endpoints of networks. */
import type { NetworkRecord } from '#api/gen/gantry/services/networks/v1/networks.ts'
import type { Engine } from '../engine/engine.ts'
import { type ApiVersion, atLeast } from '../http/api-version.ts'
import { readJson } from '../http/body.ts'
import { Filters, hasLabel } from '../http/filters.ts'
import { badRequest } from '../http/http-error.ts'
import { Query } from '../http/query.ts'
import { type App, pathParameter } from '../http/routes.ts'
import { connect, connectSchema, disconnect, disconnectSchema } from './connect.ts'
import { createNetwork, createSchema } from './create-network.ts'
import { findNetwork } from './find-network.ts'
import { describeNetwork, dockerDriver, predefined, shownLabels } from './network-json.ts'
import { pruneNetworks, removeNetwork } from './remove-network.ts'

export const networkRoutes = (app: App, engine: Engine): void => {
  app.get('/networks', request => list(engine, new Query(request), request.apiVersion))
  app.post('/networks/create', async (request, reply) => {
    const id = await createNetwork(engine, await readJson(request, createSchema))
    return reply.code(201).send({ Id: id, Warning: '' })
  })
  app.post('/networks/prune', request => pruneNetworks(engine, new Query(request)))
  app.get('/networks/:id', async request => {
    checkVerbose(new Query(request))
    const record = await findNetwork(engine.core, pathParameter(request, 'id'))
    return describeNetwork(record, request.apiVersion, await engine.containers.list())
  })
  app.delete('/networks/:id', async (request, reply) => {
    await removeNetwork(engine, pathParameter(request, 'id'))
    return reply.code(204).send()
  })
  app.post('/networks/:id/connect', async (request, reply) => {
    await connect(engine, pathParameter(request, 'id'), await readJson(request, connectSchema))
    return reply.code(200).send()
  })
  app.post('/networks/:id/disconnect', async (request, reply) => {
    await disconnect(engine, pathParameter(request, 'id'), await readJson(request, disconnectSchema))
    return reply.code(200).send()
  })
}

/** What it adds is of swarms; 400 in Docker's words. */
function checkVerbose(query: Query): void {
  const text = query.text('verbose')
  if (!/^(|1|t|true|0|f|false)$/i.test(text))
    throw badRequest(`invalid value for verbose: ${text}: strconv.ParseBool: parsing "${text}": invalid syntax`)
}

const knownFilters = ['dangling', 'driver', 'id', 'label', 'name', 'scope', 'type']

/** Until 1.27 the list told of containers too. */
async function list(engine: Engine, query: Query, version: ApiVersion): Promise<object[]> {
  const filters = Filters.read(query, knownFilters)
  const { networks } = await engine.core.networks.list({})
  const containers = atLeast(version, '1.28') ? undefined : await engine.containers.list()
  return networks.filter(record => fits(record, filters)).map(record => describeNetwork(record, version, containers))
}

function fits(record: NetworkRecord, filters: Filters): boolean {
  const { network, driver, attachments } = record
  const { name = '', id = '' } = network ?? {}
  const dangling = filters.flag('dangling')
  const isDangling = !predefined.has(name) && attachments.length === 0
  return (
    filters.some('driver', wanted => dockerDriver(driver) === wanted) &&
    filters.some('name', part => matches(name, part)) &&
    filters.some('id', part => matches(id, part)) &&
    filters.every('label', wanted => hasLabel(shownLabels(record), wanted)) &&
    filters.some('scope', scope => scope === 'local') &&
    filters.some('type', type => isOfType(name, type)) &&
    (dangling === undefined || dangling === isDangling)
  )
}

function isOfType(name: string, type: string): boolean {
  if (type !== 'builtin' && type !== 'custom') throw badRequest(`invalid filter: 'type'='${type}'`)
  return predefined.has(name) === (type === 'builtin')
}

/** Docker takes the value for a regular expression, and for a part of the text when it is none. */
function matches(text: string, part: string): boolean {
  try {
    return new RegExp(part).test(text)
  } catch {
    return text.includes(part)
  }
}
