/**
 * What of the Docker Engine API is served: one row per endpoint of the published description (and those that are routed
 * without being in it). docs/docker-compat.md is made of it, and a test asks a running gateway whether it is true.
 */

export type Standing = 'works' | 'partial' | 'not implemented'

export interface Endpoint {
  /** `GET /containers/{id}/json` */
  readonly name: string
  readonly standing: Standing
  /** What is missing or different. Never empty for a row that does not simply work. */
  readonly note: string
  /** Parameters that make the test's question short, such as an end for a stream. */
  readonly ask?: string
}

export interface EndpointGroup {
  readonly title: string
  readonly endpoints: readonly Endpoint[]
}

const works = (name: string, note = '', ask?: string): Endpoint => row(name, 'works', note, ask)
const partial = (name: string, note: string, ask?: string): Endpoint => row(name, 'partial', note, ask)
const missing = (name: string, note: string): Endpoint => row(name, 'not implemented', note)

function row(name: string, standing: Standing, note: string, ask?: string): Endpoint {
  return { name, standing, note, ...(ask !== undefined && { ask }) }
}

const outside = 'answers as a node outside a swarm: 503'
const noPlugins = 'there are none: 404'

export const endpointGroups: readonly EndpointGroup[] = [
  {
    title: 'System',
    endpoints: [
      works('GET /_ping'),
      works('HEAD /_ping'),
      works('GET /version'),
      partial('GET /info', 'log drivers and security options are those of this version, not read from the host'),
      works('GET /events', 'kept over restarts; the newest 4 to 8 MiB', '?until=1'),
      works('GET /system/df', 'no build cache; since 1.52 summaries, and `verbose`'),
      works('POST /auth', 'basic and token registries'),
      works('GET /metrics', 'on the same socket, where Docker has an address of its own'),
    ],
  },
  {
    title: 'Containers',
    endpoints: [
      works('GET /containers/json'),
      partial('POST /containers/create', 'see the options below'),
      works('GET /containers/{id}/json'),
      works('GET /containers/{id}/top'),
      works('GET /containers/{id}/logs'),
      works('GET /containers/{id}/changes'),
      works('GET /containers/{id}/export'),
      works('GET /containers/{id}/stats'),
      works('POST /containers/{id}/resize'),
      works('POST /containers/{id}/start'),
      works('POST /containers/{id}/stop'),
      works('POST /containers/{id}/restart'),
      works('POST /containers/{id}/kill'),
      works('POST /containers/{id}/update'),
      works('POST /containers/{id}/rename'),
      works('POST /containers/{id}/pause'),
      works('POST /containers/{id}/unpause'),
      works('POST /containers/{id}/attach'),
      works('GET /containers/{id}/attach/ws'),
      works('POST /containers/{id}/wait'),
      works('DELETE /containers/{id}'),
      works('HEAD /containers/{id}/archive'),
      works('GET /containers/{id}/archive'),
      works('PUT /containers/{id}/archive'),
      works('POST /containers/prune'),
      works('GET /containers/{id}/checkpoints'),
      works(
        'POST /containers/{id}/checkpoints',
        'with CRIU, where it knows the kernel; no folder of one’s own, as in Docker',
      ),
      works('DELETE /containers/{id}/checkpoints/{checkpoint}'),
    ],
  },
  {
    title: 'Exec',
    endpoints: [
      works('POST /containers/{id}/exec'),
      works('POST /exec/{id}/start'),
      works('POST /exec/{id}/resize'),
      works('GET /exec/{id}/json'),
    ],
  },
  {
    title: 'Images',
    endpoints: [
      works('GET /images/json', '`manifests` is answered by inspect alone'),
      works('POST /images/create', 'pull (also all tags, by digest, per platform) and import'),
      works('GET /images/{name}/json', 'Parent is never known; `Id` is the digest of the configuration'),
      works('GET /images/{name}/history'),
      works('POST /images/{name}/push'),
      works('POST /images/{name}/tag'),
      partial('DELETE /images/{name}', '`platforms` and `noprune` are ignored: an image has no parents here'),
      partial(
        'GET /images/search',
        'Docker Hub, and other registries by their catalog: names alone',
        '?term=x&limit=101',
      ),
      works('POST /images/prune'),
      works('POST /commit'),
      works('GET /images/{name}/get'),
      works('GET /images/get', 'an OCI layout that also has what `docker load` of old reads', '?names=nosuch'),
      works('POST /images/load'),
      missing('GET /images/{name}/attestations', '501'),
      works('GET /distribution/{name}/json'),
    ],
  },
  {
    title: 'Networks',
    endpoints: [
      works('GET /networks'),
      works('GET /networks/{id}'),
      partial('POST /networks/create', 'no config-only networks, no IPAM drivers but the default one'),
      works('DELETE /networks/{id}'),
      works('POST /networks/{id}/connect'),
      works('POST /networks/{id}/disconnect'),
      works('POST /networks/prune'),
    ],
  },
  {
    title: 'Volumes',
    endpoints: [
      works('GET /volumes'),
      partial('POST /volumes/create', 'the local driver with type, device and o, and volume plugins; no size'),
      works('GET /volumes/{name}'),
      works('PUT /volumes/{name}', `for cluster volumes: ${outside}`),
      works('DELETE /volumes/{name}'),
      works('POST /volumes/prune'),
    ],
  },
  {
    title: 'Build',
    endpoints: [
      partial(
        'POST /build',
        "the classic protocol, by Gantry's builder, remote contexts too; no BuildKit session, squash, outputs or limits of steps: 501; `RUN --network=host` needs `networkmode=host`",
      ),
      works('POST /build/prune'),
      missing('POST /build/cancel', '501'),
      missing('POST /session', '501'),
      missing('POST /grpc', '501'),
    ],
  },
  {
    title: 'Plugins',
    endpoints: [
      works('GET /plugins', 'always empty: plugins of Gantry are configured in gantryd'),
      works('GET /plugins/{name}/json', noPlugins),
      works('DELETE /plugins/{name}', noPlugins),
      works('POST /plugins/{name}/enable', noPlugins),
      works('POST /plugins/{name}/disable', noPlugins),
      works('POST /plugins/{name}/upgrade', noPlugins),
      works('POST /plugins/{name}/push', noPlugins),
      works('POST /plugins/{name}/set', noPlugins),
      missing('GET /plugins/privileges', '501'),
      missing('POST /plugins/pull', '501'),
      missing('POST /plugins/create', '501'),
    ],
  },
  {
    title: 'Swarm',
    endpoints: [
      ...['GET /swarm', 'GET /swarm/unlockkey', 'POST /swarm/update', 'POST /swarm/leave', 'POST /swarm/unlock'].map(
        name => works(name, outside),
      ),
      missing('POST /swarm/init', '501'),
      missing('POST /swarm/join', '501'),
      ...['nodes', 'services', 'tasks', 'secrets', 'configs'].map(noun => works(`GET /${noun}`, outside)),
      ...['services', 'secrets', 'configs'].map(noun => works(`POST /${noun}/create`, outside)),
      ...['nodes', 'services', 'tasks', 'secrets', 'configs'].map(noun => works(`GET /${noun}/{id}`, outside)),
      ...['nodes', 'services', 'secrets', 'configs'].map(noun => works(`POST /${noun}/{id}/update`, outside)),
      ...['nodes', 'services', 'secrets', 'configs'].map(noun => works(`DELETE /${noun}/{id}`, outside)),
      ...['services', 'tasks'].map(noun => works(`GET /${noun}/{id}/logs`, outside)),
    ],
  },
]
